"""Processes: a group is found and ended whole, and a process ends with the one that started it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra.processes import end_groups, group_members, having_open, still_runs

GROUP = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
print(child.pid, flush=True)
time.sleep(600)
"""
SLEEP = "import time; time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); " + (
    "time.sleep(600)"
)
WATCHED_BY_STDIN = """
import time
from infra.processes import end_with_stdin
end_with_stdin()
print("ready", flush=True)
time.sleep(600)
"""
WATCHED_BY_PARENT = """
import os, sys, time
from infra.processes import end_with_parent
end_with_parent(parent=int(sys.argv[1]) if len(sys.argv) > 1 else None)
print(os.getpid(), flush=True)
time.sleep(600)
"""
MULTIPROCESSING_PARENT = """
import multiprocessing, time
from infra.processes import end_with_parent

def work():
    end_with_parent()
    print(multiprocessing.current_process().pid, flush=True)
    time.sleep(600)

multiprocessing.get_context("fork").Process(target=work, daemon=True).start()
time.sleep(600)
"""


def started(script: str, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *words]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture
def groups() -> Iterator[list[subprocess.Popen[str]]]:
    """Leaders of groups, none of whose members outlives the test."""
    leaders: list[subprocess.Popen[str]] = []
    yield leaders
    for leader in leaders:
        for member in group_members(leader.pid):
            member.kill()
        leader.communicate()


def gone(process: psutil.Process) -> bool:
    deadline = time.monotonic() + 60
    while still_runs(process) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not still_runs(process)


class TestGroups:
    def test_a_group_has_its_leader_and_all_that_it_started(self, groups: list[subprocess.Popen[str]]) -> None:
        leader = started(GROUP, SLEEP)
        groups.append(leader)
        child = int(line_of(leader))
        assert {member.pid for member in group_members(leader.pid)} == {leader.pid, child}

    def test_all_members_of_several_groups_end(self, groups: list[subprocess.Popen[str]]) -> None:
        groups += [started(GROUP, SLEEP), started(GROUP, SLEEP)]
        for leader in groups:
            line_of(leader)
        members = [member for leader in groups for member in group_members(leader.pid)]
        assert len(members) == 4
        end_groups([leader.pid for leader in groups], grace_seconds=10)
        assert not any(map(still_runs, members))

    def test_a_process_that_ignores_the_polite_end_is_killed(self, groups: list[subprocess.Popen[str]]) -> None:
        leader = started(STUBBORN)
        groups.append(leader)
        assert line_of(leader) == "ready"
        end_groups([leader.pid], grace_seconds=0.2)
        assert leader.wait(timeout=60) == -signal.SIGKILL

    def test_a_group_that_has_ended_is_nothing_to_end(self) -> None:
        leader = started("pass")
        leader.communicate()
        assert group_members(leader.pid) == []
        end_groups([leader.pid], grace_seconds=1)


def test_a_zombie_no_longer_runs() -> None:
    process = started("pass")
    zombie = psutil.Process(process.pid)
    assert gone(zombie)
    assert zombie.status() == psutil.STATUS_ZOMBIE, "nobody has waited for it yet"
    process.communicate()


class TestEndingWithWhoStartedIt:
    def test_a_process_ends_when_its_input_closes(self, groups: list[subprocess.Popen[str]]) -> None:
        process = started(WATCHED_BY_STDIN)
        groups.append(process)
        assert line_of(process) == "ready"
        assert process.poll() is None
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
        assert process.wait(timeout=60) == 1

    def test_a_process_ends_when_its_parent_is_killed(self, groups: list[subprocess.Popen[str]]) -> None:
        parent = started(GROUP, WATCHED_BY_PARENT)
        groups.append(parent)
        child = psutil.Process(int(line_of(parent)))
        assert int(line_of(parent)) == child.pid
        parent.kill()
        assert gone(child)

    def test_a_process_ends_whose_parent_was_gone_before(self, groups: list[subprocess.Popen[str]]) -> None:
        orphan = started(WATCHED_BY_PARENT, "1000000000")
        groups.append(orphan)
        assert orphan.wait(timeout=60) == 1

    def test_a_multiprocessing_worker_ends_when_its_parent_is_killed(self, groups: list[subprocess.Popen[str]]) -> None:
        parent = started(MULTIPROCESSING_PARENT)
        groups.append(parent)
        worker = psutil.Process(int(line_of(parent)))
        parent.kill()
        assert gone(worker)


def test_a_process_that_has_a_file_open_is_named(tmp_path: Path) -> None:
    file, other = tmp_path / "a.db", tmp_path / "b.db"
    file.touch()
    other.touch()
    (tmp_path / "link").symlink_to(file)
    code = "import sys; file = open(sys.argv[1]); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(file)]
    with (
        file.open(),
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
    ):
        assert process.stdin and process.stdout
        process.stdout.readline()
        (user,) = having_open(other, tmp_path / "link")
        process.stdin.close()
    assert user.startswith(f"{Path(sys.executable).name} -c import sys") and user.endswith(f" (pid {process.pid})")
    assert having_open(file) == [], "this process's own does not count"


def test_one_that_ends_now_writes_what_it_has_said() -> None:
    ends = "import threading, time; from infra.processes import exit_now; print('said')\n"
    ends += "threading.Thread(target=time.sleep, args=[600]).start(); exit_now(3)"
    ended = subprocess.run([sys.executable, "-c", ends], stdout=subprocess.PIPE, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (3, "said\n")
