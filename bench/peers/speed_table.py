"""The tables of the speed comparison from the records of both sides.

    python bench/peers/speed_table.py FOLDER

FOLDER is that of `bench/speed.sh`. The last record of a case counts. The limit of a case is the time that its matrix
products alone would take at the speed of the fastest product in `limits.jsonl`; its share is that limit over our time.
Only the standard library is needed.
"""

import json
import os
import sys

SOLVER_WIDTH, SOLVER_DIM = 256, 2


def last_records(path, key):
    found = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            for line in file:
                record = json.loads(line)
                found[key(record)] = record
    return found


def fastest_products(path):
    """The fastest run of each product, so that a slow hour of the machine does not flatter a share."""
    found = {}
    with open(path, encoding="utf-8") as file:
        for record in map(json.loads, file):
            known = found.get(record["case"])
            if "gigaflops" in record and (known is None or record["gigaflops"] > known["gigaflops"]):
                found[record["case"]] = record
    return found


def case_of(record):
    return record["case"]


def milliseconds(record):
    return record.get("milliseconds_median") or 1000 * record["seconds_median"]


def products(record):
    """Floating-point operations of the matrix products of a case; none where they are not what is done."""
    kind = record["kind"]
    inner = SOLVER_WIDTH * (SOLVER_DIM + 1) + 2 * SOLVER_WIDTH**2 + SOLVER_WIDTH * SOLVER_DIM
    if "network" in record:
        return None
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
    if kind == "pairing" and record["dim"] > 8:
        return 2 * record["n"] ** 2 * record["dim"]
    return None


def limit_of(record, work, limits):
    """The least time for `work` and its share of ours, as text."""
    threads = record["case"].rsplit("/", 1)[1]
    peak = limits.get(f"product/{record['dtype']}/{threads}")
    if not (peak and work):
        return ""
    least = work / peak["gigaflops"] / 1e6
    return f"{least:.3g} ({100 * least / milliseconds(record):.0f} %)"


def networks(ours, theirs, limits):
    print("| case / threads | thalweg, ms | torch eager | torch.compile | ratio to the better | limit, ms (share) | MiB | torch's MiB |")
    print("|---|---|---|---|---|---|---|---|")
    for case, record in ours.items():
        name, threads = case.rsplit("/", 1)
        peer_name = name.removesuffix("-per-sample")
        modes = {}
        for mode in ("eager", "compiled"):
            if peer := theirs.get(f"{peer_name}/{mode}/{threads}"):
                modes[mode] = peer
        best = min(map(milliseconds, modes.values()), default=None)
        shown = {mode: f"{milliseconds(peer):.3g}" for mode, peer in modes.items()}
        ratio = f"{milliseconds(record) / best:.2f}" if best else ""
        # The U-Nets' operations are counted by the peer.
        counted = next((peer["flops"] for peer in modes.values() if "flops" in peer), None)
        limit = limit_of(record, products(record) or counted, limits)
        peers = [f"{p['peak_megabytes'] - p['imported_megabytes']:.0f}" for p in modes.values()]
        evaluations = f" ({record['evaluations']:.0f} evaluations)" if "evaluations" in record else ""
        theirs_evaluations = next((f" ({p['evaluations']})" for p in modes.values() if "evaluations" in p), "")
        print(
            f"| {case} | {milliseconds(record):.3g}{evaluations} | {shown.get('eager', '')}{theirs_evaluations} "
            f"| {shown.get('compiled', '')} | {ratio} | {limit} | {record['peak_megabytes']:.0f} "
            f"| {min(peers, key=int, default='')} |"
        )


def pairings(ours, theirs, limits):
    print("| pairing: dimension / points / threads | thalweg, ms | POT, ms | ratio | product of the costs at its limit, ms (share) |")
    print("|---|---|---|---|---|")
    for case, record in ours.items():
        peer = theirs.get(case)
        time = peer and milliseconds(peer)
        ratio = f"{milliseconds(record) / time:.2f}" if peer else ""
        limit = limit_of(record, products(record), limits)
        shown = f"{time:.3g}" if peer else ""
        print(f"| {case.removeprefix('pairing/')} | {milliseconds(record):.3g} | {shown} | {ratio} | {limit} |")


def main():
    path = lambda name: os.path.join(sys.argv[1], name)
    ours = last_records(path("speed-thalweg.jsonl"), case_of)
    limits = fastest_products(path("limits.jsonl"))
    paired = {case: record for case, record in ours.items() if record["kind"] == "pairing"}
    networks(
        {case: record for case, record in ours.items() if case not in paired},
        last_records(path("speed-torch.jsonl"), case_of),
        limits,
    )
    if paired:
        print()
        pairing = lambda record: f"pairing/{record['d']}/{record['n']}/{record['threads']}"
        pairings(paired, last_records(path("speed-pot.jsonl"), pairing), limits)


if __name__ == "__main__":
    main()
