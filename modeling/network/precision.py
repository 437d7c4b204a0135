"""Precision: bfloat16 where the device multiplies it natively, else float32."""

from __future__ import annotations

import torch


def multiplies_bf16(device: torch.device) -> bool:
    """True if the device has instructions for products of bfloat16 matrices."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def use_bf16(precision: str, device: torch.device) -> bool:
    """True if training runs in bfloat16; `auto` takes it where the device multiplies it natively."""
    return multiplies_bf16(device) if precision == "auto" else precision == "bf16"


def in_half(device: torch.device) -> torch.autocast:
    """Return the context in which products of matrices are of bfloat16, where the device multiplies it natively."""
    return torch.autocast(device.type, torch.bfloat16, enabled=multiplies_bf16(device))
