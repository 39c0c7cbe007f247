"""Image files made to crash, hang, fill the memory or reach out of their folder, and files whose name and content
disagree.
"""

from __future__ import annotations

import bz2
import gzip
import os
import zlib
from pathlib import Path

import nibabel
import numpy as np
import pytest

from lnhg.core.nrrd_file import write_nrrd
from lnhg.readers import read_ct as reading
from lnhg.readers.read_ct import read_ct
from readers.asked import AXIAL, HU, read_by_segment, refused
from readers.test_grids import meta_image, nrrd
from systems import posix_only

HEAD = (
    "NRRD0005\ntype: int16\ndimension: 3\nspace: LPS\nspace directions: (0.7,0,0) (0,0.7,0) (0,0,1)\nendian: little\n"
)

CRASHES = {
    "65535 axes": {"NDims": "65535"},
    "no axes": {"NDims": "0"},
    "axes below none": {"NDims": "-1"},
    "a direction of 1e308": {"TransformMatrix": "1 0 0 1e308 1 0 0 0 1"},
    "directions of no length": {"TransformMatrix": "0 0 0 0 0 0 0 0 0"},
    "two directions": {"TransformMatrix": "1 0 0 0 1 0"},
    "a size of part of a voxel": {"DimSize": "0.064 32 5"},
    "no size": {"DimSize": "0 32 5"},
    "a size below none": {"DimSize": "32 32 -5"},
    "a size beyond any": {"DimSize": "999999999 999999999 999999999"},
    "an unknown type": {"ElementType": "MET_OTHER"},
    "a name for a number": {"ElementSpacing": "a b c"},
}


@pytest.mark.parametrize("what", CRASHES)
def test_meta_images_that_contradict_themselves_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    refused(meta_image(tmp_path / "ct.mha", **CRASHES[what]), capfd, "ct.mha")


NRRDS = {
    "no size": "sizes: 0 32 5",
    "a size below none": "sizes: 32 -32 5",
    "a size beyond any": "sizes: 999999999 999999999 999999999",
    "four sizes": "sizes: 32 32 5 1",
    "two of a field": "sizes: 32 32 5\nsizes: 32 32 4",
    "a type of blocks": "sizes: 32 32 5\ntype: block",
    "an encoding unknown": "sizes: 32 32 5\nencoding: jpeg",
}


@pytest.mark.parametrize("what", NRRDS)
def test_nrrd_files_that_contradict_themselves_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    more = "" if "encoding" in NRRDS[what] else "encoding: raw\n"
    (tmp_path / "ct.nrrd").write_bytes(f"{HEAD}{more}{NRRDS[what]}\n\n".encode() + HU.tobytes())
    refused(tmp_path / "ct.nrrd", capfd, "ct.nrrd")


NIFTIS = {
    "no slices": ("dim", [3, 32, 32, 0, 1, 1, 1, 1]),
    "slices below none": ("dim", [3, 32, 32, -5, 1, 1, 1, 1]),
    "no axes": ("dim", [0, 32, 32, 5, 1, 1, 1, 1]),
    "thousand axes": ("dim", [1000, 32, 32, 5, 1, 1, 1, 1]),
    "a number type unknown": ("datatype", 7),
    "voxels before the file": ("vox_offset", -400.0),
    "voxels nowhere": ("vox_offset", np.nan),
    "an infinite slope": ("scl_slope", np.inf),
    "a qform of no numbers": ("quatern_b", np.nan),
    "a qform beyond one": ("quatern_b", 9.0),
}


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("what", NIFTIS)
def test_nifti_files_that_contradict_themselves_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], what: str, packed: bool
) -> None:
    image = nibabel.Nifti1Image(HU.T, AXIAL)
    image.set_qform(AXIAL, 1)
    content = bytearray(image.to_bytes())
    name, value = NIFTIS[what]
    kind, place = nibabel.Nifti1Header.template_dtype.fields[name][:2]
    raw = np.asarray(value, kind.base).tobytes()
    content[place : place + len(raw)] = raw
    path = tmp_path / ("ct.nii.gz" if packed else "ct.nii")
    path.write_bytes(gzip.compress(content) if packed else content)
    refused(path, capfd, path.name)


# ---------------------------------------------------------------- bombs


