"""The local servers of a lake: Prefect's and MLflow's pages in the background, and a Prefect API for one command.

`up`, `down` and `status` manage both servers of a lake as background processes. `prefect_server` provides a Prefect
API while a command runs its flows. All of them use the same two SQLite files: runs that one command records are on the
pages that `up` opens later.

Neither library is imported into the calling process: both run in processes of their own, bound to 127.0.0.1.
"""

from infra.services.environment import library_environment, library_settings
from infra.services.health import ServiceError
from infra.services.password import password_file
from infra.services.prefect_api import prefect_server, reachable_server
from infra.services.servers import Service, down, status, up

__all__ = [
    "Service",
    "ServiceError",
    "down",
    "library_environment",
    "library_settings",
    "password_file",
    "prefect_server",
    "reachable_server",
    "status",
    "up",
]
