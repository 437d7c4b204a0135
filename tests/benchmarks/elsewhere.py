"""A registered version in an environment of its own: installed from its requirements, loaded far from the checkout.

    python tests/benchmarks/elsewhere.py --lake LAKE [--model champion]

The version's folder is copied to a temporary folder beside a new virtual environment, in which pip installs its
`requirements.txt` from the configured index. There MLflow loads it and makes a piece; then its scoring server answers a
request, and refuses one with an unknown parameter. Exit status 1 if any of this fails, or if a module of this checkout
was used. Takes minutes, most of them for the installation.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from infra.lake import Lake
from infra.services import library_settings
from infra.services.health import free_port

LOAD = """
import sys, mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
rows = pd.DataFrame({"style": [""], "instruments": ["piano"]})
answer = model.predict(rows, params={"length": 64, "best_of": 1, "rank": "none"})
import modeling, registry
print(len(answer["tokens"][0].split()), "tokens by", registry.__path__[0], modeling.__path__[0])
"""
START_SECONDS, ANSWER_SECONDS = 120, 120


def pulled(lake: Lake, model: str, folder: Path) -> Path:
    """Copy a version's folder."""
    with library_settings(lake):
        from registry.loading import find_registered
        from registry.pulling import pull_version

        return Path(shutil.copytree(pull_version(*find_registered(model, lake)), folder / "version"))


def install(folder: Path, version: Path) -> Path:
    """Make the environment; return its interpreter."""
    python = folder / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    subprocess.run(
        [str(python), "-m", "pip", "install", "-q", "--no-compile", "-r", str(version / "requirements.txt")], check=True
    )
    return python


def post(url: str, params: dict[str, object]) -> tuple[int, str]:
    """Send a request to the scoring server; return status and body."""
    body = {"dataframe_records": [{"style": "", "instruments": "piano"}], "params": params}
    request = urllib.request.Request(
        f"{url}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def served(python: Path, version: Path, environment: dict[str, str]) -> list[str]:
    """Ask MLflow's scoring server; return what went wrong."""
    url = f"http://127.0.0.1:{free_port(0)}"
    command = [python, "-m", "mlflow", "models", "serve", "-m", version, "--env-manager", "local", "-p", url[-5:]]
    server = subprocess.Popen([str(word) for word in command], env=environment, cwd=version.parent)
    try:
        ends = time.monotonic() + START_SECONDS
        while time.monotonic() < ends:
            try:
                urllib.request.urlopen(f"{url}/ping", timeout=2)
                break
            except OSError:
                time.sleep(0.5)
        short = {"length": 64, "best_of": 1, "rank": "none"}
        status, body = post(url, short)
        refused, why = post(url, {**short, "temprature": 0.5})
    finally:
        server.terminate()
        server.wait(30)
    print(f"a request: {status}; an unknown parameter: {refused} {why[:160]}")
    problems = [] if status == 200 and "midi_base64" in body else [f"a request is answered with {status}: {body}"]
    return problems + ([] if refused == 400 and "temprature" in why else [f"not refused: {refused} {why}"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", type=Path, required=True)
    parser.add_argument("--model", default="champion")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="musenet-elsewhere-") as name:
        folder = Path(name)
        version = pulled(Lake.at(arguments.lake), arguments.model, folder)
        begun = time.monotonic()
        python = install(folder, version)
        print(f"installed in {time.monotonic() - begun:.0f} s")
        environment = {"PATH": f"{python.parent}:{os.defpath}", "HOME": name, "MLFLOW_DISABLE_TELEMETRY": "true"}
        begun = time.monotonic()
        done = subprocess.run(
            [str(python), "-c", LOAD, str(version)], env=environment, cwd=folder, capture_output=True, text=True
        )
        print(f"loaded and composed in {time.monotonic() - begun:.0f} s: {done.stdout.strip()}")
        if done.returncode or done.stdout.count(str(version / "code")) != 2:
            print(done.stderr, file=sys.stderr)
            return 1
        problems = served(python, version, environment)
    for problem in problems:
        print(problem, file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
