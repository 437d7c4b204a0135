"""What a training job reports: one JSON object a line in `metrics.jsonl`, which the training flow follows."""

from __future__ import annotations

import json
import time
from pathlib import Path

METRICS = "metrics.jsonl"


class Reporter:
    """Rank 0's side of `metrics.jsonl`; silent on other ranks."""

    def __init__(self, folder: Path, rank: int) -> None:
        self.file = None
        if rank == 0:
            path = folder / METRICS
            torn = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
            self.file = path.open("a", encoding="utf-8")
            if torn:
                self.file.write("\n")  # an earlier attempt was killed within a line

    def __call__(self, event: str, **values: object) -> None:
        """Write an event with its values. Raises OSError where there is no room."""
        if self.file is not None:
            self.file.write(json.dumps({"event": event, "time": time.time(), **values}) + "\n")
            self.file.flush()
