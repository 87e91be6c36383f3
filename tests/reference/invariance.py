#!/usr/bin/env python3
"""The invariance unit tests (Aubin et al. 2021) and the IRM structural model (Arjovsky et al. 2019), written again with PyTorch.

    python invariance.py [--problems Example1,Example2s,...,structural] [--data-seeds 2] [--draws 20] [--rows 10000] [--steps 10000]

Prints the mean test error of ERM, IRMv1, V-REx and Oracle over data seeds, and for the structural model the mean squared error of
causal / non-causal weights. Hyper-parameters are drawn as in the authors' code, which seeds Python's generator with 1001, 1002, ...
after a first draw of defaults; the draws are the same for all data seeds, and the one is chosen whose error on fresh rows of the training
environments is least in the mean over data seeds.
All draws of a method are trained side by side as columns of one matrix; gradients are autograd's, unlike those of the Rust
implementation, which are written out.
"""

import argparse
import random

import numpy as np
import torch

NAMES = ["Example1", "Example2", "Example3", "Example1s", "Example2s", "Example3s"]
D = 5


class Problem:
    def __init__(self, name, rng):
        self.kind, self.rng = int(name[7]), rng
        self.rotation = np.linalg.qr(rng.normal(size=(2 * D, 2 * D)))[0] if name.endswith("s") else np.eye(2 * D)
        self.w_xy, self.w_yz = rng.normal(size=(2, D, D)) / D
        self.centres = rng.normal(size=(3, D))
        self.regression = self.kind == 1

    def sample(self, n, environment, permuted):
        """Inputs and targets; `permuted` puts the shortcut dimensions into another order of rows."""
        rng = self.rng
        if self.kind == 1:
            e = [0.1, 1.5, 2.0][environment]
            x = e * rng.normal(size=(n, D))
            y = x @ self.w_xy + e * rng.normal(size=(n, D))
            z = y @ self.w_yz + rng.normal(size=(n, D))
            target = y.sum(1)
        elif self.kind == 2:
            p, s = [(0.95, 0.3), (0.97, 0.5), (0.99, 0.7)][environment]
            component = rng.choice(4, n, p=[p * s, (1 - p) * s, p * (1 - s), (1 - p) * (1 - s)])
            x = 0.01 * (rng.normal(size=(n, D)) / np.sqrt(10) + np.array([1, 1, -1, -1])[component, None])
            z = rng.normal(size=(n, D)) / np.sqrt(10) + np.array([1, -1, -1, 1])[component, None]
            target = (x.sum(1) > 0).astype(float)
        else:
            target = (np.arange(n) >= n // 2).astype(float)
            sign = (1 - 2 * target)[:, None]
            x = 0.1 * sign + 0.1 * rng.normal(size=(n, D))
            z = sign * self.centres[environment] + 0.1 * rng.normal(size=(n, D))
        if permuted:
            z = z[rng.permutation(n)]
        return np.hstack([x, z]) @ self.rotation, target

    def split(self, n, permuted):
        return [self.sample(n, environment, permuted) for environment in range(3)]


def tensors(split):
    return [(torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)[:, None]) for x, y in split]


def risks(problem, environments, weight, bias):
    """[environments, draws], and of each the gradient by a factor and by a shift of the output."""
    risk, scale, shift = [], [], []
    for x, y in environments:
        z = x @ weight + bias
        if problem.regression:
            risk.append(((z - y) ** 2).mean(0))
            slope = 2 * (z - y)
        else:
            risk.append(torch.nn.functional.binary_cross_entropy_with_logits(z, y.expand_as(z), reduction="none").mean(0))
            slope = torch.sigmoid(z) - y
        scale.append((slope * z).mean(0))
        shift.append(slope.mean(0))
    return torch.stack(risk), torch.stack(scale), torch.stack(shift)


def objective(method, problem, environments, weight, bias, strength):
    risk, scale, shift = risks(problem, environments, weight, bias)
    if method == "IRMv1":
        return (1 - strength) * risk.mean(0) + strength * (scale**2 + shift**2).sum(0)
    if method == "V-REx":
        return risk.mean(0) + strength * risk.var(0, correction=0)
    return risk.mean(0)


def errors(problem, environments, weight, bias):
    """Mean over environments, a number a draw."""
    each = []
    for x, y in environments:
        z = x @ weight + bias
        each.append(((z - y) ** 2).mean(0) if problem.regression else ((z > 0) != (y > 0.5)).float().mean(0))
    return torch.stack(each).mean(0)


def published_draws(count):
    """Learning rate, decay and IRM's λ."""
    yield 1e-3, 0.0, 0.9
    for seed in range(1001, 1000 + count):
        generator = random.Random(seed)
        rate, decay, rest = (10 ** generator.uniform(*ends) for ends in ((-4, -2), (-6, -2), (-3, -0.3)))
        yield rate, decay, 1 - rest


