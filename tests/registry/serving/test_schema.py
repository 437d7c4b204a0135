"""The OpenAPI document: whatever it allows is answered as it says."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from starlette.testclient import TestClient

from registry.serving.app import create_app
from registry.serving.service import Service

MakeService = Callable[..., Service]
LIMITS = {"tokens": 200, "seconds": 20, "candidates": 2, "upload_bytes": 20_000}
HOST = {"host": "127.0.0.1"}
NOT_SAID = ("positive_data_acceptance",)
"""What no schema can say: which styles there are, and which fields exclude each other."""


@pytest.mark.slow
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_answers_are_as_the_document_says(mode: GenerationMode, make_service: MakeService) -> None:
    load_all_checks()
    checks = [check for check in CHECKS.get_all() if check.__name__ not in NOT_SAID]
    assert len(checks) > 5
    schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(make_service(LIMITS)), headers=HOST)
    for found in schema.get_all_operations():
        operation = found.ok()
        if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query or operation.path_parameters):
            continue

        @hypothesis.given(operation.as_strategy(generation_mode=mode))
        @hypothesis.settings(max_examples=8, deadline=None, derandomize=True, database=None)
        def check(case: schemathesis.Case) -> None:
            case.call_and_validate(headers=HOST, checks=checks)

        check()


def test_every_answer_has_a_model(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {*paths} == {
        *(f"/v1/{name}" for name in ("compose", "continue", "infill", "score", "models", "styles", "openings")),
        "/v1/pieces/{digest}",
        "/v1/pieces/{digest}/midi",
        *(f"/v1/{name}" for name in ("samples", "samples/{name}", "originality", "soundfont", "soundfont/file")),
        "/healthz",
        "/readyz",
        "/metrics",
    }
    for path, methods in paths.items():
        for operation in methods.values():
            for status, answer in operation["responses"].items():
                assert answer.get("content"), f"{path} says nothing of its answer {status}"
            if path.startswith("/v1/"):
                assert {"401"} <= {*operation["responses"]}


def test_fields_are_explained(client: TestClient) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    assert all(field.get("description") for field in schemas["ComposeBody"]["properties"].values())
