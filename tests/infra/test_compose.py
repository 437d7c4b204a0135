"""infra/compose.yaml: what a compose file can be checked for without containers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "infra" / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
STAYING = {name: service for name, service in SERVICES.items() if service["restart"] != "no"}
SECRET = re.compile(r"PASSWORD|SECRET|AUTH|TOKEN")
REQUIRED = re.compile(r"\$\{([A-Z_0-9]+):\?[^}]*\}")
OTHERS = re.compile(r"POSTGRES_(USER|DB|PASSWORD)|REDISCLI_AUTH|AWS_[A-Z_]+|DO_NOT_TRACK")
"""Variables of the images that are not ours, and of boto3."""


@pytest.mark.parametrize("name", STAYING)
def test_a_service_that_stays_is_watched_and_bounded(name: str) -> None:
    service = STAYING[name]
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert {"interval", "timeout", "retries"} <= service["healthcheck"].keys()
    assert {"cpus", "memory"} == service["deploy"]["resources"]["limits"].keys()


@pytest.mark.parametrize("name", SERVICES)
def test_images_have_versions_and_ports_are_this_machine_s(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"(?:docker\.io/[\w./-]+|musenet):\d+\.[\w.-]+", service["image"])
    for port in service.get("ports", ()):
        assert port.startswith("${BIND:-127.0.0.1}:")


def test_the_image_is_of_this_version() -> None:
    from importlib.metadata import version

    assert {service["image"] for service in SERVICES.values() if "build" in service} == {
        f"musenet:{version('musenet')}"
    }


def test_services_wait_for_services_that_can_be_waited_for() -> None:
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            ends = other not in STAYING
            assert how["condition"] == ("service_completed_successfully" if ends else "service_healthy")


def test_volumes_are_declared_and_files_exist() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            if re.fullmatch(r"\w+", source):
                assert source in COMPOSE["volumes"]
            elif not source.startswith("$"):
                assert (ROOT / "infra" / source).is_file()


def test_no_secret_is_in_the_text() -> None:
    for service in SERVICES.values():
        for variable, value in service["environment"].items():
            if SECRET.search(variable) or re.search(r"://.*@", str(value)):
                assert REQUIRED.search(str(value)), f"{variable} does not come from infra/.env"


def test_the_guide_draws_every_secret_and_explains_every_other_variable() -> None:
    guide = (ROOT / "docs" / "guides" / "topologies.md").read_text(encoding="utf-8")
    drawn = re.search(r"for name in ([A-Z_0-9 ]+);", guide)
    assert drawn is not None
    assert set(drawn[1].split()) == set(REQUIRED.findall(TEXT))
    for variable in re.findall(r"\$\{([A-Z_]+):-", TEXT):
        assert f"`{variable}`" in guide


def test_every_variable_is_known_to_what_reads_it() -> None:
    operations = (ROOT / "docs" / "guides" / "operations.md").read_text(encoding="utf-8")
    for service in SERVICES.values():
        for variable in service["environment"]:
            if variable.startswith("PREFECT_"):
                assert is_of_prefect(variable), variable
            elif variable.startswith("MLFLOW_"):
                assert is_of_mlflow(variable), variable
            else:
                assert OTHERS.fullmatch(variable) or f"`{variable}`" in operations, variable


def is_of_prefect(variable: str) -> bool:
    import prefect.settings
    from prefect_redis.client import RedisMessagingSettings

    redis = {f"PREFECT_REDIS_MESSAGING_{name}".upper() for name in RedisMessagingSettings.model_fields}
    return variable in redis or hasattr(prefect.settings, variable)


def is_of_mlflow(variable: str) -> bool:
    """True if MLflow's command line or library reads a variable, by their text: loading them takes seconds."""
    import importlib.util

    spec = importlib.util.find_spec("mlflow")
    assert spec is not None and spec.submodule_search_locations
    package = Path(spec.submodule_search_locations[0])
    files = ("cli/__init__.py", "utils/cli_args.py", "environment_variables.py")
    return any(f'"{variable}"' in (package / file).read_text(encoding="utf-8") for file in files)


def test_the_image_is_pinned_and_runs_as_nobody_special() -> None:
    text = (ROOT / "infra" / "Containerfile").read_text(encoding="utf-8")
    instructions = [line.split(maxsplit=1) for line in text.splitlines() if re.match(r"[A-Z]+ ", line)]
    assert re.search(r"ARG PYTHON=\S+:3\.\d+\.\d+-", text)
    assert [value for name, value in instructions if name == "FROM"] == ["${PYTHON} AS build", "${PYTHON}"]
    assert "--constraint constraints.txt" in text
    assert dict(instructions)["USER"] == "10001"
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        word.rstrip("/")
        for name, value in instructions
        if name == "COPY" and not value.startswith("--from")
        for word in value.split()[:-1]
    }
    assert copied == sent, "what is copied is what the build is sent"
