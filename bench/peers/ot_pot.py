"""Times exact minibatch optimal transport as torchcfm does it: POT's `ot.dist`, then `ot.emd` with equal weights.

Run: python bench/peers/ot_pot.py [--sizes 128 256 512 1024 2048 4096] [--dims 2 64] [--threads 1 2] [--repeats 3]

Prints one JSON line per case with the medians in milliseconds. The clouds are those that flow matching pairs: standard
normal noise and data that is displaced and narrower. Each number of threads runs in a process of its own, because
numerical libraries read it once, when they are loaded. `ot.emd` uses one thread whatever it is told.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

THREAD_VARIABLES = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 256, 512, 1024, 2048, 4096])
    parser.add_argument("--dims", type=int, nargs="+", default=[2, 64])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--in-this-process", action="store_true", help="internal: the threads are already set")
    return parser.parse_args()


def in_own_process(options, threads):
    environment = {**os.environ, **{name: str(threads) for name in THREAD_VARIABLES}}
    listed = {"--sizes": options.sizes, "--dims": options.dims, "--threads": [threads], "--repeats": [options.repeats]}
    flags = [text for flag, values in listed.items() for text in (flag, *map(str, values))]
    subprocess.run([sys.executable, __file__, *flags, "--in-this-process"], env=environment, check=True)


def measure(options):
    import numpy as np
    import ot

    threads = options.threads[0]
    for dim in options.dims:
        for n in options.sizes:
            rng = np.random.default_rng(n)
            noise, data = rng.normal(size=(n, dim)), 0.5 * rng.normal(size=(n, dim)) + 1.0
            weights = np.full(n, 1.0 / n)
            cost_times, solve_times, times = [], [], []
            # The first run warms caches and lazy imports, and is not counted.
            for _ in range(options.repeats + 1):
                start = time.perf_counter()
                cost = ot.dist(noise, data)
                middle = time.perf_counter()
                plan, log = ot.emd(weights, weights, cost, numItermax=10**7, log=True)
                end = time.perf_counter()
                if log["warning"] is not None:
                    sys.exit(f"ot.emd did not converge for n={n}, d={dim}: {log['warning']}")
                cost_times.append(1e3 * (middle - start))
                solve_times.append(1e3 * (end - middle))
                times.append(1e3 * (end - start))
            cost_ms, solve_ms, both_ms = (statistics.median(of[1:]) for of in (cost_times, solve_times, times))
            record = {
                "program": f"pot {ot.__version__}", "n": n, "d": dim, "threads": threads, "repeats": options.repeats,
                "cost_ms": round(cost_ms, 3), "solve_ms": round(solve_ms, 3), "milliseconds_median": round(both_ms, 3),
                "mean_cost": float((plan * cost).sum()),
            }
            print(json.dumps(record), flush=True)


if __name__ == "__main__":
    OPTIONS = arguments()
    if OPTIONS.in_this_process:
        measure(OPTIONS)
    else:
        for count in OPTIONS.threads:
            in_own_process(OPTIONS, count)
