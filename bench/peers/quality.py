"""torchcfm's side of "quality at equal budget": trains, samples and scores; one JSON line per cell.

    python bench/peers/quality.py --out quality-torchcfm.jsonl
    python bench/peers/quality.py --out quality-torchcfm.jsonl --only 'gaussian-to-*/ot-cfm/0'

A cell is a problem, a method and a seed. Cells that the file has already, at the same number of steps, are skipped, so
a run that was stopped goes on where it was. The protocol is written out in bench/README.md; whatever the library has
a default for is left at the default, and the loop is that of the library's own two-dimensional examples.
"""

import argparse
import fnmatch
import time

import numpy as np
import ot
import torch
import torchcfm
from torchcfm import (
    ConditionalFlowMatcher,
    ExactOptimalTransportConditionalFlowMatcher,
    SchrodingerBridgeConditionalFlowMatcher,
)
from torchcfm.models import MLP
from torchdiffeq import odeint

import records
from problems import PROBLEMS, clouds, seed_everything

# `sb-cfm` has the library's default coupling, which is *exact* optimal transport although the theory asks for the
# entropic plan with regularisation 2 sigma^2; that one is `sb-cfm-sinkhorn` and runs only when it is named.
METHODS = {
    "i-cfm": lambda: ConditionalFlowMatcher(sigma=0.1),
    "ot-cfm": lambda: ExactOptimalTransportConditionalFlowMatcher(sigma=0.1),
    "sb-cfm": lambda: SchrodingerBridgeConditionalFlowMatcher(sigma=0.5),
    "sb-cfm-sinkhorn": lambda: SchrodingerBridgeConditionalFlowMatcher(sigma=0.5, ot_method="sinkhorn"),
}
DEFAULT_METHODS = ["i-cfm", "ot-cfm", "sb-cfm"]

BATCH = 256
WIDTH = 64
LEARNING_RATE = 1e-3
TOLERANCE = 1e-5
# Even, as Simpson's rule needs.
ENERGY_INTERVALS = 100
# The loss that is recorded is a mean over this many last steps; one batch alone says little.
LOSS_WINDOW = 100


def train(problem, method, seed, steps):
    """A trained network, its last losses, and the seconds spent in all and on drawing data."""
    seed_everything(seed)
    draw_source, draw_target = PROBLEMS[problem]
    matcher = METHODS[method]()
    model = MLP(dim=2, w=WIDTH, time_varying=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    losses = []
    draw_seconds = 0.0
    start = time.perf_counter()
    for step in range(steps):
        before = time.perf_counter()
        x0, x1 = draw_source(BATCH), draw_target(BATCH)
        draw_seconds += time.perf_counter() - before
        optimizer.zero_grad()
        t, xt, ut = matcher.sample_location_and_conditional_flow(x0, x1)
        vt = model(torch.cat([xt, t[:, None]], dim=-1))
        loss = torch.mean((vt - ut) ** 2)
        loss.backward()
        optimizer.step()
        if step >= steps - LOSS_WINDOW:
            losses.append(loss.item())
    return model, losses, time.perf_counter() - start, draw_seconds


def trajectories(model, source):
    """States at the ends of the intervals `[times, points, 2]`, mean squared speeds there, and the evaluations."""
    evaluations = 0

    def field(t, x):
        nonlocal evaluations
        evaluations += 1
        return model(torch.cat([x, t.expand(x.shape[0], 1)], dim=-1))

    times = torch.linspace(0.0, 1.0, ENERGY_INTERVALS + 1)
    with torch.no_grad():
        # The times asked for do not influence the steps: states between steps are interpolated.
        states = odeint(field, source, times, method="dopri5", rtol=TOLERANCE, atol=TOLERANCE)
        solved_with = evaluations
        speeds = [field(t, x).double().pow(2).sum(dim=1).mean().item() for t, x in zip(times, states)]
    return states, np.array(speeds), solved_with


def simpson(values, length=1.0):
    """Simpson's rule on values at the ends of an even number of equal intervals."""
    weights = np.full(len(values), 2.0)
    weights[1::2] = 4.0
    weights[[0, -1]] = 1.0
    return float(weights @ values) * length / (3 * (len(values) - 1))


def wasserstein2(x, y):
    """Exact W2 (the root) between two clouds of equal size, from float64 costs."""
    cost = ot.dist(x.double().numpy(), y.double().numpy(), metric="sqeuclidean")
    squared, log = ot.emd2([], [], cost, numItermax=10**8, log=True)
    if log["warning"] is not None:
        raise RuntimeError(f"the transport problem was not solved to the end: {log['warning']}")
    return float(np.sqrt(squared))


def measure(problem, method, seed, steps, points):
    """The record of one cell."""
    model, losses, train_seconds, draw_seconds = train(problem, method, seed, steps)
    cloud = clouds(problem, seed, points)
    states, speeds, evaluations = trajectories(model, cloud["source"])
    path_energy = simpson(speeds)
    ends_squared = wasserstein2(cloud["source"], cloud["target"]) ** 2
    return {
        "problem": problem,
        "method": method,
        "seed": seed,
        "library": "torchcfm",
        "steps": steps,
        "points": points,
        "w2": wasserstein2(states[-1], cloud["target"]),
        "w2_floor": wasserstein2(cloud["target_again"], cloud["target"]),
        "npe": abs(path_energy - ends_squared) / ends_squared,
        "path_energy": path_energy,
        "w2_squared_ends": ends_squared,
        "evaluations": evaluations,
        "final_loss": float(np.mean(losses)),
        "train_seconds": train_seconds,
        "draw_seconds": draw_seconds,
        "threads": torch.get_num_threads(),
        "versions": {"torch": torch.__version__, "torchcfm": torchcfm.__version__, "POT": ot.__version__},
    }


def cells(arguments):
    """The cells asked for, seeds outermost: a run that is stopped early has whole tables of fewer seeds."""
    for seed in range(arguments.seeds):
        for problem in PROBLEMS:
            for method in arguments.methods:
                name = f"{problem}/{method}/{seed}"
                if not arguments.only or any(fnmatch.fnmatch(name, pattern) for pattern in arguments.only):
                    yield problem, method, seed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="file of JSON lines to append to")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--points", type=int, default=2000, help="points of every evaluation cloud")
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0 to this, exclusive")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=DEFAULT_METHODS)
    parser.add_argument("--only", action="append", help="pattern of problem/method/seed; may be repeated")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    def key(record):
        return tuple(record[name] for name in ("problem", "method", "seed", "steps", "points"))

    done = {key(record) for record in records.read(arguments.out)}
    for problem, method, seed in cells(arguments):
        if (problem, method, seed, arguments.steps, arguments.points) in done:
            continue
        record = measure(problem, method, seed, arguments.steps, arguments.points)
        records.append(arguments.out, record)
        print(
            f"{problem}/{method}/{seed}: W2 {record['w2']:.4f} (floor {record['w2_floor']:.4f}), "
            f"NPE {record['npe']:.4f}, {record['train_seconds']:.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
