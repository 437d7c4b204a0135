"""The `musenet` command.

Help must come at once, so nothing heavy is imported here: each command imports what it runs.
Exit status: 0 done, 1 failed, 2 wrong usage or an unknown name, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from flows.settings import LAKE_VARIABLE, Lake

if TYPE_CHECKING:
    from flows.services import Service
    from tokenization.vocabulary import Vocabulary

Command = TypeVar("Command", bound=Callable[..., Any])
FAILED, WRONG, INTERRUPTED, TERMINATED = 1, 2, 130, 143


def lake_option(command: Command) -> Command:
    """`--lake DIR`, as a Lake."""
    return click.option(
        "--lake",
        metavar="DIR",
        envvar=LAKE_VARIABLE,
        default=None,
        callback=lambda _context, _parameter, value: Lake.at(value),
        help="Folder that everything is written to.  [default: ./lake]",
    )(command)


def json_option(command: Command) -> Command:
    """`--json`: the report as JSON on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="musenet")
def musenet() -> None:
    """MuseNet as a data platform: MIDI collections in, registered models out, music at the end."""


@musenet.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--name", required=True, help="The dataset.")
@click.option("--style", help="One style label for all files; by default the first folder below PATH names it.")
@click.option("--licence", default="not stated", show_default=True, help="Licence of the files, for the manifest.")
@click.option("--workers", type=click.IntRange(1), help="Parser processes.  [default: all cores]")
@lake_option
@json_option
def ingest(
    paths: tuple[Path, ...], name: str, style: str | None, licence: str, workers: int | None, lake: Lake, as_json: bool
) -> None:
    """Turn MIDI files into a dataset version. PATH is a folder or a file."""
    with running(lake):
        from flows.ingestion.flow import ingest as ingest_flow
        from flows.ingestion.pipeline import IngestParameters
        from flows.ingestion.sources import Collection

        names = [path.resolve().stem or "root" for path in paths]
        if len(paths) > 1 and len(set(names)) < len(names):
            names = [str(path) for path in paths]
        collections = [
            Collection(name=label, path=path, licence=licence, style=style) for label, path in zip(names, paths)
        ]
        chosen = {"workers": workers} if workers else {}
        report = ingest_flow(IngestParameters(collections=collections, name=name, lake=lake.root, **chosen))
    version = report.version
    about = version.description
    lines = [f"dataset {version}  {version.folder}"]
    lines += [f"  {count:>8,}  {fate}" for fate, count in about["fates"].items()]
    show({**about, "folder": str(version.folder), "reused": report.reused}, lines, as_json)


@musenet.command()
@click.option("--dataset", required=True, help="NAME or NAME@DIGEST.")
@click.option("--preset", default="tiny", show_default=True, help="tiny, small, base or musenet.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a setting: training.steps=400.")
@click.option("--ranks", type=click.IntRange(1), default=1, show_default=True, help="Data-parallel processes.")
@lake_option
@json_option
def train(dataset: str, preset: str, settings: tuple[str, ...], ranks: int, lake: Lake, as_json: bool) -> None:
    """Train a model with DeepSpeed; an interrupted training goes on where it was."""
    changes = _settings(settings)
    with running(lake):
        from flows.training.flow import TrainParameters
        from flows.training.flow import train as train_flow

        parameters = TrainParameters(dataset=dataset, preset=preset, settings=changes, ranks=ranks, lake=lake.root)
        report = train_flow(parameters)
    held_out = "" if report.nats_per_note is None else f", {report.nats_per_note:.3f} nats/note held out"
    early = " (time limit)" if report.stopped_early else ""
    show(asdict(report), [f"run {report.run_id}: {report.steps} steps{early}{held_out}  {report.folder}"], as_json)


