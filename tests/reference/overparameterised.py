#!/usr/bin/env python3
"""The recipe of Sagawa et al. (2020, "An investigation of why overparameterization exacerbates spurious correlations") in numpy.

    python overparameterised.py [--seeds 3] [--noise 1,100,1000,6000] [--rows 3000] [--majority 0.9] [--plain]

Prints, for ERM, reweighting and undersampling and each number of noise dimensions N, the worst-group test error (mean and 95 % interval
by Student's t over data seeds, and the sample standard deviation), the steps of Newton's method and the greatest gradient norm.

Labels are -1 and 1 in equal numbers; the attribute agrees with the label in a share `majority` of the rows of each label, exactly. A row
is (core, shortcut, noise) with core ~ N(y, 1), shortcut ~ N(a, .01), noise ~ N(0, I/N). The logistic loss without intercept is minimised
with ridge 1e-9 until the gradient's norm is below 1e-10: by Newton's method with a line search along each step, in the kernel form where
there are more dimensions than rows. Errors are exact: a linear model's margin in a group is normal. `--plain` takes whole steps instead
(halved where the loss would rise), and must find the same minima.
"""

import argparse
import time

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit, ndtr
from scipy.stats import t as student

RIDGE = 1e-9
TOLERANCE = 1e-10
METHODS = ("erm", "reweighted", "undersampled")


def draw(rows, noise, majority, seed):
    """Signed rows (y times x) and the group of each; groups 0 and 2 are the majorities."""
    rng = np.random.default_rng([seed, noise])
    most = round(rows * majority / 2)
    counts = [most, rows // 2 - most] * 2
    y = np.repeat([1.0, 1.0, -1.0, -1.0], counts)
    a = np.repeat([1.0, -1.0, -1.0, 1.0], counts)
    x = np.empty((rows, noise + 2))
    x[:, 0] = y + rng.normal(size=rows)
    x[:, 1] = a + 0.1 * rng.normal(size=rows)
    x[:, 2:] = rng.normal(size=(rows, noise)) / np.sqrt(noise)
    return x * y[:, None], np.repeat(np.arange(4), counts), rng


def step_length(slope, loss, plain):
    """The minimum of a convex function on the half line, roughly; 1 where a whole step nearly reaches it."""
    length = 1.0
    if plain:
        while loss(length) > loss(0.0) * (1 + 1e-15) and length > 1e-8:
            length /= 2
        return length
    if abs(slope(1.0)) < 0.1 * abs(slope(0.0)):
        return length
    low, high = 0.0, 1.0
    while slope(high) < 0 and high < 1e6:
        low, high = high, 2 * high
    while high - low > 0.01 * high and high > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return (low + high) / 2


def fit(z, weights, plain=False):
    """Weights of the linear model, Newton steps, gradient norm."""
    rows, width = z.shape
    kernel = z @ z.T if width > rows else None
    x = np.zeros(rows if width > rows else width)
    margins = np.zeros(rows)
    for steps in range(200):
        wrong = expit(-margins)
        pull = weights * wrong / rows
        curve = pull * expit(margins)
        if kernel is None:
            gradient = RIDGE * x - z.T @ pull
            norm = np.linalg.norm(gradient)
        else:
            # w = Z'x, so that the gradient is Z' rest, and its norm that of rest in the kernel.
            rest = RIDGE * x - pull
            image = kernel @ rest
            norm = np.sqrt(max(rest @ image, 0.0))
        if norm < TOLERANCE:
            return (x if kernel is None else z.T @ x), steps, norm
        if kernel is None:
            hessian = (z * curve[:, None]).T @ z
            hessian[np.diag_indices(width)] += RIDGE
            step = -cho_solve(cho_factor(hessian, lower=True), gradient)
            change, inner = z @ step, (x @ x, x @ step, step @ step)
        else:
            root = np.sqrt(curve)
            system = root[:, None] * kernel * root
            system[np.diag_indices(rows)] += RIDGE
            step = -(rest - root * cho_solve(cho_factor(system, lower=True, overwrite_a=True), root * image)) / RIDGE
            change = kernel @ step
            inner = (x @ margins, x @ change, step @ change)

        def loss(t):
            return (weights * np.logaddexp(0, -(margins + t * change))).mean() + RIDGE / 2 * (
                inner[0] + 2 * t * inner[1] + t * t * inner[2]
            )

        def slope(t):
            return RIDGE * (inner[1] + t * inner[2]) - (weights * change * expit(-(margins + t * change))).mean()

        length = step_length(slope, loss, plain)
        x, margins = x + length * step, margins + length * change
    raise RuntimeError(f"no convergence: gradient norm {norm}")


def group_errors(w, noise):
    """Exact errors of rows whose attribute agrees with the label, and of rows where it does not."""
    spread = np.sqrt(w[0] ** 2 + 0.01 * w[1] ** 2 + w[2:] @ w[2:] / noise)
    return ndtr(-(w[0] + w[1]) / spread), ndtr(-(w[0] - w[1]) / spread)


def one(rows, noise, majority, seed, plain):
    z, group, rng = draw(rows, noise, majority, seed)
    counts = np.bincount(group)
    kept = np.concatenate([rng.permutation(np.flatnonzero(group == g))[: counts.min()] for g in range(4)])
    cases = ((z, np.ones(rows)), (z, rows / (4.0 * counts[group])), (z[kept], np.ones(len(kept))))
    for method, (signed, weights) in zip(METHODS, cases):
        start = time.perf_counter()
        w, steps, norm = fit(signed, weights, plain)
        yield method, max(group_errors(w, noise)), steps, norm, time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--noise", default="1,100,1000,6000")
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--majority", type=float, default=0.9)
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args()
    print(f"{'N':>5} {'method':<13} {'mean':>6} {'low':>6} {'high':>6} {'sd':>6}  steps  gradient  seconds")
    for noise in map(int, options.noise.split(",")):
        found = {method: [] for method in METHODS}
        for seed in range(options.seeds):
            for method, *values in one(options.rows, noise, options.majority, seed, options.plain):
                found[method].append(values)
        for method, values in found.items():
            errors, steps, norms, seconds = map(np.array, zip(*values))
            half, sd = np.nan, np.nan
            if len(errors) > 1:
                sd = errors.std(ddof=1)
                half = student.ppf(0.975, len(errors) - 1) * sd / np.sqrt(len(errors))
            mean = errors.mean()
            shown = f"{mean:.4f} {mean - half:.4f} {mean + half:.4f} {sd:.4f}"
            print(f"{noise:>5} {method:<13} {shown}  {steps.min()}-{steps.max()}  {norms.max():.0e}  {seconds.mean():.1f}", flush=True)


if __name__ == "__main__":
    main()
