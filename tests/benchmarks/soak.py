"""Kills at random moments, over all flows, on a server with a worker: no orphan, no leaked slot, no lost version.

    python tests/benchmarks/soak.py [--kills 24] [--seed 0] [--lake DIR] [--only FLOW] [--json FILE]

Each kill, by −9 or SIGTERM, hits a flow's process, a process that it has started (a worker of its engine, a guard, a
rank), the worker that runs it, or a server, at a moment drawn from the length of the run before; a worker or server is
started again seconds later. Then the flow run must end in Prefect within the time of four heartbeats, or of
UNBEGUN_SECONDS if it had not begun, and its run in MLflow, no process may be left, and the same parameters must be
completed. In the end no slot is held once leases have run out, and a backup finds every dataset and model version as it
was published. `--lake` keeps the lake, for further kills. Exit status 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psutil
from soak_flows import FIRST_FILES, FLOWS, NAME, Place
from soak_site import ENDED, SERVERS, Site, wait_for

from flows.backup.parameters import BackupParameters
from flows.backup.taking import back_up
from infra.lake import Lake
from infra.processes import still_runs
from infra.services import library_settings
from infra.services.liveness import SILENT_SECONDS, UNBEGUN_SECONDS
from infra.services.slots import LEASE_SECONDS, ingestion_limit

LONGEST_SECONDS = 600.0
"""For a flow run that nothing disturbs."""
GRACE_SECONDS = 60.0
"""Time in which processes end, and what runs every so often on the server comes to act."""
DOWN_SECONDS = (1.0, 8.0)
"""Time that a killed worker or server is away."""
PREPARATION = ("ingest", "train", "critic", "register")
WHO = ("flow", "child", "flow", "worker", "child", "prefect", "mlflow")
"""Whom the kills hit, in turn; a child is a process that the flow has started."""
STARTED_AGAIN = ("worker", *SERVERS)
WITHOUT_CHILDREN = ("register", "promote", "sample", "evaluate", "backup", "gc")


class Wrong(Exception):
    """Something that must not happen has happened."""


@dataclass(frozen=True)
class Outcome:
    """One kill."""

    flow: str
    who: str
    signal: str
    after: float
    """Seconds from the flow's start."""
    became: str
    """The state in which the flow run ended."""
    took: float
    """Seconds until it did."""
    mended: str
    """What had to be started again."""
    fault: str | None


class Soak:
    """The trials on one site."""

    def __init__(self, site: Site, place: Place, chance: random.Random) -> None:
        self.site, self.place, self.chance = site, place, chance
        self.numbers = count(int(time.time()) % 1_000_000)  # other ones than those of earlier soaks of the lake
        self.versions: set[str] = set()
        """All that have been published and registered so far."""
        self.seconds: dict[str, float] = {}
        """Of the last run that nothing disturbed, by flow."""

    def prepare(self, flows: list[str]) -> None:
        """Make what flows need; each needs those before it in their order."""
        if not (self.place.lake.root / "datasets" / NAME).exists():
            for number in range(FIRST_FILES):
                self.place.drop(number)
        order = [*FLOWS]
        last = max(order.index(flow) for flow in flows)
        for flow in (each for each in PREPARATION if order.index(each) <= last):
            self.complete(flow, FLOWS[flow](self.place, next(self.numbers)))
        self.site.widen(ingestion_limit(NAME))
        self.versions = versions_of(self.place.lake)

    def complete(self, flow: str, parameters: dict[str, Any]) -> None:
        """Run a flow; raises Wrong unless it is completed."""
        run = self.site.begin(flow, parameters)
        self.site.process(run)
        begun = time.monotonic()
        wait_for(lambda: self.site.state(run) in ENDED, LONGEST_SECONDS)
        self.seconds[flow] = time.monotonic() - begun
        if (state := self.site.state(run)) != "COMPLETED":
            raise Wrong(f"{flow}, undisturbed, is {state}: {self.site.api.get(f'flow_runs/{run}')['state']['message']}")

    def kill(self, flow: str, who: str, number: signal.Signals) -> Outcome | None:
        """Kill something in a run of a flow; None where the run had ended before."""
        parameters = FLOWS[flow](self.place, next(self.numbers))
        run = self.site.begin(flow, parameters)
        process = self.site.process(run)
        if process is None:
            return None
        after = self.chance.uniform(0, self.seconds.get(flow, 10.0))
        time.sleep(after)
        victim = self.site.victim(who, process)
        if victim is None or self.site.state(run) in ENDED:
            return None
        try:
            victim.send_signal(number)
        except psutil.NoSuchProcess:  # it ended in this moment
            return None
        begun = time.monotonic()
        became, took, mended, fault = "", 0.0, "", None
        try:
            if who in STARTED_AGAIN:
                self.gone(who, victim)
                time.sleep(self.chance.uniform(*DOWN_SECONDS))
            mended = self.site.mend()
            became = self.ended(run, self.seconds.get(flow, 10.0))
            took = time.monotonic() - begun
            mended = mended or self.site.mend()
            self.nothing_left()
            self.complete(flow, parameters)
            self.nothing_lost()
        except Wrong as error:
            fault = str(error)
        return Outcome(flow, who, number.name, after, became, took, mended, fault)

    def gone(self, who: str, victim: psutil.Process) -> None:
        """Wait for the end of a worker or server: one that got SIGTERM ends what it is at."""
        if not wait_for(lambda: not still_runs(victim), GRACE_SECONDS):
            raise Wrong(f"the {who} is still there {GRACE_SECONDS:.0f} s after its signal")

    def ended(self, run: str, usual: float) -> str:
        """Wait for the end of a flow run, in Prefect."""
        longest = usual + SILENT_SECONDS + GRACE_SECONDS
        has_ended = wait_for(lambda: self.site.state(run) in ENDED, longest)
        if not has_ended and self.site.state(run) == "PENDING":  # its worker had taken it, and it had not begun
            has_ended = wait_for(lambda: self.site.state(run) in ENDED, UNBEGUN_SECONDS)
        if not has_ended:
            raise Wrong(f"its flow run is {self.site.state(run) or 'unknown'} after {longest:.0f} s")
        return self.site.state(run)

    def nothing_left(self) -> None:
        """Raises Wrong for orphans, and runs that Prefect or MLflow takes for unfinished."""
        if not wait_for(lambda: not any(self.site.processes()), GRACE_SECONDS):
            left = [described(each) for each in self.site.processes()]
            raise Wrong(f"still there after {GRACE_SECONDS:.0f} s: {left}")
        if not wait_for(lambda: not self.site.unfinished(), UNBEGUN_SECONDS + GRACE_SECONDS):
            raise Wrong(f"Prefect takes for unfinished: {self.site.unfinished()}")
        if not wait_for(lambda: not running_in_mlflow(self.site.lake), SILENT_SECONDS + GRACE_SECONDS):
            raise Wrong(f"MLflow takes for running: {running_in_mlflow(self.site.lake)}")

    def nothing_lost(self) -> None:
        """Raises Wrong for versions that are gone."""
        now = versions_of(self.place.lake)
        if lost := self.versions - now:
            raise Wrong(f"lost: {sorted(lost)}")
        self.versions = now

    def faults(self) -> Iterator[str]:
        """Yield what is wrong in the end."""
        if not wait_for(lambda: not self.site.slots(), LEASE_SECONDS + 2 * GRACE_SECONDS):
            yield f"slots are held: {self.site.slots()}"
        yield from (f"{run} is unfinished" for run in self.site.unfinished())
        report = back_up(BackupParameters(to=self.place.folder / "last", lake=self.place.lake.address))
        yield from report.findings


