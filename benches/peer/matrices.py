"""The numpy peer of the `spectrum` and `pca` benchmarks: singular values, or principal components,
of one matrix of normal values on the CPU, and one JSON line. `final_loss` is the effective rank.

    python benches/peer/matrices.py --what pca --rows 10000 --columns 768 --threads 2
"""

import argparse
import json
import os
import resource
import statistics
import sys
import time

# Before numpy is imported, or its BLAS takes every core.
if "--threads" in sys.argv:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = sys.argv[sys.argv.index("--threads") + 1]

import numpy as np  # noqa: E402


def work(what, x):
    """Both centre first. PCA as scikit-learn's full solver does it: thin SVD of the centred rows."""
    centred = x - x.mean(axis=0)
    if what == "spectrum":
        s = np.linalg.svd(centred, compute_uv=False)
    else:
        _, s, _ = np.linalg.svd(centred, full_matrices=False)
    p = s / s.sum()
    return float(np.exp(-(p * np.log(p)).sum()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=["spectrum", "pca"], required=True)
    parser.add_argument("--rows", type=int, default=10000)
    parser.add_argument("--columns", type=int, default=768)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    x = np.random.default_rng(0).normal(size=(args.rows, args.columns))
    work(args.what, x[: 2 * args.columns])  # warm-up
    seconds = []
    for _ in range(args.repeats):
        began = time.perf_counter()
        rank = work(args.what, x)
        seconds.append(time.perf_counter() - began)
    median = statistics.median(seconds)
    print(
        json.dumps(
            {
                "workload": args.what,
                "framework": "numpy",
                "version": np.__version__,
                "threads": args.threads,
                "rows": args.rows,
                "seconds": [round(s, 6) for s in seconds],
                "median_seconds": round(median, 6),
                "rows_per_second": round(args.rows / median, 3),
                "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 3),
                "final_loss": rank,
            }
        )
    )


if __name__ == "__main__":
    main()
