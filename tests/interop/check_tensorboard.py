"""Reads an event file with TensorBoard's own package, and compares all of it with the run's files.

python check_tensorboard.py RUN EVENTS

EVENTS is what `disentangle export --run RUN --tensorboard DIR` wrote: DIR/<the run's name>.
"""

import sys
from pathlib import Path

import numpy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto import event_pb2
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.summary.writer.record_writer import masked_crc32c

import expected


def fail(sentence: str):
    sys.exit(f"check_tensorboard: {sentence}")


def same(what: str, found, wanted):
    if found != wanted:
        fail(f"{what}: found {found!r}, expected {wanted!r}")


def check(run: expected.Expected, folder: Path):
    files = [path for path in folder.iterdir() if path.is_file()]
    same(f"files in {folder}", len(files), 1)
    host = run.environment["host"]
    beginning = f"events.out.tfevents.{int(run.started // 1)}."
    if not files[0].name.startswith(beginning) or not files[0].name.endswith(".disentangle"):
        fail(f"file {files[0].name}: expected {beginning}<host {host}>.disentangle")
    frames(files[0])

    events = EventAccumulator(str(files[0]), size_guidance=dict.fromkeys(("scalars", "tensors"), 0))
    events.Reload()
    same("file version", events.file_version, 2.0)
    found = {
        (tag, event.step): (event.value, event.wall_time)
        for tag in events.Tags()["scalars"]
        for event in events.Scalars(tag)
    }
    with numpy.errstate(over="ignore"):
        wanted = {key: (float(numpy.float32(value)), time) for key, (value, time) in run.scalars.items()}
    wanted = {key: of for key, of in wanted.items() if numpy.isfinite(of[0])}
    for key in sorted(found.keys() | wanted.keys()):
        same(f"{folder}: scalar {key}", found.get(key), wanted.get(key))

    session = run.seed is not None
    tags = {"config"} | ({metadata.SESSION_START_INFO_TAG, metadata.SESSION_END_INFO_TAG} if session else set())
    same("tensors", set(events.Tags()["tensors"]), tags)
    [config] = events.Tensors("config")
    same("configuration", config.tensor_proto.string_val[0].decode(), f"```\n{run.config_text}```\n")
    same("plugin of the configuration", events.SummaryMetadata("config").plugin_data.plugin_name, "text")
    if session:
        hyperparameters(run, events)
    return len(found)


def frames(path: Path):
    """Every length and every checksum, which the accumulator skips over where they are wrong."""
    content, place, count = path.read_bytes(), 0, 0
    while place < len(content):
        head = content[place : place + 8]
        length = int.from_bytes(head, "little")
        data = content[place + 12 : place + 12 + length]
        sums = content[place + 8 : place + 12] + content[place + 12 + length : place + 16 + length]
        wanted = b"".join(masked_crc32c(part).to_bytes(4, "little") for part in (head, data))
        same(f"checksums of record {count} in {path}", sums, wanted)
        event_pb2.Event.FromString(data)
        place, count = place + 16 + length, count + 1


def hyperparameters(run: expected.Expected, events: EventAccumulator):
    def content(tag):
        return events.SummaryMetadata(tag).plugin_data.content

    start = metadata.parse_session_start_info_plugin_data(content(metadata.SESSION_START_INFO_TAG))
    end = metadata.parse_session_end_info_plugin_data(content(metadata.SESSION_END_INFO_TAG))
    same("start of the session", start.start_time_secs, run.started)
    same("end of the session", (end.status, end.end_time_secs), (api_pb2.STATUS_SUCCESS, run.ended))
    same("names of hyperparameters", set(start.hparams), set(run.parameters))
    for name, value in run.parameters.items():
        kind = start.hparams[name].WhichOneof("kind")
        found = getattr(start.hparams[name], kind)
        if isinstance(value, bool):
            same(f"hyperparameter {name}", (kind, found), ("bool_value", value))
        elif isinstance(value, (int, float)):
            same(f"hyperparameter {name}", (kind, found), ("number_value", float(value)))
        elif isinstance(value, str):
            same(f"hyperparameter {name}", (kind, found), ("string_value", value))
        elif isinstance(value, list):
            same(f"hyperparameter {name}", expected.json.loads(found), value)
        else:
            same(f"hyperparameter {name}", (kind, found), ("string_value", str(value)))


def main():
    if len(sys.argv) != 3:
        fail("expected RUN and EVENTS")
    run, folder = expected.read(Path(sys.argv[1])), Path(sys.argv[2])
    count = check(run, folder)
    for part in run.parts:
        count += check(part, folder / f"seed-{part.seed}")
    if not any(name.startswith("epoch/") for one in [run, *run.parts] for name, _ in one.scalars):
        fail("the run has no epochs: nothing was checked of them")
    print(f"check_tensorboard: {count} scalars of {1 + len(run.parts)} file(s) are as in {sys.argv[1]}")


main()
