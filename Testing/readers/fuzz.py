"""Damaged headers, made at random from small whole files, against `read_ct`, and scenes against `read_scene`: each is
read or refused with one sentence.

    python Testing/readers/fuzz.py --inputs 20000 --format dicom --seed 1 --keep found

A process of its own reads them one after another; it is started again when an input ends it or takes ten seconds. What
is no sentence and no sane CT (a crash, a hang, an exception that is not the project's own, a grid that no scanner
makes) is counted, and its input kept.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import math
import random
import re
import select
import shutil
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np

_LONGEST_S = 10.0
_HU = np.random.default_rng(5).integers(-1000, 400, (4, 12, 12)).astype("<i2")
_GRID = np.array([[-0.7, 0, 0, 90], [0, -0.8, 0, 60.5], [0, 0, 2.5, -300], [0, 0, 0, 1.0]])
# Values that stood in bug reports of other programs, and those at the ends of number types.
_NUMBERS = (
    *("0", "-1", "1", "65535", "-32768", "2147483648", "999999999999999999"),
    *("1e30", "-1e308", "1e400", "nan", "inf", "0.064", "1e-30"),
)
_TEXTS = (
    *(*_NUMBERS, "", "x", "A" * 300, "mm", "1 2", "1 2 3", "1 2 3 4 5 6 7 8 9"),
    *("0\\0", "1\\2\\3\\4\\5\\6", "../../x", "%d", "True", "(1,2,3)", "µ\0\x1b"),
)
_REPRESENTATIONS = (b"LO", b"US", b"DS", b"UI", b"SQ", b"UN", b"OB", b"FD", b"\x55\x09")


# ---------------------------------------------------------------- whole files


def _nrrd(folder: Path) -> Path:
    head = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 12 12 4\n"
        "space directions: (0.7,0,0) (0,0.8,0) (0,0,2.5)\nkinds: domain domain domain\nendian: little\nencoding: raw\n"
        "space origin: (-90,-60.5,-300)\n\n"
    )
    (folder / "ct.nrrd").write_bytes(head.encode() + _HU.tobytes())
    return folder / "ct.nrrd"


def _meta_image(folder: Path) -> Path:
    head = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = False\n"
        "TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = -90 -60.5 -300\nCenterOfRotation = 0 0 0\nAnatomicalOrientation "
        "= RAI\n"
        "ElementSpacing = 0.7 0.8 2.5\nDimSize = 12 12 4\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    )
    (folder / "ct.mha").write_bytes(head.encode() + _HU.tobytes())
    return folder / "ct.mha"


def _nifti(folder: Path) -> Path:
    import nibabel

    image = nibabel.Nifti1Image(_HU.T, _GRID)
    image.set_qform(_GRID, 1)
    image.to_filename(folder / "ct.nii")
    return folder / "ct.nii"


def _dicom(folder: Path) -> Path:
    from dicom_files import write_series

    (folder / "ct").mkdir()
    write_series(folder / "ct", _HU[:3], _GRID, AcquisitionNumber=1, PixelPaddingValue=0, FrameOfReferenceUID="1.2.3")
    return folder / "ct"


def _packed_dicom(syntax: str) -> Callable[[Path], Path]:
    """Slices in a transfer syntax of pydicom's name."""

    def write(folder: Path) -> Path:
        from pydicom import uid

        from dicom_files import write_series

        (folder / "ct").mkdir()
        wide = np.tile(_HU[:2], (1, 3, 3))  # JPEG 2000 packs no smaller ones
        write_series(folder / "ct", wide, _GRID, getattr(uid, syntax))
        return folder / "ct"

    return write


