"""The model card of a version: the model, its training data and its measured quality, as Markdown."""

from __future__ import annotations

from flows.criticism.report import CriticReport
from flows.training.report import RunReport
from flows.training.runs import Run
from infra.errors import MusenetError
from infra.wording import counted
from modeling.config import DrawingConfig
from tokenization.dataset import TEST, TRAIN, VALIDATION, DatasetVersion
from tokenization.dataset.manifest import ACCEPTED
from tokenization.dataset.shard_index import ORIGINALITY
from tokenization.identities import Identities
from tokenization.originality import OriginalityIndex


def model_card(
    run: Run,
    drawing: DrawingConfig,
    dataset: DatasetVersion,
    training: RunReport,
    critic: CriticReport | None,
    identities: Identities,
    code: str,
) -> str:
    """Return the version's model card, as Markdown; `code`: what has trained it, in words."""
    return "\n\n".join(
        [
            _model(run, training),
            _use(),
            f"## Quality\n\n{_quality(run, training)}\n\n{_critic(critic)}",
            f"## Data\n\n{_data(run, dataset)}\n\n{_originality(dataset)}\n\n{_identities(run, identities)}",
            f"## Drawing\n\n{_drawing(drawing)}",
            f"## Lineage\n\nRun `{run.run_id}` on dataset `{run.dataset}`{_parent(run)}, by {code}; each sample's JSON "
            f"file names the version and the digest of its files.{_samples(run)}\n",
        ]
    )


def _model(run: Run, training: RunReport) -> str:
    model = run.config.model
    return (
        f"MuseNet, preset `{run.preset}`: {training.parameters / 1e6:.1f} M parameters, {model.layers} layers, "
        f"{model.heads} heads, context {model.context}, {model.sparsity.mode} attention. Trained "
        f"{training.extent()} ({training.seconds / 60:.1f} min, {training.precision})."
    )


def _parent(run: Run) -> str:
    parent = run.config.parent
    return "" if parent is None else f", begun with the weights of {parent.in_words}"


def _samples(run: Run) -> str:
    has_samples = any(run.folder.samples.glob("step*"))
    return " Pieces that it composed as it learned are below `samples/` in that run." if has_samples else ""


def _use() -> str:
    return (
        "## Use\n\nIt composes pieces in the styles below, continues and fills in MIDI files: "
        "`musenet sample --model VERSION`. It knows music as notes, without audio and lyrics, in these styles only, "
        "and may repeat what it was trained on: check a piece before you publish it."
    )


def _quality(run: Run, training: RunReport) -> str:
    if training.nats_per_note is None:
        return "The dataset has no validation pieces: how well the model predicts music is unknown."
    text = (
        f"**{training.nats_per_note:.3f} nats per note** on validation pieces ({training.nats_per_token:.3f} per "
        "token): the lower, the better it predicts music that it has not seen. Compare models of one dataset only."
    )
    if training.nats_per_note_all is not None:
        text += (
            f" That is of the clean ones; with those that its parent knows it is {training.nats_per_note_all:.3f} "
            f"({training.nats_per_token_all:.3f} per token)."
        )
    if training.leaks is not None:
        text += f"\n\n**Leaks.** {training.leaks[0].upper()}{training.leaks[1:]}."
    best = run.history().best
    if best is None or not best.by_style:
        return text
    rows = "\n".join(f"| {style} | {loss:.3f} |" for style, loss in sorted(best.by_style.items()))
    return f"{text}\n\n| style | nats per token |\n|---|---:|\n{rows}"


def _critic(critic: CriticReport | None) -> str:
    if critic is None:
        return "It has no critic: candidates are ranked by their likelihood, or not at all."
    return (
        f"The critic, which ranks candidates, tells real pieces from generated ones with AUC {critic.auc:.3f} on "
        f"{counted(critic.held_out_windows, 'held-out window')}, calibration error {critic.calibration_error:.3f}. The "
        "AUC is of the critic: 0.5 is chance, and the higher it is, the more easily samples are told from real music. "
        f"It is no measure of the model alone, since a better critic raises it, too.{_aspects(critic)}"
    )


def _aspects(critic: CriticReport) -> str:
    heard = [f"{each.name} {each.auc:.2f}" for each in critic.figures if each.kind == "aspect" and each.is_learned]
    return f" AUCs of its aspects, against the fault that each should hear: {', '.join(heard)}." if heard else ""


def _data(run: Run, dataset: DatasetVersion) -> str:
    about = dataset.description
    splits = ", ".join(f"{counted(about.pieces[split], 'piece')} for {split}" for split in (TRAIN, VALIDATION, TEST))
    accepted = dataset.manifest.filter(ACCEPTED)
    counts = accepted.group_by("collection", "licence").len("pieces").sort("collection", "licence")
    rows = [f"| {name} | {licence or 'not stated'} | {pieces:,} |" for name, licence, pieces in counts.rows()]
    return (
        f"`{run.dataset}`: {counted(sum(about.pieces.values()), 'piece')} ({splits}), {counted(about.notes, 'note')}, "
        f"{about.hours:.1f} h; styles: {', '.join(about.styles)}.\n\n"
        + "\n".join(["| collection | licence | pieces |", "|---|---|---:|", *rows])
    )


def _drawing(drawing: DrawingConfig) -> str:
    phrases = f", a phrase heard more than {drawing.repeats} times {drawing.repetition:g} nats less likely each time"
    stay = (
        f", the last three pitch classes up to {drawing.stay:g} nats less likely while music stays on them for more "
        f"than {drawing.stay_seconds:g} s"
    )
    recall = f", some sections of about {drawing.section_bars} bars recalling earlier ones by {drawing.recall:g} nats"
    return (
        f"Where a request says nothing: temperature {drawing.temperature:g} (of waits "
        f"{drawing.temperature * drawing.time_temperature:g}, of pitches "
        f"{drawing.temperature * drawing.pitch_temperature:g}), top-p {drawing.top_p:g}, "
        f"tonality {drawing.tonality:g}{phrases if drawing.repetition else ''}"
        f"{stay if drawing.stay else ''}{recall if drawing.recall else ''}."
    )


def _originality(dataset: DatasetVersion) -> str:
    try:
        index = OriginalityIndex.open(dataset.path / ORIGINALITY)
    except MusenetError:
        return "Its training pieces have no index: how much of a sample stands in them is unknown."
    return (
        f"Samples are compared with its {counted(index.pieces, 'training piece')}, in any key and at any tempo: the "
        f"longest span in common and the nearest pieces stand in each sample's JSON file, and "
        f"`musenet originality FILE --dataset {dataset.name}` checks any other."
    )


def _identities(run: Run, identities: Identities) -> str:
    of_parent = "" if run.config.parent is None else ", its parent's and those of that one's parents included"
    unknown = "" if identities.complete else "; of others nothing is known"
    return (
        f"It carries the identities of {counted(len(identities), 'training piece')}{of_parent}{unknown}: by them it is "
        "told which held-out pieces a model that begins with it knows already."
    )