def test_files_that_unpack_to_what_no_ct_does_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    zeros = bytes(1 << 24)
    deflated = zlib.compressobj(9)
    packed = b"".join(deflated.compress(zeros) for _ in range(40)) + deflated.flush()
    sizes = "sizes: 1024 1024 320\n"
    (tmp_path / "gz.nrrd").write_bytes(f"{HEAD}encoding: gzip\n{sizes}\n".encode() + packed)
    (tmp_path / "bz.nrrd").write_bytes(f"{HEAD}encoding: bzip2\n{sizes}\n".encode() + bz2.compress(zeros) * 40)
    path = meta_image(tmp_path / "ct.mha", DimSize="1024 1024 320", CompressedData="True")
    path.write_bytes(path.read_bytes()[: -HU.nbytes] + packed)
    image = nibabel.Nifti1Image(HU.T, AXIAL)
    image.header.set_data_shape((1024, 1024, 320))
    image.header["vox_offset"] = 352
    head = image.header.binaryblock + bytes(4)
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(head + zeros * 40, 9))
    for name in ("gz.nrrd", "bz.nrrd", "ct.mha", "ct.nii.gz"):
        assert (tmp_path / name).stat().st_size < 1_000_000
        refused(tmp_path / name, capfd, name, "would unpack to 640 MB")


@pytest.mark.parametrize("name", ["ct.nrrd", "ct.nii.gz"])
def test_voxels_beyond_those_of_the_header_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    more = np.concatenate([HU, HU])
    write_nrrd(tmp_path / "ct.nrrd", more, AXIAL)
    (tmp_path / "ct.nrrd").write_bytes((tmp_path / "ct.nrrd").read_bytes().replace(b" 10\n", b" 5\n"))
    content = bytearray(nibabel.Nifti1Image(more.T, AXIAL).to_bytes())
    content[46:48] = (5).to_bytes(2, "little")
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(content))
    refused(tmp_path / name, capfd, name, "its header asks for 10240 bytes of voxels, it has more")


@pytest.mark.parametrize("unread", [8, 77, 300])
@pytest.mark.parametrize("name", ["ct.mhd", "ct.nhdr", "ct.mha"])
def test_voxels_behind_a_header_that_is_not_told_of_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, unread: int
) -> None:
    voxels = b"x" * unread + HU.astype("<i2").tobytes()
    if name == "ct.mha":
        path = meta_image(tmp_path / name)
        path.write_bytes(path.read_bytes()[: -HU.nbytes] + voxels)
    else:
        path = header_of(tmp_path, name, "ct.raw")
        (tmp_path / "ct.raw").write_bytes(voxels)
    refused(path, capfd, f"{name} is damaged", "its header asks for 10240 bytes of voxels, it has more")


@pytest.mark.parametrize("unread", [8, 77, 300])
@pytest.mark.parametrize("last", [True, False], ids=["the last", "behind so many"])
def test_voxels_behind_a_header_that_a_meta_image_tells_of_are_read(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], last: bool, unread: int
) -> None:
    start = len(meta_image(tmp_path / "ct.mha", HeaderSize="0000").read_bytes()) - HU.nbytes
    path = meta_image(tmp_path / "ct.mha", HeaderSize="  -1" if last else f"{start + unread:04d}")
    path.write_bytes(path.read_bytes()[: -HU.nbytes] + b"x" * unread + HU.astype("<i2").tobytes())
    np.testing.assert_array_equal(read_by_segment(path, capfd).hu, HU)


@pytest.mark.parametrize("padding", [b"\0" * 200, b"\n", b"\r\n"])
def test_padding_behind_the_voxels_is_no_matter(tmp_path: Path, padding: bytes) -> None:
    path = meta_image(tmp_path / "ct.mha")
    path.write_bytes(path.read_bytes() + padding)
    np.testing.assert_array_equal(read_ct(path).hu, HU)


