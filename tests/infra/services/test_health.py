"""Ports: one that another program listens on is left alone."""

from __future__ import annotations

import socket

from infra.services.environment import HOST
from infra.services.health import free_port


def test_a_taken_port_is_left_alone() -> None:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        taken = listener.getsockname()[1]
        assert free_port(taken) != taken
