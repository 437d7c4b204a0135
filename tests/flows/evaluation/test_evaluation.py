"""Evaluations of a model with random weights and of folders, against the dataset `songs`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from flows.evaluation.evaluation import EVERYTHING, Evaluation
from flows.evaluation.groups import OTHERS, read_groups
from flows.evaluation.measuring import asked_sounding, sounding_at_end
from flows.evaluation.page import page
from flows.evaluation.report import EvaluationReport, read_report
from flows.evaluation.settings import EvaluationSettings
from flows.training.runs import Run
from infra.errors import RunError, UserError
from infra.lake import Lake
from infra.settings import apply
from registry.composer import Composer
from registry.identity import ModelIdentity
from tokenization.dataset import TRAIN, DatasetVersion
from tokenization.encodings.combined import Combined
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Vocabulary

Studio = tuple[Lake, DatasetVersion, Run]
SMALL = EvaluationSettings(pieces=3, references=2, length=40, least=2, resamples=20, rolls=2, copying=2)


def run(evaluation: Evaluation) -> tuple[EvaluationReport, str]:
    sets = evaluation.compose(lambda _: None)
    report, table = evaluation.measure(sets, lambda _: None)
    assert len(table) == sum(len(t) for each in sets for t in (each.samples, *each.references.values())) + sum(
        len(each.group.held_out) + len(each.group.others) for each in sets
    )
    return report, page(report, sets, evaluation.version, blind=False)


def composer_of(bundle: Path) -> Composer:
    return Composer(bundle, ModelIdentity.of_files(bundle))


@pytest.fixture(scope="module")
def of_model(studio: Studio, make_bundle: Callable[..., Path]) -> tuple[Path, EvaluationReport, str]:
    """The model's files, the report of its evaluation, and the page."""
    lake, version, _ = studio
    bundle = make_bundle()
    return (bundle, *run(Evaluation(lake, version, SMALL, composer_of(bundle))))


def test_every_style_is_compared_with_its_own_pieces(of_model: tuple[Path, EvaluationReport, str]) -> None:
    _, report, _ = of_model
    assert [group.group for group in report.groups] == ["all", "bach", "jazz"]
    assert all((group.samples, group.held_out, group.real) == (3, 3, 3) for group in report.groups[1:])
    copied = report.overall.measure("copied")
    assert copied is not None and "ngram" in copied.references and "noise" not in copied.references
    ended = report.overall.figure("hanging")
    assert ended is not None and ended.samples.value == 0.0