@musenet.command()
@click.option("--run", default="latest", show_default=True, help="Id of a finished training run.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@lake_option
@json_option
def critic(run: str, seed: int, lake: Lake, as_json: bool) -> None:
    """Train the inner critic of a trained model."""
    with running(lake):
        from flows.criticism.flow import criticise
        from flows.criticism.rounds import CriticParameters

        report = criticise(CriticParameters(run=run, seed=seed, lake=lake.root))
    show(
        asdict(report),
        [f"critic of run {report.run_id}: AUC {report.auc:.3f} on held-out pieces  {report.folder}"],
        as_json,
    )


@musenet.command()
@click.option("--run", default="latest", show_default=True, help="Id of a finished training run.")
@click.option("--alias", default="candidate", show_default=True, help="Alias that shall name the version.")
@lake_option
@json_option
def register(run: str, alias: str, lake: Lake, as_json: bool) -> None:
    """Register a trained model and its critic as a version in MLflow."""
    with running(lake):
        from flows.evaluation.flow import register as register_flow
        from flows.evaluation.registration import RegisterParameters

        report = register_flow(RegisterParameters(run=run, alias=alias, lake=lake.root))
    show(asdict(report), [f"version {report.version}, alias {report.alias}, run {report.run_id}"], as_json)


@musenet.command()
@click.option("--model", default="champion", show_default=True, help="Alias or version number.")
@click.option("--style", help="A style of the model's dataset.")
@click.option("--instruments", default="", help="Names joined by commas: piano,strings.")
@click.option("--count", type=click.IntRange(1), default=1, show_default=True, help="Pieces to write.")
@click.option("--best-of", type=click.IntRange(1), default=8, show_default=True, help="Candidates for each piece.")
@click.option("--length", type=click.IntRange(32), default=1024, show_default=True, help="Tokens of a piece.")
@click.option("--tempo", type=click.FloatRange(0, min_open=True), default=120.0, show_default=True)
@click.option("--temperature", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True)
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), default=0.95, show_default=True)
@click.option(
    "--longest-note", type=click.FloatRange(0, min_open=True), default=8.0, show_default=True, help="Seconds."
)
@click.option("--prompt", type=click.Path(path_type=Path), help="A MIDI file to continue.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder.  [default: samples/ in the lake]"
)
@lake_option
@json_option
def sample(instruments: str, lake: Lake, as_json: bool, **choices: Any) -> None:
    """Compose with a registered model."""
    with running(lake):
        from flows.sampling.flow import sample as sample_flow
        from flows.sampling.requests import SampleParameters

        names = [name.strip() for name in instruments.split(",") if name.strip()]
        report = sample_flow(SampleParameters(instruments=names, lake=lake.root, **choices))
    lines = [f"{s.midi}  score {s.score:.3f}, {s.notes} notes, {s.seconds:.0f} s" for s in report.samples]
    show(asdict(report), lines, as_json)


@musenet.command()
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a training setting.")
@click.option("--length", type=click.IntRange(32), default=1024, show_default=True, help="Tokens of the piece.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@lake_option
@json_option
def demo(settings: tuple[str, ...], length: int, seed: int, lake: Lake, as_json: bool) -> None:
    """The whole way in minutes: starter music, a small model, its critic, the registry, a new piece."""
    changes = _settings(settings)
    elsewhere = "" if lake == Lake.at() else f" --lake {lake.root}"
    with running(lake):
        from flows.demo.flow import DemoParameters
        from flows.demo.flow import demo as demo_flow

        report = demo_flow(DemoParameters(settings=changes, length=length, seed=seed, lake=lake.root))
    if as_json:
        show(asdict(report), [], as_json)
        return
    from flows.demo.summary import print_summary

    print_summary(report, _command_prefix(), elsewhere)


@musenet.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--style", help="Style label for the header.")
@click.option(
    "--vocabulary", default="musenet", show_default=True, help="A name, or the vocabulary.json of a dataset version."
)
@click.option("--ids", is_flag=True, help="Print token ids instead of text.")
def encode(file: Path, style: str | None, vocabulary: str, ids: bool) -> None:
    """Print a MIDI file as MuseNet's tokens."""
    with errors():
        from tokenization.encodings import get_encoding
        from tokenization.midi import read_midi
        from tokenization.vocabulary import style_label

        label = style_label(style) if style else None
        known = _vocabulary(vocabulary, [label] if label else [])
        tokens = get_encoding("combined", known).encode(read_midi(_read(file)), label)
        click.echo(" ".join(map(str, tokens.tolist())) if ids else known.to_text(tokens))


@musenet.command()
@click.argument("tokens")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--vocabulary", default="musenet", show_default=True, help="A name, or the vocabulary.json of a dataset version."
)
def decode(tokens: str, out: Path, vocabulary: str) -> None:
    """Write tokens as a MIDI file. TOKENS is text, ids, a file that holds them, or - for standard input."""
    with errors():
        from flows.errors import UserError
        from flows.files import write_atomically
        from tokenization.encodings import get_encoding
        from tokenization.midi import write_midi
        from tokenization.text import parse_text

        text = sys.stdin.read() if tokens == "-" else tokens
        if tokens != "-" and _is_file(tokens):
            text = _read(Path(tokens)).decode("utf-8", errors="replace")
        known, ids = parse_text(text, _vocabulary(vocabulary))
        notes = get_encoding("combined", known).decode(ids)
        if not len(notes):
            raise UserError("these tokens hold no note; nothing was written")
        try:
            write_atomically(out, write_midi(notes))
        except OSError as error:
            raise UserError(f"{out} cannot be written: {error.strerror}") from error
        click.echo(f"{out}: {len(notes)} notes, {notes.seconds:.1f} s", err=True)


