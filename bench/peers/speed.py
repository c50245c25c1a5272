"""The peers' side of the speed comparison: training steps, sampling and exact likelihood; one JSON line per case.

    python bench/peers/network.py --out network.npz
    python bench/peers/speed.py --weights network.npz --out speed-peers.jsonl --threads 1 2

Every case runs in a process of its own, so that its peak memory is its own. torch's own share of it, measured when
everything is imported and nothing has run, is recorded beside it. What is timed is written out in bench/README.md.
"""

import argparse
import json
import os
import resource
import statistics
import time

import records

# dim x width x hidden layers x batch, and the activation where it is not SiLU.
TRAINING_SIZES = ["2x64x3x256", "2x256x3x256", "64x512x4x4096", "6x256x4x30000-relu"]
# Rows of one evaluation.
VELOCITY_ROWS = [1, 10_000]
GRADIENT_ROWS, GRADIENT_STEPS = 256, 8
TUNED_SIZE, TUNED_STEPS = "2x256x3x256", 4
SIGMA = 0.1
LEARNING_RATE = 1e-3
TOLERANCE = 1e-5
# Batches of data kept in memory and used in turn: data are not what is measured.
RESIDENT_BATCHES = 16


def cases(threads):
    """Names of all cases; the name is all that a worker process is told."""
    for count in threads:
        for size in TRAINING_SIZES:
            for mode in ("eager", "compiled"):
                yield f"train/{size}/{mode}/{count}"
        for mode in ("eager", "compiled"):
            yield f"sample/float32/{mode}/{count}"
            for dtype in ("float32", "float64"):
                yield f"likelihood/{dtype}/{mode}/{count}"
            for rows in VELOCITY_ROWS:
                yield f"velocity/{rows}/{mode}/{count}"
            for method in ("euler", "rk4"):
                yield f"gradient/{method}/{mode}/{count}"
            yield f"tune/{TUNED_SIZE}/{mode}/{count}"


def peak_megabytes():
    """Largest resident set of this process so far; Linux counts in kilobytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def processor():
    """The name of the processor as Linux gives it."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown")


def spread(seconds):
    """Median and the ends of the middle four fifths of repeated times; of few times, all of them."""
    ordered = sorted(seconds)
    tenth = len(ordered) // 10
    return {"median": statistics.median(ordered), "low": ordered[tenth], "high": ordered[-1 - tenth]}


def train(size, mode, arguments):
    """Times whole steps of independent conditional flow matching: draws, path, loss, backward and Adam."""
    import torch
    from torchcfm import ConditionalFlowMatcher

    from network import Mlp

    numbers, _, activation = size.partition("-")
    dim, width, hidden, batch = (int(number) for number in numbers.split("x"))
    torch.manual_seed(0)
    model = Mlp(dim, width, hidden, activation or "silu")
    matcher = ConditionalFlowMatcher(sigma=SIGMA)
    data = torch.randn(RESIDENT_BATCHES, batch, dim)

    def loss_of(x0, x1):
        t, xt, ut = matcher.sample_location_and_conditional_flow(x0, x1)
        return torch.mean((model(t, xt) - ut) ** 2)

    if mode == "compiled":
        loss_of = torch.compile(loss_of)
    # The fused update is what a user who compiles would choose as well; the eager case is plain defaults.
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True if mode == "compiled" else None)

    def step(index):
        x1 = data[index % RESIDENT_BATCHES]
        optimizer.zero_grad()
        loss = loss_of(torch.randn_like(x1), x1)
        loss.backward()
        optimizer.step()

    start = time.perf_counter()
    step(0)
    first = time.perf_counter() - start
    for index in range(arguments.warm_up):
        step(index)
    seconds = []
    for index in range(arguments.steps):
        start = time.perf_counter()
        step(index)
        seconds.append(time.perf_counter() - start)
    measured = {f"milliseconds_{name}": 1000 * value for name, value in spread(seconds).items()}
    described = {"dim": dim, "width": width, "hidden": hidden, "batch": batch, "mode": mode, "dtype": "float32"}
    return {**described, "steps": arguments.steps, "first_step_seconds": first, **measured}


