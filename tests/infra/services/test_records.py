"""Records of servers: a process that reused a server's pid is not taken for it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import psutil

from infra import services
from infra.lake import Lake


def test_a_reused_pid_is_not_taken_for_the_server(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.services.mkdir()
    another = [os.getpid(), psutil.Process().create_time() - 60]
    state = {"url": "http://127.0.0.1:4200", "log": "", "started_at": "", "processes": [another]}
    (lake.services / "prefect.json").write_text(json.dumps(state))
    assert not any(service.running for service in services.status(lake))
    assert not any(service.changed for service in services.down(lake))  # and this process goes on
    assert not (lake.services / "prefect.json").exists()
