"""The fields of a request as scalars: the columns and parameters of tables that know no lists and files."""

from __future__ import annotations

from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from registry.requests.piece_request import PieceRequest

SCALARS = (bool, int, float, str)


def scalar_fields() -> dict[str, type]:
    """Return the fields of a `PieceRequest` by name with the type of their values, `str` for names with commas.

    `prompt` is left out: it names a file.
    """
    return {name: _scalar(field.annotation) for name, field in PieceRequest.model_fields.items() if name != "prompt"}


def scalar_default(name: str) -> Any:
    """Return the default of a field as a scalar, None where the model or the prompt decides."""
    default = PieceRequest.model_fields[name].default
    return ",".join(default) if isinstance(default, tuple) else default


def _scalar(annotation: Any) -> type:
    """Return the type of the values of a field, of which `None` is no value."""
    if annotation in SCALARS:
        return annotation  # type: ignore[no-any-return]
    if get_origin(annotation) is Literal:
        return type(get_args(annotation)[0])
    if get_origin(annotation) is tuple:
        return str
    if get_origin(annotation) is Annotated:
        return _scalar(get_args(annotation)[0])
    (kind,) = (each for each in get_args(annotation) if each is not NoneType)
    return _scalar(kind)
