"""The log of a training job: the reason for its end, found in what its processes printed."""

from __future__ import annotations

import re
from pathlib import Path

LONGEST_EXCERPT = 300
"""Characters of a log line that an error message quotes."""
RANK_PREFIX = re.compile(r"^(?:[\w.@-]+: )?\[rank\d+\]:")
"""PyTorch's mark before the lines of a rank's traceback, behind the host's name where pdsh forwards them."""
CONSEQUENCES = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "remote process exited")
"""Parts of the errors that ranks raise because another rank has ended."""
KILLED = re.compile(rb"exits with return code = -(\d+)")
"""The line of DeepSpeed's launcher about a rank that a signal ended."""


def failure_reason(log: Path, start: int) -> str | None:
    """Return why a job ended, from its log behind byte `start`: a killed rank, or the last line that names an error.

    Errors that follow from the loss of another rank are not a reason. None if no error is logged.
    """
    content = log.read_bytes()[start:]
    lines = [RANK_PREFIX.sub("", line).strip() for line in content.decode("utf-8", errors="replace").splitlines()]
    killed = KILLED.search(content)
    if killed:
        return f"a rank was killed by signal {int(killed[1])}"
    errors = [line for line in lines if "Error" in line and not line.startswith(("File ", "["))]
    causes = [line for line in errors if not any(words in line for words in CONSEQUENCES)]
    if causes:
        return causes[-1][:LONGEST_EXCERPT]
    return "a process of the job was lost, and others with it" if errors else None
