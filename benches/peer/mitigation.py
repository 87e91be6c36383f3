"""The PyTorch peer of the `mitigation` benchmark: plain training, PCGrad, GroupDRO and adversarial
training of SmallTransformer with a token for each group of 10 columns, 5 times each on rows with
a planted shortcut, on the CPU, and one JSON line (see common.py).

    python benches/peer/mitigation.py --samples 1000 --epochs 10 --threads 2

The trainings run in two ways: one after the other with all threads, and side by side in as many
processes of one thread. `seconds` is of the faster way, `seconds_of_ways` has the medians of both. All
epochs run: what stops early depends on the data, not on speed. `number` is the mean over trainings of
the last epoch's objective, `losses` by strategy. `peak_memory_mb` is of the faster way; of processes it
is the first one's and what each of the others grew by since it was forked. With `--exchange FILE`,
`check` holds the logits of our rows under our weights of the first training, without dropout.
"""

import multiprocessing
import os
import statistics
import time
from collections import namedtuple

import common
import torch
import torch.nn as nn
import torch.nn.functional as F

GROUPS, COLUMNS = 6, 10  # of features; the last group is the shortcut
BATCH = 32
# Medians of the chi-squared distribution with 50 and 10 degrees of freedom.
STRONG, STRONG_SHORTCUT = 49.334937, 9.341818
GROUP_DRO_STEP = 0.01
ATTACK, ATTACKED_SHARE = 0.5, 0.3

Rows = namedtuple("Rows", ["x", "labels", "groups", "environments"])
# One a seed: made before processes are forked, which then share them.
DATA = []


class Small(nn.Module):
    """SmallTransformer with a projection for each group of columns; forward gives logits."""

    def __init__(self, hidden=64, heads=4, layers=2):
        super().__init__()
        self.group_proj = nn.ModuleList(nn.Linear(COLUMNS, hidden) for _ in range(GROUPS))
        self.group_embedding = nn.Parameter(torch.randn(1, GROUPS, hidden))
        encoder = [nn.TransformerEncoderLayer(hidden, heads, 4 * hidden, 0.1, batch_first=True) for _ in range(layers)]
        self.transformer_layers = nn.ModuleList(encoder)
        self.output_proj = nn.Linear(hidden, 1)

    def forward(self, x):
        parts = x.split(COLUMNS, dim=1)
        tokens = torch.stack([project(part) for project, part in zip(self.group_proj, parts)], dim=1)
        x = tokens + self.group_embedding
        for layer in self.transformer_layers:
            x = layer(x)
        return self.output_proj(x.mean(dim=1)).squeeze(-1)


