"""Pixels of DICOM files: all there and as the header says, or refused; no file, however damaged, ends the program."""

from __future__ import annotations

import os
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from dicom_files import write_series, write_slice
from lnhg.readers import decoding
from lnhg.readers.read_ct import read_ct
from readers.asked import AXIAL, HU, read_by_segment, refused

COMPRESSED = {"rle": RLELossless, "jpeg-ls": JPEGLSLossless, "jpeg 2000": JPEG2000Lossless}
ENCODERS = {"jpeg-ls": "jpeg_ls", "jpeg 2000": "openjpeg"}


def series(folder: Path, syntax: str = ExplicitVRLittleEndian, **tags: object) -> list[Path]:
    return write_series(folder, HU, AXIAL, syntax, SeriesInstanceUID="1.2.3", **tags)


def compressed(folder: Path, name: str, **tags: object) -> list[Path]:
    if name in ENCODERS:
        pytest.importorskip(ENCODERS[name], reason=f"pydicom cannot write {name} here")
    return series(folder, COMPRESSED[name], **tags)


def with_pixels(path: Path, pixels: bytes, **tags: object) -> None:
    dataset = pydicom.dcmread(path)
    dataset.PixelData = pixels
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.save_as(path)


# ---------------------------------------------------------------- short, long, odd


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian],
    ids=["explicit", "implicit", "deflated"],
)
@pytest.mark.parametrize("share", [0.001, 0.25, 0.75, 0.999])
@pytest.mark.parametrize("which", [0, 2, 4])
def test_a_slice_with_too_few_pixels_is_refused_and_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], syntax: str, share: float, which: int
) -> None:
    path = series(tmp_path / "ct", syntax)[which]
    pixels = pydicom.dcmread(path).PixelData
    with_pixels(path, pixels[: int(len(pixels) * share) // 2 * 2])
    refused(tmp_path / "ct", capfd, path.name, "of pixels, its header asks for 2048")


@pytest.mark.parametrize(
    "tags", [{"Rows": 31}, {"Columns": 16}, {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}], ids=str
)
def test_slices_with_more_pixels_than_their_header_says_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], tags: dict[str, int]
) -> None:
    for path in series(tmp_path / "ct"):
        with_pixels(path, pydicom.dcmread(path).PixelData, **tags)
    refused(tmp_path / "ct", capfd, "2048 bytes of pixels, its header asks for")


def test_a_byte_of_padding_behind_the_pixels_does_no_harm(tmp_path: Path) -> None:
    for path in series(tmp_path):
        with_pixels(path, pydicom.dcmread(path).PixelData + b"\0\0")
    np.testing.assert_array_equal(read_ct(tmp_path).hu, HU)


BITS = {
    "values at the top of the word": {"BitsStored": 12, "HighBit": 15},
    "a high bit below": {"BitsStored": 16, "HighBit": 11},
    "more bits stored than allocated": {"BitsStored": 17, "HighBit": 16},
    "no bit stored": {"BitsStored": 0, "HighBit": 15},
    "twelve bits allocated": {"BitsAllocated": 12, "BitsStored": 12, "HighBit": 11},
    "sixty thousand bits": {"BitsAllocated": 65535},
}


@pytest.mark.parametrize("what", BITS)
def test_bits_that_contradict_one_another_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], what: str
) -> None:
    for path in series(tmp_path / "ct"):
        with_pixels(path, pydicom.dcmread(path).PixelData, **BITS[what])
    said = refused(tmp_path / "ct", capfd)
    assert "BitsStored" in said or "BitsAllocated" in said or "its pixels have 12 bits" in said


@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("bits", [10, 11, 12])
def test_values_beyond_the_bits_that_are_used_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], signed: int, bits: int
) -> None:
    for path in series(tmp_path / "ct", PixelRepresentation=signed):
        with_pixels(path, (HU[0] + 6000).astype("<i2").tobytes(), BitsStored=bits, HighBit=bits - 1)
    refused(tmp_path / "ct", capfd, f"values beyond its {bits} bits")


@pytest.mark.parametrize("copies", [True, False], ids=["sign copied", "sign not copied"])
def test_negative_values_of_twelve_bits_are_read(tmp_path: Path, copies: bool) -> None:
    for path, hu in zip(series(tmp_path, RescaleIntercept=0), HU, strict=True):
        stored = hu.astype("<i2") if copies else (hu.astype("<i2") & 0xFFF).astype("<i2")
        with_pixels(path, stored.tobytes(), BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read_ct(tmp_path).hu, HU)


def test_padding_beyond_the_bits_that_are_used_becomes_air(tmp_path: Path) -> None:
    for path, hu in zip(series(tmp_path, PixelRepresentation=0), HU, strict=True):
        stored = (hu + 1024).astype("<u2")
        stored[:4] = 63536
        dataset = pydicom.dcmread(path)
        dataset.add_new("PixelPaddingValue", "US", 63536)
        dataset.save_as(path)
        with_pixels(path, stored.tobytes(), BitsStored=12, HighBit=11)
    read = read_ct(tmp_path).hu
    assert (read[:, :4] == -1024).all()
    np.testing.assert_array_equal(read[:, 4:], HU[:, 4:])


