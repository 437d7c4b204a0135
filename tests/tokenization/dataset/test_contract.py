"""The contract of the manifest: each breach is named by column, rule, number of rows and first file."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from tokenization.dataset.contract import RULES, ManifestError, check_manifest
from tokenization.dataset.manifest import QUARANTINE_REASONS, SCHEMA, Reason

FACTS = {"notes": 20, "seconds": 5.0, "tempo": 120.0, "programs": [0], "drums": False, "repairs": []}
BASE = {**dict.fromkeys(SCHEMA), "collection": "songs", "size": 100, "licence": "CC0-1.0", "partition": 0}


def sha(number: int) -> str:
    return f"{number:064x}"


def accepted(number: int, **changes: Any) -> dict[str, Any]:
    own = {"path": f"{number}.mid", "sha256": sha(number), "family": sha(number), "split": "train"}
    return {**BASE, **FACTS, **own, "status": "accepted", **changes}


def duplicate(number: int, of: int, **changes: Any) -> dict[str, Any]:
    own = {"kept": sha(of), "family": sha(of), "reason": "same_notes", "status": "duplicate"}
    return accepted(number, **{**own, **changes})


def quarantined(number: int, **changes: Any) -> dict[str, Any]:
    own = {"path": f"{number}.mid", "sha256": sha(number), "status": "quarantined", "reason": "not_midi"}
    return {**BASE, **own, **changes}


def checked(*rows: dict[str, Any]) -> None:
    check_manifest(pl.DataFrame([*rows], schema=SCHEMA))


def breach(*rows: dict[str, Any]) -> str:
    with pytest.raises(ManifestError) as error:
        checked(*rows)
    return str(error.value).removeprefix("the manifest breaks its contract: ").split("; this is")[0]


def test_a_manifest_with_every_outcome_keeps_it() -> None:
    unread = quarantined(4, sha256=None, size=0, reason="unreadable_file")
    rows = [accepted(0), accepted(1, split="test"), duplicate(2, 0), quarantined(3), unread, quarantined(5, **FACTS)]
    checked(quarantined(6, sha256=sha(0), reason="licence"), *rows)


def test_a_manifest_without_files_keeps_it() -> None:
    checked()


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (accepted(1, status="good"), "column status: one of accepted, duplicate, quarantined"),
        (accepted(1, split="dev"), "column split: one of train, validation, test"),
        (quarantined(1, reason="ugly"), "column reason: one of not_midi, truncated"),
        (accepted(1, licence=None), "column licence: never null"),
        (accepted(1, size=-1), "column size: at least 0"),
        (quarantined(1, sha256="AB"), "column sha256: matches ^[0-9a-f]{64}$"),
        (accepted(1, similarity=1.5), "column similarity: at most 1"),
        (accepted(0, sha256=sha(1), family=sha(1)), "column path: `collection` and `path` name one row"),
        (accepted(1, split=None), "column status: an accepted file has `sha256`"),
        (accepted(1, reason="too_short"), "column status: an accepted file has `sha256`"),
        (duplicate(1, 0, reason="not_midi"), "column status: a duplicate has"),
        (duplicate(1, 0, kept=None), "column status: a duplicate has"),
        (quarantined(1, reason="same_bytes"), "column status: a quarantined file has"),
        (quarantined(1, split="train"), "column status: a quarantined file has"),
        (accepted(1, notes=None), "column notes: a file that is not quarantined has `notes`"),
        (accepted(1, sha256=sha(0), family=sha(0)), "column sha256: no two accepted files have the same bytes"),
        (duplicate(1, 0, kept=sha(1)), "column kept: `kept` is the `sha256` of an accepted file"),
        (accepted(1, family=sha(9)), "column family: `family` is the `sha256` of a file in it"),
        (duplicate(1, 0, split="test"), "column split: all files of a family have one `split`"),
        (accepted(1, stated_licence="CC0-1.0"), "column stated_licence: `stated_licence` differs from `licence`"),
    ],
)
def test_a_breach_is_named_in_one_line(row: dict[str, Any], found: str) -> None:
    message = breach(accepted(0), row, quarantined(3))
    assert message.startswith(found)
    assert "\n" not in message


def test_the_rows_are_counted_and_the_first_is_named() -> None:
    rows = [accepted(number, size=-number) for number in range(5)]
    assert breach(*rows) == "column size: at least 0; broken in 4 of 5 rows, first songs/1.mid"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda frame: frame.drop("size"), "column size is missing"),
        (lambda frame: frame.with_columns(more=1), "column more is unknown"),
        (lambda frame: frame.cast({"size": pl.Float64}), "column size is of type Float64; it must be Int64"),
        (lambda frame: frame.select(*reversed(frame.columns)), "the columns are out of order: partition, repairs"),
    ],
)
def test_columns_are_all_there_in_order_and_of_their_type(change: Any, found: str) -> None:
    with pytest.raises(ManifestError) as error:
        check_manifest(change(pl.DataFrame([accepted(0)], schema=SCHEMA)))
    assert f"the manifest breaks its contract: {found}" in str(error.value)


def test_every_rule_has_words_of_its_own() -> None:
    assert len({rule.text for rule in RULES}) == len(RULES)
    assert {rule.column for rule in RULES} <= SCHEMA.keys()


def test_a_reason_is_one_of_quarantine_or_of_duplicates() -> None:
    assert {*Reason} - {*QUARANTINE_REASONS} == {"same_bytes", "same_notes", "near_duplicate"}
