"""The PyTorch peer of the training benchmarks: trains the notebook's RealWorldTransformer
(`--model sequence`), SmallTransformer (`--model small`, one token a row) or HealthcareTransformer
(`--model healthcare`) on synthetic data and prints one JSON line (see common.py).

    python benches/peer/training.py --model sequence --rows 800 --epochs 10 --threads 2
    python benches/peer/training.py --model healthcare --rows 990 --sequence 10 --features 12 \\
        --hidden 128 --layers 3 --feed-forward 512 --epochs 5 --threads 2
    python benches/peer/training.py --model sequence --rows 1024 --sequence 10 --features 256 --hidden 768 \\
        --heads 12 --layers 12 --feed-forward 3072 --epochs 3 --device cuda

A repeat is the training of a fresh model for `epochs` epochs, in eager mode. `number` is the last epoch's mean loss.
With `--exchange FILE`, `check` holds the logits of our rows under our weights, without dropout.
"""

import common
import torch
import torch.nn as nn


def encoder_layer(args):
    return nn.TransformerEncoderLayer(
        d_model=args.hidden,
        nhead=args.heads,
        dim_feedforward=args.feed_forward,
        dropout=0.1,
        batch_first=True,
    )


class Sequence(nn.Module):
    """RealWorldTransformer; with `healthcare` two attentions stand before the encoder. Forward gives logits."""

    def __init__(self, args):
        super().__init__()
        self.feature_embedding = nn.Linear(args.features, args.hidden)
        self.pos_embedding = nn.Parameter(torch.randn(1, args.sequence, args.hidden))
        self.healthcare = args.model == "healthcare"
        if self.healthcare:
            self.clinical_attention = nn.MultiheadAttention(args.hidden, args.heads, batch_first=True)
            self.admin_attention = nn.MultiheadAttention(args.hidden, args.heads, batch_first=True)
        self.transformer = nn.TransformerEncoder(encoder_layer(args), num_layers=args.layers)
        self.output = nn.Linear(args.hidden, 1)

    def forward(self, x):
        x = self.feature_embedding(x) + self.pos_embedding
        if self.healthcare:
            clinical, _ = self.clinical_attention(x, x, x, need_weights=False)
            admin, _ = self.admin_attention(x, x, x, need_weights=False)
            x = clinical + admin
        x = self.transformer(x)
        return self.output(x.mean(dim=1)).squeeze(-1)


class Small(nn.Module):
    """SmallTransformer: a row is one token. Forward gives logits."""

    def __init__(self, args):
        super().__init__()
        self.input_proj = nn.Linear(args.features, args.hidden)
        self.transformer_layers = nn.ModuleList(encoder_layer(args) for _ in range(args.layers))
        self.output_proj = nn.Linear(args.hidden, 1)

    def forward(self, x):
        x = self.input_proj(x)
        for layer in self.transformer_layers:
            x = layer(x)
        return self.output_proj(x.mean(dim=1)).squeeze(-1)


def make_model(args):
    return Small(args) if args.model == "small" else Sequence(args)


def make_data(args):
    """x is N(0, 1); the label is 1 where the mean of feature 0 over the sequence is above 0."""
    torch.manual_seed(args.seed)
    x = torch.randn(args.rows, args.sequence, args.features)
    labels = (x[:, :, 0].mean(dim=1) > 0).float()
    return x.to(args.device), labels.to(args.device)


def start(args):
    torch.manual_seed(args.seed + 1)
    model = make_model(args).to(args.device).train()
    return model, torch.optim.Adam(model.parameters(), lr=1e-3)


def train(model, optimizer, x, labels, epochs, batch):
    """Returns the last epoch's mean training loss. Mini-batches are reshuffled every epoch."""
    criterion = nn.BCEWithLogitsLoss()
    rows = len(x)
    for _ in range(epochs):
        if batch == 0:
            batches = [(x, labels)]
        else:
            parts = torch.randperm(rows).to(x.device).split(batch)
            batches = ((x[part], labels[part]) for part in parts)
        total = 0.0
        for bx, bl in batches:
            optimizer.zero_grad()
            loss = criterion(model(bx), bl)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(bx)
    return total / rows


@torch.no_grad()
def logits_of_ours(args):
    """Logits of our rows under our weights; none without a file."""
    x, weights = common.exchanged(args.exchange)
    if x is None:
        return []
    model = make_model(args)
    model.load_state_dict(weights, strict=True)
    return model.to(args.device).eval()(x.to(args.device)).tolist()


def main():
    parser = common.parser(__doc__)
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
    parser.add_argument("--device", choices=["cpu", "cuda", "auto"], default="cpu", help="auto = cuda if there is one")
    parser.add_argument("--seed", type=int, default=0)
    args = common.parse(parser)
    if args.batch < 0:
        parser.error(f"batch is {args.batch}, expected at least 0")
    if args.device == "auto":
        args.device = "cuda" if torch.cuda.is_available() else "cpu"

    common.use_threads(args.threads)
    if args.device == "cuda":
        # Ours rounds factors to TF32 on tensor cores; PyTorch does so only when told.
        torch.set_float32_matmul_precision("high")
    x, labels = make_data(args)
    train(*start(args), x, labels, 1, args.batch)  # warm-up
    synchronize = torch.cuda.synchronize if args.device == "cuda" else lambda: None

    def repeat():
        # Its model is gone before the next one is made.
        model, optimizer = start(args)
        synchronize()
        return common.timed(lambda: train(model, optimizer, x, labels, args.epochs, args.batch), 1, synchronize)

    seconds, number = [], None
    for _ in range(args.repeats):
        once, number = repeat()
        seconds += once
    peak = common.peak_memory()
    check = logits_of_ours(args)
    rows = args.rows * args.epochs
    common.answer(
        "pytorch", torch.__version__, args.threads, rows, seconds, number, peak, check, device=args.device
    )


if __name__ == "__main__":
    main()
