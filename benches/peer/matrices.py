"""The numpy peer of the `spectrum` and `pca` benchmarks: singular values, or principal components,
of one matrix of normal values on the CPU, and one JSON line (see common.py).

    python benches/peer/matrices.py --what pca --rows 10000 --columns 768 --threads 2

`number` is the effective rank. With `--exchange FILE`, the matrix is ours, and `check` holds that number.
"""

import os
import sys

# Before numpy is imported, or its BLAS takes every core.
if "--threads" in sys.argv:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = sys.argv[sys.argv.index("--threads") + 1]

import common  # noqa: E402
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


def matrix(args):
    """Ours, or one of the same size; in f64."""
    if args.exchange is None:
        return np.random.default_rng(0).normal(size=(args.rows, args.columns))
    from safetensors.numpy import load_file

    x = load_file(args.exchange)[common.ROWS]
    return x.reshape(-1, x.shape[-1]).astype(np.float64)


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--what", choices=["spectrum", "pca"], required=True)
    parser.add_argument("--rows", type=int, default=10000)
    parser.add_argument("--columns", type=int, default=768)
    args = common.parse(parser)
    x = matrix(args)
    work(args.what, x[: 2 * x.shape[1]])  # warm-up
    seconds, rank = common.timed(lambda: work(args.what, x), args.repeats)
    check = [] if args.exchange is None else [rank]
    common.answer("numpy", np.__version__, args.threads, len(x), seconds, rank, common.peak_memory(), check)


if __name__ == "__main__":
    main()