def _enhanced_dicom(syntax: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        from pydicom import uid

        from dicom_files import write_enhanced

        (folder / "ct").mkdir()
        write_enhanced(folder / "ct" / "0.dcm", _HU, _GRID, getattr(uid, syntax))
        return folder / "ct"

    return write


def _joined_dicom(folder: Path) -> Path:
    """The slices one after another in one file, as a broken transfer leaves them."""
    parts = sorted(_dicom(folder).iterdir())
    content = b"".join(part.read_bytes() for part in parts)
    for part in parts:
        part.unlink()
    (folder / "ct" / "0.dcm").write_bytes(content)
    return folder / "ct"


def _zipped_dicom(folder: Path) -> Path:
    """The slices in a zip that lies in the folder in their place."""
    parts = sorted(_dicom(folder).iterdir())
    with zipfile.ZipFile(folder / "ct" / "0.dcm", "w", zipfile.ZIP_DEFLATED) as packed:
        for part in parts:
            packed.write(part, part.name)
            part.unlink()
    return folder / "ct"


def _scene(folder: Path) -> Path:
    from made_before import RESULT

    return Path(shutil.copy(RESULT / "scene.mrb", folder / "ct.mrb"))


FORMATS: dict[str, Callable[[Path], Path]] = {
    "nrrd": _nrrd,
    "meta_image": _meta_image,
    "nifti": _nifti,
    "dicom": _dicom,
    "enhanced_dicom": _enhanced_dicom("ExplicitVRLittleEndian"),
    "packed_dicom": _packed_dicom("RLELossless"),
    "jpeg_ls_dicom": _packed_dicom("JPEGLSLossless"),
    "jpeg_2000_dicom": _packed_dicom("JPEG2000Lossless"),
    "packed_enhanced_dicom": _enhanced_dicom("RLELossless"),
    "joined_dicom": _joined_dicom,
    "zipped_dicom": _zipped_dicom,
    "scene": _scene,
}


# ---------------------------------------------------------------- harm


def harmed(content: bytes, kind: str, chance: random.Random) -> bytes:
    """The content of a file with one to three changes of its header, now and then of any byte, or cut off."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        way = chance.random()
        if way < 0.1:
            content = _flipped(content, chance)
        elif way < 0.15:
            content = content[: chance.randrange(len(content) + 1)]
        elif kind in ("nrrd", "meta_image"):
            content = _harmed_text(content, b":" if kind == "nrrd" else b"=", chance)
        elif kind == "nifti":
            content = _harmed_fields(content, chance)
        elif kind == "scene":
            content = _harmed_scene(content, chance)
        else:
            content = _harmed_element(content, chance)
    return gzip.compress(content, 1) if kind == "nifti" and chance.random() < 0.1 else content


def _flipped(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice((1, 2, 8)) if changed else 0):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _harmed_text(content: bytes, sign: bytes, chance: random.Random) -> bytes:
    lines = content.split(b"\n", 15)
    at = chance.randrange(len(lines) - 1) if len(lines) > 1 else 0
    name, found, value = lines[at].partition(sign)
    way, text = chance.randrange(6), chance.choice(_TEXTS).encode()
    if way == 0:
        del lines[at]
    elif way == 1:
        lines.insert(chance.randrange(len(lines)), lines[at])
    elif way == 2 or not found:
        lines[at] = text
    elif way == 3:
        lines[at] = name + sign + b" " + text
    else:  # one of several values
        parts = value.replace(b",", b" , ").split() or [b""]
        parts[chance.randrange(len(parts))] = text
        lines[at] = name + sign + b" " + b" ".join(parts).replace(b" , ", b",")
    return b"\n".join(lines)


def _harmed_fields(content: bytes, chance: random.Random) -> bytes:
    import nibabel

    kind, place = nibabel.Nifti1Header.template_dtype.fields[chance.choice(nibabel.Nifti1Header.template_dtype.names)][
        :2
    ]
    base = kind.base
    place += base.itemsize * chance.randrange(max(1, kind.itemsize // base.itemsize))
    if base.kind == "S":
        raw = bytes(chance.randrange(256) for _ in range(base.itemsize))
    else:
        number = float(chance.choice(_NUMBERS))
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw = np.array(number if math.isfinite(number) or base.kind == "f" else 0).astype(base).tobytes()
    return content[:place] + raw + content[place + len(raw) :]


def _harmed_element(content: bytes, chance: random.Random) -> bytes:
    """A DICOM file with one element's value, representation or length changed, or the element left out or given
    twice.
    """
    elements = list(_elements(content))
    if not elements:
        return _flipped(content, chance)
    start, value, end = chance.choice(elements)
    head, way = content[start:value], chance.randrange(7)
    text = chance.choice(_TEXTS).encode()
    text += b" " * (len(text) % 2)
    if way == 0:
        return content[:start] + content[end:]
    if way == 1:
        return content[:end] + content[start:end] + content[end:]
    if way == 2:
        return content[: start + 4] + chance.choice(_REPRESENTATIONS) + content[start + 6 :]
    if way == 3 and value - start == 8:
        return content[: start + 6] + chance.randrange(1 << 16).to_bytes(2, "little") + content[value:]
    if way == 4 and value - start == 8:  # other bytes of the same length, as a binary value has them
        return content[:value] + bytes(chance.choice((0, 1, 255, 127)) for _ in range(end - value)) + content[end:]
    if value - start == 8 and len(text) < 1 << 16:
        return content[: start + 6] + len(text).to_bytes(2, "little") + text + content[end:]
    return content[:start] + head + _flipped(content[value:end], chance) + content[end:]


def _harmed_scene(content: bytes, chance: random.Random) -> bytes:
    """A scene with one of the files in it changed."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            files = {name: packed.read(name) for name in packed.namelist()}
    except Exception:  # it was harmed before
        return _flipped(content, chance)
    name = chance.choice([name for name in files if name.endswith((".nrrd", ".mrml", ".tsv"))])
    if name.endswith(".nrrd"):
        files[name] = _harmed_text(files[name], b":", chance)
    else:
        sign = rb'="[^"]*"' if name.endswith(".mrml") else rb"[^\t\n]+"
        start, end = chance.choice([found.span() for found in re.finditer(sign, files[name])] or [(0, 0)])
        text = chance.choice(_TEXTS).encode()
        text = b'="' + text + b'"' if name.endswith(".mrml") else text
        files[name] = files[name][:start] + text + files[name][end:]
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w") as packed:
        for one, inside in files.items():
            packed.writestr(one, inside)
    return changed.getvalue()


def _elements(content: bytes) -> Iterator[tuple[int, int, int]]:
    """Start, start of the value and end of each element of an explicit little endian file, those of sequences as
    one.
    """
    at = 132
    while at + 8 <= len(content):
        long = content[at + 4 : at + 6] in (b"OB", b"OW", b"SQ", b"UN", b"UT", b"UC", b"UR")
        value = at + (12 if long else 8)
        length = int.from_bytes(content[at + (8 if long else 6) : value], "little")
        if length == 0xFFFFFFFF or value + length > len(content):
            return
        yield at, value, value + length
        at = value + length


def made(kind: str, seed: int, folder: Path) -> Path:
    """Input number `seed` of a format in a new folder; returns what to read."""
    chance = random.Random(f"{kind} {seed}")
    path, files = _whole(kind)
    harmed_one = chance.choice(sorted(files))
    for file, content in files.items():
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_bytes(harmed(content, kind, chance) if file == harmed_one else content)
    return folder / path


@cache
def _whole(kind: str) -> tuple[str, dict[str, bytes]]:
    """What to read of an input of a format, and its whole files, by their places in its folder; made once."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = FORMATS[kind](folder)
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        return path.name, {str(file.relative_to(folder)): file.read_bytes() for file in files}


# ---------------------------------------------------------------- the process that reads


def verdict(path: Path) -> str:
    """`read` or `refused`, or what is wrong with how an input was met."""
    from lnhg.errors import LNHGError
    from lnhg.followup.reviewed_scene import read_scene
    from lnhg.readers.read_ct import read_ct

    try:
        ct = read_scene(path)[0].ct if path.suffix == ".mrb" else read_ct(path)
    except LNHGError as error:
        text = str(error)
        one = text.endswith(".") and "; " in text and "\n" not in text and text.isprintable()
        return "refused" if one else f"no sentence: {text!r}"
    except Exception as error:
        return f"foreign: {type(error).__name__}: {error}"[:200]
    sane = np.isfinite(ct.ijk_to_ras).all() and min(ct.spacing) >= 0.099 and max(ct.spacing) <= 20.1
    return "read" if sane and np.abs(ct.ijk_to_ras[:3, 3]).max() <= 10_000 else f"absurd grid: {ct.ijk_to_ras.tolist()}"


class Reader:
    """A process that gives verdicts; started again after an input that ended it, or that it does not get done with."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def verdict(self, path: Path) -> str:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, __file__, "--serve"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            assert self._process.stdout is not None
            self._process.stdout.readline()  # once it is ready
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], _LONGEST_S)[0]:
            self._end()
            return "hang"
        answer = self._process.stdout.readline()
        if not answer:
            code = self._process.wait()
            self._end()
            return f"crash: {code}"
        return str(json.loads(answer))

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _serve() -> None:
    from lnhg.readers import image_file, read_dicom  # noqa: F401 - so that loading them is not counted as reading

    warnings.simplefilter("ignore")
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(verdict(Path(line.rstrip("\n")))), flush=True)


