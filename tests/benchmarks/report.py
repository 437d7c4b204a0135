"""Reports of the training benchmarks: bars, tables, and a JSON file with the circumstances of the measurement."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

VERSIONS = ("torch", "deepspeed", "numpy")


@dataclass(frozen=True)
class Bar:
    """A figure with the limit that it must reach."""

    what: str
    reached: float
    limit: float

    @property
    def met(self) -> bool:
        return self.reached >= self.limit


def show_bars(bars: Sequence[Bar]) -> int:
    """Print each bar in a line and return the exit status."""
    for bar in bars:
        print(f"{bar.what}, at least {bar.limit:.3g}: {bar.reached:.3g}  {'met' if bar.met else 'MISSED'}")
    return 0 if all(bar.met for bar in bars) else 1


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format a Markdown table, its columns aligned: the first one to the left, the others to the right."""
    widths = [max(len(line[column]) for line in [heads, *rows]) for column in range(len(heads))]

    def line(cells: Sequence[str]) -> str:
        first, *others = (cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(cells, widths)))
        return "| " + " | ".join([first, *others]) + " |"

    rule = "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    return "\n".join([line(heads), rule, *map(line, rows)])


def circumstances(device: torch.device) -> dict[str, Any]:
    """Return date, device and versions of a measurement."""
    cuda = device.type == "cuda"
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "device": torch.cuda.get_device_name(device) if cuda else processor(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in VERSIONS},
        **({"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()} if cuda else {}),
    }


def processor() -> str:
    """Return the processor's name where the system gives it, else its architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} × {names[0]}" if names else platform.machine()


def write_json(path: Path, where: Mapping[str, Any], figures: Mapping[str, Any], bars: Sequence[Bar] = ()) -> None:
    """Write circumstances, figures and bars as one JSON file."""
    report = {**where, **figures, "bars": [{**asdict(bar), "met": bar.met} for bar in bars]}
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
