"""Evaluations of a model with random weights and of folders, against the dataset `songs`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from flows.evaluation.against import compare_models
from flows.evaluation.evaluation import EVERYTHING, Evaluation
from flows.evaluation.groups import OTHERS, known_styles, read_groups, read_test_pieces
from flows.evaluation.measured import Measured, measure
from flows.evaluation.measuring import asked_sounding, sounding_at_end
from flows.evaluation.page import page
from flows.evaluation.paired_page import paired_page
from flows.evaluation.paired_report import PairedReport, read_paired_report
from flows.evaluation.report import EvaluationReport, read_report
from flows.evaluation.settings import EvaluationSettings
from flows.training.runs import Run
from flows.warm_start.leaks import known_to
from infra.errors import RunError, UserError
from infra.lake import Lake
from infra.settings import apply
from modeling.generation import ModelBundle, log_likelihoods
from registry.composer import Composer
from registry.identity import ModelIdentity
from tokenization.dataset import TEST, TRAIN, VALIDATION, DatasetVersion
from tokenization.encodings.combined import Combined
from tokenization.identities import IDENTITIES_FILE, Identities
from tokenization.midi.notes import Notes
from tokenization.vocabulary import Vocabulary

Studio = tuple[Lake, DatasetVersion, Run]
SMALL = EvaluationSettings(pieces=3, references=2, length=40, least=2, resamples=20, rolls=2, copying=2)


def run(evaluation: Evaluation) -> tuple[Measured, str]:
    sets = evaluation.compose(lambda _: None)
    measured = measure(evaluation, sets, evaluation.foresee(lambda _: None), lambda _: None)
    assert len(measured.table) == sum(len(t) for each in sets for t in (each.samples, *each.references.values())) + sum(
        len(each.group.held_out) + len(each.group.others) for each in sets
    )
    return measured, page(measured.report, sets, evaluation.version, blind=False)


def composer_of(bundle: Path) -> Composer:
    return Composer(bundle, ModelIdentity.of_files(bundle))


@pytest.fixture(scope="module")
def of_model(studio: Studio, make_bundle: Callable[..., Path]) -> tuple[Path, EvaluationReport, str]:
    """The model's files, the report of its evaluation, and the page."""
    lake, version, _ = studio
    bundle = make_bundle()
    measured, html = run(Evaluation(lake, version, SMALL, composer_of(bundle)))
    return bundle, measured.report, html


def test_every_style_is_compared_with_its_own_pieces(of_model: tuple[Path, EvaluationReport, str]) -> None:
    _, report, _ = of_model
    assert [group.group for group in report.groups] == ["all", "bach", "jazz"]
    assert all((group.samples, group.held_out, group.real) == (3, 3, 3) for group in report.groups[1:])
    copied = report.overall.measure("copied")
    assert copied is not None and "ngram" in copied.references and "noise" not in copied.references
    ended = report.overall.figure("hanging")
    assert ended is not None and ended.samples.value == 0.0


def test_whole_test_pieces_are_foreseen_by_style(
    studio: Studio, of_model: tuple[Path, EvaluationReport, str], make_bundle: Callable[..., Path]
) -> None:
    _, version, _ = studio
    bundle, report, html = of_model
    pieces, split = read_test_pieces(version, SMALL)
    splits = dict(version.manifest.drop_nulls("sha256").select("sha256", "split").iter_rows())
    assert split == TEST and {splits[piece.piece_id] for piece in pieces} == {TEST}
    assert [each.group for each in report.likelihoods] == ["all", "bach", "jazz"]
    overall = report.likelihood
    assert overall is not None and overall.families == len(pieces)

    model, encoding = ModelBundle.load(bundle), version.encoding
    nats = -log_likelihoods(model.model, encoding, [p.tokens for p in pieces], [len(p.tokens) for p in pieces])[0]
    notes = sum(len(encoding.decode(piece.tokens)) for piece in pieces)
    assert overall.nats_per_note.value == pytest.approx(nats.sum() / notes)
    assert report.tokens_per_second is not None and report.tokens_per_second > 0
    assert f"{overall.nats_per_note.value:.3f}</dd>" in html
    assert report.tags()["test_nats_per_note"] == f"{overall.nats_per_note.value:.4f}"


@pytest.fixture(scope="module")
def pair(studio: Studio, make_bundle: Callable[..., Path]) -> PairedReport:
    lake, version, _ = studio
    settings = SMALL.model_copy(update={"references": 0, "copying": 0, "pieces": 6})
    both = [Evaluation(lake, version, settings, composer_of(make_bundle(seed=seed))) for seed in (0, 1)]
    first, second = ((each, run(each)[0]) for each in both)
    return compare_models(first, second)


def test_a_model_of_the_same_data_has_not_seen_what_is_held_out(
    studio: Studio, make_bundle: Callable[..., Path]
) -> None:
    lake, version, _ = studio
    settings = SMALL.model_copy(update={"references": 0, "copying": 0, "pieces": 2, "styles": ("bach",)})
    bundle = make_bundle()
    identity = ModelIdentity.of_files(bundle).model_copy(update={"dataset": f"{version.name}@{version.digest}"})
    evaluation = Evaluation(lake, version, settings, Composer(bundle, identity))
    measured = run(evaluation)[0]
    report = compare_models((evaluation, measured), (evaluation, measured))
    assert not any("may have seen" in line for line in report.notices)
    assert {each.verdict for each in report.differences} == {"no difference"}


