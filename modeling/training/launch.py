"""DeepSpeed's launcher of the ranks on one host, with fewer imports.

python -m modeling.training.launch --world_info=… --master_addr=… --master_port=… --module modeling.training.train …
"""

from modeling.training.deepspeed_package import deepspeed  # noqa: F401  (first, and quickly)

if __name__ == "__main__":
    from deepspeed.launcher.launch import main

    main()
