"""The three problems of the quality comparison, and the clouds on which both libraries are judged.

The samplers are torchcfm's own. Their semantics matter and are kept: `sample_moons` puts its points at *equally spaced*
angles in a fixed order and adds one uniform number to both coordinates; `sample_8gaussians` has a variance of
sqrt(0.1) = 0.316 in each coordinate, because `var` is used through its root as a covariance.

    python bench/peers/problems.py --out clouds --seeds 5

writes `clouds/<problem>-<seed>.npz` with the members `source`, `target` and `target_again`, each `[points, 2]`. A
library that starts from `source` and measures against `target` is compared on the same draws as the peer, so the
luck of the draw cancels in the difference.
"""

import argparse
import os

import numpy as np
import torch
from torchcfm.utils import sample_8gaussians, sample_moons


def gaussian(count):
    return torch.randn(count, 2)


# Name of the problem: (source sampler, target sampler); each takes a count and returns a float32 tensor [count, 2].
PROBLEMS = {
    "gaussian-to-two-moons": (gaussian, sample_moons),
    "eight-gaussians-to-two-moons": (sample_8gaussians, sample_moons),
    "gaussian-to-eight-gaussians": (gaussian, sample_8gaussians),
}

# Far from the seeds of training, so that no evaluation point was ever trained on.
FIRST_CLOUD_SEED = 1_000_000


def seed_everything(seed):
    """torchcfm draws from torch's generator and, in `sample_moons` and the OT plans, from numpy's."""
    torch.manual_seed(seed)
    np.random.seed(seed)


def clouds(problem, seed, points=2000):
    """Fresh `source`, `target` and `target_again` of a problem: a function of its arguments only."""
    seed_everything(FIRST_CLOUD_SEED + seed)
    draw_source, draw_target = PROBLEMS[problem]
    return {"source": draw_source(points), "target": draw_target(points), "target_again": draw_target(points)}


def main():
    parser = argparse.ArgumentParser(description="Writes the evaluation clouds for programs that are not Python.")
    parser.add_argument("--out", required=True, help="folder to write to")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--points", type=int, default=2000)
    arguments = parser.parse_args()
    os.makedirs(arguments.out, exist_ok=True)
    for problem in PROBLEMS:
        for seed in range(arguments.seeds):
            drawn = clouds(problem, seed, arguments.points)
            path = os.path.join(arguments.out, f"{problem}-{seed}.npz")
            np.savez(path, **{name: cloud.numpy() for name, cloud in drawn.items()})
            print(path)


if __name__ == "__main__":
    main()
