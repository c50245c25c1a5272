"""Two libraries side by side: merges files of JSON lines of the quality comparison into a Markdown table.

    python bench/peers/summary.py quality-torchcfm.jsonl quality-thalweg.jsonl

Each record needs `problem`, `method`, `seed`, `library`, `w2`, `w2_floor`, `npe` and `train_seconds`. A cell shows the
mean over the seeds ± its standard error. The verdict is "within" when our mean is at most one combined standard error,
the root of the sum of the two squares, above the peer's, and "better" when it is more than one below; lower is better
in both metrics. The paired difference uses
only seeds that both sides have; it is the sharper number when both were judged on the same clouds.
"""

import argparse
import math
import statistics
import sys

import records

METRICS = {"w2": "W2", "npe": "NPE"}
CELL = ("problem", "method")
# Records of one table must agree in these where they have them: a budget is part of a figure.
BUDGET = ("steps", "points")


def mean_and_error(values):
    """Mean and standard error of the mean; no error from a single value."""
    mean = statistics.fmean(values)
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    return mean, error


def show(mean, error):
    return f"{mean:.4f}" if error is None else f"{mean:.4f} ± {error:.4f}"


def verdict(ours, theirs):
    """Whether our `(mean, error)` is at most one combined standard error above theirs."""
    if ours[1] is None or theirs[1] is None:
        return "one seed only"
    difference = ours[0] - theirs[0]
    combined = math.hypot(ours[1], theirs[1])
    if difference < -combined:
        return "better"
    return "within" if difference <= combined else f"**worse**: {difference:.4f} above, error {combined:.4f}"


def collect(paths, library, peer):
    """`{(problem, method): {library: {seed: record}}}`; a later record of the same seed replaces an earlier one."""
    cells = {}
    budgets = set()
    for path in paths:
        found = records.read(path)
        if not found:
            sys.exit(f"{path}: no records")
        for record in found:
            if record["library"] in (library, peer):
                sides = cells.setdefault(tuple(record[name] for name in CELL), {})
                sides.setdefault(record["library"], {})[record["seed"]] = record
                budgets.add(tuple(record.get(name) for name in BUDGET))
    if len(budgets) > 1:
        names = ", ".join(BUDGET)
        sys.exit(f"records of different budgets cannot share a table; ({names}) are {sorted(budgets, key=str)}")
    return cells


def rows(cells, library, peer):
    """The lines of the table below its head."""
    for (problem, method), sides in cells.items():
        ours, theirs = sides.get(library), sides.get(peer)
        if not ours or not theirs:
            missing = library if not ours else peer
            yield f"| {problem} | {method} | | no records of {missing} | | | | |"
            continue
        common = sorted(ours.keys() & theirs.keys())
        for metric, title in METRICS.items():
            mine = mean_and_error([record[metric] for record in ours.values()])
            other = mean_and_error([record[metric] for record in theirs.values()])
            paired = [ours[seed][metric] - theirs[seed][metric] for seed in common]
            floor = show(*mean_and_error([record["w2_floor"] for record in theirs.values()])) if metric == "w2" else ""
            difference = show(*mean_and_error(paired)) if paired else "no common seed"
            seeds = f"{len(ours)} / {len(theirs)}"
            yield (
                f"| {problem} | {method} | {title} | {show(*mine)} | {show(*other)} | {floor} "
                f"| {difference} | {verdict(mine, other)} ({seeds} seeds) |"
            )


def time_rows(cells, library, peer):
    for (problem, method), sides in cells.items():
        if sides.get(library) and sides.get(peer):
            ours, theirs = (
                show(*mean_and_error([record["train_seconds"] for record in sides[name].values()]))
                for name in (library, peer)
            )
            yield f"| {problem} | {method} | {ours} | {theirs} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", help="files of JSON lines of both libraries")
    parser.add_argument("--library", default="thalweg", help="the side the verdict is about")
    parser.add_argument("--peer", default="torchcfm")
    arguments = parser.parse_args()
    library, peer = arguments.library, arguments.peer
    cells = collect(arguments.files, library, peer)
    print(f"| problem | method | metric | {library} | {peer} | floor | paired difference | verdict |")
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(rows(cells, library, peer)))
    print(f"\nSeconds of training, drawing of data included.\n\n| problem | method | {library} | {peer} |")
    print("|---|---|---|---|")
    print("\n".join(time_rows(cells, library, peer)))


if __name__ == "__main__":
    main()
