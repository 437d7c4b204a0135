"""The password of a lake's servers: made with the first of them, in a file that only its owner can read.

Prefect runs what its API is told to run, so that any page in a browser, and any user of the machine, could run code
through a server that asks for nothing.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from infra.files import write_private
from infra.lake import Lake

USER = "musenet"
SECRET_BYTES = 24
AUTH_VARIABLE = "PREFECT_API_AUTH_STRING"
"""What clients of Prefect send."""
SERVER_AUTH_VARIABLE = "PREFECT_SERVER_API_AUTH_STRING"
"""What its server expects of them."""


def password_file(lake: Lake) -> Path:
    """Return the path of the file that holds a lake's password, `USER:SECRET` as HTTP's basic authentication has it."""
    return lake.services / "password"


def read_password(lake: Lake) -> str | None:
    """Return a lake's password, None for a lake that has had no server yet."""
    try:
        return password_file(lake).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None


def make_password(lake: Lake) -> str:
    """Return a lake's password, made now if there is none. The caller holds `services_lock`."""
    path = password_file(lake)
    if not path.exists():
        write_private(path, f"{USER}:{secrets.token_urlsafe(SECRET_BYTES)}\n".encode())
    return path.read_text(encoding="utf-8").strip()
