"""Loads an exported sequence model into the notebook's PyTorch class, with strict=True.

    python load_state_dict.py MODEL.safetensors model.json [--predict x.safetensors]

Prints "ok: N tensors"; with --predict, then one line with the logits of the tensor `x`
[batch, sequence, features] as a JSON list. Exits non-zero if a name or a shape is wrong.
"""

import argparse
import json

import torch
import torch.nn as nn
from safetensors.torch import load_file

torch.backends.mha.set_fastpath_enabled(False)


class RealWorldTransformer(nn.Module):
    def __init__(self, config):
        super().__init__()
        hidden = config["hidden"]
        self.feature_embedding = nn.Linear(config["features"], hidden)
        self.pos_embedding = nn.Parameter(torch.randn(1, config["sequence"], hidden))
        layer = nn.TransformerEncoderLayer(
            d_model=hidden,
            nhead=config["heads"],
            dim_feedforward=config["feed_forward"],
            dropout=config["dropout"],
            batch_first=True,
        )
        self.transformer = nn.TransformerEncoder(layer, num_layers=config["layers"])
        self.output = nn.Linear(hidden, 1)

    def logits(self, x):
        x = self.feature_embedding(x) + self.pos_embedding
        x = self.transformer(x)
        x = x.mean(dim=1)
        return self.output(x).squeeze(-1)

    def forward(self, x):
        return torch.sigmoid(self.logits(x))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", metavar="MODEL.safetensors")
    parser.add_argument("model", metavar="model.json")
    parser.add_argument("--predict", metavar="x.safetensors")
    args = parser.parse_args()

    with open(args.model) as f:
        description = json.load(f)
    if description["family"] != "sequence":
        parser.error(f"family is {description['family']!r}, not 'sequence'")
    model = RealWorldTransformer(description["config"]).eval()
    state = load_file(args.weights)
    model.load_state_dict(state, strict=True)
    print(f"ok: {len(state)} tensors")

    if args.predict:
        x = load_file(args.predict)["x"]
        with torch.no_grad():
            print(json.dumps(model.logits(x).tolist()))


if __name__ == "__main__":
    main()
