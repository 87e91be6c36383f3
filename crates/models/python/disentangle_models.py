"""The models of the Rust crate disentangle-models as PyTorch modules: the same parameters, the same logits.

    python disentangle_models.py model.safetensors model.json [--predict x.safetensors]

loads the weights strictly and prints "ok: N tensors"; with --predict, then one line with the logits of the tensor `x`
[row, position, feature] as a JSON list. It exits non-zero if a name or a shape is wrong. From Python:

    model = disentangle_models.load("model.safetensors", "model.json")  # in evaluation mode
    logits = model.logits(x)                                            # [row]; model(x) is their sigmoid

Needs torch and safetensors only. x is [row, position, feature]. key_mask [row, position] is true where a position
holds data: padding is attended to by nobody and is not pooled. `linear`, `small` and `disentangled` know no padding and
refuse a mask with any. LayerNorm's epsilon is 1e-5; attention divides its scores by the root of a head's width.

Which weights are the notebook's, and what was corrected:

- sequence: RealWorldTransformer, unchanged.
- linear: logistic regression on the flattened input; not in the notebook.
- small, layout flat: SmallTransformer, unchanged. Its input is one token, so its attention cannot mix anything.
  Layout per_group makes one token a group of features (`group_proj.N` and `group_embedding`, not in the notebook).
- disentangled, layout flat: DisentangledTransformer's parameters. The notebook attended across heads inside one
  position; here every head attends over positions. Its penalty compared W W^T with the identity even where W has more
  rows than columns, which can never become 0; here the smaller of the two Gram matrices is compared. With layout
  per_group the groups' projections side by side count as one map, so that groups are drawn apart from each other.
- healthcare, routing shared: HealthcareTransformer, unchanged. There both attentions read the same embedding, so
  neither is clinical or administrative. Routing separated (the default) gives each an embedding of its own columns:
  `clinical_embedding` and `admin_embedding` instead of `feature_embedding`.
- large, positions none: LargeTransformer's parameters. The notebook left batch_first out and so attended over the rows
  of a batch instead of over positions, of which it knew nothing. Positions learned (the default) adds `pos_embedding`:
  without it, the order of the positions has no effect.
- parallel and gated, positions none: ParallelTransformer and GatedTransformer, unchanged. Positions learned (the
  default) adds `pos_embedding`.
- hierarchical, positions none: HierarchicalTransformer's parameters, and its results where the sequence is a multiple
  of 4. The notebook crashed for fewer than 4 positions and dropped the tail that filled no window; here windows have
  ceil(sequence / 4) positions, and the last one is padded and masked. Positions learned as in parallel.
"""

import argparse
import inspect
import json
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file


def padding_of(x, key_mask):
    """What is added to the scores of a key: 0 for data, the lowest number for padding, [row, position].

    Not -inf, so that a row without data attends evenly instead of becoming NaN.
    """
    if key_mask is None:
        return None
    zeros = torch.zeros(key_mask.shape, dtype=x.dtype, device=x.device)
    return zeros.masked_fill(~key_mask.bool(), torch.finfo(x.dtype).min)


