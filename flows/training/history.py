"""What a run has reported so far, all attempts together: `metrics.jsonl`, read once from beginning to end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Report = dict[str, Any]

STEP_LINE = b'{"event": "step"'
"""How the line of a training step begins: nearly all lines are such, and of them only the last one is read."""
END_OF_ATTEMPT = ("error", "out_of_time", "stopped_early")


@dataclass(frozen=True)
class History:
    """The state that a run's reports add up to."""

    start: Report | None = None
    """The newest attempt's."""
    finished: Report | None = None
    step: int = 0
    """The last one that was trained."""
    when: float | None = None
    """Time of the newest report, as `time.time()` has it."""
    error: str | None = None
    """Why the newest attempt failed, if it did and said so."""
    stopped: str | None = None
    """`out_of_time` or `stopped_early` if the newest attempt ended before the last step."""
    evaluations: tuple[Report, ...] = ()
    """By step, those of repeated steps once."""

    @property
    def seconds(self) -> float:
        """Time spent in training; 0 for a run that has never finished."""
        return float(self.finished["seconds"]) if self.finished else 0.0

    @property
    def best(self) -> Report | None:
        """The evaluation with the lowest loss."""
        return min(self.evaluations, key=lambda report: float(report["nats_per_token"]), default=None)

    @property
    def evaluations_since_best(self) -> int:
        best = self.best
        return 0 if best is None else sum(report["step"] > best["step"] for report in self.evaluations)


def read_history(metrics: Path) -> History:
    """The history in a run's `metrics.jsonl`; an empty one where there is none yet."""
    reports = list(_telling(metrics.read_bytes().split(b"\n"))) if metrics.exists() else []
    starts = [number for number, report in enumerate(reports) if report["event"] == "start"]
    attempt = reports[starts[-1] :] if starts else reports
    ends = {report["event"]: report for report in attempt if report["event"] in END_OF_ATTEMPT}
    evaluations = {report["step"]: report for report in reports if report["event"] == "evaluation"}
    error = ends.get("error")
    return History(
        start=_last(reports, "start"),
        finished=_last(reports, "finished"),
        step=next((int(report["step"]) for report in reversed(reports) if report["event"] in ("step", "finished")), 0),
        when=next((report["time"] for report in reversed(reports) if "time" in report), None),
        error=None if error is None else str(error["message"]),
        stopped=next((event for event in ("out_of_time", "stopped_early") if event in ends), None),
        evaluations=tuple(evaluations[step] for step in sorted(evaluations)),
    )


def parse_report(line: bytes) -> Report | None:
    """The report in a line; None for an empty one and for one that a killed process left torn."""
    try:
        report = json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    return report if isinstance(report, dict) and "event" in report else None


def _telling(lines: Iterable[bytes]) -> Iterator[Report]:
    """All reports, but of each row of steps the last one only."""
    step = b""
    for line in lines:
        if line.startswith(STEP_LINE):
            step = line if line.endswith(b"}") else step
            continue
        for kept in (step, line):
            if (report := parse_report(kept)) is not None:
                yield report
        step = b""
    if (report := parse_report(step)) is not None:
        yield report


def _last(reports: list[Report], event: str) -> Report | None:
    return next((report for report in reversed(reports) if report["event"] == event), None)
