"""MuseNet as a data platform, from Python: one typed function for each command of `musenet`.

    import musenet

    musenet.ingest("~/midi", name="mine")
    run = musenet.train("mine", preset="tiny")
    musenet.critic(run.run_id)
    musenet.register(run.run_id, alias="champion")
    report = musenet.sample(style="bach", instruments=["piano"])
    print(report.samples[0].midi)

A function that runs a flow starts a private Prefect server on the lake for as long as it needs one, unless one
runs: in a `session`, or by `musenet up`. `lake` is a folder or the URL of one in an object store; None takes
`$MUSENET_LAKE`, else `./lake`. `settings` change nested settings by dotted name, as `--set` does:
`{"training.steps": 400}`. All expected errors are `MusenetError`s with a message of one line.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from infra.errors import MusenetError, RunError, UserError
from infra.lake import Lake
from registry import load
from tokenization.conversion import decode, encode

if TYPE_CHECKING:
    from flows.criticism.report import CriticReport
    from flows.evaluation.flow import EvaluateReport
    from flows.ingestion.flow import IngestReport
    from flows.registration.registration import RegisterReport
    from flows.sampling.flow import SampleReport
    from flows.sweeps.report import SweepReport
    from flows.training.report import RunReport
    from registry.requests import RequestOptions
    from tokenization.dataset import DatasetVersion

__all__ = [
    "MusenetError",
    "RunError",
    "UserError",
    "critic",
    "decode",
    "encode",
    "evaluate",
    "ingest",
    "load",
    "open_dataset",
    "register",
    "sample",
    "session",
    "sweep",
    "train",
]

Address = str | os.PathLike[str]
"""A path, or the URL of one in an object store."""


def ingest(
    *sources: Address,
    name: str,
    style: str | None = None,
    licence: str | None = None,
    model: str | None = None,
    settings: Mapping[str, Any] | None = None,
    accept: Sequence[str] = (),
    lake: Address | None = None,
) -> IngestReport:
    """Ingest collections of MIDI files into a version of the dataset `name`.

    A source is a folder, a file, an archive, a URL of an object store, or a `collections.toml`. `style` labels all
    files of plain sources; by default the first folder below a source does. `model`: one to be trained further on
    the dataset, which is encoded as that one's was. `settings` are those of
    `flows.ingestion.parameters.IngestParameters`: `{"tokens.encoding": "onset", "engine": "ray"}`. `accept`
    names the rules for publishing that the version may break. Raises MusenetError, a `flows.ingestion.gates.GateError`
    where a rule is broken.
    """
    with _flow(lake) as opened:
        from flows.ingestion.flow import ingest as flow
        from flows.ingestion.parameters import parameters_from

        of_model: dict[str, str] = {}
        if model is not None:
            from flows.warm_start.tokens import changes_for

            of_model = changes_for(opened, model)
        changes = {**of_model, **(settings or {}), **({"accept": [*accept]} if accept else {})}
        return flow(parameters_from(sources, name, opened.address, style, licence, changes))


def train(
    dataset: str,
    *,
    preset: str | None = None,
    parent: str | None = None,
    settings: Mapping[str, Any] | None = None,
    ranks: int | None = None,
    hostfile: Address | None = None,
    retries: int = 2,
    lake: Address | None = None,
) -> RunReport:
    """Train a preset on a dataset, `NAME` or `NAME@DIGEST`; resume an unfinished run, reuse a finished one.

    `parent`: a model whose weights training begins with, as `musenet train --from` takes it. `preset`: by default
    `tiny`, or the parent's. `ranks` is the number of data-parallel processes, by default one, or the slots of the
    hostfile. Raises MusenetError.
    """
    with _flow(lake) as opened:
        from flows.training.flow import TrainParameters
        from flows.training.flow import train as flow

        return flow(
            TrainParameters(
                dataset=dataset,
                preset=preset,
                settings={**({} if parent is None else {"training.parent": parent}), **(settings or {})},
                ranks=ranks,
                hostfile=None if hostfile is None else str(Path(hostfile).expanduser().absolute()),
                retries=retries,
                lake=opened.address,
            )
        )


def sweep(file: Address, *, trials: int | None = None, lake: Address | None = None) -> SweepReport:
    """Search settings of training as a sweep file says (`flows.sweeps.sweep_file`); one that was interrupted goes on.

    `trials`: training runs in all, in place of the file's. Raises MusenetError.
    """
    with _flow(lake) as opened:
        from flows.sweeps.flow import sweep as flow
        from flows.sweeps.parameters import SweepParameters
        from flows.sweeps.sweep_file import read_sweep_file

        content = read_sweep_file(Path(file).expanduser())
        chosen = content if trials is None else content.model_copy(update={"trials": trials})
        return flow(SweepParameters(file=chosen, lake=opened.address))


def critic(
    run: str = "latest",
    *,
    model: str | None = None,
    rounds: int = 1,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    lake: Address | None = None,
) -> CriticReport:
    """Train the inner critic of a finished run, given by its id or the beginning of it, or of a registered model.

    `settings` change the training by dotted key: `{"critic.trunk": "frozen"}`. Raises MusenetError.
    """
    with _flow(lake) as opened:
        from flows.criticism.flow import criticise
        from flows.criticism.parameters import CriticParameters

        given = {"run": run, "model": model, "rounds": rounds, "seed": seed, "lake": opened.address}
        return criticise(CriticParameters.changed(given, settings or {}))


def register(run: str, *, alias: str = "candidate", force: bool = False, lake: Address | None = None) -> RegisterReport:
    """Register a run and its newest critic as a model version in MLflow, and move the alias.

    `run` is an id, `latest`, or `best` for the lowest validation loss on the newest run's dataset. The alias
    `champion` asks the gate (`flows.promotion`) unless `force`; a version that it refuses is `candidate`. Raises
    MusenetError.
    """
    with _flow(lake) as opened:
        from flows.registration.flow import register as flow
        from flows.registration.registration import RegisterParameters

        report = flow(RegisterParameters(run=run, alias=alias, force=force, lake=opened.address))
        if report.refused is not None:
            raise RunError(report.refused)
        return report


def sample(
    model: str = "champion",
    *,
    count: int = 1,
    audio: Literal["wav", "flac", "mp3"] | None = None,
    soundfont: Address | None = None,
    out: Address | None = None,
    lake: Address | None = None,
    **request: Unpack[RequestOptions],
) -> SampleReport:
    """Compose `count` pieces with a registered model, given by alias or version number, and write their files.

    `request` are the fields of `registry.requests.PieceRequest`: `style="bach"`, `instruments=["piano", "strings"]`,
    `seconds=60`, `prompt="idea.mid"`, `seed=7`, … Each further piece has the next seed. With an `audio` format sound is
    written, too, by a `soundfont`: by default `$MUSENET_SOUNDFONT` or one that is installed. The files go into the
    folder `out`, by default `samples/` in the lake. Raises MusenetError. `load` composes without a flow and files.
    """
    with _flow(lake) as opened:
        from flows.sampling.flow import sample as flow
        from flows.sampling.parameters import SampleParameters

        folder = None if out is None else Path(out).expanduser()
        font = None if soundfont is None else Path(soundfont).expanduser()
        output = {"audio": audio, "soundfont": font, "out": folder, "lake": opened.address}
        content = {**request, "model": model, "count": count, **output}
        return flow(SampleParameters.model_validate(content))


def evaluate(
    source: Address,
    *,
    against: str | None = None,
    dataset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    blind: bool = False,
    out: Address | None = None,
    lake: Address | None = None,
) -> EvaluateReport:
    """Measure how far a model's pieces, or the MIDI files in a folder, are from real ones.

    `source` is a folder, or an alias or version number of a model. `dataset`: the real pieces, by default those that
    the model was trained on. `against`: another model, to be compared on the same pieces. `settings` are those of
    `flows.evaluation.settings.EvaluationSettings`: `{"pieces": 64, "request.temperature": 0.9}`. Raises MusenetError.
    """
    with _flow(lake) as opened:
        from flows.evaluation.flow import evaluate as flow
        from flows.evaluation.settings import EvaluateParameters, EvaluationSettings
        from infra.settings import apply

        return flow(
            EvaluateParameters(
                source=os.fspath(source),
                against=against,
                dataset=dataset,
                settings=apply(EvaluationSettings, {}, settings or {}),
                blind=blind,
                out=None if out is None else Path(out).expanduser(),
                lake=opened.address,
            )
        )


def open_dataset(reference: str, *, lake: Address | None = None) -> DatasetVersion:
    """Open a dataset version, `NAME` (its newest) or `NAME@DIGEST` (a prefix is enough). Raises MusenetError."""
    from tokenization.dataset import find_version

    return find_version(Lake.at(lake), reference)


@contextmanager
def session(lake: Address | None = None) -> Iterator[None]:
    """Run one Prefect server for all flows of the block, instead of one for each call, which takes seconds."""
    with _flow(lake):
        yield


@contextmanager
def _flow(address: Address | None) -> Iterator[Lake]:
    """Set up what a flow needs: the environment of its libraries and a Prefect API. Flows are imported inside.

    The environment is as before when the block ends. Raises UserError for parameters that pydantic refuses.
    """
    from pydantic import ValidationError

    from flows.session import flow_session
    from infra.settings import one_line

    lake = Lake.at(address)
    try:
        with flow_session(lake):
            yield lake
    except ValidationError as error:
        raise UserError(one_line(error)) from error