@musenet.command()
@lake_option
@json_option
def datasets(lake: Lake, as_json: bool) -> None:
    """List published dataset versions."""
    with errors():
        from flows.ingestion.publishing import dataset_versions

        versions = dataset_versions(lake)
    lines = [
        f"{v}  {v.description['created']}  {sum(v.description['pieces'].values()):,} pieces, "
        f"{sum(v.description['tokens'].values()):,} tokens"
        for v in versions
    ]
    show([v.description for v in versions], lines or ["no dataset yet; `musenet ingest PATH --name NAME`"], as_json)


@musenet.command()
@lake_option
@json_option
def runs(lake: Lake, as_json: bool) -> None:
    """List training runs."""
    with errors():
        from flows.training.runs import runs as all_runs

        found = [
            {"run_id": run.run_id, "preset": run.preset, "dataset": run.dataset, "finished": run.finished}
            for run in all_runs(lake)
        ]
    lines = [f"{r['run_id']}  {r['preset']}  {r['dataset']}  {'' if r['finished'] else 'un'}finished" for r in found]
    show(found, lines or ["no run yet; `musenet train --dataset NAME`"], as_json)


@musenet.command()
@lake_option
@json_option
def models(lake: Lake, as_json: bool) -> None:
    """List registered model versions."""
    with errors():
        os.environ.update(lake.environment())
        from registry.models import list_models
        from registry.tracking import Registry

        found = list_models(Registry.open(lake.registry_database, lake.registry_artifacts))
    lines = [f"version {m.version}  {', '.join(m.aliases) or '-'}  {m.dataset}" for m in found]
    show([asdict(m) for m in found], lines or ["no model yet; `musenet register`"], as_json)


@musenet.command()
@lake_option
@json_option
def up(lake: Lake, as_json: bool) -> None:
    """Start the Prefect and MLflow servers of the lake."""
    with errors():
        from flows.services import up as start

        services = start(lake)
    show_services(services, as_json, "started", "was running")


@musenet.command()
@lake_option
@json_option
def down(lake: Lake, as_json: bool) -> None:
    """Stop the servers."""
    with errors():
        from flows.services import down as stop

        services = stop(lake)
    show_services(services, as_json, "stopped", "was not running")


@musenet.command()
@lake_option
@json_option
def status(lake: Lake, as_json: bool) -> None:
    """Say which servers run, and where; status 1 unless both do."""
    with errors():
        from flows.services import status as ask

        services = ask(lake)
    show_services(services, as_json, "", "")
    sys.exit(0 if all(service.running for service in services) else FAILED)


@musenet.command(name="open")
@click.argument("page", type=click.Choice(["prefect", "mlflow"]))
@lake_option
def open_page(page: str, lake: Lake) -> None:
    """Open a server's page in the browser, starting the servers if need be."""
    with errors():
        from flows.services import up as start

        url = next(service.url for service in start(lake) if service.name == page)
    click.echo(f"{page}: {url}   (stop both servers with `{_command_prefix()} down`)")
    click.launch(str(url))