@pytest.mark.parametrize("value", [0, 40, -100])
def test_padding_of_a_value_that_tissue_has_leaves_the_tissue_as_it_is(tmp_path: Path, value: int) -> None:
    hu = HU.copy()
    hu[:, :4] = value
    hu[:, 8:24, 8:24] = value + np.arange(256).reshape(16, 16) % 7  # tissue of that value among others
    write_series(tmp_path, hu, AXIAL, RescaleIntercept=0, PixelPaddingValue=value)
    read = read_ct(tmp_path).hu
    assert (read[:, :4] == -1024).all()
    np.testing.assert_array_equal(read[:, 8:24, 8:24], hu[:, 8:24, 8:24])


@pytest.mark.parametrize(("value", "limit"), [(-2000, 0), (-2000, -500), (100, 400)])
def test_a_range_of_padding_that_takes_in_lung_and_tissue_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], value: int, limit: int
) -> None:
    series(tmp_path / "ct", RescaleIntercept=0, PixelPaddingValue=value, PixelPaddingRangeLimit=limit)
    refused(tmp_path / "ct", capfd, "names lung and tissue as padding")


def test_a_range_of_padding_that_ends_at_air_is_no_matter(tmp_path: Path) -> None:
    series(tmp_path, RescaleIntercept=0, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-980)
    assert (read_ct(tmp_path).hu == np.where(HU <= -980, -1024, HU)).all()


def test_eight_bits_and_big_endian_words_are_read(tmp_path: Path) -> None:
    small = np.clip(HU, -1000, -800)
    for k, hu in enumerate(small):
        write_slice(tmp_path / f"{k}.dcm", hu, k, AXIAL, RescaleIntercept=-1000, PixelRepresentation=0)
        with_pixels(tmp_path / f"{k}.dcm", (hu + 1000).astype("u1").tobytes(), BitsAllocated=8, BitsStored=8, HighBit=7)
    np.testing.assert_array_equal(read_ct(tmp_path).hu, small)


# ---------------------------------------------------------------- compressed


def jpeg_lossless(path: Path, stored: np.ndarray) -> None:
    """Put values into a slice as lossless JPEG, written by GDCM."""
    other = path.with_suffix(".jpeg.dcm")
    sitk.WriteImage(sitk.GetImageFromArray(stored.astype(np.uint16)), other, useCompression=True, compressor="JPEG")
    pixels = pydicom.dcmread(other)["PixelData"]
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID, dataset["PixelData"] = JPEGLosslessSV1, pixels
    dataset.save_as(path)
    other.unlink()


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless])
@pytest.mark.parametrize(
    ("joined", "why"),
    [
        (slice(0, 2), "Slices of the CT are missing between -300.0 and -295.0 mm"),
        (slice(3, 5), "several DICOM files lie in it, one after another"),
        (slice(None), "several DICOM files lie in it, one after another"),
    ],
    ids=["first two", "last two", "all"],
)
def test_slices_one_after_another_in_one_file_are_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], syntax: str, joined: slice, why: str
) -> None:
    first, *others = series(tmp_path / "ct", syntax)[joined]
    first.write_bytes(b"".join(path.read_bytes() for path in (first, *others)))
    for path in others:
        path.unlink()
    refused(tmp_path / "ct", capfd, why)


@pytest.mark.parametrize("picture", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("intercept", [-1024, -1000, -8192])
def test_monochrome1_is_no_matter_of_hu_in_lossless_jpeg(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], picture: str, intercept: int
) -> None:
    tags = {"PixelRepresentation": 0, "PhotometricInterpretation": picture, "RescaleIntercept": intercept}
    for path, hu in zip(series(tmp_path, **tags), HU, strict=True):
        jpeg_lossless(path, hu - intercept)
    ct = read_by_segment(tmp_path, capfd) if picture == "MONOCHROME1" else read_ct(tmp_path)
    np.testing.assert_array_equal(ct.hu, HU)


@pytest.mark.parametrize("name", [*COMPRESSED, "none"])
def test_monochrome1_is_no_matter_of_hu_in_other_syntaxes(tmp_path: Path, name: str) -> None:
    tags = {"PixelRepresentation": 0, "PhotometricInterpretation": "MONOCHROME1"}
    series(tmp_path, **tags) if name == "none" else compressed(tmp_path, name, **tags)
    np.testing.assert_array_equal(read_ct(tmp_path).hu, HU)