def make_rows(samples, seed):
    """Normal columns. The label says whether the genuine ones are strong; the shortcut agrees with it in 90 % of the
    first environment's rows and in 70 % of the second's."""
    generator = torch.Generator().manual_seed(seed)
    genuine = torch.randn(samples, (GROUPS - 1) * COLUMNS, generator=generator)
    labels = genuine.square().sum(dim=1) > STRONG
    environments = (torch.arange(samples) >= (samples + 1) // 2).long()
    rates = torch.tensor([0.9, 0.7])[environments]
    wanted = labels == (torch.rand(samples, generator=generator) < rates)
    shortcut = torch.randn(samples, COLUMNS, generator=generator)
    while (wrong := (shortcut.square().sum(dim=1) > STRONG_SHORTCUT) != wanted).any():
        shortcut[wrong] = torch.randn(int(wrong.sum()), COLUMNS, generator=generator)
    groups = 2 * labels.long() + wanted.long()
    return Rows(torch.cat([genuine, shortcut], dim=1), labels.float(), groups, environments)


class Erm:
    """Plain training. A strategy's `step` leaves gradients in the parameters and returns the loss."""

    def __init__(self, model):
        self.model = model

    def order(self, rows):
        """Row indices of an epoch."""
        return torch.randperm(len(rows.x))

    def step(self, batch):
        loss = F.binary_cross_entropy_with_logits(self.model(batch.x), batch.labels)
        loss.backward()
        return loss.item()


class PcGrad(Erm):
    """Yu et al. 2020: gradients of environments lose, in random order, what conflicts with others; then the mean."""

    def step(self, batch):
        parameters = list(self.model.parameters())
        gradients, total = [], 0.0
        # A pass for each environment is by some per cent faster than one pass and a backward pass for each.
        for environment in batch.environments.unique():
            own = batch.environments == environment
            loss = F.binary_cross_entropy_with_logits(self.model(batch.x[own]), batch.labels[own])
            gradient = torch.autograd.grad(loss, parameters)
            gradients.append(torch.cat([part.flatten() for part in gradient]))
            total += loss.item() * own.sum().item()
        changed = [gradient.clone() for gradient in gradients]
        for own, gradient in enumerate(changed):
            for other in torch.randperm(len(gradients)).tolist():
                along = gradient @ gradients[other]
                if other != own and along < 0:
                    gradient -= along / gradients[other].square().sum() * gradients[other]
        mean = torch.stack(changed).mean(dim=0)
        sizes = [parameter.numel() for parameter in parameters]
        for parameter, part in zip(parameters, mean.split(sizes)):
            parameter.grad = part.view_as(parameter)
        return total / len(batch.x)


class GroupDro(Erm):
    """Sagawa et al. 2020: weights of the groups of label and shortcut grow with their losses."""

    def __init__(self, model):
        super().__init__(model)
        self.q = torch.full((4,), 0.25)

    def order(self, rows):
        weights = 1 / rows.groups.bincount(minlength=4)[rows.groups].float()
        return torch.multinomial(weights, len(weights), replacement=True)

    def step(self, batch):
        losses = F.binary_cross_entropy_with_logits(self.model(batch.x), batch.labels, reduction="none")
        member = F.one_hot(batch.groups, 4).to(losses.dtype)
        of_groups = losses @ member / member.sum(dim=0).clamp(min=1)
        self.q = self.q * (GROUP_DRO_STEP * of_groups.detach()).exp()
        self.q = self.q / self.q.sum()
        loss = self.q @ of_groups
        loss.backward()
        return loss.item()


class Adversarial(Erm):
    """Goodfellow et al. 2015, on the shortcut's columns only; the attack is on the model without dropout."""

    def step(self, batch):
        shortcut = batch.x[:, -COLUMNS:].clone().requires_grad_()
        genuine = batch.x[:, :-COLUMNS]
        self.model.eval()
        loss = F.binary_cross_entropy_with_logits(self.model(torch.cat([genuine, shortcut], dim=1)), batch.labels)
        (slope,) = torch.autograd.grad(loss, shortcut)
        self.model.train()
        attacked = torch.cat([genuine, shortcut.detach() + ATTACK * slope.sign()], dim=1)
        # One pass over both is by some per cent faster than two.
        clean, hurt = self.model(torch.cat([batch.x, attacked])).chunk(2)
        loss = (1 - ATTACKED_SHARE) * F.binary_cross_entropy_with_logits(clean, batch.labels)
        loss = loss + ATTACKED_SHARE * F.binary_cross_entropy_with_logits(hurt, batch.labels)
        loss.backward()
        return loss.item()


STRATEGIES = {"erm": Erm, "pcgrad": PcGrad, "group_dro": GroupDro, "adversarial": Adversarial}


def train(name, seed, epochs):
    """Returns the last epoch's mean objective."""
    torch.manual_seed(seed)
    rows = DATA[seed]
    model = Small().train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    strategy = STRATEGIES[name](model)
    for _ in range(epochs):
        total = 0.0
        for part in strategy.order(rows).split(BATCH):
            batch = Rows(*(column[part] for column in rows))
            optimizer.zero_grad()
            total += strategy.step(batch) * len(part)
            optimizer.step()
    return total / len(rows.x)


def warm_up():
    for name in STRATEGIES:
        train(name, 0, 1)


def in_turn(cells, threads, epochs, repeats):
    """One training after the other, each with all threads."""
    torch.set_num_threads(threads)
    warm_up()
    seconds, losses = common.timed(lambda: [train(name, seed, epochs) for name, seed in cells], repeats)
    return seconds, losses, common.peak_memory()


def start_process(barrier):
    global at_fork
    at_fork = common.peak_memory()
    torch.set_num_threads(1)
    warm_up()
    barrier.wait()


def train_in_process(name, seed, epochs):
    return train(name, seed, epochs), os.getpid(), common.peak_memory() - at_fork


def in_processes(cells, threads, epochs, repeats):
    """Trainings side by side, each with one thread."""
    # A thread pool does not survive the fork: nothing may have run on several threads so far.
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(threads + 1)
    seconds = []
    with context.Pool(threads, start_process, (barrier,)) as pool:
        barrier.wait(timeout=600)
        for _ in range(repeats):
            began = time.perf_counter()
            done = pool.starmap(train_in_process, [(*cell, epochs) for cell in cells], chunksize=1)
            seconds.append(time.perf_counter() - began)
    # Peaks only rise, and the trainings of a process stand in the order in which it did them.
    grown = {process: growth for _, process, growth in done}
    return seconds, [loss for loss, _, _ in done], common.peak_memory() + sum(grown.values())


@torch.no_grad()
def logits_of_ours(path):
    x, weights = common.exchanged(path)
    if x is None:
        return []
    model = Small()
    model.load_state_dict(weights, strict=True)
    return model.eval()(x.squeeze(1)).tolist()


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--ways", choices=["both", "turn", "processes"], default="both")
    args = common.parse(parser)

    common.use_threads(1)
    DATA.extend(make_rows(args.samples, seed) for seed in range(args.seeds))
    cells = [(name, seed) for seed in range(args.seeds) for name in STRATEGIES]
    ways = {}
    # Processes first, while this one has trained nothing and started no threads.
    for way, run in [("processes", in_processes), ("turn", in_turn)]:
        if args.ways in ("both", way):
            ways[way] = run(cells, args.threads, args.epochs, args.repeats)
    medians = {way: round(statistics.median(result[0]), 6) for way, result in ways.items()}
    way = min(medians, key=medians.get)
    seconds, losses, peak = ways[way]

    def mean(values):
        return sum(values) / len(values)

    by_strategy = {name: mean([loss for loss, cell in zip(losses, cells) if cell[0] == name]) for name in STRATEGIES}
    rows = args.samples * len(cells) * args.epochs
    common.answer(
        "pytorch",
        torch.__version__,
        args.threads,
        rows,
        seconds,
        mean(losses),
        peak,
        logits_of_ours(args.exchange),
        way=way,
        seconds_of_ways=medians,
        losses=by_strategy,
    )


if __name__ == "__main__":
    main()