def tune(size, mode, arguments):
    """Times whole steps of fine-tuning on reconstructions: draws, exact pairing, the solve, its gradient and Adam."""
    import numpy as np
    import ot
    import torch
    from torchdiffeq import odeint

    from network import Mlp

    dim, width, hidden, batch = (int(number) for number in size.split("x"))
    torch.manual_seed(0)
    model = Mlp(dim, width, hidden, "silu")
    field = torch.compile(model) if mode == "compiled" else model
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True if mode == "compiled" else None)
    data = torch.randn(RESIDENT_BATCHES, batch, dim)
    times = torch.linspace(0.0, 1.0, TUNED_STEPS + 1)
    share = np.full(batch, 1 / batch)

    def step(index):
        x1 = data[index % RESIDENT_BATCHES]
        x0 = torch.randn_like(x1)
        plan = ot.emd(share, share, torch.cdist(x0, x1).square().double().numpy())
        x1 = x1[torch.from_numpy(plan.argmax(1))]
        optimizer.zero_grad()
        loss = torch.mean((odeint(field, x0, times, method="euler")[-1] - x1) ** 2)
        loss.backward()
        optimizer.step()

    seconds = []
    for index in range(arguments.warm_up + 1 + arguments.steps):
        start = time.perf_counter()
        step(index)
        seconds.append(time.perf_counter() - start)
    seconds = seconds[arguments.warm_up + 1 :]
    measured = {f"milliseconds_{name}": 1000 * value for name, value in spread(seconds).items()}
    return {"mode": mode, "dtype": "float32", "steps": arguments.steps, **measured}


def sample(dtype, mode, arguments):
    """Times the integration of all points from 0 to 1."""
    import torch
    from torchdiffeq import odeint

    from network import load

    network, points = load(arguments.weights, getattr(torch, dtype))
    if mode == "compiled":
        network = torch.compile(network)
    evaluations = 0

    def field(t, x):
        nonlocal evaluations
        evaluations += 1
        return network(t, x)

    span = torch.tensor([0.0, 1.0], dtype=points.dtype)
    seconds = []
    with torch.no_grad():
        for _ in range(1 + arguments.repeats):
            evaluations = 0
            start = time.perf_counter()
            end = odeint(field, points, span, method="dopri5", rtol=TOLERANCE, atol=TOLERANCE)[-1]
            seconds.append(time.perf_counter() - start)
    # The first solve warms up. The moments let the other side check that it integrates the same field.
    checks = {"end_mean": end.double().mean().item(), "end_mean_square": end.double().pow(2).mean().item()}
    return solved(points, dtype, mode, evaluations, seconds[1:], checks)


def likelihood(dtype, mode, arguments):
    """Times log-densities by the augmented equation from 1 down to 0, with the exact trace of the Jacobian."""
    import math

    import torch
    from torchdiffeq import odeint

    from network import load

    network, points = load(arguments.weights, getattr(torch, dtype))
    network.requires_grad_(False)
    if mode == "compiled":
        # The forward pass, and the way back that is derived from it.
        network = torch.compile(network)
    evaluations = 0

    def rates(t, state):
        nonlocal evaluations
        evaluations += 1
        with torch.enable_grad():
            x = state[0].detach().requires_grad_(True)
            velocity = network(t, x)
            dim = x.shape[1]
            # Rows do not mix, so the gradient of a column's sum holds that column's derivatives row by row.
            rows = [
                torch.autograd.grad(velocity[:, i].sum(), x, retain_graph=i + 1 < dim)[0][:, i] for i in range(dim)
            ]
        return velocity.detach(), sum(rows)

    span = torch.tensor([1.0, 0.0], dtype=points.dtype)
    initial = (points, torch.zeros(len(points), dtype=points.dtype))
    seconds = []
    for _ in range(1 + arguments.repeats):
        evaluations = 0
        start = time.perf_counter()
        states, integrals = odeint(rates, initial, span, method="dopri5", rtol=TOLERANCE, atol=TOLERANCE)
        base = -0.5 * states[-1].pow(2).sum(dim=1) - 0.5 * points.shape[1] * math.log(2 * math.pi)
        log_density = base + integrals[-1]
        seconds.append(time.perf_counter() - start)
    checks = {"mean_log_density": log_density.double().mean().item()}
    return solved(points, dtype, mode, evaluations, seconds[1:], checks)