def tried(kind: str, seeds: range, keep: Path | None = None) -> tuple[Counter[str], list[str]]:
    """Verdicts on inputs of a format by their first word, and those that are faults, with their seeds."""
    counts: Counter[str] = Counter()
    faults = []
    with Reader() as reader, tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            place = Path(folder) / str(seed)
            place.mkdir()
            path = made(kind, seed, place)
            said = reader.verdict(path)
            if said == "hang":  # on a busy machine anything is slow once
                said = reader.verdict(path)
            counts[said.partition(":")[0]] += 1
            if said not in ("read", "refused"):
                faults.append(f"{kind} {seed}: {said}")
                if keep is not None:
                    shutil.copytree(place, keep / f"{kind}_{seed}", dirs_exist_ok=True)
            shutil.rmtree(place)
    return counts, faults


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1000, help="of each format (default: %(default)s)")
    parser.add_argument(
        "--format", action="append", choices=tuple(FORMATS), help="only this one; repeatable (default: all)"
    )
    parser.add_argument("--seed", type=int, default=0, help="number of the first input (default: %(default)s)")
    parser.add_argument("--keep", type=Path, help="folder for the inputs that are faults")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        _serve()
        return
    for kind in arguments.format or FORMATS:
        counts, faults = tried(kind, range(arguments.seed, arguments.seed + arguments.inputs), arguments.keep)
        print(kind, dict(counts), *faults[:20], sep="\n  ")


if __name__ == "__main__":
    _main()
