"""The model that is served: one decoder for all requests that can share it."""

from __future__ import annotations

from modeling.generation import ExecutorConfig
from registry.serving.service import Service


def test_requests_with_the_same_weights_share_an_executor_however_they_ask_for_them(service: Service) -> None:
    model = service.model
    full, small = (model.executor_of(ExecutorConfig(weights=weights)) for weights in ("fp32", "int8"))
    assert full is not small
    assert model.executor_of(ExecutorConfig(weights="auto")) is small
    assert model.executor_of(ExecutorConfig(executor="compiled")) is full
