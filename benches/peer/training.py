"""The PyTorch peer of the training benchmarks: trains the notebook's RealWorldTransformer
(`--model sequence`), SmallTransformer (`--model small`, one token a row) or HealthcareTransformer
(`--model healthcare`) on synthetic data on the CPU and prints one JSON line.

    python benches/peer/training.py --model sequence --rows 800 --epochs 10 --threads 2
    python benches/peer/training.py --model healthcare --rows 990 --sequence 10 --features 12 \\
        --hidden 128 --layers 3 --feed-forward 512 --epochs 5 --threads 2

`seconds` holds one entry per repeat: the training of a fresh model for `epochs` epochs,
without imports, data, model construction and warm-up. `rows_per_second` is
rows * epochs / median_seconds. `peak_memory_mb` is the whole process's, in MiB.
"""

import argparse
import json
import resource
import statistics
import time

import torch
import torch.nn as nn


class Transformer(nn.Module):
    """The notebook's classes; forward gives logits, for BCEWithLogitsLoss.

    They differ in the positions, and in the two attentions before the encoder of the healthcare model.
    """

    def __init__(self, args):
        super().__init__()
        self.feature_embedding = nn.Linear(args.features, args.hidden)
        small = args.model == "small"
        self.pos_embedding = None if small else nn.Parameter(torch.randn(1, args.sequence, args.hidden))
        self.healthcare = args.model == "healthcare"
        if self.healthcare:
            self.clinical_attention = nn.MultiheadAttention(args.hidden, args.heads, batch_first=True)
            self.admin_attention = nn.MultiheadAttention(args.hidden, args.heads, batch_first=True)
        layer = nn.TransformerEncoderLayer(
            d_model=args.hidden,
            nhead=args.heads,
            dim_feedforward=args.feed_forward,
            dropout=0.1,
            batch_first=True,
        )
        self.transformer = nn.TransformerEncoder(layer, num_layers=args.layers)
        self.output = nn.Linear(args.hidden, 1)

    def forward(self, x):
        x = self.feature_embedding(x)
        if self.pos_embedding is not None:
            x = x + self.pos_embedding
        if self.healthcare:
            clinical, _ = self.clinical_attention(x, x, x, need_weights=False)
            admin, _ = self.admin_attention(x, x, x, need_weights=False)
            x = clinical + admin
        x = self.transformer(x)
        x = x.mean(dim=1)
        return self.output(x).squeeze(-1)


def make_data(args):
    """x is N(0, 1); the label is 1 where the mean of feature 0 over the sequence is above 0."""
    torch.manual_seed(args.seed)
    x = torch.randn(args.rows, args.sequence, args.features)
    labels = (x[:, :, 0].mean(dim=1) > 0).float()
    return x, labels


def start(args):
    torch.manual_seed(args.seed + 1)
    model = Transformer(args).train()
    return model, torch.optim.Adam(model.parameters(), lr=1e-3)


def train(model, optimizer, x, labels, epochs, batch):
    """Returns the last epoch's mean training loss. Mini-batches are reshuffled every epoch."""
    criterion = nn.BCEWithLogitsLoss()
    rows = len(x)
    for _ in range(epochs):
        if batch == 0:
            batches = [(x, labels)]
        else:
            parts = torch.randperm(rows).split(batch)
            batches = ((x[part], labels[part]) for part in parts)
        total = 0.0
        for bx, bl in batches:
            optimizer.zero_grad()
            loss = criterion(model(bx), bl)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(bx)
    return total / rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=["sequence", "small", "healthcare"], default="sequence")
    parser.add_argument("--rows", type=int, default=800)
    parser.add_argument("--sequence", type=int, default=30)
    parser.add_argument("--features", type=int, default=5)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--feed-forward", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=0, help="0 = full batch")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if min(args.rows, args.epochs, args.threads, args.repeats) < 1 or args.batch < 0:
        parser.error("rows, epochs, threads and repeats must be >= 1, batch >= 0")

    torch.set_num_threads(args.threads)
    torch.set_num_interop_threads(1)
    x, labels = make_data(args)
    train(*start(args), x, labels, 1, args.batch)  # warm-up

    seconds = []
    for _ in range(args.repeats):
        model, optimizer = start(args)
        began = time.perf_counter()
        final_loss = train(model, optimizer, x, labels, args.epochs, args.batch)
        seconds.append(time.perf_counter() - began)

    median = statistics.median(seconds)
    print(
        json.dumps(
            {
                "workload": args.model,
                "framework": "pytorch",
                "version": torch.__version__,
                "threads": args.threads,
                "rows": args.rows,
                "epochs": args.epochs,
                "seconds": [round(s, 6) for s in seconds],
                "median_seconds": round(median, 6),
                "rows_per_second": round(args.rows * args.epochs / median, 3),
                "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 3),
                "final_loss": final_loss,
            }
        )
    )


if __name__ == "__main__":
    main()