@pytest.mark.parametrize("name", ["ct.nrrd", "ct.mha", "ct.nii"])
def test_a_memory_that_is_too_small_is_told_as_such(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def none_left(*_: object) -> None:
        raise MemoryError

    if name == "ct.nrrd":
        write_nrrd(tmp_path / name, HU, AXIAL)
    elif name == "ct.mha":
        meta_image(tmp_path / name)
    else:
        nibabel.Nifti1Image(HU.T, AXIAL).to_filename(tmp_path / name)
    monkeypatch.setattr("lnhg.readers.image_file.in_hu", none_left)
    assert "damaged" not in refused(tmp_path / name, capfd, f"not enough memory to read {name}")
    assert reading.read_ct is read_ct


# ---------------------------------------------------------------- out of the folder


def header_of(folder: Path, name: str, voxels: str) -> Path:
    path = folder / name
    if name.endswith(".mhd"):
        head = meta_image(path).read_bytes()[: -HU.nbytes]
        path.write_bytes(head.replace(b"ElementDataFile = LOCAL", f"ElementDataFile = {voxels}".encode()))
    else:
        head = nrrd(path).read_bytes()[: -HU.nbytes - 1]
        path.write_bytes(head + f"data file: {voxels}\n".encode())
    return path


@posix_only
@pytest.mark.parametrize("name", ["ct.mhd", "ct.nhdr"])
@pytest.mark.parametrize(
    "place", ["../outside.raw", "{}/outside.raw", "sub/../../outside.raw", "link.raw", "folder/outside.raw"]
)
def test_voxels_outside_the_folder_of_their_header_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, place: str
) -> None:
    (tmp_path / "outside.raw").write_bytes(HU.tobytes())
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / "link.raw").symlink_to(tmp_path / "outside.raw")
    (inside / "folder").symlink_to(tmp_path)
    refused(header_of(inside, name, place.format(tmp_path)), capfd, "names voxels outside its folder")


@pytest.mark.parametrize("name", ["ct.mhd", "ct.nhdr"])
def test_voxels_beside_their_header_or_below_are_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "data").mkdir()
    for place in ("ct.raw", "data/ct.raw"):
        (tmp_path / place).write_bytes(HU.astype("<i2").tobytes())
        np.testing.assert_array_equal(read_ct(header_of(tmp_path, name, place)).hu, HU)


@posix_only
@pytest.mark.parametrize("name", ["ct.mhd", "ct.nhdr"])
@pytest.mark.parametrize("place", ["gone.raw", "LIST", "%03d.raw 1 5 1", "pipe"])
def test_voxels_that_are_no_single_file_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, place: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    refused(header_of(tmp_path, name, place), capfd, name)


@posix_only
@pytest.mark.parametrize("name", ["ct.nrrd", "ct.mha", "ct.nii.gz", "ct.dcm"])
def test_pipes_are_refused_and_never_waited_for(tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    os.mkfifo(tmp_path / name)
    refused(tmp_path / name, capfd, name, "pipe or device")


@posix_only
def test_pipes_in_a_folder_of_slices_do_no_harm(tmp_path: Path) -> None:
    from dicom_files import write_series

    write_series(tmp_path, HU, AXIAL)
    os.mkfifo(tmp_path / "000.dcm")
    np.testing.assert_array_equal(read_ct(tmp_path).hu, HU)


# ---------------------------------------------------------------- names and content


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz", "CT.NII.GZ"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_nifti_file_is_read_whether_or_not_its_name_says_that_it_is_packed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, packed: bool
) -> None:
    content = nibabel.Nifti1Image(HU.T, AXIAL).to_bytes()
    (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)
    np.testing.assert_array_equal(read_by_segment(tmp_path / name, capfd).hu, HU)


def test_a_nifti_file_packed_in_several_parts_is_read(tmp_path: Path) -> None:
    content = nibabel.Nifti1Image(HU.T, AXIAL).to_bytes()
    (tmp_path / "ct.nii.gz").write_bytes(
        b"".join(gzip.compress(content[at : at + 3000]) for at in range(0, len(content), 3000))
    )
    np.testing.assert_array_equal(read_ct(tmp_path / "ct.nii.gz").hu, HU)


def test_version_two_of_nifti_is_read(tmp_path: Path) -> None:
    nibabel.Nifti2Image(HU.T, AXIAL).to_filename(tmp_path / "ct.nii")
    np.testing.assert_array_equal(read_ct(tmp_path / "ct.nii").hu, HU)


@pytest.mark.parametrize("name", ["ct.nrrd", "ct.mha", "ct.nii", "ct.nii.gz"])
def test_a_file_of_another_format_under_the_name_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    others = {
        "nrrd": nrrd(tmp_path / "other.nrrd").read_bytes(),
        "meta image": meta_image(tmp_path / "other.mha").read_bytes(),
        "text": b"no image at all",
        "zip": b"PK\x03\x04" + bytes(100),
        "gzip of text": gzip.compress(b"no image at all"),
    }
    for what, content in others.items():
        if what != {"ct.nrrd": "nrrd", "ct.mha": "meta image"}.get(name):
            (tmp_path / name).write_bytes(content)
            refused(tmp_path / name, capfd, name)
