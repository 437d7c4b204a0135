"""Hostfiles: DeepSpeed's format, checked before anything is started."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from flows.training.hostfile import Host, format_hostfile, is_local, read_hostfile, select_hosts
from infra.errors import UserError


def read(folder: Path, text: str) -> tuple[Host, ...]:
    (folder / "hosts").write_text(text, encoding="utf-8")
    return read_hostfile(folder / "hosts")


def test_a_line_for_each_host(tmp_path: Path) -> None:
    hosts = read(tmp_path, "# the two big ones\nworker-1 slots=8\n\n  me@10.0.0.2\tslots=4  # by address\n")
    assert hosts == (Host("worker-1", 8), Host("me@10.0.0.2", 4))
    assert read(tmp_path, format_hostfile(hosts)) == hosts


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a slots=1\nb\n", "line 2: expected slots=N behind b, such as slots=2, found nothing"),
        ("a slots=0\n", "line 1: expected slots=N behind a, such as slots=2, found 'slots=0'"),
        ("a slots=two\n", "line 1: expected slots=N behind a, such as slots=2, found 'slots=two'"),
        ("a slot=2\n", "line 1: expected slots=N behind a, such as slots=2, found 'slot=2'"),
        ("a slots=2 max=3\n", "line 1: expected slots=N behind a, such as slots=2, found 'slots=2 max=3'"),
        ("node[1-4] slots=2\n", "line 1: 'node[1-4]' is not a host name; write a line such as: localhost slots=2"),
        ("a slots=1\n#\na slots=2\n", "line 3: a is in line 1 already; name a host once"),
    ],
)
def test_a_fault_is_one_line_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UserError) as error:
        read(tmp_path, text)
    assert str(error.value) == f"{tmp_path / 'hosts'}, {words}"


def test_a_file_without_hosts_or_none_at_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="names no host; write a line such as: localhost slots=2"):
        read(tmp_path, "# nobody\n")
    with pytest.raises(UserError, match=r"hostfile .*nowhere cannot be read: No such file"):
        read_hostfile(tmp_path / "nowhere")


class TestRanks:
    HOSTS = (Host("a", 4), Host("b", 2))

    def test_fill_the_hosts_in_order(self) -> None:
        assert select_hosts(self.HOSTS, None) == self.HOSTS
        assert select_hosts(self.HOSTS, 3) == (Host("a", 3),)
        assert select_hosts(self.HOSTS, 4) == (Host("a", 4),)
        assert select_hosts(self.HOSTS, 5) == (Host("a", 4), Host("b", 1))

    def test_that_have_no_slot_are_too_many(self) -> None:
        with pytest.raises(UserError, match="7 ranks do not fit in the hostfile's 6 slots; lower ranks or add slots"):
            select_hosts(self.HOSTS, 7)


def test_only_this_machine_alone_needs_no_ssh() -> None:
    for name in ("localhost", "127.0.0.1", socket.gethostname()):
        assert is_local([Host(name, 2)])
    assert not is_local([Host("worker-1", 2)])
    assert not is_local([Host("localhost", 2), Host("worker-1", 2)])