def mean_pool(x, key_mask):
    """Mean over the positions that hold data, [row, width]; 0 for a row without any."""
    if key_mask is None:
        return x.mean(dim=1)
    weights = key_mask.to(x.dtype).unsqueeze(-1)
    return (x * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def choice(key, value, allowed):
    if value not in allowed:
        raise ValueError(f"{key} is {value!r}, not one of {allowed}")
    return value


def columns_of(key, columns, features):
    if not columns or any(not 0 <= column < features for column in columns):
        raise ValueError(f"{key} is {columns!r}, expected columns from 0 to {features - 1}")
    return list(columns)


class EncoderLayer(nn.TransformerEncoderLayer):
    """The same layer without PyTorch's fused inference path, which gives NaN for rows without data."""

    def __init__(self, hidden, heads, feed_forward, dropout):
        super().__init__(hidden, heads, dim_feedforward=feed_forward, dropout=dropout, batch_first=True)

    def forward(self, x, padding=None):
        attended, _ = self.self_attn(x, x, x, key_padding_mask=padding, need_weights=False)
        x = self.norm1(x + self.dropout1(attended))
        hidden = self.dropout(F.relu(self.linear1(x)))
        return self.norm2(x + self.dropout2(self.linear2(hidden)))


class Encoder(nn.Module):
    """As torch.nn.TransformerEncoder, but its layers do not start as copies of each other."""

    def __init__(self, hidden, heads, feed_forward, dropout, layers):
        super().__init__()
        self.layers = nn.ModuleList([EncoderLayer(hidden, heads, feed_forward, dropout) for _ in range(layers)])

    def forward(self, x, padding=None):
        for layer in self.layers:
            x = layer(x, padding)
        return x


class Classifier(nn.Module):
    """One logit a row."""

    def logits(self, x, key_mask=None):
        raise NotImplementedError

    def forward(self, x):
        return torch.sigmoid(self.logits(x))

    def refuse_padding(self, key_mask):
        if key_mask is not None and not key_mask.bool().all():
            raise ValueError(f"{type(self).__name__} knows no padding")


class Positions(Classifier):
    """An input projection, with or without learned positions."""

    def __init__(self, features, sequence, positions, hidden):
        super().__init__()
        self.input_proj = nn.Linear(features, hidden)
        if choice("positions", positions, ["learned", "none"]) == "learned":
            self.pos_embedding = nn.Parameter(torch.randn(1, sequence, hidden))
        else:
            self.pos_embedding = None

    def embed(self, x):
        x = self.input_proj(x)
        return x if self.pos_embedding is None else x + self.pos_embedding


class Sequence(Classifier):
    """The notebook's RealWorldTransformer."""

    def __init__(self, features, sequence, hidden=64, heads=4, layers=2, feed_forward=256, dropout=0.1):
        super().__init__()
        self.feature_embedding = nn.Linear(features, hidden)
        self.pos_embedding = nn.Parameter(torch.randn(1, sequence, hidden))
        self.transformer = Encoder(hidden, heads, feed_forward, dropout, layers)
        self.output = nn.Linear(hidden, 1)

    def logits(self, x, key_mask=None):
        x = self.feature_embedding(x) + self.pos_embedding
        x = self.transformer(x, padding_of(x, key_mask))
        return self.output(mean_pool(x, key_mask)).squeeze(-1)


class Linear(Classifier):
    """Logistic regression on the flattened input."""

    def __init__(self, features, sequence):
        super().__init__()
        self.linear = nn.Linear(sequence * features, 1)

    def logits(self, x, key_mask=None):
        self.refuse_padding(key_mask)
        return self.linear(x.flatten(1)).squeeze(-1)


class Tabular(Classifier):
    """Tokens of one row of features: one token of all, or one a group. `project` makes each projection."""

    def __init__(self, features, layout, hidden, project):
        super().__init__()
        layout = dict(layout or {"kind": "flat"})
        if choice("layout.kind", layout.pop("kind", None), ["flat", "per_group"]) == "flat":
            self.groups = None
            self.input_proj = project(features, hidden)
        else:
            groups = layout.pop("groups", None)
            if not groups:
                raise ValueError("layout per_group needs groups")
            self.groups = [columns_of("a group", group, features) for group in groups]
            self.group_proj = nn.ModuleList([project(len(group), hidden) for group in self.groups])
            self.group_embedding = nn.Parameter(torch.randn(1, len(self.groups), hidden))
        if layout:
            raise ValueError(f"unknown keys of layout: {sorted(layout)}")

    def tokens(self, x):
        """x is [row, 1, feature], or as in the notebook [row, feature]."""
        x = x if x.dim() == 3 else x.unsqueeze(1)
        if self.groups is None:
            return self.input_proj(x)
        tokens = [project(x[..., group]) for project, group in zip(self.group_proj, self.groups)]
        return torch.cat(tokens, dim=1) + self.group_embedding


class Small(Tabular):
    """The notebook's SmallTransformer; per group, with one token a group of features."""

    def __init__(self, features, layout=None, hidden=64, heads=4, layers=2, feed_forward=None, dropout=0.1):
        super().__init__(features, layout, hidden, nn.Linear)
        ff = 4 * hidden if feed_forward is None else feed_forward
        self.transformer_layers = nn.ModuleList([EncoderLayer(hidden, heads, ff, dropout) for _ in range(layers)])
        self.output_proj = nn.Linear(hidden, 1)

    def logits(self, x, key_mask=None):
        self.refuse_padding(key_mask)
        x = self.tokens(x)
        for layer in self.transformer_layers:
            x = layer(x)
        return self.output_proj(x.mean(dim=1)).squeeze(-1)


class OrthogonalLinear(nn.Module):
    """A linear map that is penalised for not being orthogonal."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x):
        return self.linear(x)


def orthogonal_loss(w):
    """Mean square of G - I, where G is the smaller Gram matrix of the weight."""
    gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    return F.mse_loss(gram, torch.eye(len(gram), dtype=w.dtype, device=w.device))


class DisentangledAttention(nn.Module):
    """Multi-head self-attention over positions, made of orthogonal maps."""

    def __init__(self, hidden, heads, dropout):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.q_proj = OrthogonalLinear(hidden, hidden)
        self.k_proj = OrthogonalLinear(hidden, hidden)
        self.v_proj = OrthogonalLinear(hidden, hidden)
        self.out_proj = OrthogonalLinear(hidden, hidden)

    def forward(self, x):
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        pattern = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), dim=-1)
        z = F.dropout(pattern, self.dropout, self.training) @ v
        return self.out_proj(z.transpose(1, 2).flatten(2))


class DisentangledLayer(nn.Module):
    """A post-norm encoder layer with GELU, made of orthogonal maps."""

    def __init__(self, hidden, heads, feed_forward, dropout):
        super().__init__()
        self.dropout = dropout
        self.self_attn = DisentangledAttention(hidden, heads, dropout)
        self.norm1 = nn.LayerNorm(hidden)
        # Run step by step below, so that dropout does not shift the names.
        self.ff = nn.Sequential(
            OrthogonalLinear(hidden, feed_forward), nn.GELU(), OrthogonalLinear(feed_forward, hidden)
        )
        self.norm2 = nn.LayerNorm(hidden)

    def forward(self, x):
        x = self.norm1(x + F.dropout(self.self_attn(x), self.dropout, self.training))
        hidden = F.dropout(self.ff[1](self.ff[0](x)), self.dropout, self.training)
        return self.norm2(x + F.dropout(self.ff[2](hidden), self.dropout, self.training))


class Disentangled(Tabular):
    """The notebook's DisentangledTransformer with attention over positions. Train it on its loss + penalty()."""

    def __init__(
        self, features, layout=None, hidden=64, heads=4, layers=2, feed_forward=None, dropout=0.0, orthogonality=0.1
    ):
        super().__init__(features, layout, hidden, OrthogonalLinear)
        self.orthogonality = orthogonality
        if hidden % heads:
            raise ValueError(f"heads is {heads}, not a divisor of hidden = {hidden}")
        ff = 4 * hidden if feed_forward is None else feed_forward
        self.transformer_layers = nn.ModuleList([DisentangledLayer(hidden, heads, ff, dropout) for _ in range(layers)])
        self.output_proj = nn.Linear(hidden, 1)

    def logits(self, x, key_mask=None):
        self.refuse_padding(key_mask)
        x = self.tokens(x)
        for layer in self.transformer_layers:
            x = layer(x)
        return self.output_proj(x.mean(dim=1)).squeeze(-1)

    def penalty(self):
        """`orthogonality` times the sum over all orthogonal maps; the groups' projections side by side are one map."""
        layers = [m for m in self.transformer_layers.modules() if isinstance(m, OrthogonalLinear)]
        if hasattr(self, "group_proj"):
            first = torch.cat([m.linear.weight for m in self.group_proj], dim=1)
        else:
            first = self.input_proj.linear.weight
        return self.orthogonality * sum(orthogonal_loss(w) for w in [first] + [m.linear.weight for m in layers])


class Healthcare(Classifier):
    """The notebook's HealthcareTransformer; separated, with one embedding for each attention."""

    def __init__(
        self,
        features,
        sequence,
        routing="separated",
        clinical=None,
        admin=None,
        hidden=128,
        heads=4,
        layers=3,
        feed_forward=512,
        dropout=0.1,
    ):
        super().__init__()
        self.separated = choice("routing", routing, ["separated", "shared"]) == "separated"
        if self.separated:
            self.clinical = columns_of("clinical", clinical, features)
            self.admin = columns_of("admin", admin, features)
            self.clinical_embedding = nn.Linear(len(self.clinical), hidden)
            self.admin_embedding = nn.Linear(len(self.admin), hidden)
        else:
            self.feature_embedding = nn.Linear(features, hidden)
        self.pos_embedding = nn.Parameter(torch.randn(1, sequence, hidden))
        self.clinical_attention = nn.MultiheadAttention(hidden, heads, batch_first=True)
        self.admin_attention = nn.MultiheadAttention(hidden, heads, batch_first=True)
        self.transformer = Encoder(hidden, heads, feed_forward, dropout, layers)
        self.output = nn.Linear(hidden, 1)

    def logits(self, x, key_mask=None):
        padding = padding_of(x, key_mask)
        if self.separated:
            clinical = self.clinical_embedding(x[..., self.clinical]) + self.pos_embedding
            admin = self.admin_embedding(x[..., self.admin]) + self.pos_embedding
        else:
            clinical = admin = self.feature_embedding(x) + self.pos_embedding
        clinical, _ = self.clinical_attention(
            clinical, clinical, clinical, key_padding_mask=padding, need_weights=False
        )
        admin, _ = self.admin_attention(admin, admin, admin, key_padding_mask=padding, need_weights=False)
        x = self.transformer(clinical + admin, padding)
        return self.output(mean_pool(x, key_mask)).squeeze(-1)


class Large(Positions):
    """The notebook's LargeTransformer with attention over positions; post-norm, GELU."""

    def __init__(
        self,
        features,
        sequence,
        positions="learned",
        hidden=768,
        heads=16,
        layers=12,
        feed_forward=None,
        dropout=0.0,
    ):
        super().__init__(features, sequence, positions, hidden)
        self.dropout = dropout
        ff = 4 * hidden if feed_forward is None else feed_forward
        self.attention_layers = nn.ModuleList(
            [nn.MultiheadAttention(hidden, heads, dropout=dropout, batch_first=True) for _ in range(layers)]
        )
        # Run step by step below, so that dropout does not shift the names.
        self.ff_layers = nn.ModuleList(
            [nn.Sequential(nn.Linear(hidden, ff), nn.GELU(), nn.Linear(ff, hidden)) for _ in range(layers)]
        )
        self.layer_norms = nn.ModuleList([nn.LayerNorm(hidden) for _ in range(2 * layers)])
        self.output = nn.Linear(hidden, 1)

    def logits(self, x, key_mask=None):
        x = self.embed(x)
        padding = padding_of(x, key_mask)
        for n, (attention, ff) in enumerate(zip(self.attention_layers, self.ff_layers)):
            attended, _ = attention(x, x, x, key_padding_mask=padding, need_weights=False)
            x = self.layer_norms[2 * n](x + F.dropout(attended, self.dropout, self.training))
            hidden = F.dropout(ff[1](ff[0](x)), self.dropout, self.training)
            x = self.layer_norms[2 * n + 1](x + F.dropout(ff[2](hidden), self.dropout, self.training))
        return self.output(mean_pool(x, key_mask)).squeeze(-1)


class Parallel(Positions):
    """The notebook's ParallelTransformer: encoder layers side by side, their results joined."""

    def __init__(
        self,
        features,
        sequence,
        positions="learned",
        hidden=768,
        heads=8,
        branches=4,
        feed_forward=2048,
        dropout=0.1,
    ):
        super().__init__(features, sequence, positions, hidden)
        self.parallel_branches = nn.ModuleList(
            [EncoderLayer(hidden, heads, feed_forward, dropout) for _ in range(branches)]
        )
        self.output = nn.Linear(hidden * branches, 1)

    def logits(self, x, key_mask=None):
        x = self.embed(x)
        padding = padding_of(x, key_mask)
        x = torch.cat([branch(x, padding) for branch in self.parallel_branches], dim=-1)
        return self.output(mean_pool(x, key_mask)).squeeze(-1)


class Hierarchical(Positions):
    """The notebook's HierarchicalTransformer: attention inside windows, then over all positions."""

    def __init__(self, features, sequence, positions="learned", hidden=768, heads=8, feed_forward=2048, dropout=0.1):
        super().__init__(features, sequence, positions, hidden)
        self.window = math.ceil(sequence / 4)
        self.local_transformer = EncoderLayer(hidden, heads, feed_forward, dropout)
        self.global_transformer = EncoderLayer(hidden, heads, feed_forward, dropout)
        self.output = nn.Linear(hidden, 1)

    def logits(self, x, key_mask=None):
        x = self.embed(x)
        rows, sequence, hidden = x.shape
        extra = -sequence % self.window
        # Of the padded sequence; none needed if everything is data.
        mask = key_mask
        if extra and mask is None:
            mask = torch.ones(rows, sequence, dtype=torch.bool, device=x.device)
        if mask is not None:
            mask = F.pad(mask.bool(), (0, extra), value=False).reshape(-1, self.window)
        windows = F.pad(x, (0, 0, 0, extra)).reshape(-1, self.window, hidden)
        local = self.local_transformer(windows, padding_of(x, mask))
        x = local.reshape(rows, sequence + extra, hidden)[:, :sequence]
        x = self.global_transformer(x, padding_of(x, key_mask))
        return self.output(mean_pool(x, key_mask)).squeeze(-1)


class Gated(Positions):
    """The notebook's GatedTransformer: one encoder layer's results, let through by another's."""

    def __init__(self, features, sequence, positions="learned", hidden=768, heads=8, feed_forward=2048, dropout=0.1):
        super().__init__(features, sequence, positions, hidden)
        self.content_transformer = EncoderLayer(hidden, heads, feed_forward, dropout)
        self.gate_transformer = EncoderLayer(hidden, heads, feed_forward, dropout)
        self.gate_proj = nn.Linear(hidden, hidden)
        self.output = nn.Linear(hidden, 1)

    def logits(self, x, key_mask=None):
        x = self.embed(x)
        padding = padding_of(x, key_mask)
        content = self.content_transformer(x, padding)
        gate = self.gate_transformer(x, padding)
        x = content * torch.sigmoid(self.gate_proj(gate))
        return self.output(mean_pool(x, key_mask)).squeeze(-1)


FAMILIES = {
    "sequence": Sequence,
    "linear": Linear,
    "small": Small,
    "disentangled": Disentangled,
    "healthcare": Healthcare,
    "large": Large,
    "parallel": Parallel,
    "hierarchical": Hierarchical,
    "gated": Gated,
}


def build(description):
    """An untrained model from the parsed model.json, {"family": .., "config": {..}}. Absent keys get their defaults."""
    if set(description) != {"family", "config"}:
        raise ValueError(f"model.json has the keys {sorted(description)}, expected config and family")
    family, config = description["family"], description["config"]
    model_class = FAMILIES[choice("family", family, list(FAMILIES))]
    keys = inspect.signature(model_class).parameters
    unknown = sorted(set(config) - set(keys))
    missing = [key for key, p in keys.items() if p.default is inspect.Parameter.empty and key not in config]
    if unknown or missing:
        raise ValueError(f"config of {family}: unknown keys {unknown}, missing keys {missing}")
    return model_class(**config)


def load(weights, model_json):
    """The model of model.json with the weights of model.safetensors, both paths, in evaluation mode."""
    with open(model_json) as file:
        model = build(json.load(file))
    model.load_state_dict(load_file(weights), strict=True)
    return model.eval()


def main():
    parser = argparse.ArgumentParser(
        description="Loads a model of disentangle-models strictly, and can predict with it."
    )
    parser.add_argument("weights", metavar="model.safetensors")
    parser.add_argument("model", metavar="model.json")
    parser.add_argument("--predict", metavar="x.safetensors", help="prints the logits of its tensor `x` as a JSON list")
    args = parser.parse_args()

    model = load(args.weights, args.model)
    print(f"ok: {len(model.state_dict())} tensors")
    if args.predict:
        with torch.no_grad():
            print(json.dumps(model.logits(load_file(args.predict)["x"]).tolist()))


if __name__ == "__main__":
    main()
