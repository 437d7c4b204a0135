"""Mixed load on `musenet serve`, with clients that are killed: latencies, leaks, stuck rows, and the end by SIGTERM.

    python tests/benchmarks/serving_load.py --lake DIR [--model champion] [--minutes 60] [--clients 6] [--seed 0]

The server is a process of its own. Clients compose, go on, infill and score, as streams and otherwise; a share of them
closes its connection at a random moment. Every half minute the load stops until nothing runs: then no row of the
decoder may be taken, and memory is measured. A request that is drawn twice must give the same bytes twice.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from flows.cli.running import TERMINATED

MUSENET = Path(sys.executable).with_name("musenet")
LEAVING = 0.25
"""Share of requests whose client goes before the answer."""
PAUSE_SECONDS = 30.0
"""Between the moments at which everything rests."""
SETTLED = 3
"""Rests after which memory has reached what it needs; growth is counted from there."""
START_SECONDS = 120.0
"""Longest wait for the model, which the server says why it cannot load."""
SEEDS = 12
"""Few, so that requests come again."""


class Load:
    """The clients, and what became of their requests."""

    def __init__(self, url: str, styles: list[str], seed: int) -> None:
        self.url, self.styles = url, styles
        self.random = random.Random(seed)
        self.outcomes: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.first: list[float] = []
        """Seconds to the first notes of a stream."""
        self.answers: dict[str, str] = {}
        """The first answer to each request that was complete, by its link."""
        self.lock = threading.Lock()
        self.may_ask = threading.Event()
        self.is_over = threading.Event()
        self.faults: list[str] = []

    def client(self) -> None:
        """Ask one request after the other until the load is over."""
        with httpx.Client(base_url=self.url, timeout=300, trust_env=False) as client:
            while not self.is_over.is_set():
                if not self.may_ask.wait(0.1):
                    continue
                with self.lock:
                    path, body = self._draw()
                    goes_after = self.random.expovariate(1.0) if self.random.random() < LEAVING else None
                try:
                    self._ask(client, path, body, goes_after)
                except httpx.ReadTimeout as error:
                    if goes_after is not None:
                        self._count("left")
                    else:
                        self._fault(f"{path}: {error!r}")
                except httpx.HTTPError as error:
                    self._fault(f"{path}: {error!r}")

    def _draw(self) -> tuple[str, dict[str, Any]]:
        chance = self.random
        body: dict[str, Any] = {
            "style": chance.choice(self.styles) if self.styles else None,
            "length": chance.choice([64, 200, 600]),
            "best_of": chance.choice([1, 2, 4]),
            "seed": chance.randrange(SEEDS),
            "stream": chance.random() < 0.5,
            "rank": "likelihood",
        }
        with_pieces = [*self.answers.values()]
        kind = chance.choice(["compose", "compose", "continue", "infill", "score"]) if with_pieces else "compose"
        if kind == "compose":
            return kind, body
        candidate = json.loads(chance.choice(with_pieces))["candidates"][0]
        if kind == "score":
            return kind, {"piece": candidate["midi"]}
        if kind == "continue":
            changes = {"seed": body["seed"], "best_of": body["best_of"]}
            return kind, {"node": candidate["node"], "at": 20, "changes": changes, "stream": body["stream"]}
        changes = {name: body[name] for name in ("best_of", "seed", "stream", "rank")}
        return kind, {"prompt": candidate["node"]["tokens"], "infill": "1s-3s", **changes}

    def _ask(self, client: httpx.Client, path: str, body: dict[str, Any], goes_after: float | None) -> None:
        begun, text, first = time.monotonic(), [], None
        with client.stream("POST", f"/v1/{path}", json=body, timeout=goes_after or 300) as answer:
            for part in answer.iter_text():
                text.append(part)
                if first is None and "event: notes" in part:
                    first = time.monotonic() - begun
                if goes_after is not None and time.monotonic() - begun > goes_after:
                    self._count("left")
                    return
        content = "".join(text)
        if body.get("stream") and answer.status_code == 200:
            content = content.rsplit("event: finished\ndata: ", 1)[-1].strip()
        self._keep(path, answer.status_code, content, time.monotonic() - begun, first)

    def _keep(self, path: str, status: int, content: str, seconds: float, first: float | None) -> None:
        if status in (429, 422):
            self._count(str(status))
            return
        found = json.loads(content) if content.startswith("{") else {}
        if status != 200 or not ({"candidates", "nats_per_note"} & found.keys()):
            self._fault(f"{path}: {status} {content[-300:]}")
            return
        self._count("answered")
        with self.lock:
            self.seconds.append(seconds)
            if first is not None:
                self.first.append(first)
        if found.get("link"):
            with self.lock:
                before = self.answers.setdefault(found["link"], content)
            if before != content:
                self._fault(f"{found['link']} gave other bytes")

    def _count(self, outcome: str) -> None:
        with self.lock:
            self.outcomes[outcome] += 1

    def _fault(self, what: str) -> None:
        with self.lock:
            self.faults.append(what)


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--lake", required=True)
    arguments.add_argument("--model", default="champion")
    arguments.add_argument("--minutes", type=float, default=60.0)
    arguments.add_argument("--clients", type=int, default=6)
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    command = [str(MUSENET), "serve", options.model, "--port", "0", "--lake", options.lake]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        if found is None:
            sys.exit("the server did not start")
        faults = _measure(found[0], server, options)
    sys.exit("\n".join(faults) if faults else 0)


def _measure(url: str, server: subprocess.Popen[str], options: argparse.Namespace) -> list[str]:
    latest = time.monotonic() + START_SECONDS
    while httpx.get(f"{url}/readyz", trust_env=False).status_code != 200:
        if time.monotonic() > latest:
            server.terminate()
            return [f"the model is not ready after {START_SECONDS:g} s"]
        time.sleep(0.1)
    (model,) = httpx.get(f"{url}/v1/models", trust_env=False).json()["models"]
    load = Load(url, model["styles"], options.seed)
    clients = [threading.Thread(target=load.client) for _ in range(options.clients)]
    for client in clients:
        client.start()
    process, memory = psutil.Process(server.pid), []
    ends = time.monotonic() + 60 * options.minutes
    while time.monotonic() < ends:
        load.may_ask.set()
        time.sleep(min(PAUSE_SECONDS, max(ends - time.monotonic(), 0.1)))
        load.may_ask.clear()
        _rest(url, load)
        memory.append(process.memory_info().rss / 2**20)
        print(f"{memory[-1]:.0f} MiB, {process.num_threads()} threads, {dict(load.outcomes)}", flush=True)
    load.may_ask.set()
    time.sleep(1.0)
    begun = time.monotonic()
    server.send_signal(signal.SIGTERM)
    load.is_over.set()
    server.wait()
    drained = time.monotonic() - begun
    for client in clients:
        client.join()
    seconds = np.array(load.seconds)
    print(f"answers: median {np.median(seconds):.2f} s, 95 % within {np.quantile(seconds, 0.95):.2f} s")
    if load.first:
        print(f"first notes of a stream: median {np.median(load.first):.2f} s")
    grown = memory[-1] - memory[min(SETTLED, len(memory)) - 1]
    print(f"memory: {memory[-1]:.0f} MiB, {grown:+.0f} MiB since rest {min(SETTLED, len(memory))} of {len(memory)}")
    print(f"SIGTERM: ended after {drained:.1f} s")
    # What is asked while the server ends, and what it cannot finish within its time then, is refused.
    ended = ("Connect", " 503 ", "the server is shutting down")
    faults = [fault for fault in load.faults if not any(words in fault for words in ended)]
    print(f"refused while it ended: {len(load.faults) - len(faults)}")
    if server.returncode != TERMINATED:
        faults.append(f"the server ended with status {server.returncode}")
    return faults + ([f"draining took {drained:.1f} s"] if drained > 10 else [])


def _rest(url: str, load: Load) -> None:
    """Wait until nothing runs; a row that stays taken is a fault."""
    for _ in range(1200):
        figures = httpx.get(f"{url}/metrics", trust_env=False).text
        if "musenet_requests_running 0.0" in figures and "musenet_requests_queued 0.0" in figures:
            if "musenet_decoder_rows 0.0" not in figures:
                load.faults.append("rows are taken while nothing runs")
            return
        time.sleep(0.1)
    load.faults.append("requests run two minutes after their clients have their answers or have gone")


if __name__ == "__main__":
    main()
