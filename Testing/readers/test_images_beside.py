"""Label maps, outlines and development images go through the same careful readers as CT: read sanely, or refused."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from lnhg.core.nrrd_file import write_nrrd
from lnhg.data.images import read_ct_image, read_label_image
from lnhg.errors import InputError
from lnhg.evaluation.label_maps import read_label_map
from lnhg.readers.image_file import read_beside
from readers.fuzz import made

GRID = np.diag([-0.7, -0.7, 2.0, 1.0])


@pytest.mark.parametrize("kind", ["nrrd", "meta_image", "nifti"])
@pytest.mark.parametrize("read", [read_label_map, read_ct_image, read_beside])
def test_damaged_headers_end_in_a_sentence_whoever_reads_them(
    tmp_path: Path, kind: str, read: Callable[[Path], object]
) -> None:
    refused = 0
    for seed in range(80):
        folder = tmp_path / str(seed)
        folder.mkdir()
        path = made(kind, 70_000 + seed, folder)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read(path)
        except InputError as error:
            refused += 1
            assert str(error).endswith(".") and "\n" not in str(error) and str(error).isprintable()
    assert refused > 20


@pytest.mark.parametrize("name", ["labels.nrrd", "labels.nii.gz", "labels.mha"])
def test_labels_that_are_not_there_or_may_not_be_read_are_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=rf"^{name} is missing in .*; copy it again\.$"):
        read_label_map(tmp_path / name)
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=rf"^{name} is no file but a pipe or device"):
        read_label_map(tmp_path / name)


@pytest.mark.parametrize("ending", ["nrrd", "mha", "nii.gz"])
def test_labels_in_the_other_byte_order_are_right(tmp_path: Path, ending: str) -> None:
    labels = np.zeros((4, 8, 8), np.uint16)
    labels[1:3, 2:5, 2:5] = 300
    path = tmp_path / f"labels.{ending}"
    if ending == "nrrd":
        write_nrrd(path, labels, GRID, packed=False)
        head, _, content = path.read_bytes().partition(b"\n\n")
        swapped = np.frombuffer(content, "<u2").astype(">u2").tobytes()
        path.write_bytes(head.replace(b"endian: little", b"endian: big") + b"\n\n" + swapped)
    else:
        sitk.WriteImage(sitk.GetImageFromArray(labels), path)
    found = read_label_map(path)
    np.testing.assert_array_equal(found.labels, labels)
    assert read_label_map(path, alike=True).labels.max() == 1


def test_an_outline_on_another_grid_is_refused(tmp_path: Path) -> None:
    write_nrrd(tmp_path / "ct.nrrd", np.full((4, 8, 8), -800, np.int16), GRID)
    write_nrrd(tmp_path / "readers.nrrd", np.zeros((3, 8, 8), np.uint8), GRID)
    with pytest.raises(InputError, match=r"^readers\.nrrd does not lie on the grid of its CT"):
        read_label_image(tmp_path / "readers.nrrd", read_ct_image(tmp_path / "ct.nrrd"))
