"""The registered model as anyone with MLflow uses it: rows of requests in, pieces out."""

from __future__ import annotations

import base64
import uuid
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest

from registry.lineage import DatasetReference
from registry.models import CHAMPION, register, set_alias
from registry.pyfunc_model import DEFAULTS, signature
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
    with pytest.raises(Exception, match="temprature"):
        model.unwrap_python_model().predict(None, requests(("bach", "piano")), {"temprature": 0.5})


def test_unknown_styles_and_instruments_list_what_exists(model: Any) -> None:
    with pytest.raises(Exception, match="no style 'polka'; this vocabulary has: bach, jazz"):
        model.predict(requests(("polka", "piano")), params=SHORT)
    with pytest.raises(Exception, match="no instrument 'kazoo'; there are: piano, strings"):
        model.predict(requests(("bach", "kazoo")), params=SHORT)


def test_the_signature_names_columns_and_parameters(model: Any) -> None:
    assert model.metadata.signature.to_dict() == signature().to_dict()
    assert model.metadata.get_input_schema().input_names() == ["style", "instruments"]
    params = {spec.name: spec.default for spec in model.metadata.signature.params}
    assert (
        params
        == DEFAULTS
        == {"temperature": 1.0, "top_p": 0.95, "guidance": 1.0, "length": 1024, "best_of": 4, "seed": 0}
    )
