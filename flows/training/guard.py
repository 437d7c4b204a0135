"""The guard of a training job: starts it, and kills all of its processes once the training flow has ended.

    python -m flows.training.guard COMMAND …

The guard leads the job's process group. Its standard input is a pipe that the training flow holds open and never writes
to. When it closes, however the flow has ended, the whole group is killed: launchers, ranks, compilers, and the
connections to other hosts, whose ranks end with them. The job's standard input is a pipe that the guard holds in the
same way, so that ranks that watch it end when the guard itself is killed. SIGTERM ends neither guard nor launchers.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from infra.processes import end_with_stdin


def main() -> int:
    """Run the command to its end; return its exit status, or 128 plus the signal's number for a killed one."""
    # It is for the ranks, which unblock it (`modeling.training.stopping`): launchers would kill them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    job = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE)
    end_with_stdin(lambda: os.killpg(os.getpgrp(), signal.SIGKILL))
    status = job.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