class TestAgainst:
    def test_both_models_have_the_same_pieces(self, pair: PairedReport) -> None:
        assert pair.model.digest != pair.against.digest
        assert [each.group for each in pair.by_style("nats_per_note")] == ["bach", "jazz"]
        nats = pair.of("nats_per_note")
        assert nats is not None and nats.difference.value == pytest.approx(nats.model - nats.against)
        assert any("was trained on songs@abab" in line for line in pair.notices), "on another version than this one"

    def test_a_report_is_read_as_it_was_written(self, pair: PairedReport, tmp_path: Path) -> None:
        file = tmp_path / "against.json"
        file.write_text(pair.model_dump_json(), encoding="utf-8")
        assert read_paired_report(file) == pair
        file.write_text("{}", encoding="utf-8")
        with pytest.raises(RunError, match="compare again"):
            read_paired_report(file)

    def test_its_page_stands_alone_and_has_every_figure(self, pair: PairedReport) -> None:
        html = paired_page(pair)
        assert "http" not in html and "<script" not in html
        assert all(f"<td>{each.title}</td>" in html for each in pair.overall)
        assert html.count("no difference</td>") == sum(
            each.verdict == "no difference"
            for each in pair.differences
            if each.group == "all" or each.figure in ("nats_per_note", "nats_per_token", "bits_per_second", "distance")
        )

    def test_styles_that_a_model_does_not_have_are_left_out(self, studio: Studio) -> None:
        _, version, _ = studio
        chosen, notices = known_styles(version, SMALL, {"version 1": ["bach", "jazz"], "version 2": ["jazz", "rock"]})
        assert chosen.styles == ("jazz",)
        assert notices == ["left out, as version 2 does not have them: bach"]
        assert known_styles(version, SMALL, {"version 1": ["jazz", "bach"]}) == (SMALL, [])
        with pytest.raises(UserError, match="no style of version 2 'bach'; there are: jazz"):
            known_styles(version, SMALL.model_copy(update={"styles": ("bach",)}), {"version 2": ["jazz"]})
        with pytest.raises(UserError, match=r"version 1 and version 2 have no style of songs@.* in common"):
            known_styles(version, SMALL, {"version 1": ["bach"], "version 2": ["jazz"]})


class TestLeaks:
    """Held-out pieces that the model was trained on, or relatives of which it was."""

    def test_they_are_neither_composed_for_nor_counted_but_told(
        self, studio: Studio, make_bundle: Callable[..., Path], tmp_path: Path
    ) -> None:
        lake, version, _ = studio
        bundle = tmp_path / "bundle"
        shutil.copytree(make_bundle(), bundle)
        manifest = version.manifest.sort("sha256")
        known = {*manifest.filter(split=TEST)["sha256"].head(1), *manifest.filter(split=VALIDATION)["sha256"].head(2)}
        of_all = Identities.of(version, TRAIN, VALIDATION, TEST)
        trained = of_all.table.filter(pl.col("sha256").bin.encode("hex").is_in([*known]))
        Identities(trained).write(bundle / IDENTITIES_FILE)
        leaked, notices = known_to({"version 1": bundle}, version)
        assert leaked == known
        assert notices == ["3 of 12 held-out pieces, or relatives of them, are among what version 1 was trained on"]

        settings = SMALL.model_copy(update={"pieces": 8, "references": 0, "copying": 0, "rolls": 0})
        evaluation = Evaluation(lake, version, settings, composer_of(bundle), leaked)
        assert not known & {piece.piece_id for group in evaluation.groups for piece in group.held_out}
        measured, html = run(evaluation)
        every = evaluation.foresee(lambda _: None)
        assert set(every["piece"]) - set(measured.likelihoods["piece"]) == known & set(every["piece"])
        report = measured.report
        assert report.likelihood is not None
        left = len(every) - len(measured.likelihoods)
        assert (report.likelihood.families, report.likelihoods_all[0].families) == (len(every) - left, len(every))
        assert f"{left} of {len(every)} test pieces are left out; with them it is " in html
        assert report.tags()["test_nats_per_note_all"] == f"{report.likelihoods_all[0].nats_per_note.value:.4f}"

    def test_where_no_piece_is_clean_there_is_one_figure_with_a_warning(
        self, studio: Studio, make_bundle: Callable[..., Path]
    ) -> None:
        lake, version, _ = studio
        settings = SMALL.model_copy(update={"references": 0, "copying": 0, "rolls": 0})
        everything = frozenset(version.manifest["sha256"])
        measured, _ = run(Evaluation(lake, version, settings, composer_of(make_bundle()), everything))
        assert measured.report.likelihoods and not measured.report.likelihoods_all
        assert any(line.startswith("no test piece is clean") for line in measured.report.notices)
        assert any(line.startswith("too few held-out pieces are clean") for line in measured.report.notices)


def test_a_report_is_read_as_it_was_written(of_model: tuple[Path, EvaluationReport, str], tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text(of_model[1].model_dump_json(), encoding="utf-8")
    assert read_report(file) == of_model[1]
    file.write_text('{"format": 1}', encoding="utf-8")
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
        again, its_page = run(Evaluation(lake, version, SMALL, composer))
        assert (again.report, its_page) == (report, html)
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
    report = run(evaluation)[0].report
    assert report.likelihoods == [] and report.tokens_per_second is None
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
