"""The backup flow: a lake → a backup of it, for a schedule."""

from __future__ import annotations

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from flows.backup.parameters import BackupParameters
from flows.backup.report import lines_of
from flows.backup.taking import BackupReport, back_up
from infra.errors import RunError


@flow(name="backup", persist_result=False)
def backup(parameters: BackupParameters) -> BackupReport:
    """Back up a lake. Raises UserError, and RunError, also for a backup that was made of a damaged lake."""
    report = back_up(parameters)
    text = f"# Backup {report.name}\n\n" + "".join(f"- {line}\n" for line in lines_of(report))
    create_markdown_artifact(key="backup", markdown=text, description=report.name)
    if report.findings:
        raise RunError(f"backup {report.name} is made, of a damaged lake: {report.findings[0]}")
    return report
