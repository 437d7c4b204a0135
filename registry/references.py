"""References: the dataset versions and training runs that models and runs in MLflow refer to."""

from __future__ import annotations

from dataclasses import dataclass

from registry.errors import registry_errors
from registry.models import MODEL_NAME, list_models
from registry.runs import RUN_KEY
from registry.store import Registry

PAGE = 500
"""Runs asked for at once."""


@dataclass(frozen=True)
class Reference:
    """A thing in MLflow with the dataset version and the training run that it was made from."""

    what: str
    """`model musenet 3 (champion)` or `MLflow run tiny-0123456789ab`."""
    dataset: str
    """`name@digest`; empty where it is not recorded."""
    run: str
    """musenet's run id; empty where it is not recorded."""


def list_references(registry: Registry) -> list[Reference]:
    """Return the references of all model versions, then of all runs. Raises RegistryError."""
    found = []
    with registry_errors():
        for model in list_models(registry):
            aliases = f" ({', '.join(model.aliases)})" if model.aliases else ""
            what = f"model {MODEL_NAME} {model.version}{aliases}"
            found.append(Reference(what, model.dataset, model.tags.get("run", "")))
        token = None
        while True:
            page = registry.client.search_runs([registry.experiment_id], max_results=PAGE, page_token=token)
            for run in page:
                key, dataset = run.data.tags.get(RUN_KEY, ""), run.data.params.get("dataset", "")
                found.append(Reference(f"MLflow run {run.info.run_name}", dataset, key))
            token = page.token
            if not token:
                return found
