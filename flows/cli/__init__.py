"""The `musenet` command.

Each command imports what it runs when it runs, so that help appears at once.
"""

from __future__ import annotations

import signal
import sys

import click

from flows.cli import (
    backup,
    datasets,
    deployments,
    doctor,
    evaluate,
    export,
    ingest,
    judging,
    models,
    openings,
    originality,
    pictures,
    promotion,
    quarantine,
    retention,
    sampling,
    serve,
    servers,
    starter,
    studio,
    sweep,
    tokens,
    upgrade,
    versions,
)
from flows.cli.running import TERMINATED


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="musenet")
def musenet() -> None:
    """MuseNet as a data platform: MIDI collections in, registered models out, music at the end."""


for command in (
    *(ingest.ingest, datasets.datasets, datasets.why, datasets.families, quarantine.quarantine, export.export),
    *(models.train, sweep.sweep, models.critic, models.register, sampling.sample),
    *(evaluate.evaluate, models.demo, models.runs, versions.models, starter.starter),
    *(
        tokens.encode,
        tokens.decode,
        originality.originality,
        judging.judge,
        openings.openings,
        pictures.roll,
        pictures.layouts,
    ),
    *(serve.serve, studio.studio, servers.up, servers.down, servers.status, servers.open_page),
    *(deployments.deploy, deployments.worker, doctor.doctor, retention.gc),
    *(backup.backup, backup.restore, upgrade.upgrade),
):
    musenet.add_command(command)
for command in (promotion.compare, promotion.promote, promotion.rollback, promotion.gate_command):
    versions.models.add_command(command)


def main() -> None:
    """Run the console script."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(TERMINATED))
    musenet()
