"""The PyTorch peer of the `effect-map` and `neurons` benchmarks: interventions by forward hooks on
nn.Identity hook points, as TransformerLens has them, one forward pass an intervention, on random
weights and normal inputs on the CPU, and one JSON line (see common.py).

    python benches/peer/causal.py --what effect-map --threads 2

`effect-map`: natural direct and indirect effects through every head, attention and feed-forward output
of 8 layers; `number` is the sum of the absolute indirect effects.
`neurons`: every neuron of 2 layers held at its mean; `number` is the sum of the mean squared changes.
With `--exchange FILE`, weights and rows are ours, and `check` holds that number.
"""

import math
from contextlib import contextmanager
from functools import partial

import common
import torch
import torch.nn as nn

# Rows a forward pass of the effect map: of 100, 250, 500 and 1000, the fastest on 2 cores, by a few per cent.
CHUNK = 100


class Attention(nn.Module):
    """nn.MultiheadAttention with its parts written out; q, k, v and z are `[row, head, position, d]`."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj.weight)
        nn.init.zeros_(self.in_proj.bias)
        nn.init.zeros_(self.out_proj.bias)
        self.hook_q, self.hook_k, self.hook_v = nn.Identity(), nn.Identity(), nn.Identity()
        self.hook_z, self.hook_out = nn.Identity(), nn.Identity()

    def forward(self, x):
        rows, positions, width = x.shape
        fused = self.in_proj(x).view(rows, positions, 3, self.heads, width // self.heads)
        q, k, v = fused.permute(2, 0, 3, 1, 4).unbind(0)
        q, k, v = self.hook_q(q), self.hook_k(k), self.hook_v(v)
        pattern = ((q / math.sqrt(q.shape[-1])) @ k.transpose(-2, -1)).softmax(dim=-1)
        z = self.hook_z(pattern @ v)
        return self.hook_out(self.out_proj(z.transpose(1, 2).reshape(rows, positions, width)))


class Layer(nn.Module):
    """nn.TransformerEncoderLayer's default, post-norm with ReLU."""

    def __init__(self, width, heads, feed_forward):
        super().__init__()
        self.attn = Attention(width, heads)
        self.linear1 = nn.Linear(width, feed_forward)
        self.linear2 = nn.Linear(feed_forward, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.hook_hidden, self.hook_out, self.hook_resid = nn.Identity(), nn.Identity(), nn.Identity()

    def forward(self, x):
        x = self.norm1(x + self.attn(x))
        hidden = self.hook_hidden(torch.relu(self.linear1(x)))
        return self.hook_resid(self.norm2(x + self.hook_out(self.linear2(hidden))))


class Transformer(nn.Module):
    """Embeds, adds a learned embedding of the position or token, encodes and averages; one logit a row."""

    def __init__(self, embed, positions, width, heads, layers, feed_forward):
        super().__init__()
        self.embed = embed
        self.pos_embedding = nn.Parameter(torch.randn(1, positions, width))
        self.layers = nn.ModuleList(Layer(width, heads, feed_forward) for _ in range(layers))
        self.output = nn.Linear(width, 1)
        self.hook_embed, self.hook_pool = nn.Identity(), nn.Identity()

    def forward(self, x):
        x = self.hook_embed(self.embed(x) + self.pos_embedding)
        for layer in self.layers:
            x = layer(x)
        return self.output(self.hook_pool(x.mean(dim=1))).squeeze(-1)


class Tokens(nn.Module):
    """`[row, column]` to `[row, token, width]`: each token projects columns of its own."""

    def __init__(self, tokens, columns, width):
        super().__init__()
        self.columns = columns
        self.projections = nn.ModuleList(nn.Linear(columns, width) for _ in range(tokens))

    def forward(self, x):
        parts = x.split(self.columns, dim=1)
        return torch.stack([projection(part) for projection, part in zip(self.projections, parts)], dim=1)


@contextmanager
def hooks(pairs):
    """Registers (hook point, hook) pairs, and removes them in the end."""
    handles = [point.register_forward_hook(hook) for point, hook in pairs]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def run_with_cache(model, points, x):
    """The logits, and the activation of every hook point."""
    cache = {}

    def keep(point, _, output):
        cache[point] = output

    with hooks((point, keep) for point in points):
        return model(x), cache


def run_with_edit(model, point, index, value, x):
    """The logits when `index` of a hook point's activation is `value`."""

    def edit(_, __, output):
        # In place, as is usual with TransformerLens: nothing else holds this tensor.
        output[index] = value
        return output

    with hooks([(point, edit)]):
        return model(x)


def effect_map(model, x, few):
    """Sum of the absolute natural indirect effects of features 0 and 1, taken from the next row."""
    corrupted = x.clone()
    corrupted[:, :, :2] = x.roll(-1, dims=0)[:, :, :2]
    mediators = []
    for layer in model.layers:
        z = [(layer.attn.hook_z, (slice(None), head)) for head in range(layer.attn.heads)]
        mediators += [*z, (layer.attn.hook_out, ...), (layer.hook_out, ...)]
    points = dict.fromkeys(point for point, _ in mediators)
    indirect = torch.zeros(len(mediators), dtype=torch.float64)
    direct = torch.zeros(len(mediators), dtype=torch.float64)
    for a, b in zip(x.split(CHUNK), corrupted.split(CHUNK)):
        base, clean = run_with_cache(model, points, a)
        _, other = run_with_cache(model, points, b)
        for i, (point, index) in enumerate(mediators[:few]):
            indirect[i] += (run_with_edit(model, point, index, other[point][index], a) - base).sum()
            direct[i] += (run_with_edit(model, point, index, clean[point][index], b) - base).sum()
    indirect /= len(x)
    direct /= len(x)
    return indirect.abs().sum().item()


def neurons(model, x, few):
    """Sum over neurons of the mean squared change of the logit when the neuron is held at its mean."""
    points = [model.hook_embed]
    for layer in model.layers:
        attn = layer.attn
        points += [attn.hook_q, attn.hook_k, attn.hook_v, attn.hook_z, attn.hook_out]
        points += [layer.hook_hidden, layer.hook_out, layer.hook_resid]
    points.append(model.hook_pool)
    base, cache = run_with_cache(model, points, x)
    edits = []
    for point in points:
        activation = cache[point]
        if activation.dim() == 4:
            means = activation.mean(dim=(0, 2)).tolist()
            for head, values in enumerate(means):
                edits += [(point, (slice(None), head, slice(None), d), mean) for d, mean in enumerate(values)]
        else:
            means = activation.flatten(0, -2).mean(dim=0).tolist()
            edits += [(point, (..., neuron), mean) for neuron, mean in enumerate(means)]
    edits = edits[:few]
    change = torch.empty(len(edits), len(x))
    for i, (point, index, mean) in enumerate(edits):
        change[i] = run_with_edit(model, point, index, mean, x) - base
    change = change.double()
    effects = torch.stack([change.mean(dim=1), change.square().mean(dim=1)], dim=1)
    return effects[:, 1].sum().item()


def renamed(name):
    """Our name of a parameter as it is called here."""
    parts = [
        ("feature_embedding.", "embed."),
        ("group_proj.", "embed.projections."),
        ("group_embedding", "pos_embedding"),
        ("transformer.layers.", "layers."),
        ("transformer_layers.", "layers."),
        ("self_attn.", "attn."),
        ("in_proj_", "in_proj."),
        ("output_proj.", "output."),
    ]
    for ours, here in parts:
        name = name.replace(ours, here)
    return name


def make_work(args):
    """The model and data; what is returned takes how many interventions to try, None for all."""
    torch.manual_seed(args.seed)
    x, weights = common.exchanged(args.exchange)
    if args.what == "effect-map":
        model = Transformer(nn.Linear(12, 128), positions=10, width=128, heads=8, layers=8, feed_forward=512)
        x = torch.randn(args.rows, 10, 12) if x is None else x
        work = effect_map
    else:
        embed = Tokens(tokens=6, columns=10, width=64)
        model = Transformer(embed, positions=6, width=64, heads=4, layers=2, feed_forward=256)
        x = torch.randn(args.rows, 60) if x is None else x.squeeze(1)
        work = neurons
    if weights is not None:
        model.load_state_dict({renamed(name): weight for name, weight in weights.items()}, strict=True)
    return len(x), partial(work, model.eval(), x)


@torch.inference_mode()
def main():
    parser = common.parser(__doc__)
    parser.add_argument("--what", choices=["effect-map", "neurons"], required=True)
    parser.add_argument("--rows", type=int, help="1000 for effect-map, 128 for neurons")
    parser.add_argument("--seed", type=int, default=0)
    args = common.parse(parser)
    args.rows = args.rows or (1000 if args.what == "effect-map" else 128)

    common.use_threads(args.threads)
    rows, work = make_work(args)
    work(few=4)  # warm-up
    seconds, number = common.timed(lambda: work(few=None), args.repeats)
    check = [] if args.exchange is None else [number]
    common.answer("pytorch", torch.__version__, args.threads, rows, seconds, number, common.peak_memory(), check)


if __name__ == "__main__":
    main()
