"""Image patches as the density estimators' papers prepare them: uniform noise, mean removed, last pixel dropped. Then they
are turned onto the principal axes of the training rows: a rotation, which changes no density, after which the deviations of
the columns are those of the data in every direction.

    python bench/peers/patches.py bsds300_patches.npz patches.npz

Reads `train`, `val` and `test`, rows of 64 bytes; writes `x` with all rows and the row numbers of both held-out splits.
"""

import sys

import numpy as np

source, out = sys.argv[1:]
archive = np.load(source)
noise = np.random.default_rng(0)
parts = []
for name in ["train", "val", "test"]:
    pixels = (archive[name].astype(np.float64) + noise.random(archive[name].shape)) / 256.0
    parts.append((pixels - pixels.mean(axis=1, keepdims=True))[:, :-1])
axes = np.linalg.eigh(np.cov(parts[0].T))[1]
ends = np.cumsum([len(part) for part in parts])
np.savez(
    out,
    x=(np.concatenate(parts) @ axes).astype(np.float32),
    validation=np.arange(ends[0], ends[1]),
    test=np.arange(ends[1], ends[2]),
)
