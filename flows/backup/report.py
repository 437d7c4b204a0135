"""Reports of backups and restorations as lines, for the terminal and Prefect's page."""

from __future__ import annotations

from flows.backup.restoring import RestoreReport
from flows.backup.taking import BackupReport
from infra.wording import counted


def lines_of(report: BackupReport) -> list[str]:
    """Return a line for each thing that there is to say about a backup."""
    lines = [
        f"backup {report.name} in {report.to}: {counted(report.files, 'file')}, {_megabytes(report.bytes)}",
        f"copied {counted(report.copied_files, 'file')}, {_megabytes(report.copied_bytes)}; the others had not changed",
    ]
    if report.copied_files == report.files:
        lines.pop()
    if report.removed:
        lines.append(f"removed {counted(report.removed, 'earlier backup')}")
    lines += [f"not in it: {what}, which need a backup of their own" for what in report.elsewhere]
    return lines + [f"damaged: {what}" for what in report.findings]


def restored_lines(report: RestoreReport, done: str) -> list[str]:
    """Return the lines on a backup that was restored or checked; `done` says what was done."""
    lines = [
        f"backup {report.name} of {report.lake}, {report.created}, musenet {report.release}",
        f"{done} {counted(report.files, 'file')}, {_megabytes(report.bytes)}: all bytes are those that were backed up",
    ]
    if report.unfinished:
        runs = counted(report.unfinished, "flow run")
        lines.append(f"{runs} had not ended: the next command reports them as Crashed")
    return lines + [f"damaged when it was backed up: {what}" for what in report.findings]


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
