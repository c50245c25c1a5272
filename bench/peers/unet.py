"""The peers' side of the comparison of U-Nets: torchcfm's network for images, and a conditional one over time.

    python bench/peers/unet.py --out unet-peers.jsonl --threads 1 2

Every case runs in a process of its own. What is timed is written out in bench/README.md; our side is
bench/examples/unet, with the same names of cases, and prints the same counts of parameters.
"""

import argparse
import json
import math
import os
import time

import records
from speed import peak_megabytes, processor, spread

LEARNING_RATE = 1e-4
EULER_STEPS = 10
HORIZON, ACTION, OBSERVATION = 16, 2, 40
CASES = [
    *(f"image{channels}/{work}" for channels in (32, 64) for work in ("train/16", "sample/1", "sample/16")),
    "action/train/256",
    "action/chunk/1",
]


def cases(threads):
    """Names of all cases; the name is all that a worker process is told."""
    for count in threads:
        for case in CASES:
            for mode in ("eager", "compiled"):
                yield f"{case}/{mode}/{count}"


def action_unet():
    """The conditional U-Net over time of diffusion policy (Chi et al., 2023): channels 64, 128, 256, kernel 5.

    Time and observation scale and shift the channels before the activation, which is SiLU.
    """
    import torch
    from torch import nn
    from torch.nn.functional import silu

    time_features, channels, groups, kernel = 64, (64, 128, 256), 8, 5

    class Block(nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.conv1 = nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2)
            self.conv2 = nn.Conv1d(outputs, outputs, kernel, padding=kernel // 2)
            self.norm1, self.norm2 = nn.GroupNorm(groups, outputs), nn.GroupNorm(groups, outputs)
            self.film = nn.Linear(time_features + OBSERVATION, 2 * outputs)
            self.skip = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

        def forward(self, x, condition):
            scale, shift = self.film(condition)[:, :, None].chunk(2, dim=1)
            h = silu(self.norm1(self.conv1(x)) * (1 + scale) + shift)
            return silu(self.norm2(self.conv2(h))) + self.skip(x)

    class Unet(nn.Module):
        def __init__(self):
            super().__init__()
            low, middle, high = channels
            self.time = nn.Sequential(
                nn.Linear(time_features, 4 * time_features), nn.SiLU(), nn.Linear(4 * time_features, time_features)
            )
            pair = lambda inputs, outputs: nn.ModuleList([Block(inputs, outputs), Block(outputs, outputs)])
            self.down = nn.ModuleList([pair(ACTION, low), pair(low, middle), pair(middle, high)])
            self.reduce = nn.ModuleList([nn.Conv1d(n, n, 3, stride=2, padding=1) for n in (low, middle)])
            self.middle = pair(high, high)
            self.up = nn.ModuleList([pair(2 * high, middle), pair(2 * middle, low)])
            self.enlarge = nn.ModuleList([nn.ConvTranspose1d(n, n, 4, stride=2, padding=1) for n in (middle, low)])
            self.last = nn.Sequential(
                nn.Conv1d(low, low, kernel, padding=kernel // 2),
                nn.GroupNorm(groups, low),
                nn.SiLU(),
                nn.Conv1d(low, ACTION, 1),
            )

        def forward(self, t, x, observation):
            half = time_features // 2
            frequencies = torch.exp(-math.log(10_000) * torch.arange(half) / half)
            angles = t[:, None] * frequencies[None]
            time = self.time(torch.cat([angles.cos(), angles.sin()], dim=1))
            # Every block begins with this activation, so it is done once.
            condition = silu(torch.cat([time, observation], dim=1))
            kept = []
            for level, pair in enumerate(self.down):
                for block in pair:
                    x = block(x, condition)
                kept.append(x)
                if level < len(self.reduce):
                    x = self.reduce[level](x)
            for block in self.middle:
                x = block(x, condition)
            for pair, enlarge in zip(self.up, self.enlarge):
                x = torch.cat([x, kept.pop()], dim=1)
                for block in pair:
                    x = block(x, condition)
                x = enlarge(x)
            return self.last(x)

    return Unet()


def image_unet(channels):
    """torchcfm's network for images of 3 × 32 × 32 as its users call it."""
    from torchcfm.models.unet.unet import UNetModelWrapper

    return UNetModelWrapper(
        dim=(3, 32, 32),
        num_channels=channels,
        num_res_blocks=2,
        channel_mult=[1, 2, 2, 2],
        attention_resolutions="16",
    )


def training(model, batch, network, mode):
    """Whole steps of conditional flow matching on straight paths: draws, loss, backward and Adam."""
    import torch

    data = torch.randn(batch, 3, 32, 32) if network != "action" else torch.randn(batch, ACTION, HORIZON)
    given = (torch.randn(batch, OBSERVATION),) if network == "action" else ()

    def loss_of(t, x0, x1):
        spread_t = t.reshape(-1, *[1] * (x1.dim() - 1))
        x = x0 + spread_t * (x1 - x0)
        return torch.mean((model(t, x, *given) - (x1 - x0)) ** 2)

    if mode == "compiled":
        loss_of = torch.compile(loss_of)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True if mode == "compiled" else None)

    def step():
        optimizer.zero_grad()
        loss = loss_of(torch.rand(batch), torch.randn_like(data), data)
        loss.backward()
        optimizer.step()

    return step


def sampling(model, batch, mode):
    """One evaluation."""
    import torch

    x, t = torch.randn(batch, 3, 32, 32), torch.full((batch,), 0.5)
    model.requires_grad_(False)
    field = torch.compile(model) if mode == "compiled" else model

    def evaluate():
        with torch.inference_mode():
            field(t, x)

    return evaluate


def chunks(model, batch, mode):
    """Ten steps of Euler's method from noise to actions."""
    import torch

    observation, noise = torch.randn(batch, OBSERVATION), torch.randn(batch, ACTION, HORIZON)
    model.requires_grad_(False)
    field = torch.compile(model) if mode == "compiled" else model
    times = [torch.full((batch,), step / EULER_STEPS) for step in range(EULER_STEPS)]

    def chunk():
        with torch.inference_mode():
            x = noise
            for t in times:
                x = x + field(t, x, observation) / EULER_STEPS

    return chunk


def operations(timed):
    """Floating-point operations of products and convolutions, which torch counts where nothing is compiled."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        timed()
    return counter.get_total_flops()


def work(case, arguments):
    """Runs one case in this process and prints its record."""
    import torch
    import torchcfm

    network, kind, batch, mode, threads = case.split("/")
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    imported = peak_megabytes()
    model = action_unet() if network == "action" else image_unet(int(network.removeprefix("image")))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    if kind == "train":
        timed = training(model, int(batch), network, mode)
    else:
        timed = (chunks if kind == "chunk" else sampling)(model.eval(), int(batch), mode)
    flops = {} if mode == "compiled" else {"flops": operations(timed)}
    start = time.perf_counter()
    timed()
    first = time.perf_counter() - start
    for _ in range(arguments.warm_up):
        timed()
    seconds = []
    for _ in range(arguments.repeats):
        start = time.perf_counter()
        timed()
        seconds.append(time.perf_counter() - start)
    record = {"case": case, "kind": kind, "network": network, "library": "torch", "mode": mode}
    record |= {"threads": int(threads), "batch": int(batch), "dtype": "float32", "parameters": parameters}
    record |= {"repeats": arguments.repeats, "first_seconds": first, **flops}
    record |= {f"milliseconds_{name}": 1000 * value for name, value in spread(seconds).items()}
    record |= {"peak_megabytes": peak_megabytes(), "imported_megabytes": imported}
    # A load above the threads of the case means that something else had the cores too.
    record |= {"load_average": os.getloadavg()[0], "processor": processor(), "cores": os.cpu_count()}
    versions = {module.__name__: module.__version__ for module in (torch, torchcfm)}
    print(json.dumps(record | {"versions": versions}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", help="file of JSON lines to append to")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=30, help="timed repetitions")
    parser.add_argument("--warm-up", type=int, default=3, help="untimed repetitions after the first")
    parser.add_argument("--only", action="append", help="pattern of case names; may be repeated")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker, arguments)
        return
    if not arguments.out:
        parser.error("--out is needed")
    records.measure(__file__, cases(arguments.threads), arguments)


if __name__ == "__main__":
    main()
