"""Compressed pixels, decoded by a process of its own: a damaged file can crash or hang a decoder, not the program.

The program starts this module with `python -m` and sends it one frame after another: a line of JSON that describes it,
then its bytes; the answer is a line of JSON, then the values.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

# No frame takes so long, and none needs so much memory, but those made to do harm.
_LONGEST_S, _MOST_BYTES = 60.0, 6 << 30
_PACKAGES = Path(__file__).resolve().parents[2]


class Undecodable(Exception):
    """Compressed pixels that no decoder here reads whole, and why."""


@dataclass(frozen=True)
class Layout:
    """What a frame should hold: transfer syntax, size, bits of a pixel, bits that are used, and whether they are
    signed.
    """

    syntax: str
    rows: int
    columns: int
    allocated: int
    stored: int
    signed: bool


class Decoder:
    """A process that decodes frames; started with the first of them, ended with the context."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def decoded(self, frame: bytes, layout: Layout) -> np.ndarray:
        """Stored values `[row, column]` of a compressed frame; raises Undecodable."""
        if self._process is None:
            self._process = _started()
        watch = threading.Timer(_LONGEST_S, self._process.kill)
        watch.start()
        try:
            return _asked(self._process, frame, layout)
        except (OSError, ValueError, EOFError) as error:
            raise Undecodable("its compressed pixels made the decoder fail") from error
        finally:
            watch.cancel()


def _started() -> subprocess.Popen[bytes]:
    paths = [str(_PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def _asked(process: subprocess.Popen[bytes], frame: bytes, layout: Layout) -> np.ndarray:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(json.dumps({**asdict(layout), "bytes": len(frame)}).encode() + b"\n")
    process.stdin.write(frame)
    process.stdin.flush()
    answer: dict[str, Any] = json.loads(process.stdout.readline() or "null") or {}
    if "failure" in answer:
        raise Undecodable(answer["failure"])
    kind = np.dtype(answer.get("kind", "u1"))
    values = process.stdout.read(layout.rows * layout.columns * kind.itemsize)
    if (
        answer.get("shape") != [layout.rows, layout.columns]
        or len(values) < layout.rows * layout.columns * kind.itemsize
    ):
        raise EOFError
    return np.frombuffer(values, kind).reshape(layout.rows, layout.columns)


# ---------------------------------------------------------------- in the process


def decode(frame: bytes, layout: Layout) -> np.ndarray:
    """Stored values `[row, column]` of a frame, by pydicom's decoders or, for what they lack, GDCM's; raises
    Undecodable.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import UID, CTImageStorage, generate_uid

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(layout.syntax)
    # Rescale and photometric interpretation are left out: GDCM would apply the one and invert by the other.
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
    dataset.Rows, dataset.Columns = layout.rows, layout.columns
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = layout.allocated, layout.stored, layout.stored - 1
    dataset.PixelRepresentation = int(layout.signed)
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    try:
        values = np.asarray(dataset.pixel_array)
    except Exception:  # no decoder of pydicom's for this syntax, or damaged pixels, which GDCM refuses as well
        values = _through_gdcm(dataset)
    if values.shape != (layout.rows, layout.columns) or values.dtype.kind not in "iu":
        raise Undecodable(f"its compressed pixels have the shape {values.shape}")
    return values


def _through_gdcm(dataset: Any) -> np.ndarray:
    import SimpleITK as sitk

    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "frame.dcm")
        dataset.save_as(file, enforce_file_format=True)
        try:
            values = sitk.GetArrayFromImage(sitk.ReadImage(file, imageIO="GDCMImageIO"))
        except RuntimeError as error:
            raise Undecodable(
                "its compressed pixels are damaged, or compressed in a way that cannot be read here"
            ) from error
    return np.asarray(values[0] if values.ndim == 3 else values)


def _serve(asked: IO[bytes], answers: IO[bytes]) -> None:
    _limit_memory()
    while line := asked.readline():
        request = json.loads(line)
        frame = asked.read(request.pop("bytes"))
        try:
            values = decode(frame, Layout(**request))
            answers.write(json.dumps({"kind": values.dtype.str, "shape": values.shape}).encode() + b"\n")
            answers.write(np.ascontiguousarray(values).tobytes())
        except Exception as error:  # decoders raise many kinds; whatever it is, the frame was not decoded
            why = (
                str(error) if isinstance(error, Undecodable) else f"its compressed pixels raise {type(error).__name__}"
            )
            answers.write(json.dumps({"failure": why}).encode() + b"\n")
        answers.flush()


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    for kind, most in ((resource.RLIMIT_AS, _MOST_BYTES), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):  # macOS takes no limit of addresses; the decoder works without
            resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    # What libraries print must not stand between the answers.
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _serve(sys.stdin.buffer, channel)
