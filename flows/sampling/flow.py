"""The sampling flow: pull a registered model, compose, rank by the critic, export the best."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from flows.lineage import file_place, model_place, recorded
from flows.progress import say, stage
from flows.sampling.export import Sample, export
from flows.sampling.requests import SampleParameters, piece_request, provenance, read_prompt
from infra.lake import Lake
from infra.wording import counted
from modeling.generation import ModelBundle, compose, prompt_tokens
from registry.models import MODEL_NAME, RegisteredModel, find_model, pull
from registry.store import Registry


@dataclass(frozen=True)
class SampleReport:
    """The composed pieces, and the model version that composed them."""

    model_version: str
    dataset: str
    candidates: int
    """Number of candidates generated for all pieces together."""
    samples: list[Sample]


@task(name="pull", persist_result=False, cache_policy=NO_CACHE)
def pull_task(lake: Lake, reference: str) -> tuple[RegisteredModel, Path]:
    """Return the registered version of an alias or number, and the folder of its files."""
    registry = Registry.open(lake.registry_database, lake.registry_artifacts)
    model = find_model(registry, reference)
    return model, pull(registry, model)


@task(name="compose", persist_result=False, cache_policy=NO_CACHE)
def compose_task(parameters: SampleParameters, model: RegisteredModel, bundle: Path, number: int) -> Sample:
    """Generate the candidates of one piece, rank them by the critic and write the best."""
    loaded = ModelBundle.load(bundle)
    prompt = read_prompt(parameters.prompt) if parameters.prompt else None
    request = piece_request(parameters, number, prompt)
    begin = prompt_tokens(loaded.encoding, request, loaded.model.config.context)
    if begin.dropped:
        used = counted(len(begin.tokens), "token")
        say(f"the prompt is longer than the model's context allows; only its end, {used}, is used")
    title = f"{parameters.style or 'free'} {number + 1}"
    groups = loaded.vocabulary.names[int(begin.tokens[1])]
    with stage(f"composing {title} (best of {parameters.best_of})") as bar:
        best = compose(loaded, request, bar.step)[0]
        folder = parameters.out or Lake.at(parameters.lake).samples
        stem = folder / f"{parameters.style or 'free'}-{groups}-v{model.version}-seed{request.seed}"
        about = provenance(parameters, model.version, model.dataset, number)
        sample = export(best, loaded.encoding, stem, f"{title} · model {model.version} · seed {request.seed}", about)
        bar.update(0, note=f"score {best.score:.3f}")
    return sample


@flow(name="sample", persist_result=False)
def sample(parameters: SampleParameters) -> SampleReport:
    """Compose pieces with a registered model. Raises UserError, UnknownModel and VocabularyError."""
    lake = Lake.at(parameters.lake)
    with recorded("sample", flow_run) as record:
        model, bundle = pull_task(lake, parameters.model)
        record.reads(model_place(lake, MODEL_NAME, model.version))
        samples = [compose_task(parameters, model, bundle, number) for number in range(parameters.count)]
        record.writes(*(file_place(sample.midi) for sample in samples))
    rows = [{"piece": Path(s.midi).name, "score": round(s.score, 4), "notes": s.notes, "s": s.seconds} for s in samples]
    create_table_artifact(key="samples", table=rows, description=f"model version {model.version}")
    return SampleReport(model.version, model.dataset, parameters.count * parameters.best_of, samples)
