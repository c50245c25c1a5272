"""Tables with a part of the training rows of each split set aside for validation.

    python bench/peers/tables.py kin8nm.npz data/kin8nm.npz

Reads `x` and the test rows `test_0`, `test_1`, …; writes them and, for each split, `validation_0`, `validation_1`, …: a tenth
of the other rows, drawn with the number of the split as the seed.
"""

import sys

import numpy as np

source, out = sys.argv[1:]
archive = np.load(source)
arrays = {"x": archive["x"]}
for name in (name for name in archive.files if name.startswith("test_")):
    number = name.removeprefix("test_")
    others = np.setdiff1d(np.arange(len(archive["x"])), archive[name])
    np.random.default_rng(int(number)).shuffle(others)
    arrays[name] = archive[name]
    arrays[f"validation_{number}"] = np.sort(others[: len(others) // 10])
np.savez(out, **arrays)
