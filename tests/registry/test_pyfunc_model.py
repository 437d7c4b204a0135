"""The registered model as anyone with MLflow uses it: rows of requests in, pieces out."""

from __future__ import annotations

import base64
import logging
import re
import uuid
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from registry.lineage import DatasetReference
from registry.models import CHAMPION, find_model, set_alias
from registry.publishing import register
from registry.pulling import pull_version
from registry.pyfunc_model import EXAMPLE_PARAMETERS, example, signature
from registry.requests import PieceRequest
from registry.runs import begin_run
from registry.store import Registry
from tokenization.midi import read_midi
from tokenization.midi.notes import Notes
from tokenization.midi.writing import write_midi
from tokenization.vocabulary import Vocabulary

pytestmark = pytest.mark.slow

SHORT = {"length": 48, "best_of": 2}


@pytest.fixture(scope="module")
def model(registry: Registry, bundle: Path, dataset: DatasetReference) -> Any:
    version = register(registry, begin_run(registry, uuid.uuid4().hex, "tiny", {}), bundle, dataset, {}, "")
    set_alias(registry, version.version, CHAMPION)
    with registry.as_default(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
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


class TestAStream:
    def test_has_the_tokens_as_they_are_drawn_and_ends_with_the_answer(self, model: Any) -> None:
        params = {**SHORT, "seed": 7}
        *drafts, answer = model.predict_stream({"style": "bach", "instruments": "piano"}, params=params)
        (whole,) = model.predict(requests(("bach", "piano")), params=params).to_dict("records")
        assert answer == whole
        texts: dict[int, list[str]] = {0: [], 1: []}
        for draft in drafts:
            assert draft["at"] == len(texts[draft["candidate"]])
            texts[draft["candidate"]] += draft["tokens"].split()
        assert answer["tokens"].split() in texts.values()
        assert len(drafts) >= 2 * 48 // 16

    def test_begins_with_the_prompt(self, model: Any) -> None:
        prompt = "bach piano start tempo120 piano:v72:C4 wait:48 piano:v0:C4"
        first = next(model.predict_stream({"prompt": prompt}, params={"length": 64, "best_of": 1}))
        assert first["at"] == 0 and first["tokens"].startswith(prompt)

    def test_is_refused_like_any_other_request(self, model: Any) -> None:
        for row, params, message in (
            ({"style": "polka"}, SHORT, "no style 'polka'; there are: bach, jazz"),
            ({"style": "bach"}, {**SHORT, "temprature": 0.5}, "no parameter 'temprature'"),
            ({"stile": "bach"}, SHORT, "no column 'stile'"),
        ):
            with pytest.raises(MlflowException, match=message):
                list(model.predict_stream(row, params=params))


class TestWhatMlflowWouldDrop:
    def test_an_unknown_parameter_is_refused(self, model: Any) -> None:
        logging.getLogger("mlflow").setLevel(logging.ERROR)  # as in a command, where MLflow logs no warnings
        with pytest.raises(MlflowException, match="no parameter 'temprature'; nearest: 'temperature'; the model takes"):
            model.predict(requests(("bach", "piano")), params={**SHORT, "temprature": 0.5})

    def test_an_unknown_column_is_refused(self, model: Any) -> None:
        rows = requests(("bach", "piano")).assign(stile="bach")
        with pytest.raises(MlflowException, match="no column 'stile'; nearest: 'style'"):
            model.predict(rows, params=SHORT)


def test_a_prompt_is_a_midi_file_or_tokens(model: Any) -> None:
    tune = Notes.from_columns([0.0, 0.5], [0.4, 0.4], [60, 62], [80, 80], [0, 0], [False, False])
    midi = base64.b64encode(write_midi(tune)).decode()
    tokens = " ".join(model.predict(requests(("bach", "piano")), params=SHORT)["tokens"][0].split()[:12])
    answers = model.predict(pd.DataFrame({"prompt": [midi, tokens]}), params=SHORT)["tokens"]
    assert re.search(r"start tempo120 piano:v80:C4 wait:\d+ piano:v0:C4 wait:\d+ piano:v80:D4", answers[0])
    assert answers[1].split()[1:12] == tokens.split()[1:]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"length": 100_000_000}, "length = 100000000"),
        ({"best_of": 0}, "best_of = 0"),
        ({"seconds": 1e9}, "seconds = "),
        ({"bars": 1e6}, "bars = "),
        ({"opening": "bach/1"}, "openings and originality need the pieces of songs"),
    ],
)
def test_what_would_not_end_or_cannot_be_is_refused_in_one_line(
    model: Any, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(MlflowException, match=message) as error:
        model.predict(requests(("bach", "piano")), params=params)
    assert "\n" not in str(error.value)


def test_a_call_that_takes_too_long_is_given_up(model: Any) -> None:
    inner = model.unwrap_python_model()
    inner.seconds, before = 0.0, inner.seconds
    try:
        with pytest.raises(MlflowException, match=r"given up after 0 s \(seconds_a_call\) at \d+ of"):
            model.predict(requests(("bach", "piano")), params={"length": 4096, "best_of": 1})
    finally:
        inner.seconds = before


def test_a_length_in_seconds(model: Any) -> None:
    answer = model.predict(requests(("jazz", "piano")), params={"seconds": 2.0, "best_of": 1})
    ticks = sum(int(wait) for wait in re.findall(r"wait:(\d+)", answer["tokens"][0]))
    assert ticks / 96 == pytest.approx(2.0, rel=0.05)


def test_a_request_that_fails_is_refused_before_any_piece_is_made(model: Any) -> None:
    with pytest.raises(Exception, match="no style 'polka'; there are: bach, jazz"):
        model.predict(requests(("bach", "piano"), ("polka", "piano")), params=SHORT)
    with pytest.raises(Exception, match="no instrument 'kazoo'; there are: piano, strings"):
        model.predict(requests(("bach", "kazoo")), params=SHORT)
    with pytest.raises(Exception, match=r"guidance = 0\.5"):
        model.predict(requests(("bach", "piano")), params={**SHORT, "guidance": 0.5})


def test_the_signature_names_all_fields_of_a_request(model: Any) -> None:
    assert model.metadata.signature.to_dict() == signature().to_dict()
    columns = model.metadata.get_input_schema().input_names()
    assert columns == ["style", "instruments", "prompt"]
    params = {spec.name: spec.default for spec in model.metadata.signature.params}
    assert {*columns, *params} == {*PieceRequest.model_fields}
    assert PieceRequest.model_validate({name: value for name, value in params.items() if value is not None})
    assert PieceRequest.model_validate(params) == PieceRequest()


def test_a_version_has_an_example_request(model: Any, registry: Registry) -> None:
    folder = pull_version(registry, find_model(registry, CHAMPION))
    assert model.metadata.load_input_example(str(folder)).to_dict("records") == example().to_dict("records")
    assert model.metadata.load_input_example_params(str(folder)) == EXAMPLE_PARAMETERS