@contextmanager
def running(lake: Lake) -> Iterator[None]:
    """The surroundings of a flow: quiet libraries, a Prefect API, errors in one line.

    Flows must be imported inside the block.
    """
    with errors():
        os.environ.update(lake.environment())
        from flows.services import prefect_server

        with prefect_server(lake):
            yield


@contextmanager
def errors() -> Iterator[None]:
    """Turn expected errors into one line and an exit status."""
    try:
        yield
    except KeyboardInterrupt:
        _end("interrupted; what was finished is kept, the same command goes on from there", INTERRUPTED)
    except Exception as error:
        status = _expected(error)
        if status is None:
            raise
        _end(_message(error), status)


def _expected(error: Exception) -> int | None:
    """The exit status of an error that a user can mend, None for a defect of ours."""
    from flows.errors import RunError, UserError
    from flows.services import ServiceError

    failures: list[type[Exception]] = [RunError, ServiceError]
    mistakes: list[type[Exception]] = [UserError]
    # Only an error of a module that is already imported can have been raised.
    for module, name, kinds in (
        ("tokenization.vocabulary", "VocabularyError", mistakes),
        ("tokenization.midi", "MidiError", mistakes),
        ("modeling.config", "PresetError", mistakes),
        ("registry.models", "UnknownModel", mistakes),
        ("pydantic", "ValidationError", mistakes),
        ("tokenization.shards", "ShardError", failures),
        ("modeling.weights", "WeightsError", failures),
        ("registry.tracking", "RegistryError", failures),
    ):
        if module in sys.modules:
            kinds.append(getattr(sys.modules[module], name))
    if isinstance(error, tuple(failures)):
        return FAILED
    return WRONG if isinstance(error, tuple(mistakes)) else None


def _message(error: Exception) -> str:
    """One line; of pydantic's report the first fault."""
    if hasattr(error, "errors"):
        fault = error.errors()[0]
        if not fault["loc"]:  # settings that do not fit each other
            return str(fault["msg"]).removeprefix("Value error, ")
        return f"{'.'.join(map(str, fault['loc']))} = {fault['input']!r}: {fault['msg']}"
    return " ".join(str(error).split())


def _end(message: str, status: int) -> NoReturn:
    click.echo(f"musenet: {message}", err=True)
    sys.exit(status)


def show(report: Any, lines: list[str], as_json: bool) -> None:
    """Print a report on standard output: as JSON or as lines."""
    click.echo(json.dumps(report, indent=1, default=str) if as_json else "\n".join(lines))


def show_services(services: list[Service], as_json: bool, changed: str, unchanged: str) -> None:
    """Print what became of the servers."""
    lines = []
    for service in services:
        place = f"runs at {service.url}" if service.running else "does not run"
        note = changed if service.changed else unchanged
        lines.append(f"{service.name:8} {place}" + (f"  ({note})" if note else ""))
    show([asdict(service) for service in services if is_dataclass(service)], lines, as_json)


def _settings(pairs: tuple[str, ...]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise click.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="--set")
    return dict(pair.split("=", 1) for pair in pairs)


def _vocabulary(source: str, styles: Iterable[str] = ()) -> Vocabulary:
    """A built-in vocabulary by name, with styles, or that of a dataset version from its `vocabulary.json`."""
    from flows.errors import UserError
    from tokenization.vocabulary import Vocabulary, VocabularyError

    if not source.endswith((".json", ".toml")):
        return Vocabulary.load(source, styles)
    text = _read(Path(source))
    try:
        if source.endswith(".json"):
            return Vocabulary.from_json(text.decode("utf-8"))
        return Vocabulary.load(Path(source).expanduser(), styles)
    except VocabularyError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{source} is no vocabulary: {error}") from error


def _is_file(text: str) -> bool:
    """Whether a text names a file; tokens may be longer than any file's name."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def _read(path: Path) -> bytes:
    from flows.errors import UserError

    try:
        return path.expanduser().read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error


def _command_prefix() -> str:
    """The command as the user can type it here."""
    program = Path(sys.argv[0])
    if program.is_absolute() and program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    return str(program)


def main() -> None:
    """The console script."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(TERMINATED))
    musenet()