@pytest.mark.parametrize("name", COMPRESSED)
@pytest.mark.parametrize("harm", ["cut", "flipped", "zeroed", "random", "another size"])
def test_damaged_compressed_pixels_are_refused_and_named(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, harm: str
) -> None:
    path = compressed(tmp_path / "ct", name)[1]
    dataset = pydicom.dcmread(path)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    flipped = bytes(byte ^ 0xFF for byte in frame[:60]) + frame[60:]
    harmed = {
        "cut": frame[: len(frame) // 3],
        "flipped": flipped,
        "zeroed": bytes(len(frame)),
        "random": np.random.default_rng(1).bytes(len(frame)),
        "another size": frame,
    }[harm]
    tags = {"Rows": 64, "Columns": 64} if harm == "another size" else {}
    for one in (tmp_path / "ct").iterdir() if tags else [path]:
        with_pixels(one, encapsulate([harmed]), **tags)
    assert "damaged or cut off" in refused(tmp_path / "ct", capfd)


@pytest.mark.parametrize("segments", [0, 1, 15, 16, 255, 2**31])
def test_run_lengths_that_divide_by_their_number_do_not_end_the_program(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], segments: int
) -> None:
    path = compressed(tmp_path / "ct", "rle")[1]
    frame = bytearray(get_frame(pydicom.dcmread(path).PixelData, 0, number_of_frames=1))
    frame[:4] = segments.to_bytes(4, "little")
    with_pixels(path, encapsulate([bytes(frame)]))
    refused(tmp_path / "ct", capfd, path.name, "damaged or cut off")


@pytest.mark.parametrize(
    "how",
    ["os._exit(3)", "os.kill(os.getpid(), signal.SIGFPE)", "os.kill(os.getpid(), signal.SIGSEGV)", "print('noise')"],
)
def test_a_decoder_that_ends_or_prints_harms_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    compressed(tmp_path / "ct", "rle")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "sitecustomize.py").write_text(
        "import os, signal, sys\nfrom pydicom import encaps\nold = encaps.encapsulate\n"
        f"def encapsulate(*given, **named):\n    {how}\n    return old(*given, **named)\nencaps.encapsulate = "
        f"encapsulate\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "lib") + os.pathsep + os.environ.get("PYTHONPATH", ""))
    if "print" in how:
        np.testing.assert_array_equal(read_ct(tmp_path / "ct").hu, HU)
    else:
        refused(tmp_path / "ct", capfd, "the decoder fail")


@pytest.mark.parametrize("never", ["time.sleep(1000)", "sum(iter(int, 1))", "sys.stdin.read()"])
def test_a_decoder_that_never_ends_is_ended(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, never: str
) -> None:
    compressed(tmp_path / "ct", "rle")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "sitecustomize.py").write_text(
        f"import sys, time\nfrom pydicom import encaps\nencaps.encapsulate = lambda *_: {never}\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "lib") + os.pathsep + os.environ.get("PYTHONPATH", ""))
    monkeypatch.setattr(decoding, "_LONGEST_S", 3.0)
    refused(tmp_path / "ct", capfd, "the decoder fail")


@pytest.mark.parametrize("name", COMPRESSED)
@pytest.mark.parametrize("signed", [0, 1])
def test_frames_are_decoded_by_gdcm_where_pydicom_has_no_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, signed: int
) -> None:
    path = compressed(tmp_path, name, PixelRepresentation=signed)[0]
    frame = get_frame(pydicom.dcmread(path).PixelData, 0, number_of_frames=1)
    layout = decoding.Layout(COMPRESSED[name], 32, 32, 16, 16, bool(signed))
    monkeypatch.setattr(pydicom.pixels.get_decoder(COMPRESSED[name]), "_available", {})
    np.testing.assert_array_equal(decoding.decode(frame, layout), HU[0] + 1024)


def test_a_syntax_that_nothing_knows_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for path in series(tmp_path / "ct"):
        path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0"))
    refused(tmp_path / "ct", capfd, "transfer syntax is unknown: '1.2.840.10008.9.9.9'")


@pytest.mark.parametrize("filling", [b"\0", b"\xff", b"\x08\x00\x05\x00CS\x00\x00"], ids=["zeros", "ones", "elements"])
def test_a_deflated_file_that_unpacks_without_end_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], filling: bytes
) -> None:
    path = series(tmp_path / "ct", DeflatedExplicitVRLittleEndian)[0]
    content = path.read_bytes()
    start = 132 + 12 + int.from_bytes(content[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(zlib.decompress(content[start:], -zlib.MAX_WBITS)) + packer.flush(zlib.Z_FULL_FLUSH)
    # After a full flush the same bytes unpack anywhere, again and again.
    filled = packer.compress(filling * ((1 << 24) // len(filling))) + packer.flush(zlib.Z_FULL_FLUSH)
    path.write_bytes(content[:start] + body + 65 * filled + packer.flush())
    assert path.stat().st_size < 5_000_000
    refused(tmp_path / "ct", capfd, path.name, "unpacks to more than 1024 MB")


def test_where_the_system_takes_no_limit_of_memory_pixels_are_decoded_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(kind: int, limits: tuple[int, int]) -> None:
        raise ValueError("current limit exceeds maximum limit")  # as macOS says it

    resource = SimpleNamespace(RLIMIT_AS=9, RLIMIT_CORE=4, setrlimit=refused)
    monkeypatch.setitem(sys.modules, "resource", resource)
    decoding._limit_memory()
    monkeypatch.setitem(sys.modules, "resource", None)  # Windows has no such module
    decoding._limit_memory()
