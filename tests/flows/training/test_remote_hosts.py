"""The hosts of a hostfile: what is missing to reach them is said before a job starts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from flows.training.hostfile import Host
from flows.training.remote_hosts import check_hosts, unreachable
from infra.errors import UserError

HOSTS = [Host("worker-1", 1), Host("worker-2", 1)]


def provide(folder: Path, **programs: str) -> None:
    """Put shell scripts of these names into a folder."""
    for name, script in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)


def test_a_missing_program_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        UserError, match="needs ssh and pdsh on this machine: apt install openssh-client pdsh; or train"
    ):
        check_hosts(HOSTS)
    provide(tmp_path, ssh="exit 0")
    with pytest.raises(UserError, match="needs pdsh on this machine: apt install pdsh;"):
        check_hosts(HOSTS)
    provide(tmp_path, pdsh="exit 0")
    check_hosts(HOSTS)


def test_a_host_that_lets_nobody_in_is_named_with_ssh_s_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = 'case "$*" in *worker-2*) echo "Permission denied (publickey)." >&2; exit 255;; esac'
    provide(tmp_path, ssh=refusing, pdsh="exit 0")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(UserError) as error:
        check_hosts(HOSTS)
    assert str(error.value).startswith("host worker-2 cannot be reached by ssh without a password: Permission denied")
    assert "hostfile" in str(error.value)
    assert str(tmp_path) not in str(error.value)


@pytest.mark.skipif(shutil.which("ssh") is None, reason="needs ssh")
def test_ssh_itself_says_so_of_a_host_without_a_server() -> None:
    assert unreachable("nobody@host.invalid") is not None
