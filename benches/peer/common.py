"""What the peers share: arguments, timing, peak memory, weights and rows of ours, and the JSON line that each prints.

The line: `framework` and its `version`, `threads`, `rows` that pass in a repeat (epochs counted), `seconds` of each
repeat without imports, data, model and warm-up, `peak_memory_mb` of the whole process in MiB, `number` (what the work
found), `check` (numbers that must be ours), and `extra`. Imports neither torch nor numpy: matrices.py must set the
number of threads before that.
"""

import argparse
import json
import resource
import sys
import time

ROWS = "bench.x"


def parser(description):
    """Arguments that every peer takes."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--threads", type=int, default=2)
    made.add_argument("--repeats", type=int, default=3)
    made.add_argument("--exchange", help="safetensors file with our rows and, where there is a model, its weights")
    return made


def parse(made):
    """The arguments; counts below 1 are refused."""
    args = made.parse_args()
    for name, value in vars(args).items():
        if type(value) is int and name not in ("seed", "batch") and value < 1:
            made.error(f"{name} is {value}, expected at least 1")
    return args


def use_threads(threads):
    import torch

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)


def exchanged(path):
    """Our rows and our weights by name, both None without a file."""
    if path is None:
        return None, None
    from safetensors.torch import load_file

    weights = load_file(path)
    return weights.pop(ROWS), weights


def timed(work, repeats, synchronize=lambda: None):
    """Seconds of each repeat, and what the last one returned. A result is dropped before the next repeat begins."""
    seconds, last = [], None
    for _ in range(repeats):
        last = None
        began = time.perf_counter()
        last = work()
        synchronize()
        seconds.append(time.perf_counter() - began)
    return seconds, last


def peak_memory():
    """The largest resident set so far, in MiB: as ours is measured where the system tells."""
    try:
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        unit = 1024**2 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def answer(framework, version, threads, rows, seconds, number, peak, check=(), **extra):
    """Prints the line. `peak` is of the work alone: it is read before anything is checked."""
    print(
        json.dumps(
            {
                "framework": framework,
                "version": version,
                "threads": threads,
                "rows": rows,
                "seconds": [round(one, 6) for one in seconds],
                "peak_memory_mb": round(peak, 3),
                "number": number,
                "check": list(check),
                "extra": extra,
            }
        )
    )
