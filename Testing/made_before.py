"""What commit ad37e7f wrote, kept to see that it stays readable.

`ad37e7f/result` is what its writers made of its handmade result (two balls in noise, cut to 20 x 48 x 44 voxels,
options changed), `ad37e7f/ct.nrrd` the CT; `ad37e7f/training` is a training of its generator, of width 1, after 2 of 4
steps.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "made_before" / "ad37e7f"
CT, RESULT, TRAINING = FOLDER / "ct.nrrd", FOLDER / "result", FOLDER / "training"
#: The options that the run was asked for, where they are not the defaults.
OPTIONS = {
    "threads": 2,
    "triplets": "overlapping",
    "minimum_diameter": 2.5,
    "rim": 1.5,
    "slices": (1, 18),
    "full_generator": True,
}
