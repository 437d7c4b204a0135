"""The registered model as MLflow's pyfunc: rows of requests in, composed pieces out.

One input row asks for one piece: `style` and `instruments` (names joined by commas). Parameters control sampling; an
unknown one is an error here, because MLflow would drop it silently.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import ModelSignature
from mlflow.models.signature import infer_signature
from mlflow.pyfunc import PythonModel

from modeling.generation import ModelBundle, Request, SamplingConfig, compose
from tokenization.midi.writing import write_midi

BUNDLE = "bundle"
DEFAULTS: dict[str, Any] = {
    "temperature": 1.0,
    "top_p": 0.95,
    "guidance": 1.0,
    "length": 1024,
    "best_of": 4,
    "seed": 0,
}
EXAMPLE_PARAMETERS = {**DEFAULTS, "length": 64, "best_of": 1}
"""Kept short: MLflow runs the example when a version is registered, to check that it can be served."""


def example() -> pd.DataFrame:
    """Return a request that the model of any dataset can answer: it gives no style."""
    return pd.DataFrame({"style": [""], "instruments": ["piano,strings"]})


def signature() -> ModelSignature:
    """Return the columns of a request and of an answer, and the parameters with their defaults."""
    answer = pd.DataFrame({"score": [0.5], "tokens": ["bach piano_strings start"], "midi_base64": ["TVRoZA=="]})
    return infer_signature(example(), answer, params=DEFAULTS)


class MuseNetModel(PythonModel):
    """A bundle of model and critic behind MLflow's `predict`."""

    def load_context(self, context: Any) -> None:
        self.bundle = ModelBundle.load(Path(context.artifacts[BUNDLE]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return one answer per request row: the critic's score, the piece's text form and its MIDI file.

        An empty style means that none is given. Raises ValueError for unknown parameters, styles and instruments.
        """
        unknown = set(params or {}) - set(DEFAULTS)
        if unknown:
            raise ValueError(f"unknown parameters: {', '.join(sorted(unknown))}; there are: {', '.join(DEFAULTS)}")
        settings = {**DEFAULTS, **(params or {})}
        answers = []
        for number, row in enumerate(model_input.to_dict("records")):
            request = Request(
                style=row["style"] or None,
                instruments=tuple(name.strip() for name in row["instruments"].split(",") if name.strip()),
                length=settings["length"],
                best_of=settings["best_of"],
                seed=settings["seed"] + number,
                sampling=SamplingConfig(settings["temperature"], settings["top_p"], guidance=settings["guidance"]),
            )
            best = compose(self.bundle, request)[0]
            midi = write_midi(self.bundle.encoding.decode(best.tokens))
            answers.append(
                {
                    "score": best.score,
                    "tokens": self.bundle.vocabulary.to_text(best.tokens),
                    "midi_base64": base64.b64encode(midi).decode(),
                }
            )
        return pd.DataFrame(answers)
