"""The request for a piece: checked, the same everywhere, and known by its digest."""

from __future__ import annotations

import typing
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from infra.digests import canonical_digest
from modeling.config import DrawingConfig
from modeling.controls import FORM_NATS, Controls, parse_blend
from modeling.generation.direction import Direction
from registry.prompts import Prompt
from registry.requests import REQUEST_FORMAT, PieceRequest, RequestOptions, request_for_model

MODEL = "ab" * 32


def digest(**fields: object) -> str:
    request = PieceRequest(**fields)  # type: ignore[arg-type]
    return request.digest(MODEL, Prompt.of(request))


class TestItsFields:
    def test_are_the_keyword_arguments_of_python(self) -> None:
        assert list(typing.get_type_hints(RequestOptions)) == list(PieceRequest.model_fields)

    def test_instruments_are_names_or_text_with_commas(self) -> None:
        assert PieceRequest(instruments="piano, strings ,").instruments == ("piano", "strings")  # type: ignore[arg-type]
        assert PieceRequest(instruments=["piano"]).instruments == ("piano",)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"guidance": 0.5}, "guidance"),
            ({"temperature": float("nan")}, "temperature"),
            ({"top_p": 0}, "top_p"),
            ({"length": 31}, "length"),
            ({"best_of": 0}, "best_of"),
            ({"temprature": 1.0}, "temprature"),
            ({"length": 64, "seconds": 10}, "length = 64 and seconds = 10 exclude each other"),
            ({"bars": 8, "seconds": 10}, "seconds = 10 and bars = 8 exclude each other"),
            ({"prompt": "a.mid", "prompt_notes": 8, "prompt_bars": 2}, "prompt_notes = 8 and prompt_bars = 2 exclude"),
            ({"prompt_notes": 8}, "prompt_notes = 8 is of no use without a prompt"),
            ({"style": "bach", "blend": "pop"}, "style = bach and blend exclude each other"),
            ({"blend": "pop=loud"}, "no blend 'pop=loud'"),
            ({"key": "H"}, "no key 'H'"),
            ({"prompt": "a.mid", "tempo": 90}, "tempo = 90 cannot be given with a prompt"),
            ({"opening": "bach/bwv846", "tempo": 90}, "tempo = 90 cannot be given with a prompt"),
            ({"infill": "20s-12s"}, "the span 20s-12s ends before it begins"),
            ({"infill": "soon"}, "no span 'soon'; write seconds"),
            ({"infill": "2s-4s", "length": 64}, "length = 64 cannot be given with infill, replace or add"),
            ({"add": "piano", "instruments": "piano"}, "instruments cannot be given with infill, replace or add"),
            ({"opening": "bach/bwv846", "prompt": "a.mid"}, "prompt and opening = bach/bwv846 exclude each other"),
        ],
    )
    def test_out_of_range_are_refused(self, fields: dict[str, object], message: str) -> None:
        with pytest.raises(ValidationError, match=message):
            PieceRequest.model_validate(fields)


class TestItsDigest:
    def test_tells_requests_apart_that_differ_in_any_field(self, midi_fixtures: Path) -> None:
        changes = [
            {"style": "bach"},
            {"instruments": "piano"},
            {"length": 512},
            {"seconds": 30.0},
            {"tempo": 90.0},
            {"temperature": 0.7},
            {"top_p": 0.9},
            {"top_k": 40},
            {"min_p": 0.05},
            {"typical": 0.9},
            {"longest_note": 4.0},
            {"guidance": 2.0},
            {"best_of": 4},
            {"rank": "likelihood"},
            {"prune": True},
            {"seed": 1},
            {"weights": "int8"},
            {"prompt": midi_fixtures / "ok_type0.mid"},
            {"prompt": midi_fixtures / "ok_type0.mid", "prompt_notes": 8},
            {"prompt": midi_fixtures / "ok_type0.mid", "prompt_seconds": 8.0},
            {"prompt": midi_fixtures / "ok_type0.mid", "prompt_bars": 8.0},
            {"opening": "bach/bwv846"},
            {"candidate": 3},
            {"infill": "12s-20s"},
            {"replace": "piano"},
            {"add": "piano"},
            {"bars": 8.0},
            {"blend": "bach, jazz=2"},
            {"require": True},
            {"key": "C"},
            {"strict_key": True},
            {"lowest": 40},
            {"highest": 90},
            {"softest": 30},
            {"loudest": 100},
            {"most_voices": 4},
            {"repeats": 3},
            {"form": "AABA"},
            {"section_bars": 8},
            {"returns": 0.2},
            *({name: 1.5} for name in ("density", "key_strength", "outside", "missing", "repetition", "tonality")),
            *({name: 1.5} for name in ("stay", "stay_seconds", "recall")),
            *({f"{kind}_temperature": 0.5} for kind in ("time", "pitch", "instrument")),
        ]
        assert {name for change in changes for name in change} == {*PieceRequest.model_fields}
        digests = [digest(), *(digest(**change) for change in changes)]
        assert len({*digests}) == len(changes) + 1

    def test_and_by_the_model(self) -> None:
        assert PieceRequest().digest(MODEL, None) != PieceRequest().digest("cd" * 32, None)

    def test_is_the_same_for_the_same_piece(self, tmp_path: Path, midi_fixtures: Path) -> None:
        assert digest(length=1024) == digest()
        assert digest(instruments="strings,piano") == digest(instruments=["piano", "strings", "piano"])
        copy = tmp_path / "renamed.mid"
        copy.write_bytes((midi_fixtures / "ok_type0.mid").read_bytes())
        assert digest(prompt=copy) == digest(prompt=midi_fixtures / "ok_type0.mid")

    def test_counts_a_length_behind_a_prompt(self, midi_fixtures: Path) -> None:
        assert digest(prompt=midi_fixtures / "ok_type0.mid", length=1024) != digest(
            prompt=midi_fixtures / "ok_type0.mid"
        )

    def test_stays_when_a_field_with_a_default_is_added(self) -> None:
        assert PieceRequest(style="bach", seed=3).content(None) == {"style": "bach", "seed": 3}
        assert PieceRequest(style="bach").digest(MODEL, None) == "286dccf10e255472277ea1c613e4adff"

    def test_changed_when_instruments_that_are_named_came_to_be_heard(self) -> None:
        asked = PieceRequest(instruments=("piano",))
        before = {"format": REQUEST_FORMAT, "request": asked.content(None), "model": MODEL}
        assert asked.digest(MODEL, None) == canonical_digest({**before, "format": 3}) != canonical_digest(before)


