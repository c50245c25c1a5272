"""The peers' side of the comparison of certificates: the same matrix inequality by cvxpy and Clarabel.

    python bench/peers/certify_cvxpy.py --fields FOLDER --out peers.jsonl [--sizes 8 16 32]

FOLDER is what `examples/certify.rs` wrote. The least margin `s` with `sI - T >= 0`, `I <= P <= kappa I` and multipliers
between 0 and `10 kappa` is found; below zero it is a proof. Timed are the whole call of cvxpy and Clarabel's own part.
"""

import argparse
import json
import os
import time


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fields", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--rates", type=float, nargs="+", default=[0.5, 1.5])
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    os.environ["RAYON_NUM_THREADS"] = str(options.threads)

    import cvxpy as cp
    import numpy as np

    for n in options.sizes:
        with open(os.path.join(options.fields, f"{n}.json"), encoding="utf-8") as file:
            field = json.load(file)
        linear, outer, inner = (np.array(field[name]) for name in ("A0", "A", "W"))
        condition, units = field["condition"], outer.shape[1]
        for rate in options.rates:
            start = time.perf_counter()
            metric = cp.Variable((n, n), symmetric=True)
            multipliers = cp.Variable(units)
            margin = cp.Variable()
            corner = linear.T @ metric + metric @ linear + 2 * rate * metric
            side = metric @ outer + inner.T @ cp.diag(multipliers)
            inequality = cp.bmat([[corner, side], [side.T, -2 * cp.diag(multipliers)]])
            whole = np.eye(n + units)
            constraints = [
                margin * whole - (inequality + inequality.T) / 2 >> 0,
                metric - np.eye(n) >> 0,
                condition * np.eye(n) - metric >> 0,
                multipliers >= 0,
                multipliers <= 10 * condition,
            ]
            problem = cp.Problem(cp.Minimize(margin), constraints)
            problem.solve(solver=cp.CLARABEL)
            seconds = time.perf_counter() - start
            record = {
                "case": f"certify/{n}/{rate:g}/{options.threads}",
                "program": f"cvxpy {cp.__version__}",
                "n": n,
                "units": units,
                "rate": rate,
                "margin": float(margin.value) if margin.value is not None else None,
                "status": problem.status,
                "seconds": seconds,
                "solver_seconds": problem.solver_stats.solve_time,
                "threads": options.threads,
            }
            print(json.dumps(record))
            with open(options.out, "a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    main()