def velocity(rows, mode, arguments):
    """Times single evaluations of the network, the mean of many calls between two looks at the clock."""
    import torch

    from network import load

    network, points = load(arguments.weights)
    network.requires_grad_(False)
    x, t = points[: int(rows)].contiguous(), torch.tensor(0.5)
    field = torch.compile(network) if mode == "compiled" else network
    calls = 2000 if len(x) < 100 else 20
    with torch.inference_mode():
        check = field(t, x).double().pow(2).mean().item()
        seconds = []
        for _ in range(2 + arguments.repeats):
            start = time.perf_counter()
            for _ in range(calls):
                field(t, x)
            seconds.append((time.perf_counter() - start) / calls)
    measured = {f"milliseconds_{name}": 1000 * value for name, value in spread(seconds[2:]).items()}
    return {"rows": len(x), "mode": mode, "dtype": "float32", **measured, "mean_square": check}


def gradient(method, mode, arguments):
    """Times the gradient of the mean square of the end points in all parameters, through fixed steps."""
    import torch
    from torchdiffeq import odeint

    from network import load

    network, points = load(arguments.weights)
    x = points[:GRADIENT_ROWS].contiguous()
    field = torch.compile(network) if mode == "compiled" else network
    times = torch.linspace(0.0, 1.0, GRADIENT_STEPS + 1)

    def norm():
        network.zero_grad()
        odeint(field, x, times, method=method)[-1].pow(2).mean().backward()
        return sum(p.grad.double().pow(2).sum().item() for p in network.parameters()) ** 0.5

    check = norm()
    seconds = []
    for _ in range(3 + 10 * arguments.repeats):
        start = time.perf_counter()
        norm()
        seconds.append(time.perf_counter() - start)
    measured = {f"milliseconds_{name}": 1000 * value for name, value in spread(seconds[3:]).items()}
    described = {"rows": len(x), "steps": GRADIENT_STEPS, "mode": mode, "dtype": "float32"}
    return {**described, **measured, "gradient_norm": check}


def solved(points, dtype, mode, evaluations, seconds, checks):
    """What sampling and likelihood record alike."""
    measured = {f"seconds_{name}": value for name, value in spread(seconds).items()}
    rows, dim = points.shape
    return {"rows": rows, "dim": dim, "dtype": dtype, "mode": mode, "evaluations": evaluations, **measured, **checks}


KINDS = {"train": train, "tune": tune, "sample": sample, "likelihood": likelihood, "velocity": velocity, "gradient": gradient}


def work(case, arguments):
    """Runs one case in this process and prints its record."""
    import ot
    import torch
    import torchcfm
    import torchdiffeq

    kind, *rest, threads = case.split("/")
    torch.set_num_threads(int(threads))
    imported = peak_megabytes()
    measured = KINDS[kind](*rest, arguments)
    versions = {module.__name__: module.__version__ for module in (torch, torchcfm, torchdiffeq, ot)}
    record = {"case": case, "kind": kind, "library": "torch", "threads": int(threads), **measured}
    record |= {"peak_megabytes": peak_megabytes(), "imported_megabytes": imported}
    # A load above the threads of the case means that something else had the cores too.
    record |= {"load_average": os.getloadavg()[0], "processor": processor(), "cores": os.cpu_count()}
    print(json.dumps(record | {"versions": versions}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, help=".npz or .safetensors written by network.py or alike")
    parser.add_argument("--out", help="file of JSON lines to append to")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--steps", type=int, default=100, help="timed training steps")
    parser.add_argument("--warm-up", type=int, default=10, help="untimed training steps after the first")
    parser.add_argument("--repeats", type=int, default=5, help="timed solves after one untimed")
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