class TestItsLength:
    def test_in_time_is_that_of_seconds_or_of_bars_at_the_tempo(self) -> None:
        assert PieceRequest().time is None
        assert PieceRequest(seconds=30).time == 30
        assert PieceRequest(bars=8).time == 16
        assert PieceRequest(bars=8, tempo=60).time == 32


class TestTheNetworkSSide:
    def test_gets_all_of_it(self) -> None:
        begins = np.arange(4, dtype=np.uint16)
        request = PieceRequest(
            prompt="a.txt", seconds=20, blend="bach, jazz", key="C", instruments="violin", candidate=4
        )  # type: ignore[arg-type]
        found = request_for_model(request, DrawingConfig(), 500, begins)
        assert found.prompt is begins
        assert found.first == 4
        assert found.direction == Direction(
            20,
            parse_blend("bach, jazz"),
            Controls(
                key="C",
                time_temperature=1,
                pitch_temperature=1,
                tonality=0,
                repetition=0,
                repeats=2,
                stay=0,
                stay_seconds=5,
                recall=0,
                section_bars=4,
                returns=0.4,
            ),
            is_open=True,
            instruments=("violin",),
        )

    def test_is_drawn_as_the_model_says_where_it_says_nothing_itself(self) -> None:
        own = DrawingConfig(
            temperature=0.9,
            top_p=0.99,
            time_temperature=0.7,
            pitch_temperature=0.8,
            tonality=0.5,
            repetition=2,
            repeats=4,
            stay=3,
            stay_seconds=6,
            recall=1.5,
            section_bars=8,
            returns=0.3,
            style_returns={"bach": 0.1},
        )
        found = request_for_model(PieceRequest(top_p=0.7, tonality=0, repeats=3), own, 500, None)
        assert (found.sampling.temperature, found.sampling.top_p) == (0.9, 0.7)
        assert found.direction.controls == Controls(
            time_temperature=0.7,
            pitch_temperature=0.8,
            tonality=0,
            repetition=2,
            repeats=3,
            stay=3,
            stay_seconds=6,
            recall=1.5,
            section_bars=8,
            returns=0.3,
        )
        assert found.direction.style_returns == {"bach": 0.1}
        wished = request_for_model(PieceRequest(returns=0.7), own, 500, None).direction
        assert (wished.controls.returns, wished.style_returns) == (0.7, {})

    def test_recalls_what_a_written_form_says_by_more_than_the_model_by_itself(self) -> None:
        def recall(own: float, **wishes: object) -> float | None:
            request = PieceRequest.model_validate(wishes)
            return request_for_model(request, DrawingConfig(recall=own), 500, None).direction.controls.recall

        assert recall(0.0) == 0
        assert recall(0.0, form="AABA") == FORM_NATS
        assert recall(0.0, form="AABA", recall=0.5) == 0.5
        assert recall(3.0, form="AABA") == FORM_NATS
        assert recall(9.0, form="AABA") == 9
        assert recall(3.0, recall=0) == 0


class TestThePartOfAPrompt:
    def test_is_all_of_a_file_and_four_bars_of_an_opening(self) -> None:
        assert PieceRequest(prompt="a.mid").prompt_part == (None, None, None)  # type: ignore[arg-type]
        assert PieceRequest(opening="bach/a").prompt_part == (None, None, 4)
        assert PieceRequest(opening="bach/a", add="drums").prompt_part == (None, None, None)  # type: ignore[arg-type]
        assert PieceRequest(opening="bach/a", prompt_notes=5).prompt_part == (5, None, None)
