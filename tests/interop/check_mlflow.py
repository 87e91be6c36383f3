"""Starts an MLflow server, exports a run into it twice, and compares what MLflow's client reads with the run's files.

python check_mlflow.py RUN COMMAND...

COMMAND is what runs `disentangle`; `export --run RUN --mlflow URI` is put behind it.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from pathlib import Path

import expected

# Before MLflow is imported.
os.environ |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}

from mlflow.tracking import MlflowClient  # noqa: E402

# The server needs this long on a slow machine with a cold disk.
MOST_SECONDS = 180
# Of metrics with one value, of every so many-th the step and the time are compared as well.
SAMPLED = 20


def fail(sentence: str):
    sys.exit(f"check_mlflow: {sentence}")


def same(what: str, found, wanted):
    if found != wanted:
        fail(f"{what}: found {found!r}, expected {wanted!r}")


def start(folder: Path) -> tuple[subprocess.Popen, str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--serve-artifacts", "--artifacts-destination", str(folder / "artifacts")]
    log = (folder / "server.log").open("wb")
    server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder, start_new_session=True)
    return server, f"http://127.0.0.1:{port}"


def wait(server: subprocess.Popen, uri: str, folder: Path):
    end = time.monotonic() + MOST_SECONDS
    while time.monotonic() < end:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    fail(f"the server did not start: {(folder / 'server.log').read_text()[-2000:]}")


def names(ours) -> dict:
    """MLflow's name for each of ours."""
    found, taken = {}, set()
    for name in ours:
        if name in found:
            continue
        parts = re.sub(r"[^A-Za-z0-9_\-. /]", "_", name)[:240].split("/")
        base = one = "/".join("_" if part in (".", "..") else part for part in parts if part) or "_"
        number = 1
        while one in taken:
            number += 1
            one = f"{base}_{number}"
        taken.add(one)
        found[name] = one
    return found


def check(run: expected.Expected, found, client: MlflowClient, parent: str | None) -> int:
    same("status", found.info.status, "FINISHED")
    times = (round(run.started * 1000), round(run.ended * 1000))
    same("times", (found.info.start_time, found.info.end_time), times)
    check_metrics(run, found, client)
    check_parameters(run, found.data.params)
    check_tags(run, found.data.tags, parent)
    check_artifacts(run, found.info.run_id, client)
    return len(run.scalars)


def check_metrics(run: expected.Expected, found, client: MlflowClient):
    name_of = names(name for name, _ in run.scalars)
    same("names of metrics", set(found.data.metrics), set(name_of.values()))
    points = defaultdict(list)
    for (name, step), (value, when) in run.scalars.items():
        points[name].append((step, value, round(when * 1000)))
    for number, (name, key) in enumerate(name_of.items()):
        wanted = sorted(points[name])
        same(f"last value of metric {name}", found.data.metrics[key], wanted[-1][1])
        # A history is a request of its own, and there are thousands of metrics with one value.
        if len(wanted) > 1 or number % SAMPLED == 0:
            history = client.get_metric_history(found.info.run_id, key)
            same(f"metric {name}", sorted((one.step, one.value, one.timestamp) for one in history), wanted)


def check_parameters(run: expected.Expected, params: dict):
    name_of = names(sorted(run.parameters))
    same("names of parameters", set(params), set(name_of.values()))
    for name, value in run.parameters.items():
        shown = params[name_of[name]]
        if isinstance(value, bool):
            same(f"parameter {name}", shown, str(value).lower())
        elif isinstance(value, float):
            same(f"parameter {name}", float(shown), value)
        elif isinstance(value, list):
            same(f"parameter {name}", expected.json.loads(shown), value)
        else:
            same(f"parameter {name}", shown, str(value)[:6000])


def check_tags(run: expected.Expected, tags: dict, parent: str | None):
    wanted = {f"disentangle.{key}": value for key, value in run.environment.items() if key not in ("seed", "seeds")}
    wanted = {key: plain(value) for key, value in wanted.items() if value is not None}
    wanted["disentangle.experiment"] = run.experiment
    folder = run.folder.parent.parent if parent else run.folder
    wanted["disentangle.folder"] = str(folder.resolve())
    wanted["mlflow.source.name"] = "disentangle"
    if run.seed is not None:
        wanted["disentangle.seed"] = str(run.seed)
    if run.environment["git_revision"] is not None:
        wanted["mlflow.source.git.commit"] = run.environment["git_revision"]
    if parent is not None:
        wanted["mlflow.parentRunId"] = parent
    for key, value in wanted.items():
        same(f"tag {key}", tags.get(key), value)
    if not re.fullmatch("[0-9a-f]{32}", tags.get("disentangle.run", "")):
        fail(f"tag disentangle.run: found {tags.get('disentangle.run')!r}, expected 32 hexadecimal digits")


def plain(value) -> str:
    return value if isinstance(value, str) else expected.json.dumps(value)


def check_artifacts(run: expected.Expected, run_id: str, client: MlflowClient):
    wanted = [run.folder / name for name in ("report.html", "metrics.json")]
    wanted += sorted((run.folder / "figures").iterdir())
    wanted = {str(path.relative_to(run.folder)): path.read_bytes() for path in wanted}

    def walk(path=None):
        for entry in client.list_artifacts(run_id, path):
            if entry.is_dir:
                yield from walk(entry.path)
            else:
                yield entry.path

    same("artifacts", sorted(walk()), sorted(wanted))
    with tempfile.TemporaryDirectory() as folder:
        for name, content in wanted.items():
            found = Path(client.download_artifacts(run_id, name, folder)).read_bytes()
            if found != content:
                fail(f"artifact {name}: {len(found)} bytes differ from the {len(content)} of the file")


def compare(run: expected.Expected, uri: str) -> int:
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(f"disentangle/{run.experiment}")
    if experiment is None:
        fail(f"there is no experiment disentangle/{run.experiment}")
    found = {one.info.run_name: one for one in client.search_runs([experiment.experiment_id])}
    name = run.folder.resolve().name
    same("runs", set(found), {name, *(f"seed-{part.seed}" for part in run.parts)})
    count = check(run, found[name], client, None)
    for part in run.parts:
        count += check(part, found[f"seed-{part.seed}"], client, found[name].info.run_id)
    return count


def main():
    if len(sys.argv) < 3:
        fail("expected RUN and COMMAND")
    run, command = expected.read(Path(sys.argv[1])), sys.argv[2:]
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        server, uri = start(folder)
        try:
            wait(server, uri, folder)
            for _ in range(2):
                # The second time, nothing may be there twice.
                done = subprocess.run(
                    [*command, "export", "--run", sys.argv[1], "--mlflow", uri], capture_output=True, text=True
                )
                if done.returncode != 0:
                    fail(f"the export failed: {done.stderr[-2000:]}")
                same("words of the export", f"mlflow: 1 run(s); {uri}/#/experiments/" in done.stdout, True)
                count = compare(run, uri)
        finally:
            # The server's workers are in a session of their own.
            os.killpg(server.pid, 15)
            server.wait()
    print(f"check_mlflow: {count} metrics of {1 + len(run.parts)} run(s) are as in {sys.argv[1]}")


main()
