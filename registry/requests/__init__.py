"""The request for a piece, defined once for the command line, Python, tables, flows and MLflow's `predict`.

- `registry.requests.piece_request`: `PieceRequest`, whose fields are the options, checked, with a digest
- `registry.requests.options`: `RequestOptions`, the fields as keyword arguments
- `registry.requests.table`: the fields as columns and parameters of MLflow's `predict`
- `registry.requests.network`: a request in the terms of the network's side
"""

from registry.requests.network import request_for_model
from registry.requests.options import RequestOptions
from registry.requests.piece_request import (
    DEFAULT_LENGTH,
    LONGEST,
    LONGEST_TIME,
    MOST_CANDIDATES,
    OPENING_BARS,
    REQUEST_FORMAT,
    SHORTEST,
    PieceRequest,
)

__all__ = [
    "DEFAULT_LENGTH",
    "LONGEST",
    "LONGEST_TIME",
    "MOST_CANDIDATES",
    "OPENING_BARS",
    "REQUEST_FORMAT",
    "SHORTEST",
    "PieceRequest",
    "RequestOptions",
    "request_for_model",
]
