"""The devices that training would use on this machine, in words."""

from __future__ import annotations

import torch


def describe_devices() -> str:
    """Return the GPUs by name and memory, `none` without one that this PyTorch can use."""
    if not torch.cuda.is_available():
        return "none"
    found = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    return ", ".join(f"{device.name} ({device.total_memory / 2**30:.0f} GiB)" for device in found)
