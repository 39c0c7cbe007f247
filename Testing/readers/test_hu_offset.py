"""HU that are none: a rescale applied twice or an offset lost shows in where air, lung and soft tissue lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage, signal

from dicom_files import write_series
from lnhg.core.ct import CT
from lnhg.core.nrrd_file import write_nrrd
from lnhg.errors import InputError
from lnhg.readers.checks import in_hu
from lnhg.readers.hu_offset import _peaks
from lnhg.readers.read_ct import read_ct
from readers.asked import read_by_segment, refused

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
GRID = np.array([[-3.0, 0, 0, 150], [0, -3.0, 0, 150], [0, 0, 5.0, -100], [0, 0, 0, 1]])


def chest(seed: int = 1, lung: float = -860, air: float = -1000, fat: float = -100, share: float = 1.0) -> np.ndarray:
    """A body of fat and muscle, lungs and a spine, 300 mm wide, with the noise of a CT; `share`: a part of its
    middle.
    """
    k, j, i = np.mgrid[:20, -50:50, -50:50] * np.array([5, 3, 3])[:, None, None, None]
    hu = np.full(k.shape, air)
    body = (i / 140) ** 2 + (j / 100) ** 2
    hu[body < 1] = fat
    hu[body < 0.8] = 45
    hu[((np.abs(i) - 65) / 45) ** 2 + (j / 70) ** 2 < 1] = lung
    hu[(i / 18) ** 2 + ((j - 60) / 18) ** 2 < 1] = 400
    hu = ndimage.gaussian_filter(hu, (0, 0.7, 0.7)) + np.random.default_rng(seed).normal(0, 20, hu.shape)
    if share < 1:
        cut = slice(round(50 - 50 * share), round(50 + 50 * share))
        hu = hu[:, 20 : 20 + cut.stop - cut.start, cut]
    return np.rint(hu).astype(np.int16)


def offset_said(ct: CT) -> str:
    return next((warning for warning in ct.warnings if warning.startswith("Air, lung and soft tissue lie about")), "")


SCANS = {
    "a chest": {},
    "lungs of emphysema": {"lung": -940},
    "lungs breathed out": {"lung": -720},
    "a thin patient": {"fat": 30},
    "another": {"seed": 7},
}


@pytest.mark.parametrize("what", SCANS)
@pytest.mark.parametrize("off", [-1024, -1000, -700, 700, 1000])
def test_values_700_or_more_off_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], what: str, off: int
) -> None:
    write_nrrd(tmp_path / "ct.nrrd", chest(**SCANS[what]) + off, GRID)
    refused(tmp_path / "ct.nrrd", capfd, "ct.nrrd is not in HU")


@pytest.mark.parametrize("what", SCANS)
@pytest.mark.parametrize("off", [-500, -300, 300, 500])
def test_smaller_offsets_are_warned_of(tmp_path: Path, what: str, off: int) -> None:
    write_nrrd(tmp_path / "ct.nrrd", chest(**SCANS[what]) + off, GRID)
    said = offset_said(read_ct(tmp_path / "ct.nrrd"))
    assert ("high" if off > 0 else "low") in said
    assert abs(int(said.split("about ")[1].split()[0]) - abs(off)) < 160


@pytest.mark.parametrize("off", [-400, -120, 300])
def test_an_offset_is_told_by_segment_and_kept_with_the_result(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], off: int
) -> None:
    write_nrrd(tmp_path / "ct.nrrd", chest()[:6] + off, GRID)
    assert offset_said(read_by_segment(tmp_path / "ct.nrrd", capfd))


@pytest.mark.parametrize("what", SCANS)
def test_hu_are_not_warned_of(tmp_path: Path, what: str) -> None:
    write_nrrd(tmp_path / "ct.nrrd", chest(**SCANS[what]), GRID)
    assert offset_said(read_ct(tmp_path / "ct.nrrd")) == ""


def fat_one(seed: int = 1) -> np.ndarray:
    """A chest with as much fat as muscle in what else is muscle."""
    hu = chest(seed)
    return np.where((hu > 0) & (hu < 120) & (np.arange(100) % 2 > 0), hu - 145, hu).astype(np.int16)


@pytest.mark.parametrize("what", ["a chest", "another", "much fat"])
@pytest.mark.parametrize("off", [-200, -150, -120, 120, 150])
def test_an_offset_of_120_is_warned_of_where_fat_and_muscle_are_told_apart(tmp_path: Path, what: str, off: int) -> None:
    hu = fat_one() if what == "much fat" else chest(**SCANS[what])
    for name, values in (("whole", hu + off), ("cut", np.maximum(hu + off, -1024))):
        write_nrrd(tmp_path / f"{name}.nrrd", values.astype(np.int16), GRID)
        said = offset_said(read_ct(tmp_path / f"{name}.nrrd"))
        assert ("high" if off > 0 else "low") in said
        assert abs(int(said.split("about ")[1].split()[0]) - abs(off)) < 30


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_much_fat_is_no_offset(tmp_path: Path, seed: int) -> None:
    write_nrrd(tmp_path / "ct.nrrd", fat_one(seed), GRID)
    assert offset_said(read_ct(tmp_path / "ct.nrrd")) == ""


@pytest.mark.parametrize("what", ["a chest", "lungs breathed out", "another"])
@pytest.mark.parametrize("off", [-300, -400, -500, -600])
def test_an_offset_is_never_passed_over_where_lung_was_cut_off_with_it(what: str, off: int) -> None:
    cut = np.maximum(chest(**SCANS[what]) + off, -1024).astype(np.int16)
    try:
        assert said(cut, "HU too low")
    except InputError as error:
        assert "is not in HU" in str(error)


@pytest.mark.parametrize("off", [-1024, -1000])
def test_a_rescale_applied_twice_is_seen_where_what_is_darker_than_air_was_cut_off(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], off: int
) -> None:
    write_nrrd(tmp_path / "ct.nrrd", np.maximum(chest() + off, -1024), GRID)
    refused(tmp_path / "ct.nrrd", capfd, "is not in HU", "fat and soft tissue")


@pytest.mark.parametrize("padding", [-2000, -2048, -3024, -1024, 3071])
def test_padding_of_any_value_is_no_offset(tmp_path: Path, padding: int) -> None:
    hu = chest()
    hu[:, :30] = padding
    write_nrrd(tmp_path / "ct.nrrd", hu, GRID)
    assert offset_said(read_ct(tmp_path / "ct.nrrd")) == ""


@pytest.mark.parametrize("steps", [8, 64, 128])
def test_rounded_values_are_no_offset(tmp_path: Path, steps: int) -> None:
    hu = (np.rint(chest() / steps) * steps).astype(np.int16)
    write_nrrd(tmp_path / "ct.nrrd", hu, GRID)
    assert offset_said(read_ct(tmp_path / "ct.nrrd")) == ""


def test_slices_without_any_lung_are_no_offset(tmp_path: Path) -> None:
    write_nrrd(tmp_path / "ct.nrrd", chest(lung=60), GRID)
    assert offset_said(read_ct(tmp_path / "ct.nrrd")) == ""


@pytest.mark.parametrize(("off", "word"), [(-1024, "is not in HU"), (-700, "is not in HU"), (900, "is not in HU")])
def test_a_small_part_of_a_chest_shows_a_large_offset_too(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], off: int, word: str
) -> None:
    write_nrrd(tmp_path / "ct.nrrd", chest(share=0.4) + off, GRID)
    refused(tmp_path / "ct.nrrd", capfd, word)


@pytest.mark.parametrize("intercept", [-2048, 0, -324])
def test_a_wrong_intercept_of_dicom_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], intercept: int
) -> None:
    write_series(tmp_path / "ct", chest() + intercept + 1024, GRID, RescaleIntercept=intercept)
    refused(tmp_path / "ct", capfd, "ct is not in HU")


# ---------------------------------------------------------------- parts that differ, ends cut off, values beyond HU


def said(hu: np.ndarray, word: str) -> list[str]:
    return [warning for warning in in_hu(hu, "ct", GRID)[1] if word in warning]


@pytest.mark.parametrize("slices", [slice(7, 8), slice(0, 1), slice(19, 20), slice(10, None), slice(3, 9)])
@pytest.mark.parametrize("off", [-1024, 1024, -300, 150])
def test_slices_with_a_rescale_of_their_own_are_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], slices: slice, off: int
) -> None:
    hu = chest()
    hu[slices] += off
    first = max(0, slices.start - 1)
    write_series(tmp_path / "ct", hu, GRID)
    if abs(off) > 700:
        refused(tmp_path / "ct", capfd, "ct is not in HU")
    else:
        (named,) = [warning for warning in read_ct(tmp_path / "ct").warnings if "all values change" in warning]
        assert f"Between the slices {first} and {first + 1}" in named and "(from 0)" in named


@pytest.mark.parametrize("what", SCANS)
def test_anatomy_and_an_end_of_air_are_no_change_of_rescale(what: str) -> None:
    hu = chest(**SCANS[what])
    hu[:, :, 60:] = np.roll(hu[:, :, 60:], 3, 0)
    hu[0] = -1000
    hu[-3:, 35:65] = hu[:3, :30]  # tissue that ends all at once
    assert not said(hu, "all values change")


@pytest.mark.parametrize("lowest", [-700, -500, -300])
def test_air_that_was_cut_off_is_noted(lowest: int) -> None:
    cut = np.maximum(chest(), lowest)
    assert said(cut, f"Nothing lies below {lowest} HU") or said(cut, "HU too high")


@pytest.mark.parametrize("scale", [0.5, 0.6, 0.7])
def test_values_that_were_scaled_are_noted(scale: float) -> None:
    assert said(np.rint(chest() * scale).astype(np.int16), "values were cut off or scaled")


@pytest.mark.parametrize("highest", [100, 150, 240])
def test_bone_that_was_cut_off_is_noted(highest: int) -> None:
    assert said(np.minimum(chest(), highest), f"Values were cut off at {highest} HU")


@pytest.mark.parametrize("what", SCANS)
def test_a_whole_range_of_hu_is_no_news(what: str) -> None:
    assert in_hu(chest(**SCANS[what]), "ct", GRID)[1] == ()


@pytest.mark.parametrize("value", [63536, 64512, 1 << 30])
def test_a_single_value_beyond_hu_is_padding(value: int) -> None:
    hu = chest().astype(np.int64)
    hu[:, :30] = value
    found, remarks = in_hu(hu, "ct", GRID)
    assert found.max() < 1000 and (found[:, :30] == -1024).all()
    assert [remark for remark in remarks if f"of the value {value:g}, which no tissue has" in remark]


@pytest.mark.parametrize("kind", ["uint16", "uint32", "uint64"])
def test_values_without_a_sign_are_refused_whatever_their_padding(kind: str) -> None:
    values = np.maximum(chest() + 1024, 0).astype(kind)
    values[:, :30] = 63536
    with pytest.raises(InputError, match=r"^ct is not in HU \(its values run from 0 to 63536\)"):
        in_hu(values, "ct", GRID)


@pytest.mark.parametrize("kind", ["int32", "int64", "float64"])
def test_negative_values_that_lost_their_sign_are_refused(kind: str) -> None:
    with pytest.raises(InputError, match=r"^ct is not in HU \(its values run to .*lost their sign\); give a CT"):
        in_hu(chest().view(np.uint16).astype(kind) - 24, "ct", GRID)


def test_random_values_are_no_offset() -> None:
    values = np.random.default_rng(1).integers(-1000, 400, (20, 100, 100)).astype(np.int16)
    assert in_hu(values, "random", GRID)[1] == ()


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real CT of {DATA.name} are not here")
@pytest.mark.parametrize(
    "name",
    ["lidc_scans/LIDC-IDRI-0023/ct.nrrd", "chest_scans/LungFCP-01-0001/ct.nrrd", "qin_scans/QIN-LSC-0014/ct.nrrd"],
)
def test_a_real_scan_is_not_warned_of_and_its_offsets_are(name: str) -> None:
    ct = read_ct(DATA / name)
    assert offset_said(ct) == ""
    for off in (-300, -120, 120, 300):
        for least in (-32768, -1024):
            (said,) = in_hu(np.maximum(ct.hu.astype(np.int32) + off, least), "ct", ct.ijk_to_ras)[1]
            assert "too low" in said if off < 0 else "too high" in said
    for off in (-1024, -700, 700):
        with pytest.raises(InputError, match="is not in HU"):
            in_hu(ct.hu.astype(np.int32) + off, "ct", ct.ijk_to_ras)


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the real CT of {DATA.name} are not here")
@pytest.mark.parametrize("kind", ["lidc_cubes", "lidc_nodules"])
def test_no_real_cube_or_cut_out_is_warned_of(kind: str) -> None:
    for path in sorted((DATA / kind).glob("*.ct.nrrd"))[::7]:
        assert offset_said(read_ct(path)) == "", path.name


@pytest.mark.parametrize("seed", range(5))
def test_peaks_are_those_that_scipy_tells(seed: int) -> None:
    random = np.random.default_rng(seed)
    rough = random.random(2000) ** 3 * random.integers(0, 2, 2000)
    curve = 1000 * ndimage.gaussian_filter1d(rough, random.uniform(5, 40))
    peaks, found = signal.find_peaks(curve, prominence=0)
    assert len(peaks) > 3
    assert _peaks(curve, 0.05).tolist() == peaks[found["prominences"] >= 0.05 * curve[peaks]].tolist()
