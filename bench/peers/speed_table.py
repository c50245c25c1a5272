"""The table of the speed comparison from the records of both sides.

    python bench/peers/speed_table.py speed-thalweg.jsonl speed-torch.jsonl limits.jsonl

The last record of a case counts. The limit of a case is the time that its matrix products alone would take at the speed
of the fastest product in `limits.jsonl`; its share is that limit over our time. Only the standard library is needed.
"""

import json
import sys

SOLVER_WIDTH, SOLVER_DIM = 256, 2


def last_records(path, key):
    found = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            found[key(record)] = record
    return found


def milliseconds(record):
    return record.get("milliseconds_median") or 1000 * record["seconds_median"]


def products(record):
    """Floating-point operations of the matrix products of a case; none where they are not what is done."""
    kind = record["kind"]
    inner = SOLVER_WIDTH * (SOLVER_DIM + 1) + 2 * SOLVER_WIDTH**2 + SOLVER_WIDTH * SOLVER_DIM
    if kind == "train":
        dim, width, hidden = record["dim"], record["width"], record["hidden"]
        first, rest = (dim + 1) * width, (hidden - 1) * width**2 + width * dim
        # Forward, gradients of the weights, gradients of what went in; the latter not for the first layer.
        return 2 * record["batch"] * (2 * first + 3 * rest)
    if kind == "velocity":
        return 2 * record["rows"] * inner
    if kind == "sample":
        return 2 * record["rows"] * inner * record["evaluations"]
    if kind == "likelihood":
        # The trace: one tangent for each coordinate through the two inner layers; at one of dopri5's six stages none.
        traces = record["evaluations"] - (record["evaluations"] - 2) / 6
        return 2 * record["rows"] * (inner * record["evaluations"] + SOLVER_DIM * 2 * SOLVER_WIDTH**2 * traces)
    if kind == "gradient":
        evaluations = record["steps"] * (4 if "rk4" in record["case"] else 1)
        return 3 * 2 * record["rows"] * inner * evaluations
    return None


def main():
    ours = last_records(sys.argv[1], lambda record: record["case"])
    theirs = last_records(sys.argv[2], lambda record: record["case"])
    limits = last_records(sys.argv[3], lambda record: record["case"]) if len(sys.argv) > 3 else {}
    print("| case / threads | thalweg, ms | torch eager | torch.compile | ratio to the better | limit, ms (share) | MiB | torch's MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for case, record in ours.items():
        name, threads = case.rsplit("/", 1)
        peer_name = name.removesuffix("-per-sample")
        modes = {}
        for mode in ("", "eager", "compiled"):
            peer = theirs.get("/".join(part for part in (peer_name, mode, threads) if part))
            if peer:
                modes[mode or "eager"] = peer
        best = min(map(milliseconds, modes.values()), default=None)
        shown = {mode: f"{milliseconds(peer):.3g}" for mode, peer in modes.items()}
        ratio = f"{milliseconds(record) / best:.2f}" if best else ""
        dtype = record.get("dtype", "float32")
        peak = limits.get(f"product/{dtype}/{threads}")
        work = products(record)
        limit = ""
        if peak and work:
            least = work / peak["gigaflops"] / 1e6
            limit = f"{least:.3g} ({100 * least / milliseconds(record):.0f} %)"
        memory = f"{record['peak_megabytes']:.0f}"
        peers = [f"{p['peak_megabytes'] - p['imported_megabytes']:.0f}" for p in modes.values()]
        evaluations = f" ({record['evaluations']:.0f} evaluations)" if "evaluations" in record else ""
        theirs_evaluations = next((f" ({p['evaluations']})" for p in modes.values() if "evaluations" in p), "")
        print(
            f"| {case} | {milliseconds(record):.3g}{evaluations} | {shown.get('eager', '')}{theirs_evaluations} "
            f"| {shown.get('compiled', '')} | {ratio} | {limit} | {memory} | {min(peers, key=int, default='')} |"
        )


if __name__ == "__main__":
    main()
