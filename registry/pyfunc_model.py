"""The registered model as MLflow's pyfunc: rows of requests in, composed pieces out.

One input row asks for one piece: `style`, `instruments` (names joined by commas), and `prompt`, a MIDI file in base64
or tokens in their text form. Parameters are the other fields of `PieceRequest`, for all rows. Names that are not known
are refused: see `registry.refusals`.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.pyfunc import PythonModel
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

from infra.errors import MusenetError, UserError, message_of
from registry.composer import Composer, Progress
from registry.drafts import drafting
from registry.identity import BUNDLE, ModelIdentity
from registry.manifest import check_manifest
from registry.piece import Piece
from registry.prompts import Prompt
from registry.refusals import Refusals
from registry.requests import PieceRequest
from registry.requests.table import scalar_default, scalar_fields

KINDS = {bool: DataType.boolean, int: DataType.long, float: DataType.double, str: DataType.string}
COLUMNS = ("style", "instruments", "prompt")
ANSWER = {"score": DataType.double, "tokens": DataType.string, "midi_base64": DataType.string}
PARAMETERS = {name: KINDS[kind] for name, kind in scalar_fields().items() if name not in COLUMNS}
"""The fields of a request that are no columns."""
DEFAULTS: dict[str, Any] = {name: scalar_default(name) for name in PARAMETERS}
EXAMPLE_PARAMETERS = {"length": 64, "best_of": 1, "rank": "none"}
SECONDS = "seconds_a_call"
"""Setting of `mlflow.pyfunc.load_model(…, model_config={…})`: after so long a call is given up."""
DEFAULT_SECONDS = 600.0
MOST_ROWS = 64
"""Rows of one call; larger tables are for `musenet sample --requests`."""


def example() -> pd.DataFrame:
    """Return a request that the model of any dataset can answer: it gives no style."""
    return pd.DataFrame({"style": [""], "instruments": ["piano,strings"]})


def signature() -> ModelSignature:
    """Return the columns of a request and of an answer, and the parameters with their defaults."""
    given = Schema([ColSpec(DataType.string, name, required=False) for name in COLUMNS])
    made = Schema([ColSpec(kind, name, required=name != "score") for name, kind in ANSWER.items()])
    params = ParamSchema([ParamSpec(name, kind, DEFAULTS[name]) for name, kind in PARAMETERS.items()])
    return ModelSignature(given, made, params)


class MuseNetModel(PythonModel):
    """A bundle of model and critic behind MLflow's `predict`."""

    def load_context(self, context: Any) -> None:
        """Check the version's files, then load the network, so that the first request need not wait for it.

        Raises ChangedFile for a file that is not the one that was registered.
        """
        files = Path(context.artifacts[BUNDLE])
        check_manifest(files.parents[1])
        self.composer = Composer(files, ModelIdentity.of_files(files))
        self.seconds = float((context.model_config or {}).get(SECONDS, DEFAULT_SECONDS))
        self.composer.bundle  # noqa: B018 (loads it)
        Refusals(PARAMETERS, COLUMNS).install()

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return one answer per request row: the critic's score, if there is one, the text form and the MIDI file.

        An empty style means that none is given. Each further row has the next seed. Raises MlflowException, which a
        server answers with status 400, for unknown styles and instruments and for values out of range before anything
        is composed, and for a call that takes too long.
        """
        try:
            requests = self._read(model_input.to_dict("records"), params or {})
            progress = self._limit()
            pieces = [self.composer.answer(request, prompt, progress) for request, prompt in requests]
        except MusenetError as error:
            raise MlflowException.invalid_parameter_value(message_of(error)) from error
        return pd.DataFrame([_answer(piece) for piece in pieces], columns=[*ANSWER])

    def predict_stream(
        self, context: Any, model_input: Any, params: dict[str, Any] | None = None
    ) -> Iterator[Mapping[str, object]]:
        """Yield the piece of one row while it is made: tokens of its candidates, and at last what `predict` answers.

        Tokens come as `{"candidate": 0, "at": 4, "tokens": "piano:v72:C4 wait:12"}`, where `at` is the index of the
        first in the piece. Raises as `predict`.
        """
        try:
            ((request, prompt),) = self._read([model_input], params or {})
            piece = yield from drafting(self.composer, request, prompt, self._limit())
            yield _answer(piece)
        except MusenetError as error:
            raise MlflowException.invalid_parameter_value(message_of(error)) from error

    def _read(
        self, rows: Sequence[Mapping[Hashable, Any]], params: dict[str, Any]
    ) -> list[tuple[PieceRequest, Prompt | None]]:
        """Return the checked requests of rows, with what they begin like. Raises UserError."""
        if len(rows) > MOST_ROWS:
            raise UserError(f"a call has at most {MOST_ROWS} rows, not {len(rows):,}")
        settings = {name: value for name, value in params.items() if value is not None}
        seed = settings.pop("seed", DEFAULTS["seed"])
        with TemporaryDirectory() as folder:
            requests = [
                _request(row, {**settings, "seed": seed + number}, Path(folder) / str(number))
                for number, row in enumerate(rows)
            ]
            prompts = [self.composer.find_prompt(request) for request in requests]
        for request, prompt in zip(requests, prompts):
            self.composer.check(request, prompt)
        return [*zip(requests, prompts)]

    def _limit(self) -> Progress:
        """Return what is to be told of each token of a call that begins now: it raises UserError after its time."""
        ends = time.monotonic() + self.seconds

        def progress(done: int, total: int) -> None:
            if time.monotonic() > ends:
                raise UserError(f"given up after {self.seconds:g} s ({SECONDS}) at {done:,} of {total:,} tokens")

        return progress


def _answer(piece: Piece) -> dict[str, Any]:
    return {"score": piece.score, "tokens": piece.text, "midi_base64": base64.b64encode(piece.midi).decode()}


def _request(row: Mapping[Hashable, Any], settings: dict[str, Any], file: Path) -> PieceRequest:
    """Return the request of a row; its prompt is written to `file`, with an ending. Raises UserError."""
    given = {name: value for name in COLUMNS if isinstance(value := row.get(name), str) and value}
    if "prompt" in given:
        given["prompt"] = _write_prompt(given["prompt"], file)
    return PieceRequest.of({**given, **settings})


def _write_prompt(text: str, file: Path) -> str:
    """Write a prompt as a file of its kind: text in base64 is a MIDI file, other text is tokens. Raises UserError."""
    prompt = Prompt.of_text(text, "prompt")
    path = file.with_suffix(prompt.suffix)
    path.write_bytes(prompt.data)
    return str(path)
