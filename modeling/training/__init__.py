"""Training: the job that the `deepspeed` launcher starts on every rank, and the files that it leaves.

Read without torch, by flows and registry:

- `events`: typed training events, their codec, writer and readers (`metrics.jsonl`)
- `event_metrics`: their numbers by name
- `run_folder`: the layout of a run's folder (`RunFolder`)
- `stopping`: how ranks are asked to save a checkpoint and end

Run on every rank:

- `train`: the program that the launcher starts; `trainer`: the loop over steps, evaluations and checkpoints
- `engine`, `deepspeed_config`, `optimisers`, `process_group`: how the network is trained
- `deepspeed_package`, `launch`: DeepSpeed and its launcher, loaded without what neither needs
- `training_data`, `step`, `evaluation`: batches, one step, the loss on a split
- `samples`: pieces composed at an evaluation; `tensorboard`: scalars for TensorBoard
- `state`, `selection`, `best_weights`, `checkpoints`: what a run resumes from, and the weights that become its model

Importing the package itself loads neither torch nor DeepSpeed.
"""

from modeling.training.events import Event, read_events, read_new_events
from modeling.training.run_folder import RunFolder, run_folders

__all__ = ["Event", "RunFolder", "read_events", "read_new_events", "run_folders"]
