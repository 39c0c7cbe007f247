"""Whether a patient lies as the header says: drawn chests with a windpipe, and real scans, as they are and turned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from commanded import segmented
from lnhg.core.ct import CT
from lnhg.core.nrrd_file import write_nrrd
from lnhg.readers.read_ct import read_ct
from lnhg.stages.axial import axial_order
from lnhg.stages.lungs import lung_regions
from lnhg.stages.lying import BACK_TO_FRONT, UPSIDE_DOWN, exchanged

_SCANS = Path(__file__).resolve().parents[3] / "shared" / "data"
_SPACING, _SHAPE = (3.0, 2.2, 2.2), (60, 120, 150)  # slice, row, column
_GRID = np.diag([-2.2, -2.2, 3.0, 1.0])
_Z, _Y, _X = np.meshgrid(
    *[(np.arange(n) - n / 2) * mm for n, mm in zip(_SHAPE, _SPACING, strict=True)], indexing="ij", sparse=True
)
_ALL = slice(None)
_BACK = slice(None, None, -1)
TURNED = {
    "as it is": ((_ALL, _ALL, _ALL), ()),
    "upside down": ((_BACK, _ALL, _ALL), (UPSIDE_DOWN,)),
    "back to front": ((_ALL, _BACK, _ALL), (BACK_TO_FRONT,)),
    "turned about, as LPS taken for RAS": ((_ALL, _BACK, _BACK), (BACK_TO_FRONT,)),
    "on its head": ((_BACK, _ALL, _BACK), (UPSIDE_DOWN,)),
    "both": ((_BACK, _BACK, _ALL), (UPSIDE_DOWN, BACK_TO_FRONT)),
    "mirrored": ((_ALL, _ALL, _BACK), ()),
}


def _ball(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
    axes = zip((_Z, _Y, _X), centre, radii, strict=True)
    return sum(((axis - at) / radius) ** 2 for axis, at, radius in axes) <= 1


def chest(*, windpipe: bool = True) -> np.ndarray:
    """HU of a body with lungs, a spine and a windpipe that leads back on its way down."""
    hu = np.full(_SHAPE, -1000.0)
    hu[_ball((0, 0, 0), (1e6, 105, 150))] = 40
    for side in (-62, 62):
        hu[_ball((0, 5, side), (82, 75, 45))] = -850
    hu[_ball((0, 40, 0), (1e6, 16, 16))] = 400
    if windpipe:
        hu[(np.hypot(_Y + 10 + 0.3 * _Z, _X) < 9) & (_Z > 0)] = -1000
    return np.rint(hu + np.random.default_rng(1).normal(0, 20, _SHAPE)).clip(-1024, 3071).astype(np.int16)


def found(hu: np.ndarray) -> tuple[str, ...]:
    ct = CT(np.ascontiguousarray(hu), _GRID)
    return exchanged(ct, lung_regions(ct))


@pytest.mark.parametrize("what", TURNED)
def test_a_ct_that_is_turned_against_its_header_is_noted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    turn, directions = TURNED[what]
    assert found(chest()[turn]) == directions
    write_nrrd(tmp_path / "ct.nrrd", chest()[turn], _GRID)
    told = segmented(tmp_path / "ct.nrrd", capfd, "--seeds-only", "--seed", "0,0,0")
    assert told.notes("By the windpipe") == bool(directions)
    assert told.notes(f"By the windpipe {' and '.join(directions)} of the patient are exchanged") == bool(directions)


@pytest.mark.parametrize(
    "hu",
    [
        pytest.param(chest(windpipe=False), id="no windpipe"),
        pytest.param(chest()[:32], id="the lower half"),
        pytest.param(chest()[32:], id="the upper half"),
        pytest.param(chest()[:, :, :75], id="one lung"),
        pytest.param(np.full(_SHAPE, -1000, np.int16), id="air"),
    ],
)
def test_what_does_not_show_how_the_patient_lies_is_not_noted(hu: np.ndarray) -> None:
    assert found(hu) == () == found(hu[::-1]) == found(hu[:, ::-1])


@pytest.mark.parametrize("scan", ["chest_scans/CPTAC-C3N-00247", "qin_scans/QIN-LSC-0014"])
def test_a_real_scan_lies_as_it_does_and_turned_is_found_so(scan: str) -> None:
    path = _SCANS / scan / "ct.nrrd"
    if not path.exists():
        pytest.skip(f"needs the scan {scan}")
    ct = axial_order(read_ct(path)).ct
    lungs = lung_regions(ct)
    for turn, directions in TURNED.values():
        assert exchanged(CT(np.ascontiguousarray(ct.hu[turn]), ct.ijk_to_ras), lungs[turn]) == directions
