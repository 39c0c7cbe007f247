"""`lnhg validate` on cubes: what its table says of made-up ones."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from lnhg.core.ct import CT
from lnhg.data.cutouts import Cutout
from lnhg.studies import validate_cubes
from lnhg.studies.validate_cubes import cube_table


def _cube(name: str, texture: float, radius: float) -> Cutout:
    k, j, i = np.indices((51, 51, 51)) - 25
    ball = np.sqrt(k**2 + j**2 + i**2) <= radius
    ct = CT(np.where(ball, 30, -850).astype(np.int16), np.diag([-1.0, -1.0, 1.0, 1.0]))
    return Cutout(f"{name}_C_0", name, ct, ball.astype(np.uint8), 1, {"texture": texture})


@pytest.fixture
def models() -> SimpleNamespace:
    return SimpleNamespace(detector="any", grid=lambda kind: None, threshold=lambda kind, given: 0.6)


def test_cubes_are_told_by_size_and_with_those_below_4_in_texture_apart(
    models: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    dices = {"A": 0.9, "B": 0.8, "C": 0.4}
    scores = {"A": 0.95, "B": 0.7, "C": 0.3}
    monkeypatch.setattr(validate_cubes, "seeded_dice", lambda cube, _: dices[cube.patient])
    monkeypatch.setattr(validate_cubes, "cutout_score", lambda cube, *_: scores[cube.patient])
    lines = list(cube_table(models, [_cube("A", 5, 2.5), _cube("B", 4.5, 6), _cube("C", 1.5, 6)]))
    rows = {line.split(" | ")[0].strip("| "): line for line in lines if line.startswith("|")}
    assert rows["all"].startswith("| all | 3 | 0.700 (0.400 to 0.900) | 0.800 | 1 | 2 of 3: 0.667 (")
    assert rows["below 4 in texture"].startswith(
        "| below 4 in texture | 1 | 0.400 (0.400 to 0.400) | 0.400 | 1 | 0 of 1"
    )
    assert rows["under 6 mm"].startswith("| under 6 mm | 1 | 0.900")
    assert rows["over 10 mm"].startswith("| over 10 mm | 2 | 0.600")
    assert rows["part-solid"] == "| part-solid | 0 | | | | |"
