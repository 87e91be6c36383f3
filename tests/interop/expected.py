"""What a run's own files say that an export must hold. Nothing here comes from the exporter."""

import json
import math
import tomllib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow.parquet


class Raw(str):
    """A number as it is written."""


@dataclass
class Expected:
    """A run, or one seed of several."""

    folder: Path
    seed: int | None
    experiment: str
    environment: dict
    config_text: str
    parameters: dict
    started: float
    ended: float
    # (name, step) -> (value, seconds since 1970)
    scalars: dict
    parts: list


def read(run: Path) -> Expected:
    """The run in a folder, with its seeds."""
    status = json.loads((run / "status.json").read_text())
    environment = json.loads((run / "environment.json").read_text())
    text = (run / "config.toml").read_text()
    started, ended = (seconds(status[key]) for key in ("started", "updated"))

    def one(folder: Path, seed: int | None) -> Expected:
        parameters = dict(flat(tomllib.loads(text)))
        if seed is not None:
            parameters.setdefault("seed", seed)
        scalars = {} if seed is None else epochs(run, seed, started)
        scalars |= finals(folder, seed, ended)
        return Expected(
            folder, seed, status["experiment"], environment, text, parameters, started, ended, scalars, []
        )

    if environment["seeds"] == 1:
        return one(run, environment["seed"])
    whole = one(run, None)
    seeds = [environment["seed"] + offset for offset in range(environment["seeds"])]
    whole.parameters["seeds"] = seeds
    whole.parts = [one(run / "seeds" / str(seed), seed) for seed in seeds]
    return whole


def seconds(text: str) -> float:
    """Seconds since 1970, to the millisecond below."""
    time = datetime.fromisoformat(text)
    return math.floor(round(time.timestamp() * 1e6) / 1e3) / 1e3


def flat(table: dict, before: str = ""):
    for key, value in table.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{key}.")
        else:
            yield before + key, value


def epochs(run: Path, seed: int, started: float) -> dict:
    found = {}
    path = run / "events.jsonl"
    for line in path.read_text().splitlines() if path.exists() else []:
        event = json.loads(line)
        time = event.pop("time", None)
        time = seconds(time) if isinstance(time, str) else started if time is None else math.floor(time * 1e3) / 1e3
        of, epoch = event.pop("seed", seed), event.pop("epoch", None)
        if of == seed and epoch is not None:
            for name, value in numbers("epoch", event):
                found[name, epoch] = (value, time)
    return found


def numbers(name: str, value):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers(f"{name}/{key}", inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from numbers(f"{name}/{index}", inner)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield name, float(value)


def finals(folder: Path, seed: int | None, ended: float) -> dict:
    rows = pyarrow.parquet.read_table(folder / "metrics.parquet").to_pylist()
    found, taken = {}, set()
    for row in rows:
        if not finite(row["value"]):
            continue
        base = name = name_of(row, seed, rows[0]["dataset"])
        number = 1
        while name in taken:
            number += 1
            name = f"{base}/{number}"
        taken.add(name)
        found[name, 0] = (row["value"], ended)
        for end in ("low", "high"):
            if finite(row[end]):
                found[f"{name}/{end}", 0] = (row[end], ended)
    return found


def finite(value) -> bool:
    return value is not None and math.isfinite(value)


def name_of(row: dict, seed: int | None, dataset: str) -> str:
    keys = ["split", "metric", "group", "site", "model", "strategy", "stage", "environment"]
    parts = [row[key] for key in keys]
    if row["head"] is not None:
        parts.append(f"head={row['head']}")
    if row["seed"] is not None and row["seed"] != seed:
        parts.append(f"seed={row['seed']}")
    if row["dataset"] != dataset:
        parts.append(f"dataset={row['dataset']}")
    if row["params"]:
        params = json.loads(row["params"], parse_int=Raw, parse_float=Raw)
        parts += [f"{key}={plain(params[key])}" for key in sorted(params)]
    return "/".join(part for part in parts if part)


def plain(value) -> str:
    return value if isinstance(value, str) else written(value)


def written(value) -> str:
    """JSON without blanks, numbers as they came."""
    if isinstance(value, Raw):
        return value
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{written(key)}:{written(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
