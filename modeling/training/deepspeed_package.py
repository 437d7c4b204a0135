"""DeepSpeed for the ranks, imported without MLflow.

DeepSpeed's autotuner, which its other modules import, loads MLflow where that is installed: four of the seven seconds
that DeepSpeed takes, in every rank. All modules of the training job import DeepSpeed from here.
"""

from infra.imports import without

with without("mlflow"):
    import deepspeed
    import deepspeed.comm as comm
    from deepspeed.runtime.checkpoint_engine.checkpoint_engine import CheckpointCommitInfo, CheckpointEngine

__all__ = ["CheckpointCommitInfo", "CheckpointEngine", "comm", "deepspeed"]