def versions_of(lake: Lake) -> set[str]:
    """Return the dataset versions and model versions of a lake."""
    from registry.models import list_models
    from registry.store import Registry

    datasets = {str(file.parent) for file in (lake.root / "datasets").glob("*/*/dataset.json")}
    return datasets | {f"version {model.version}" for model in list_models(Registry.open(lake))}


def running_in_mlflow(lake: Lake) -> list[str]:
    """Return the names of the runs that MLflow takes for running."""
    from registry.store import Registry

    registry = Registry.open(lake)
    running = "attributes.status = 'RUNNING'"
    return [run.info.run_name for run in registry.client.search_runs([registry.experiment_id], filter_string=running)]


def described(process: psutil.Process) -> str:
    """Say what a process is, which its parent is, and what it does."""
    try:
        with process.oneshot():
            words = " ".join(process.cmdline()[:4])
            return f"{process.pid} of {process.ppid()}, {process.status()}, {process.num_threads()} threads: {words}"
    except psutil.Error:
        return str(process.pid)


def plan(kills: int, flows: list[str], chance: random.Random) -> Iterator[tuple[str, str, signal.Signals]]:
    """Yield flow, victim and signal of so many kills; all flows in turn."""
    for number in range(kills):
        flow, who = flows[number % len(flows)], WHO[number % len(WHO)]
        who = "flow" if who == "child" and flow in WITHOUT_CHILDREN else who
        yield flow, who, chance.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lake", type=Path, help="a folder that keeps the lake")
    parser.add_argument("--only", choices=FLOWS, metavar="FLOW")
    parser.add_argument("--json", type=Path, help="also write the outcomes to this file")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # servers and worker end with it
    chance, outcomes = random.Random(options.seed), []
    with tempfile.TemporaryDirectory(prefix="musenet-soak-") as scratch:
        folder = (options.lake or Path(scratch)).resolve()
        place = Place(Lake(folder / "lake"), folder)
        with library_settings(place.lake), Site(place.lake) as site:
            soak = Soak(site, place, chance)
            flows = [flow for flow in FLOWS if options.only in (None, flow)]
            soak.prepare(flows)
            for flow, who, number in plan(options.kills, flows, chance):
                outcome = soak.kill(flow, who, number)
                if outcome is None:
                    print(f"{flow:16} had ended before", flush=True)
                    continue
                outcomes.append(outcome)
                result = f"{outcome.became} after {outcome.took:.1f} s" if outcome.fault is None else outcome.fault
                again = f" ({outcome.mended} started again)" if outcome.mended else ""
                print(f"{flow:16} {who:8} {number.name} at {outcome.after:5.1f} s: {result}{again}", flush=True)
            faults = [*soak.faults()]
    print("\n".join(faults))
    wrong = sum(outcome.fault is not None for outcome in outcomes) + len(faults)
    print(f"{len(outcomes)} kills, {wrong} things wrong")
    if options.json:
        options.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
