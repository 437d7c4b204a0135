"""Rules for publishing: each names the value, the limit and by how much it is broken; all are reported at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from pydantic import BaseModel, ValidationError

from flows.ingestion.gates import RULES, GateError, Gates, RuleName, check_gates
from tokenization.dataset.description import Description, GateResult
from tokenization.dataset.manifest import SCHEMA, Reason
from tokenization.encodings.combined import Combined
from tokenization.vocabulary import Vocabulary

HOUR = 3600.0


@pytest.fixture(scope="module")
def encoding() -> Combined:
    return Combined(Vocabulary.load("musenet"))


def manifest(*files: dict[str, Any]) -> pl.DataFrame:
    rows = [
        {**dict.fromkeys(SCHEMA), "path": f"{number}.mid", "collection": "songs", "sha256": f"{number:064}", **file}
        for number, file in enumerate(files)
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


def piece(number: int, style: str | None = "bach", hours: float = 1.0, family: int | None = None) -> dict[str, Any]:
    family = number if family is None else family
    return {"status": "accepted", "family": f"{family:064}", "style": style, "seconds": hours * HOUR}


def refused(reason: str) -> dict[str, Any]:
    return {"status": "quarantined", "reason": reason}


def copy_of(number: int) -> dict[str, Any]:
    return {"status": "duplicate", "reason": "same_notes", "family": f"{number:064}"}


def check(files: pl.DataFrame, before: Description | None = None, *accept: str, **rules: Any) -> dict[str, GateResult]:
    off = {"min_pieces": 0, "max_pieces_drop": 1, "max_hours_drop": 1}
    results = check_gates("songs", files, Gates.model_validate({**off, **rules}), before, accept)
    return {result.rule: result for result in results}


def broken(files: pl.DataFrame, before: Description | None = None, **rules: Any) -> str:
    with pytest.raises(GateError) as error:
        check(files, before, **rules)
    return str(error.value)


FOUR = manifest(piece(0), piece(1, "jazz"), refused("truncated"), copy_of(0))


class TestARule:
    @pytest.mark.parametrize(
        ("rule", "passes", "breaks", "finding"),
        [
            ("min_pieces", 2, 3, "min_pieces: 2 pieces, 1 piece below the limit of 3 pieces (refused: truncated 1)"),
            ("min_hours", 2, 2.5, "min_hours: 2 hours, 0.5 hours below the limit of 2.5 hours"),
            (
                "min_accepted_share",
                0.5,
                0.75,
                "min_accepted_share: 50 %, 25 % below the limit of 75 % (2 of 4 files)",
            ),
            (
                "max_reason_share",
                {"truncated": 0.25},
                {"truncated": 0.2},
                "max_reason_share.truncated: 25 %, 5 % above the limit of 20 % (1 of 4 files)",
            ),
            (
                "max_family_files",
                2,
                1,
                "max_family_files: 2 files, 1 file above the limit of 1 file (2 files like songs/0.mid)",
            ),
            (
                "max_family_share",
                0.7,
                0.6,
                "max_family_share: 66.67 %, 6.667 % above the limit of 60 % (2 files like songs/0.mid)",
            ),
            ("max_style_share", 0.5, 0.4, "max_style_share: 50 %, 10 % above the limit of 40 % (jazz, 1)"),
        ],
    )
    def test_passes_at_its_limit_and_breaks_beyond(self, rule: str, passes: Any, breaks: Any, finding: str) -> None:
        assert {result.outcome for result in check(FOUR, **{rule: passes}).values()} == {"passed"}
        assert f": {finding}; mend" in broken(FOUR, **{rule: breaks})

    def test_that_is_not_set_has_no_result(self) -> None:
        assert check(FOUR).keys() == {"min_pieces"}

    def test_counts_pieces_without_style_as_one_style(self) -> None:
        files = manifest(piece(0, None), piece(1, None), piece(2))
        assert "66.67 %, 16.67 % above the limit of 50 % ((none), 2)" in broken(files, max_style_share=0.5)

    def test_on_licences_holds_for_every_accepted_piece(self) -> None:
        free, own = {**piece(0), "licence": "CC-BY-4.0"}, {**piece(1), "licence": "not stated"}
        files = manifest(free, own, {**refused("licence"), "licence": "GPL-3.0-only"})
        assert check(files, licences=["CC-BY-*", "not stated"])["licences"].outcome == "passed"
        message = broken(files, licences=["PD", "CC-BY-*"])
        assert "licences: 1 piece, 1 piece above the limit of 0 pieces (not stated 1)" in message


class TestTheVersionBefore:
    @pytest.fixture
    def before(self, encoding: Combined, make_description: Callable[..., Description]) -> Description:
        """Eight pieces of two hours each."""
        return make_description(encoding, pieces={"train": 6, "validation": 1, "test": 1}, hours=16.0)

    def test_may_have_no_more_pieces_or_hours_than_the_share_that_may_be_missing(self, before: Description) -> None:
        half = manifest(*(piece(number, hours=2.0) for number in range(4)))
        results = check(half, before, max_pieces_drop=0.5, max_hours_drop=0.5)
        assert {result.outcome for result in results.values()} == {"passed"}
        message = broken(half, before, max_pieces_drop=0.25, max_hours_drop=0.4)
        assert "max_pieces_drop: 50 %, 25 % above the limit of 25 % (8 → 4 pieces since songs@0123456789ab)" in message
        assert "max_hours_drop: 50 %, 10 % above the limit of 40 % (16 → 8 hours since songs@0123456789ab)" in message

    def test_that_was_smaller_is_no_drop(self, before: Description) -> None:
        grown = manifest(*(piece(number, hours=3.0) for number in range(12)))
        assert check(grown, before, max_pieces_drop=0, max_hours_drop=0)["max_pieces_drop"].value == 0

    def test_that_was_empty_is_no_measure(
        self, encoding: Combined, make_description: Callable[..., Description]
    ) -> None:
        assert check(FOUR, make_description(encoding), max_pieces_drop=0, max_hours_drop=0).keys() == {"min_pieces"}


class TestTheDefaults:
    def test_stop_a_version_without_pieces(self) -> None:
        with pytest.raises(GateError, match=r"min_pieces: 0 pieces, 1 piece below .* \(refused: not_midi 2\)"):
            check_gates("songs", manifest(refused("not_midi"), refused("not_midi")), Gates(), None, ())

    def test_let_a_first_piece_pass_among_broken_files(self) -> None:
        files = manifest(piece(0), *(refused("not_midi") for _ in range(9)))
        (result,) = check_gates("songs", files, Gates(), None, ())
        assert (result.rule, result.outcome) == ("min_pieces", "passed")


class TestSeveralBrokenRules:
    def test_are_named_together_with_what_would_accept_them(self) -> None:
        message = broken(FOUR, min_pieces=3, max_reason_share={"truncated": 0})
        assert message.startswith("songs is not published, 2 rules are broken: min_pieces: ")
        assert message.endswith("or publish with --accept min_pieces --accept max_reason_share.truncated")

    def test_are_all_to_be_accepted(self) -> None:
        rules = {"min_pieces": 3, "max_reason_share": {"truncated": 0}}
        with pytest.raises(GateError, match=r"a rule is broken: max_reason_share\.truncated"):
            check(FOUR, None, "min_pieces", **rules)
        for accept in ("max_reason_share", "max_reason_share.truncated"):
            results = check(FOUR, None, "min_pieces", accept, **rules)
            assert {result.outcome for result in results.values()} == {"accepted"}

    def test_come_with_the_results_of_all_rules(self) -> None:
        with pytest.raises(GateError) as error:
            check(FOUR, min_pieces=3, min_hours=1)
        outcomes = {result.rule: result.outcome for result in error.value.results}
        assert outcomes == {"min_pieces": "broken", "min_hours": "passed"}


class TestNames:
    def test_are_those_of_the_settings_and_of_every_reason(self) -> None:
        assert set(RULES) == Gates.model_fields.keys() - {"max_reason_share"} | {
            f"max_reason_share.{reason}" for reason in Reason
        }

    def test_an_unknown_one_is_refused_with_the_nearest(self) -> None:
        class Model(BaseModel):
            rule: RuleName

        assert Model(rule="max_reason_share.truncated").rule == "max_reason_share.truncated"
        with pytest.raises(ValidationError, match="there is no such rule; nearest: 'min_pieces'"):
            Model(rule="min_piece")

    def test_an_unknown_reason_has_no_limit(self) -> None:
        with pytest.raises(ValidationError):
            Gates.model_validate({"max_reason_share": {"trunkated": 0.1}})
