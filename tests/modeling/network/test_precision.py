"""The precision of training is the configured one, or the one that the device computes natively."""

from __future__ import annotations

import pytest
import torch

from modeling.network.precision import use_bf16


class TestPrecision:
    @pytest.mark.parametrize(("precision", "expected"), [("bf16", True), ("fp32", False)])
    def test_that_is_asked_for_is_used(self, precision: str, expected: bool) -> None:
        assert use_bf16(precision, torch.device("cpu")) is expected

    @pytest.mark.parametrize("capability", [{}, {"avx512_bf16": True}, {"amx_bf16": True}, {"avx512_bf16": False}])
    def test_is_the_processor_s_choice_otherwise(
        self, capability: dict[str, bool], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capability)
        assert use_bf16("auto", torch.device("cpu")) is any(capability.values())
