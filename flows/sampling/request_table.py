"""Tables of requests: CSV, Parquet or JSON, a row for each piece.

Columns are fields of `registry.requests.PieceRequest`; an empty cell and a missing column take the value given for all
rows, else the field's default. JSON is a list of rows, or an object of lists, which stands for all combinations:
`{"style": ["bach", "jazz"], "seed": [0, 1, 2]}` are six rows.
"""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import ValidationError

from infra.errors import UserError, message_of, unknown_name
from infra.settings import one_line
from registry.requests import PieceRequest


@dataclass(frozen=True)
class RequestRow:
    """A row of a table: its request, or the reason for which it is none."""

    number: int
    """Counts from 1, without the heading."""
    request: PieceRequest | None
    error: str = ""


def read_requests(file: Path, defaults: Mapping[str, Any]) -> list[RequestRow]:
    """Read a table; `defaults` are fields for all rows. Relative paths of prompts are looked up from its folder.

    Raises UserError for a file that is no table, without rows, or with a column that is no field of a request.
    """
    rows = _read_rows(file)
    if not rows:
        raise UserError(f"{file} has no rows")
    for name in dict.fromkeys(name for row in rows for name in row):
        if name not in PieceRequest.model_fields:
            raise unknown_name(f"field of a request for the column of {file},", name, PieceRequest.model_fields)
    return [_request_row(number, row, defaults, file.parent) for number, row in enumerate(rows, 1)]


def _request_row(number: int, row: Mapping[str, Any], defaults: Mapping[str, Any], folder: Path) -> RequestRow:
    given = {name: value for name, value in row.items() if value not in (None, "", [])}
    if "prompt" in given:
        given["prompt"] = folder / Path(str(given["prompt"])).expanduser()
    try:
        return RequestRow(number, PieceRequest.model_validate({**defaults, **given}))
    except ValidationError as error:
        return RequestRow(number, None, one_line(error, PieceRequest))


def _read_rows(file: Path) -> Sequence[Mapping[str, Any]]:
    readers = {".csv": _read_csv, ".parquet": _read_parquet, ".json": _read_json}
    if file.suffix not in readers:
        raise UserError(f"{file} is no table of requests: its name must end in {', '.join(readers)}")
    try:
        return readers[file.suffix](file.expanduser().read_bytes())
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from error
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise UserError(f"{file} is no table of requests: {message_of(error)}") from error


def _read_csv(data: bytes) -> Sequence[Mapping[str, Any]]:
    return pl.read_csv(io.BytesIO(data), infer_schema=False).to_dicts()


def _read_parquet(data: bytes) -> Sequence[Mapping[str, Any]]:
    return pl.read_parquet(io.BytesIO(data)).to_dicts()


def _read_json(data: bytes) -> Sequence[Mapping[str, Any]]:
    content = json.loads(data)
    if isinstance(content, dict):
        lists = [value if isinstance(value, list) else [value] for value in content.values()]
        return [dict(zip(content, values)) for values in itertools.product(*lists)]
    if isinstance(content, list) and all(isinstance(row, dict) for row in content):
        return content
    raise ValueError("JSON must be a list of objects, or an object of lists")
