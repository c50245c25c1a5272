"""The network of the speed comparison, and the file that carries it between libraries.

    python bench/peers/network.py --out network.npz

writes a freshly initialised SiLU network, scaled until its field is worth integrating, and the points to start from,
so that every library integrates the *same* field from the same points. The keys are `layers.{i}.weight` `[in, out]`,
`layers.{i}.bias` `[out]` and `points` `[rows, dim]`; the input of the network is the row `(x, t)`. Files in the
safetensors format with the same keys are read too.
"""

import argparse
import json

import numpy as np
import torch


class Mlp(torch.nn.Module):
    """`(t, x)` to a velocity: an activation between linear layers, the time as the last input column."""

    def __init__(self, dim, width, hidden, activation="silu"):
        super().__init__()
        self.activation = getattr(torch.nn.functional, activation)
        sizes = [dim + 1] + [width] * hidden + [dim]
        self.layers = torch.nn.ModuleList(torch.nn.Linear(n, m) for n, m in zip(sizes, sizes[1:]))

    def forward(self, t, x):
        h = torch.cat([x, t.expand(x.shape[0])[:, None]], dim=-1)
        for layer in self.layers[:-1]:
            h = self.activation(layer(h))
        return self.layers[-1](h)


def read_safetensors(path):
    """The float tensors of a safetensors file as numpy arrays."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        body = file.read()
    types = {"F32": "<f4", "F64": "<f8"}
    header.pop("__metadata__", None)
    arrays = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        arrays[name] = np.frombuffer(body[begin:end], types[entry["dtype"]]).reshape(entry["shape"])
    return arrays


def load(path, dtype=torch.float32):
    """The network and the points of a file."""
    arrays = read_safetensors(path) if path.endswith(".safetensors") else dict(np.load(path))
    count = sum(name.startswith("layers.") and name.endswith(".weight") for name in arrays)
    weights = [torch.tensor(arrays[f"layers.{i}.weight"].T, dtype=dtype) for i in range(count)]
    width, dim = weights[-1].shape[1], weights[-1].shape[0]
    network = Mlp(dim, width, count - 1).to(dtype)
    with torch.no_grad():
        for i, (layer, weight) in enumerate(zip(network.layers, weights)):
            layer.weight.copy_(weight)
            layer.bias.copy_(torch.tensor(arrays[f"layers.{i}.bias"], dtype=dtype))
    return network, torch.tensor(arrays["points"], dtype=dtype)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="the .npz file to write")
    parser.add_argument("--dim", type=int, default=2)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--hidden", type=int, default=3)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--gain", type=float, default=3.0, help="factor on PyTorch's default weights")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    network = Mlp(arguments.dim, arguments.width, arguments.hidden)
    arrays = {"points": torch.randn(arguments.points, arguments.dim).numpy()}
    for i, layer in enumerate(network.layers):
        arrays[f"layers.{i}.weight"] = arguments.gain * layer.weight.detach().numpy().T
        arrays[f"layers.{i}.bias"] = layer.bias.detach().numpy()
    np.savez(arguments.out, **arrays)


if __name__ == "__main__":
    main()