def test_a_report_is_read_as_it_was_written(of_model: tuple[Path, EvaluationReport, str], tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text(of_model[1].model_dump_json(), encoding="utf-8")
    assert read_report(file) == of_model[1]
    file.write_text('{"format": 2}', encoding="utf-8")
    with pytest.raises(RunError, match="evaluate again"):
        read_report(file)


def test_the_page_stands_alone(of_model: tuple[Path, EvaluationReport, str]) -> None:
    _, _, html = of_model
    assert html.count('class="roll"') == 2 * SMALL.rolls
    assert "http" not in html and "<script" not in html
    assert all(f">{title}</td>" in html for title in ("Pitch class", "Interval", "Copying"))


def test_composed_pieces_are_kept_and_give_the_same_report(
    studio: Studio, of_model: tuple[Path, EvaluationReport, str]
) -> None:
    lake, version, _ = studio
    bundle, report, html = of_model
    composer = composer_of(bundle)
    composer.encoding  # noqa: B018 (is read)
    weights = next(bundle.glob("model.safetensors"))
    hidden = weights.rename(weights.with_suffix(".hidden"))
    try:
        assert run(Evaluation(lake, version, SMALL, composer)) == (report, html)
    finally:
        hidden.rename(weights)


def test_prompts_are_not_measured(studio: Studio, make_bundle: Callable[..., Path]) -> None:
    lake, version, _ = studio
    settings = SMALL.model_copy(update={"prompt_seconds": 2.0, "references": 0, "styles": ("bach",), "copying": 0})
    evaluation = Evaluation(lake, version, settings, composer_of(make_bundle()))
    (sets,) = evaluation.compose(lambda _: None)
    for subject, real in zip(sets.samples, sets.group.held_out):
        begin = version.encoding.decode(real.tokens)
        given = begin.onset < begin.onset[0] + 2.0
        assert subject.notes.pitch[: given.sum()].tolist() == begin.pitch[given].tolist()
        assert (settings.extract.of(subject.notes).onset >= subject.notes.onset[0] + 2.0).all()


def test_a_folder_with_styles_is_compared_by_style(studio: Studio, song: Callable[..., bytes], tmp_path: Path) -> None:
    lake, version, _ = studio
    for style in ("bach", "jazz"):
        (tmp_path / style).mkdir()
        for seed in range(3):
            (tmp_path / style / f"{seed}.mid").write_bytes(song(seed + 50))
    (tmp_path / "broken.mid").write_bytes(b"no music")
    evaluation = Evaluation(lake, version, SMALL.model_copy(update={"references": 0}), tmp_path)
    report, _ = run(evaluation)
    assert [group.group for group in report.groups] == ["all", "bach", "jazz"]
    assert any(line.startswith("broken.mid cannot be used") for line in report.notices)
    assert report.overall.measure("asked_sounding") is None


def test_a_flat_folder_is_compared_with_all_pieces(studio: Studio, song: Callable[..., bytes], tmp_path: Path) -> None:
    lake, version, _ = studio
    for seed in range(3):
        (tmp_path / f"{seed}.mid").write_bytes(song(seed + 50))
    settings = SMALL.model_copy(update={"references": 0, "copying": 0})
    assert [each.name for each in Evaluation(lake, version, settings, tmp_path).groups] == [EVERYTHING]
    one = settings.model_copy(update={"styles": ("jazz",)})
    assert [each.name for each in Evaluation(lake, version, one, tmp_path).groups] == ["jazz"]


def test_a_folder_without_music_is_refused(studio: Studio, tmp_path: Path) -> None:
    lake, version, _ = studio
    (tmp_path / "a.mid").write_bytes(b"no music")
    with pytest.raises(UserError, match=r"has 0 usable MIDI files; an evaluation needs 2; a\.mid cannot be used"):
        Evaluation(lake, version, SMALL, tmp_path)


def test_held_out_pieces_and_others_share_no_family(studio: Studio) -> None:
    _, version, _ = studio
    groups, notices = read_groups(version, SMALL)
    splits = dict(version.manifest.drop_nulls("sha256").select("sha256", "split").iter_rows())
    for group in groups:
        assert all(piece.style == group.name for piece in (*group.held_out, *group.others))
        assert all(splits[piece.piece_id] == TRAIN for piece in group.others)
        assert all(splits[piece.piece_id] != TRAIN for piece in group.held_out)
        families = [piece.family for piece in (*group.held_out, *group.others)]
        assert len(families) == len(set(families))
    assert notices == []


def test_small_styles_are_taken_together_or_left_out(studio: Studio) -> None:
    _, version, _ = studio
    groups, notices = read_groups(version, SMALL.model_copy(update={"least": 8}))
    assert [group.name for group in groups] == [OTHERS]
    assert notices == [f"{OTHERS} are bach, jazz"]
    with pytest.raises(UserError, match="an evaluation needs 100 of each: ingest more"):
        read_groups(version, SMALL.model_copy(update={"least": 100}))
    with pytest.raises(UserError, match="no style of songs 'rock'; there are: bach, jazz"):
        read_groups(version, SMALL.model_copy(update={"styles": ("rock",)}))


@pytest.mark.parametrize("name", ["style", "seed", "prompt", "length"])
def test_a_request_sets_nothing_that_the_evaluation_sets(name: str) -> None:
    value = "64" if name in ("seed", "length") else "x"
    with pytest.raises(UserError, match=f"request.{name} is set by the evaluation"):
        apply(EvaluationSettings, {}, {f"request.{name}": value})


def test_asked_instruments_and_open_notes_are_read_from_tokens() -> None:
    vocabulary = Vocabulary.load("musenet", styles=["bach"])
    encoding = Combined(vocabulary)
    tokens = vocabulary.from_text(
        "bach piano_strings start tempo120 piano:v72:C4 wait:48 piano:v72:E4 wait:48 piano:v0:C4"
    )
    notes = encoding.decode(tokens)
    assert asked_sounding(tokens, notes, vocabulary) == 0.5
    assert sounding_at_end(tokens, encoding) == 1.0  # E4
    closed = np.append(tokens, vocabulary.from_text("piano:v0:E4 end"))
    assert sounding_at_end(closed, encoding) == 0.0
    whole = encoding.encode(Notes.from_columns([0, 1], [1, 1], [60, 62], [80, 80], [0, 40], [False, False]))
    assert asked_sounding(whole, encoding.decode(whole), vocabulary) == 1.0
