"""The registered model as anyone with MLflow uses it: rows of requests in, pieces out."""

from __future__ import annotations

import base64
import uuid
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest

from infra.errors import UserError
from registry.lineage import DatasetReference
from registry.models import CHAMPION, register, set_alias
from registry.pyfunc_model import DEFAULTS, signature
from registry.requests import PieceRequest
from registry.runs import begin_run
from registry.store import Registry
from tokenization.midi import read_midi
from tokenization.vocabulary import Vocabulary

pytestmark = pytest.mark.slow

SHORT = {"length": 48, "best_of": 2}


@pytest.fixture(scope="module")
def model(registry: Registry, bundle: Path, dataset: DatasetReference) -> Any:
    version = register(registry, begin_run(registry, uuid.uuid4().hex, "tiny", {}), bundle, dataset, {}, "")
    set_alias(registry, version.version, CHAMPION)
    mlflow.set_tracking_uri(registry.uri)
    mlflow.set_registry_uri(registry.uri)
    return mlflow.pyfunc.load_model(f"models:/musenet@{CHAMPION}")


def requests(*rows: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["style", "instruments"])


def test_a_row_asks_for_a_piece(model: Any) -> None:
    answers = model.predict(requests(("bach", "piano"), ("jazz", "piano, strings"), ("", "")), params=SHORT)
    assert list(answers.columns) == ["score", "tokens", "midi_base64"]
    assert len(answers) == 3
    assert all(0 <= score <= 1 for score in answers["score"])
    vocabulary = Vocabulary.load("musenet", styles=["bach", "jazz"])
    headers = [text.split()[:3] for text in answers["tokens"]]
    assert headers == [
        ["bach", "piano", "start"],
        ["jazz", "piano_strings", "start"],
        ["no_style", "piano", "start"],
    ]
    for text, midi in zip(answers["tokens"], answers["midi_base64"]):
        assert len(vocabulary.from_text(text)) <= 48
        data = base64.b64decode(midi)
        assert data.startswith(b"MThd")
        assert "piano:v" not in text or len(read_midi(data)) >= 0


def test_the_same_seed_gives_the_same_piece(model: Any) -> None:
    request = requests(("bach", "piano"))
    first, again, other = (model.predict(request, params={**SHORT, "seed": seed}) for seed in (7, 7, 8))
    assert first.equals(again)
    assert not first.equals(other)


def test_rows_of_one_call_differ(model: Any) -> None:
    answers = model.predict(requests(("bach", "piano"), ("bach", "piano")), params=SHORT)
    assert answers["tokens"][0] != answers["tokens"][1]


def test_unknown_parameters_are_refused(model: Any) -> None:
    """MLflow itself would drop them with a warning, and sample with the default."""
    with pytest.raises(UserError, match="no parameter 'temprature'; nearest of 36: temperature"):
        model.unwrap_python_model().predict(None, requests(("bach", "piano")), {"temprature": 0.5})


def test_a_length_in_seconds(model: Any) -> None:
    answer = model.predict(requests(("jazz", "piano")), params={"seconds": 2.0, "best_of": 1})
    assert len(answer["tokens"][0].split()) <= 44, "20 tokens a second and a header of 4"


def test_a_request_that_fails_is_refused_before_any_piece_is_made(model: Any) -> None:
    with pytest.raises(Exception, match="no style 'polka'; there are: bach, jazz"):
        model.predict(requests(("bach", "piano"), ("polka", "piano")), params=SHORT)
    with pytest.raises(Exception, match="no instrument 'kazoo'; there are: piano, strings"):
        model.predict(requests(("bach", "kazoo")), params=SHORT)
    with pytest.raises(Exception, match=r"guidance = 0\.5"):
        model.predict(requests(("bach", "piano")), params={**SHORT, "guidance": 0.5})


def test_the_signature_names_columns_and_all_fields_of_a_request(model: Any) -> None:
    assert model.metadata.signature.to_dict() == signature().to_dict()
    columns = model.metadata.get_input_schema().input_names()
    assert columns == ["style", "instruments"]
    params = {spec.name: spec.default for spec in model.metadata.signature.params}
    assert params == DEFAULTS
    of_given_pieces = {name for name in PieceRequest.model_fields if name.startswith("prompt")}
    of_given_pieces |= {"opening", "infill", "replace", "add"}
    assert {*columns, *params, *of_given_pieces} == {*PieceRequest.model_fields}
