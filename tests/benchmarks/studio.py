"""The studio in Chromium: how soon it sounds, how fast completions grow, and how smoothly a long piece is drawn.

    python tests/benchmarks/studio.py --lake DIR [--model champion] [--times 5] [--notes 20000]

The lake has a model and, of `musenet studio --prepare 1`, samples. The server is a process of its own and the browser
has no window; what is heard is measured at the output of the page's audio. Bars: sound three seconds after the page is
opened (a sample is clicked once it is there), one second after Compose is pressed, and completions that grow at least
as fast as they play.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

Result = TypeVar("Result")
MUSENET = Path(sys.executable).with_name("musenet")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--mute-audio"]
OPENED, PRESSED, FRAME = 3.0, 1.0, 1 / 30
"""Seconds: from opening to sound, from Compose to the first note, and of a frame."""
COMPLETIONS, SECONDS = 4, 20
PATIENCE = 120_000
LISTEN = """
globalThis.heard = [];
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (to, ...rest) {
  if (to === this.context.destination) {
    const meter = new AnalyserNode(this.context);
    const samples = new Float32Array(meter.fftSize);
    connect.call(this, meter);
    setInterval(() => {
      meter.getFloatTimeDomainData(samples);
      if (samples.some((sample) => Math.abs(sample) > 1e-4)) globalThis.heard.push(performance.now());
    }, 10);
  }
  return connect.call(this, to, ...rest);
};
"""
"""Keeps the milliseconds at which the page is heard."""
PRESS = """
async (button) => {
  await new Promise((resolve) => setTimeout(resolve, 300));
  const begun = performance.now();
  const seen = () => /roll of [1-9]/.test(document.querySelector("main canvas[role=img]")?.ariaLabel ?? "");
  const growing = () => document.querySelector(".stage progress") !== null;
  button.click();
  const until = async (what) => {
    while (!what()) await new Promise((resolve) => setTimeout(resolve, 5));
    return (performance.now() - begun) / 1000;
  };
  const first = await until(() => growing() && seen());
  const finished = await until(() => !growing());
  const sound = globalThis.heard.find((at) => at > begun);
  return { first, finished, sound: sound === undefined ? null : (sound - begun) / 1000 };
}
"""
"""Presses a button that composes; seconds to the first note on the screen, to the first sound, and to the end."""
FRAMES = """
async () => {
  const view = document.querySelector(".roll-view");
  const seconds = [];
  let last = performance.now();
  for (let frame = 0; frame < 60; frame++) {
    view.scrollLeft += 40;
    const now = await new Promise((resolve) => requestAnimationFrame(resolve));
    seconds.push((now - last) / 1000);
    last = now;
  }
  return seconds.slice(5);
}
"""
"""Scrolls the roll; seconds of each frame."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--lake", required=True)
    arguments.add_argument("--model", default="champion")
    arguments.add_argument("--times", type=int, default=5)
    arguments.add_argument("--notes", type=int, default=20_000)
    options = arguments.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    command = [str(MUSENET), "studio", options.model, "--no-browser", "--port", "0", "--lake", options.lake]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            met = _measured(_address(server), options.times, options.notes)
        finally:
            server.terminate()
    sys.exit(0 if met else 1)


def _address(server: subprocess.Popen[str]) -> str:
    """Return the server's address once it is ready."""
    assert server.stdout is not None
    found = re.search(r"http://\S+", server.stdout.readline())
    if found is None:
        sys.exit("the server did not start")
    url = found[0].rstrip("/")
    while (status := httpx.get(f"{url}/readyz", trust_env=False).json()["status"]) != "ready":
        if status == "failed":
            sys.exit("the server cannot load its model")
        time.sleep(0.1)
    return url


