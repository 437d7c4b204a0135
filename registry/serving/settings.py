"""The settings of a server: its address, what it takes on, and how long it waits."""

from __future__ import annotations

from pydantic import Field, SecretStr

from modeling.config import StrictModel
from registry.requests import LONGEST, LONGEST_TIME, MOST_CANDIDATES

PORT = 8765


class Limits(StrictModel):
    """What requests may ask for."""

    seconds: float = Field(600.0, gt=0, le=LONGEST_TIME)
    """Of a piece."""
    tokens: int = Field(16384, ge=32, le=LONGEST)
    """Of a piece, prompt included."""
    candidates: int = Field(16, ge=1, le=MOST_CANDIDATES)
    """Of a request."""
    rows: int = Field(48, ge=1, le=4096)
    """Rows of the decoder: candidates that are composed at a time, of all requests. A blend of n styles takes n rows
    for each, and guidance one more. A row takes the memory of a cache of one context."""
    queue: int = Field(32, ge=0)
    """Requests that may wait; further ones are answered with status 429."""
    request_seconds: float = Field(120.0, gt=0)
    """For which a request is composed; it is then answered with what is there."""
    upload_bytes: int = Field(4 * 2**20, ge=1024)
    """Of the body of a request."""


class ServingSettings(StrictModel):
    """How a model is served."""

    host: str = "127.0.0.1"
    """Address to listen on; one that other machines reach needs a token."""
    port: int = Field(PORT, ge=0, le=65535)
    """0: any free one."""
    token: SecretStr | None = None
    """What requests have to carry (`Authorization: Bearer …`)."""
    names: tuple[str, ...] = ()
    """Host names, besides `localhost` and addresses in figures, by which the server may be called."""
    limits: Limits = Field(default_factory=Limits)
    poll_seconds: float = Field(2.0, gt=0, le=5)
    """Between looks at the alias."""
    drain_seconds: float = Field(6.0, ge=0, le=8)
    """For which requests go on after SIGTERM; they are then answered with what is there."""
    kept: int = Field(1000, ge=0)
    """Answers that are kept to be had again by their link."""
