"""infra/kubernetes: manifests that the schemas of Kubernetes accept, and whose names lead somewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "infra" / "kubernetes"
GIVEN = {"musenet", "training-ssh"}
"""Secrets that the guide has one make."""
VERSION = "1.33"
"""The first with a stable `successPolicy`."""

Manifest = dict[str, Any]


def manifests(folder: Path) -> list[Manifest]:
    """All manifests that a kustomization lists."""
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    return [each for name in listed for each in yaml.safe_load_all((folder / name).read_text(encoding="utf-8"))]


ALL = [*manifests(FOLDER), *manifests(FOLDER / "training")]
NAMES = [f"{each['kind']} {each['metadata']['name']}" for each in ALL]


def pod_of(manifest: Manifest) -> Manifest | None:
    """The specification of the pods that a manifest makes."""
    spec: Manifest = manifest.get("spec", {})
    spec = spec.get("jobTemplate", {}).get("spec", spec)
    pod: Manifest | None = spec.get("template", {}).get("spec")
    return pod


PODS = {name: pod for name, each in zip(NAMES, ALL) if (pod := pod_of(each)) is not None}


def test_every_file_is_listed() -> None:
    files = {path.relative_to(FOLDER) for path in FOLDER.rglob("*.yaml") if path.name != "kustomization.yaml"}
    listed = {
        (folder / name).relative_to(FOLDER)
        for folder in (FOLDER, FOLDER / "training")
        for name in yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    }
    assert files == listed


@pytest.mark.parametrize("manifest", ALL, ids=NAMES)
def test_the_schema_accepts_a_manifest(manifest: Manifest) -> None:
    import kubernetes_validate

    kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_the_schema_refuses_a_field_that_is_misspelt() -> None:
    import kubernetes_validate

    wrong = {**ALL[NAMES.index("PersistentVolumeClaim lake")], "spec": {"accessMode": ["ReadWriteMany"]}}
    with pytest.raises(kubernetes_validate.ValidationError, match="accessMode"):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


@pytest.mark.parametrize("name", PODS)
def test_pods_are_without_root_and_bounded(name: str) -> None:
    pod = PODS[name]
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    for container in containers(pod):
        assert container["image"] == "musenet", "whose registry and version the kustomization sets"
        assert not container["securityContext"]["allowPrivilegeEscalation"]
        assert "memory" in container["resources"]["limits"]
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()


@pytest.mark.parametrize("name", PODS)
def test_names_in_pods_lead_somewhere(name: str) -> None:
    pod = PODS[name]
    claims = {each["metadata"]["name"] for each in ALL if each["kind"] == "PersistentVolumeClaim"}
    maps = {each["metadata"]["name"] for each in ALL if each["kind"] == "ConfigMap"} | {"training"}
    volumes = {}
    for volume in pod["volumes"]:
        volumes[volume["name"]] = volume
        assert volume.get("persistentVolumeClaim", {"claimName": "lake"})["claimName"] in claims
        assert volume.get("configMap", {"name": "training"})["name"] in maps
        assert volume.get("secret", {"secretName": "training-ssh"})["secretName"] in GIVEN
    for container in containers(pod):
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes.keys()
        for source in container["envFrom"]:
            assert source.get("configMapRef", {"name": "musenet"})["name"] in maps
            assert source.get("secretRef", {"name": "musenet"})["name"] in GIVEN


def test_what_listens_is_asked_whether_it_does() -> None:
    (studio,) = PODS["Deployment studio"]["containers"]
    assert studio["livenessProbe"]["httpGet"]["path"] == studio["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert studio["readinessProbe"]["httpGet"]["path"] == "/readyz"
    (worker,) = PODS["Deployment worker"]["containers"]
    assert ":8080/health" in worker["livenessProbe"]["exec"]["command"][-1]
    assert worker["args"][-2:] == ["--health-port", "8080"]


@pytest.mark.parametrize("name", [name for name in PODS if name != "Job train"])
def test_commands_exist_with_their_options(name: str) -> None:
    from flows.cli import musenet

    for container in containers(PODS[name]):
        command, *arguments = container["args"]
        musenet.commands[command].make_context(command, arguments)


def test_a_training_s_hosts_are_its_pods() -> None:
    job, pod = ALL[NAMES.index("Job train")], PODS["Job train"]
    (container,) = pod["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    assert variables["NAME"] == job["metadata"]["name"] == pod["subdomain"]
    assert int(variables["HOSTS"]) == job["spec"]["completions"] == job["spec"]["parallelism"]
    assert int(variables["SLOTS"]) == container["resources"]["limits"]["nvidia.com/gpu"]
    ports = [
        re.search(r"Port (\d+)", (FOLDER / "training" / name).read_text()) for name in ("ssh_config", "sshd_config")
    ]
    assert ports[0] is not None and ports[1] is not None and ports[0][1] == ports[1][1]


def test_training_has_the_time_that_a_checkpoint_takes() -> None:
    from flows.training.launcher import STOP_SECONDS

    for name in ("Deployment worker", "Job train"):
        assert PODS[name]["terminationGracePeriodSeconds"] >= 2 * STOP_SECONDS


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("folder", [FOLDER, FOLDER / "training"], ids=lambda path: path.name)
def test_kubectl_renders_them_with_image_and_namespace(folder: Path) -> None:
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=True)
    rendered = list(yaml.safe_load_all(done.stdout))
    assert {each["metadata"]["namespace"] for each in rendered} == {"musenet"}
    pods = [pod for each in rendered if (pod := pod_of(each)) is not None]
    assert pods
    for pod in pods:
        assert {each["image"] for each in containers(pod)} == {"registry.example.org/musenet:0.1.0"}


def containers(pod: Manifest) -> Iterator[Manifest]:
    yield from pod.get("initContainers", [])
    yield from pod["containers"]