def _measured(url: str, times: int, notes: int) -> bool:
    """Measure in a browser; return True if all bars are met."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        met = _measure(browser, url, times, notes)
        browser.close()
    return met


def _measure(browser: Browser, url: str, times: int, notes: int) -> bool:
    opened = [_on_page(browser, url, "", _seconds_to_sound) for _ in range(times)]
    heard = [_on_page(browser, url, "", _compose_and_listen) for _ in range(times)]
    four = [_on_page(browser, url, "compose", _compose_completions) for _ in range(times)]
    sound = [each["sound"] for each in heard]
    frames = _on_page(browser, url, "compose", lambda page: _frames(page, notes))
    pace = [SECONDS / each["finished"] for each in four]
    return all(
        [
            _shown("sound after opening", opened, "s", OPENED),
            _shown(
                "first note on the screen after Compose, one completion",
                [each["first"] for each in heard],
                "s",
                PRESSED,
            ),
            _shown("sound after Compose, one completion", sound, "s", PRESSED),
            _shown(
                f"first note on the screen after Compose, {COMPLETIONS}", [each["first"] for each in four], "s", PRESSED
            ),
            _shown(f"composing over playing, {COMPLETIONS} completions", [1 / each for each in pace], "", 1.0),
            _shown(f"a frame of scrolling through {notes:,} notes", frames, "s", FRAME),
        ]
    )


def _shown(what: str, found: list[float], unit: str, most: float) -> bool:
    """Print the median and the worst of some figures; return True if the median is within the bar."""
    median = float(np.median(found))
    print(f"{what}: median {median:.3f} {unit}, worst {max(found):.3f}; bar {most:.3f}", flush=True)
    return median <= most


def _on_page(browser: Browser, url: str, view: str, do: Callable[[Page], Result]) -> Result:
    """Open the page in a browser without memory, and do something there."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE)
    context.add_init_script(LISTEN)
    page = context.new_page()
    page.goto(f"{url}/#/{view}")
    page.locator("main h1").first.wait_for(state="attached")
    try:
        return do(page)
    finally:
        context.close()


def _seconds_to_sound(page: Page) -> float:
    page.locator("button.sample").first.click()
    page.wait_for_function("() => globalThis.heard.length > 0", polling=10)
    return float(page.evaluate("globalThis.heard[0]")) / 1000


def _ready(page: Page, seconds: int) -> None:
    """Wait for the instruments, and set the length."""
    page.mouse.click(5, 5)
    page.wait_for_load_state("networkidle")
    length = page.get_by_role("slider", name="Length")
    if length.count() > 0:
        length.evaluate(
            "(slider, to) => { slider.value = to; slider.dispatchEvent(new Event('input', {bubbles: true})) }", seconds
        )


def _compose_and_listen(page: Page) -> dict[str, Any]:
    _ready(page, SECONDS)
    found: dict[str, Any] = page.get_by_role("button", name="Compose").evaluate(PRESS)
    return found


def _compose_completions(page: Page) -> dict[str, Any]:
    _ready(page, SECONDS)
    found: dict[str, Any] = page.get_by_role("button", name=f"Compose {COMPLETIONS} completions").evaluate(PRESS)
    return found


def _frames(page: Page, notes: int) -> list[float]:
    """Open a project with a piece of so many notes, zoom in, and scroll."""
    page.locator("input[type=file][accept*=json]").set_input_files(
        {"name": "long.musenet.json", "mimeType": "application/json", "buffer": json.dumps(_project(notes)).encode()}
    )
    page.get_by_role("heading", name="long").wait_for()
    for _ in range(4):
        page.get_by_role("button", name="Zoom in").click()
    found: list[float] = page.evaluate(FRAMES)
    return found


def _project(count: int) -> dict[str, Any]:
    """Return a project with one piece: scales on two instruments, eight notes at a time."""
    rows = [(at // 8 * 0.1, 0.4, 36 + (at * 7) % 48, 40 + at % 80, ("piano", "violin")[at % 2]) for at in range(count)]
    seconds = rows[-1][0] + 0.4
    candidate: dict[str, Any] = {
        "number": 0,
        "name": "long",
        "score": None,
        "seconds": seconds,
        "has_ended": True,
        "instruments": [],
    }
    piece = {
        "id": "long",
        "parent": None,
        "batch": "long",
        "title": "long",
        "origin": "shared",
        "digest": "",
        "link": None,
        "model": {"name": "", "version": None, "digest": "", "dataset": "", "run": ""},
        "posted": None,
        "kept": 0,
        "infilled": None,
        "candidate": {**candidate, "notes": rows, "midi": "", "node": {"tokens": ""}},
        "made": 0,
    }
    return {
        "format": "musenet-studio",
        "version": 1,
        "name": "long",
        "current": "long",
        "settings": {},
        "pieces": [piece],
    }


if __name__ == "__main__":
    main()
