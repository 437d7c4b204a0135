"""The guard of a training job: starts it, and ends all of its processes once whoever launched it is gone.

    python -m flows.training.guard COMMAND …

The guard leads the job's process group. Its standard input is a pipe that the training flow holds open and never
writes to; when it closes, however the flow has ended, the whole group is killed: launchers, ranks, compilers, and
the connections to other hosts, whose ranks end with them. The job's standard input is a pipe that the guard holds in
the same way: ranks that watch it end when the guard itself is killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from infra.processes import end_with_stdin


def main() -> int:
    """Run the command to its end; returns its exit status, 128 and the signal's number for a killed one."""
    job = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)
    end_with_stdin(lambda: os.killpg(os.getpgrp(), signal.SIGKILL))
    status = job.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
