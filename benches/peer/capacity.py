"""The PyTorch peer of the `capacity` benchmark: the notebook's loop over 3 numbers of features,
3 widths and 5 seeds, each training a SmallTransformer on the CPU, and one JSON line in the end (see
common.py). All epochs run: what stops early depends on the data, not on speed. The trainings run in two
ways, as in mitigation.py; `seconds` and `peak_memory_mb` are of the faster way.

    python benches/peer/capacity.py --samples 1000 --epochs 10 --threads 2

`number` is the mean over trainings of the last epoch's loss. With `--exchange FILE`, `check` holds the logits of our
rows under our weights of the first training, without dropout.
"""

import multiprocessing
import os
import statistics
import time

import common
import torch
import torch.nn as nn

FEATURE_DIM = 10


class SmallTransformer(nn.Module):
    """The notebook's class; forward gives logits, for BCEWithLogitsLoss."""

    def __init__(self, inputs, hidden):
        super().__init__()
        self.input_proj = nn.Linear(inputs, hidden)
        layers = [nn.TransformerEncoderLayer(hidden, 4, hidden * 4, batch_first=True) for _ in range(2)]
        self.transformer_layers = nn.ModuleList(layers)
        self.output_proj = nn.Linear(hidden, 1)

    def forward(self, x):
        x = self.input_proj(x.unsqueeze(1))
        for layer in self.transformer_layers:
            x = layer(x)
        return self.output_proj(x.mean(dim=1)).squeeze(-1)


def train(features, hidden, seed, samples, epochs):
    torch.manual_seed(seed)
    x = torch.randn(samples, features * FEATURE_DIM)
    squares = (x**2).sum(dim=1)
    labels = (squares > squares.median()).float()
    model = SmallTransformer(features * FEATURE_DIM, hidden).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.BCEWithLogitsLoss()
    for _ in range(epochs):
        total = 0.0
        for part in torch.randperm(samples).split(32):
            optimizer.zero_grad()
            loss = criterion(model(x[part]), labels[part])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(part)
    return total / samples


def in_turn(cells, args):
    """One training after the other, each with all threads."""
    torch.set_num_threads(args.threads)
    train(3, 32, 0, args.samples, 1)  # warm-up
    seconds, losses = common.timed(lambda: [train(*cell, args.samples, args.epochs) for cell in cells], args.repeats)
    return seconds, losses, common.peak_memory()


def start_process(barrier, samples):
    global at_fork
    at_fork = common.peak_memory()
    torch.set_num_threads(1)
    train(3, 32, 0, samples, 1)  # warm-up
    barrier.wait()


def train_in_process(*cell):
    return train(*cell), os.getpid(), common.peak_memory() - at_fork


def in_processes(cells, args):
    """Trainings side by side, each with one thread."""
    # A thread pool does not survive the fork: nothing may have run on several threads so far.
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(args.threads + 1)
    seconds = []
    with context.Pool(args.threads, start_process, (barrier, args.samples)) as pool:
        barrier.wait(timeout=600)
        for _ in range(args.repeats):
            began = time.perf_counter()
            done = pool.starmap(train_in_process, [(*cell, args.samples, args.epochs) for cell in cells], chunksize=1)
            seconds.append(time.perf_counter() - began)
    grown = {process: growth for _, process, growth in done}
    return seconds, [loss for loss, _, _ in done], common.peak_memory() + sum(grown.values())


@torch.no_grad()
def logits_of_ours(path):
    x, weights = common.exchanged(path)
    if x is None:
        return []
    hidden, inputs = weights["input_proj.weight"].shape
    model = SmallTransformer(inputs, hidden)
    model.load_state_dict(weights, strict=True)
    return model.eval()(x.squeeze(1)).tolist()


def main():
    parser = common.parser(__doc__)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    args = common.parse(parser)
    common.use_threads(1)
    cells = [(f, h, s) for f in (3, 5, 7) for h in (32, 64, 128) for s in range(args.seeds)]
    # Processes first, while this one has trained nothing and started no threads.
    ways = {"processes": in_processes(cells, args), "turn": in_turn(cells, args)}
    medians = {way: round(statistics.median(result[0]), 6) for way, result in ways.items()}
    way = min(medians, key=medians.get)
    seconds, losses, peak = ways[way]
    rows = args.samples * len(cells) * args.epochs
    number = sum(losses) / len(losses)
    check = logits_of_ours(args.exchange)
    common.answer(
        "pytorch",
        torch.__version__,
        args.threads,
        rows,
        seconds,
        number,
        peak,
        check,
        way=way,
        seconds_of_ways=medians,
    )


if __name__ == "__main__":
    main()