def train(method, problem, environments, draws, steps, rng):
    rate, decay, strength = (torch.tensor(column, dtype=torch.float32) for column in zip(*published_draws(draws)))
    if method == "V-REx":  # not run by the authors; the range is DomainBed's
        strength = torch.tensor(10 ** np.random.default_rng(0).uniform(-1, 5, draws), dtype=torch.float32)
    bound = 1 / np.sqrt(2 * D)
    weight = torch.tensor(rng.uniform(-bound, bound, (2 * D, draws)), dtype=torch.float32, requires_grad=True)
    bias = torch.tensor(rng.uniform(-bound, bound, (1, draws)), dtype=torch.float32, requires_grad=True)
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in (weight, bias)]
    for step in range(1, steps + 1):
        loss = objective(method, problem, environments, weight, bias, strength).sum()
        gradients = torch.autograd.grad(loss, (weight, bias))
        with torch.no_grad():
            for parameter, gradient, (first, second) in zip((weight, bias), gradients, moments):
                gradient = gradient + decay * parameter
                first.mul_(0.9).add_(gradient, alpha=0.1)
                second.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
                scale = (second / (1 - 0.999**step)).sqrt() + 1e-8
                parameter -= rate * (first / (1 - 0.9**step)) / scale
    return weight.detach(), bias.detach()


def unit_test(name, seed, args):
    """Of each method the validation and test errors of all draws."""
    rng = np.random.default_rng([seed, NAMES.index(name)])
    problem = Problem(name, rng)
    test = tensors(problem.split(args.rows, True))
    shortcut = [tensors(problem.split(args.rows, False)) for _ in range(2)]
    permuted = [tensors(problem.split(args.rows, True)) for _ in range(2)]
    found = {}
    for method in args.methods.split(","):
        fit, validation = permuted if method == "Oracle" else shortcut
        weight, bias = train(method, problem, fit, args.draws, args.steps, rng)
        found[method] = [errors(problem, rows, weight, bias).numpy() for rows in (validation, test)]
    return found


def structural_data(rng, hidden, hetero, n=1000):
    w_hx, w_hy, w_hz = rng.normal(size=(3, D, D)) / 10 if hidden else (np.eye(D), np.zeros((D, D)), np.zeros((D, D)))
    for e in (0.2, 2.0, 5.0):
        h = e * rng.normal(size=(n, D))
        x = h @ w_hx + e * rng.normal(size=(n, D))
        y = x + h @ w_hy + (e if hetero else 1) * rng.normal(size=(n, D))
        z = y + h @ w_hz + (1 if hetero else e) * rng.normal(size=(n, D))
        yield np.hstack([x, z]), y.sum(1)


def structural(hidden, hetero, repeats, iterations):
    """OLS on all environments; IRM on the first two, its share of the risk chosen by the error in the third, as the authors do."""
    shares = np.array([0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
    data = [list(structural_data(np.random.default_rng([seed, hidden, hetero]), hidden, hetero)) for seed in range(repeats)]
    truth = np.r_[np.ones(D), np.zeros(D)]
    ols = [np.linalg.lstsq(np.vstack([x for x, _ in one]), np.hstack([y for _, y in one]), rcond=None)[0] for one in data]
    # [repeats, 2, 10, 10], [repeats, 2, 10, 1]
    gram = torch.tensor(np.array([[x.T @ x / len(x) for x, _ in one[:2]] for one in data]))[:, None]
    cross = torch.tensor(np.array([[x.T @ y / len(y) for x, y in one[:2]] for one in data]))[:, None, :, :, None]
    square = torch.tensor(np.array([[y @ y / len(y) for _, y in one[:2]] for one in data]))[:, None]
    phi = torch.eye(2 * D, dtype=torch.float64).repeat(repeats, len(shares), 1, 1).requires_grad_()
    share = torch.tensor(shares)
    optimiser = torch.optim.Adam([phi], lr=1e-3)
    for _ in range(iterations):
        v = phi.sum(-1)[:, :, None, :, None]
        product = gram @ v
        error = ((v * product).sum((-1, -2)) - 2 * (v * cross).sum((-1, -2)) + square).sum(-1)
        slope = 2 * (product - cross)
        penalty = (phi.mT[:, :, None] @ slope).pow(2).mean((-1, -2)).sum(-1)
        optimiser.zero_grad()
        (share * error + (1 - share) * penalty).sum().backward()
        optimiser.step()
    found = phi.detach().sum(-1).numpy()
    irm = []
    for one, candidates in zip(data, found):
        x, y = one[2]
        irm.append(candidates[np.argmin([((x @ v - y) ** 2).mean() for v in candidates])])
    for name, solutions in (("OLS", ols), ("IRM", irm)):
        squares = (np.array(solutions) - truth) ** 2
        print(f"structural hidden={hidden:d} hetero={hetero:d} {name}: {squares[:, :D].mean():.4f} / {squares[:, D:].mean():.4f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", default=",".join(NAMES) + ",structural")
    parser.add_argument("--methods", default="ERM,IRMv1,V-REx,Oracle")
    parser.add_argument("--data-seeds", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--iterations", type=int, default=20_000)
    args = parser.parse_args()
    for name in args.problems.split(","):
        if name == "structural":
            for hidden in (False, True):
                for hetero in (False, True):
                    structural(hidden, hetero, args.repeats, args.iterations)
            continue
        runs = [unit_test(name, args.first_seed + seed, args) for seed in range(args.data_seeds)]
        for method in runs[0]:
            validation, test = np.array([run[method] for run in runs]).transpose(1, 0, 2)
            best = validation.mean(0).argmin()
            spread = ", ".join(f"{value:.4f}" for value in test[:, best])
            print(f"{name} {method}: {test[:, best].mean():.4f} ({spread}), draw {best}", flush=True)


if __name__ == "__main__":
    main()
