"""The PyTorch peer of the `capacity` benchmark: the notebook's loop over 3 numbers of features,
3 widths and 5 seeds, each training a SmallTransformer on the CPU, one after the other, and one
JSON line in the end. All epochs run: what stops early depends on the data, not on speed.

    python benches/peer/capacity.py --samples 1000 --epochs 10 --threads 2
"""

import argparse
import json
import resource
import time

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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_num_interop_threads(1)
    train(3, 32, 0, args.samples, 1)  # warm-up

    cells = [(f, h, s) for f in (3, 5, 7) for h in (32, 64, 128) for s in range(args.seeds)]
    began = time.perf_counter()
    losses = [train(f, h, s, args.samples, args.epochs) for f, h, s in cells]
    seconds = time.perf_counter() - began
    print(
        json.dumps(
            {
                "workload": "capacity",
                "framework": "pytorch",
                "version": torch.__version__,
                "threads": args.threads,
                "rows": args.samples * len(cells),
                "epochs": args.epochs,
                "seconds": [round(seconds, 6)],
                "median_seconds": round(seconds, 6),
                "rows_per_second": round(args.samples * len(cells) * args.epochs / seconds, 3),
                "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 3),
                "final_loss": sum(losses) / len(losses),
            }
        )
    )


if __name__ == "__main__":
    main()
