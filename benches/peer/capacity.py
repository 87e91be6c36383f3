"""The PyTorch peer of the `capacity` benchmark: the notebook's loop over 3 numbers of features,
3 widths and 5 seeds, each training a SmallTransformer on the CPU, one after the other, and one
JSON line in the end (see common.py). All epochs run: what stops early depends on the data, not on speed.

    python benches/peer/capacity.py --samples 1000 --epochs 10 --threads 2

`number` is the mean over trainings of the last epoch's loss. With `--exchange FILE`, `check` holds the logits of our
rows under our weights of the first training, without dropout.
"""

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
    common.use_threads(args.threads)
    train(3, 32, 0, args.samples, 1)  # warm-up

    cells = [(f, h, s) for f in (3, 5, 7) for h in (32, 64, 128) for s in range(args.seeds)]
    seconds, losses = common.timed(
        lambda: [train(f, h, s, args.samples, args.epochs) for f, h, s in cells], args.repeats
    )
    peak = common.peak_memory()
    rows = args.samples * len(cells) * args.epochs
    number = sum(losses) / len(losses)
    check = logits_of_ours(args.exchange)
    common.answer("pytorch", torch.__version__, args.threads, rows, seconds, number, peak, check)


if __name__ == "__main__":
    main()
