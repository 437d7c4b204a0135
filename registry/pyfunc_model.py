"""The registered model as MLflow's pyfunc: rows of requests in, composed pieces out.

One input row asks for one piece: `style` and `instruments` (names joined by commas). Parameters are the other fields of
`PieceRequest`; an unknown one is an error here, because MLflow would drop it silently.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import ModelSignature
from mlflow.models.signature import infer_signature
from mlflow.pyfunc import PythonModel
from mlflow.types import DataType, ParamSchema, ParamSpec
from pydantic import ValidationError

from infra.errors import UserError, unknown_name
from infra.settings import one_line
from registry.composer import Composer
from registry.identity import ModelIdentity
from registry.requests import PieceRequest

BUNDLE = "bundle"
TYPES = {
    "length": DataType.long,
    "seconds": DataType.double,
    "tempo": DataType.double,
    "temperature": DataType.double,
    "top_p": DataType.double,
    "top_k": DataType.long,
    "min_p": DataType.double,
    "typical": DataType.double,
    "longest_note": DataType.double,
    "guidance": DataType.double,
    "best_of": DataType.long,
    "rank": DataType.string,
    "prune": DataType.boolean,
    "seed": DataType.long,
    "weights": DataType.string,
    "require": DataType.boolean,
    "blend": DataType.string,
    "bars": DataType.double,
    "candidate": DataType.long,
    "key": DataType.string,
    "strict_key": DataType.boolean,
    **dict.fromkeys(("lowest", "highest", "softest", "loudest", "most_voices", "repeats"), DataType.long),
    **dict.fromkeys(("time_temperature", "pitch_temperature", "instrument_temperature"), DataType.double),
    **dict.fromkeys(("key_strength", "density", "outside", "missing", "repetition", "tonality"), DataType.double),
}
"""Parameters: the fields of a request that are no columns and ask for no piece on the caller's machine."""
DEFAULTS: dict[str, Any] = {name: PieceRequest.model_fields[name].default for name in TYPES}
EXAMPLE_PARAMETERS = {"length": 64, "best_of": 1}
"""Kept short: MLflow runs the example when a version is registered, to check that it can be served."""


def example() -> pd.DataFrame:
    """Return a request that the model of any dataset can answer: it gives no style."""
    return pd.DataFrame({"style": [""], "instruments": ["piano,strings"]})


def signature() -> ModelSignature:
    """Return the columns of a request and of an answer, and the parameters with their defaults."""
    answer = pd.DataFrame({"score": [0.5], "tokens": ["bach piano_strings start"], "midi_base64": ["TVRoZA=="]})
    columns = infer_signature(example(), answer)
    params = ParamSchema([ParamSpec(name, kind, DEFAULTS[name]) for name, kind in TYPES.items()])
    return ModelSignature(columns.inputs, columns.outputs, params)


class MuseNetModel(PythonModel):
    """A bundle of model and critic behind MLflow's `predict`."""

    def load_context(self, context: Any) -> None:
        """Load the network, so that the first request need not wait for it."""
        files = Path(context.artifacts[BUNDLE])
        self.composer = Composer(files, ModelIdentity.of_files(files))
        self.composer.bundle  # noqa: B018 (loads it)

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return one answer per request row: the critic's score, if there is one, the text form and the MIDI file.

        An empty style means that none is given. Each further row has the next seed. Raises UserError for unknown
        parameters, styles and instruments, and for values out of range, before anything is composed.
        """
        given = params or {}
        for name in given:
            if name not in TYPES:
                raise unknown_name("parameter", name, TYPES)
        settings = {name: value for name, value in given.items() if value is not None}
        seed = settings.pop("seed", DEFAULTS["seed"])
        try:
            requests = [
                PieceRequest(style=row["style"] or None, instruments=row["instruments"], seed=seed + number, **settings)
                for number, row in enumerate(model_input.to_dict("records"))
            ]
        except ValidationError as error:
            raise UserError(one_line(error, PieceRequest)) from error
        for request in requests:
            self.composer.check(request, None)
        pieces = [self.composer.answer(request) for request in requests]
        return pd.DataFrame(
            {
                "score": [piece.score for piece in pieces],
                "tokens": [piece.text for piece in pieces],
                "midi_base64": [base64.b64encode(piece.midi).decode() for piece in pieces],
            }
        )
