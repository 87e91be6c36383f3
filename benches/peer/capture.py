"""The PyTorch peer of the `capture` benchmarks: every activation of a 12-layer, 768-wide model for 10,000 rows of 2
positions, read by forward hooks on nn.Identity hook points, as TransformerLens has them, on random weights and normal
inputs on the CPU, and one JSON line (see common.py).

    python benches/peer/capture.py --rows 2000 --threads 2
    python benches/peer/capture.py --reduce --threads 2

Without `--reduce`, all is kept as `run_with_cache` keeps it, a dictionary of one tensor a site: 0.83 MB a row, 8.3 GB
for 10,000 rows. With it, every batch is reduced to moments at each site as it passes (count, mean, covariance in f64),
which is what our capture does where a site is too large to keep. `number` is the sum over sites of the root mean
square. With `--exchange FILE`, weights and rows are ours, and `check` holds that number.
"""

import math

import common
import torch
import torch.nn as nn

FEATURES, POSITIONS, WIDTH, HEADS, LAYERS = 64, 2, 768, 16, 12


class Attention(nn.Module):
    """nn.MultiheadAttention's parameters with its parts written out; by head `[row, head, position, d]`."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(3 * width, width)))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.zeros_(self.out_proj.bias)
        self.hook_q, self.hook_k, self.hook_v = nn.Identity(), nn.Identity(), nn.Identity()
        self.hook_scores, self.hook_pattern = nn.Identity(), nn.Identity()
        self.hook_z, self.hook_out = nn.Identity(), nn.Identity()

    def forward(self, x):
        rows, positions, width = x.shape
        fused = nn.functional.linear(x, self.in_proj_weight, self.in_proj_bias)
        fused = fused.view(rows, positions, 3, self.heads, width // self.heads)
        q, k, v = fused.permute(2, 0, 3, 1, 4).unbind(0)
        q, k, v = self.hook_q(q), self.hook_k(k), self.hook_v(v)
        scores = self.hook_scores((q / math.sqrt(q.shape[-1])) @ k.transpose(-2, -1))
        z = self.hook_z(self.hook_pattern(scores.softmax(dim=-1)) @ v)
        return self.hook_out(self.out_proj(z.transpose(1, 2).reshape(rows, positions, width)))


class Large(nn.Module):
    """The notebook's LargeTransformer with attention over positions: post-norm, GELU. One logit a row."""

    def __init__(self, features, positions, width, heads, layers):
        super().__init__()
        self.input_proj = nn.Linear(features, width)
        self.pos_embedding = nn.Parameter(torch.randn(1, positions, width))
        self.attention_layers = nn.ModuleList(Attention(width, heads) for _ in range(layers))
        self.ff_layers = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)) for _ in range(layers)
        )
        self.layer_norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * layers))
        self.output = nn.Linear(width, 1)
        self.hook_input, self.hook_embed = nn.Identity(), nn.Identity()
        self.hook_resid = nn.ModuleList(nn.Identity() for _ in range(layers))
        self.hook_pool, self.hook_logit = nn.Identity(), nn.Identity()

    def forward(self, x):
        x = self.hook_embed(self.input_proj(self.hook_input(x)) + self.pos_embedding)
        for n, (attention, ff) in enumerate(zip(self.attention_layers, self.ff_layers)):
            x = self.layer_norms[2 * n](x + attention(x))
            x = self.hook_resid[n](self.layer_norms[2 * n + 1](x + ff(x)))
        return self.hook_logit(self.output(self.hook_pool(x.mean(dim=1))).squeeze(-1))

    def points(self):
        """All places of ours: the hidden activation is what GELU gives, and a feed-forward part's output is its own."""
        points = [self.hook_input, self.hook_embed]
        for attention, ff, resid in zip(self.attention_layers, self.ff_layers, self.hook_resid):
            points += [attention.hook_q, attention.hook_k, attention.hook_v, attention.hook_scores]
            points += [attention.hook_pattern, attention.hook_z, attention.hook_out, ff[1], ff, resid]
        return [*points, self.hook_pool, self.hook_logit]


class Kept:
    """Every activation of one site."""

    def __init__(self):
        self.parts, self.whole = [], None

    def take(self, activation):
        self.parts.append(activation.detach())

    def finish(self):
        self.whole, self.parts = torch.cat(self.parts), []

    def rms(self):
        squares = sum(part.double().square().sum().item() for part in self.whole.split(256))
        return math.sqrt(squares / self.whole.numel())


class Moments:
    """Count, mean and scatter of one site's neurons, batch by batch (Chan, Golub and LeVeque 1979)."""

    def __init__(self):
        self.rows, self.mean, self.scatter = 0, None, None

    def take(self, activation):
        if activation.dim() == 4:
            activation = activation.transpose(1, 2).flatten(2)
        x = activation.reshape(-1, activation.shape[-1] if activation.dim() > 1 else 1).double()
        mean = x.mean(dim=0)
        x = x - mean
        if self.rows == 0:
            self.rows, self.mean, self.scatter = len(x), mean, x.T @ x
            return
        shift, total = mean - self.mean, self.rows + len(x)
        self.scatter.addmm_(x.T, x)
        self.scatter.addr_(shift, shift, alpha=self.rows * len(x) / total)
        self.mean += shift * (len(x) / total)
        self.rows = total

    def finish(self):
        pass

    def rms(self):
        return math.sqrt((self.scatter.diagonal() / self.rows + self.mean.square()).mean().item())


def capture(model, x, batch, keeper):
    """What `keeper` keeps of each site."""
    kept = {point: keeper() for point in model.points()}

    def hook(point, _, output):
        kept[point].take(output)

    handles = [point.register_forward_hook(hook) for point in kept]
    for part in x.split(batch):
        model(part)
    for handle in handles:
        handle.remove()
    for one in kept.values():
        one.finish()
    return kept


@torch.inference_mode()
def main():
    parser = common.parser(__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--width", type=int, default=WIDTH, help="other sizes than ours, to try it out")
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--reduce", action="store_true", help="moments of each site instead of all activations")
    parser.add_argument("--seed", type=int, default=0)
    args = common.parse(parser)
    if args.batch < 1:
        parser.error(f"batch is {args.batch}, expected at least 1")

    common.use_threads(args.threads)
    torch.manual_seed(args.seed)
    model = Large(FEATURES, POSITIONS, args.width, HEADS, args.layers).eval()
    x, weights = common.exchanged(args.exchange)
    if weights is not None:
        model.load_state_dict(weights, strict=True)
        del weights
    x = torch.randn(args.rows, POSITIONS, FEATURES) if x is None else x
    keeper = Moments if args.reduce else Kept
    capture(model, x[: args.batch], args.batch, keeper)  # warm-up
    seconds, kept = common.timed(lambda: capture(model, x, args.batch, keeper), args.repeats)
    peak = common.peak_memory()
    number = sum(one.rms() for one in kept.values())
    check = [] if args.exchange is None else [number]
    common.answer("pytorch", torch.__version__, args.threads, len(x), seconds, number, peak, check, sites=len(kept))


if __name__ == "__main__":
    main()
