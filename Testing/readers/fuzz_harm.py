"""How the files of `fuzz_files.py` are damaged: fields of headers, elements of DICOM at any depth, bytes, lengths."""

from __future__ import annotations

import gzip
import io
import math
import random
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

# Values that stood in bug reports of other programs, those at the ends of number types, and some that are merely other.
_NUMBERS = (
    *("0", "-1", "1", "65535", "-32768", "2147483648", "999999999999999999"),
    *("1e30", "-1e308", "1e400", "nan", "inf", "0.064", "1e-30"),
    *("2", "-0.7", "0.5", "13", "-1024", "4096"),
)
_TEXTS = (
    *(*_NUMBERS, "", "x", "A" * 300, "mm", "1 2", "1 2 3", "1 2 3 4 5 6 7 8 9"),
    *("0\\0", "1\\2\\3\\4\\5\\6", "../../x", "%d", "True", "(1,2,3)", "µ\0\x1b"),
    *("ISO_IR 192", "ISO 2022 IR 149", "\\ISO 2022 IR 87", "GB18030", "ISO 2022 IR 999"),
    *("gzip", "raw", "ascii", "LOCAL", "LIST", "MET_FLOAT", "MET_UCHAR_ARRAY", "uchar", "double", "big", "none"),
)
_REPRESENTATIONS = (b"LO", b"US", b"DS", b"UI", b"SQ", b"UN", b"OB", b"FD", b"\x55\x09")
_LONG = (b"OB", b"OW", b"OF", b"OD", b"SQ", b"UN", b"UT", b"UC", b"UR")
_ITEM, _PIXELS, _UNMEASURED = 0xFFFE, b"\xe0\x7f\x10\x00", 0xFFFFFFFF
_GZIP = b"\x1f\x8b"


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
            content = _harmed_nifti(content, chance)
        elif kind == "scene":
            content = _harmed_scene(content, chance)
        else:
            content = _harmed_dicom(content, chance)
    return gzip.compress(content, 1) if kind == "nifti" and chance.random() < 0.1 else content


def _flipped(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice((1, 2, 8)) if changed else 0):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


# ---------------------------------------------------------------- image files


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


def _harmed_nifti(content: bytes, chance: random.Random) -> bytes:
    """A header with one number or text changed, packed again where it was packed."""
    import nibabel

    packed = content.startswith(_GZIP)
    try:
        plain = gzip.decompress(content) if packed else content
    except (OSError, EOFError, zlib.error):  # it was harmed before
        return _flipped(content, chance)
    header = nibabel.Nifti2Header if plain[:4] == (540).to_bytes(4, "little") else nibabel.Nifti1Header
    kind, place = header.template_dtype.fields[chance.choice(header.template_dtype.names)][:2]
    base = kind.base
    place += base.itemsize * chance.randrange(max(1, kind.itemsize // base.itemsize))
    if base.kind == "S":
        raw = bytes(chance.randrange(256) for _ in range(base.itemsize))
    else:
        number = float(chance.choice(_NUMBERS))
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw = np.array(number if math.isfinite(number) or base.kind == "f" else 0).astype(base).tobytes()
    plain = plain[:place] + raw + plain[place + len(raw) :]
    return gzip.compress(plain, 1) if packed else plain


# ---------------------------------------------------------------- DICOM


@dataclass(frozen=True)
class _Element:
    """Where an element of a DICOM file begins, its length stands (in so many bytes), and its value begins and ends."""

    start: int
    length: slice
    value: int
    end: int
    order: Literal["little", "big"]

    def resized(self, content: bytes, value: bytes) -> bytes:
        """The file with this value in the place of the element's."""
        size = self.length.stop - self.length.start
        if len(value) >= 1 << 8 * size:
            return content
        head = content[: self.length.start] + len(value).to_bytes(size, self.order)
        return head + content[self.length.stop : self.value] + value + content[self.end :]


def _harmed_dicom(content: bytes, chance: random.Random) -> bytes:
    """A DICOM file with one element changed, those inside sequences too; what is deflated is deflated again."""
    at = content.find(b"1.2.840.10008.1.2.1.99")
    if at < 0 or chance.random() < 0.1:
        return _harmed_element(content, chance)
    start = next((one.start for one in _elements(content, True, "little") if content[one.start] != 2), len(content))
    try:
        inflated = zlib.decompress(content[start:], -zlib.MAX_WBITS)
    except zlib.error:  # it was harmed before
        return _flipped(content, chance)
    harmed_one = _harmed_element(content[:start].replace(b"1.2.1.99", b"1.2.1\0\0\0") + inflated, chance)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return content[:start] + packer.compress(harmed_one[start:]) + packer.flush()


def _harmed_element(content: bytes, chance: random.Random) -> bytes:
    """One element's value, representation or length changed, or the element left out or given twice."""
    elements = list(_elements(content, *_encoding(content)))
    if not elements:
        return _flipped(content, chance)
    one, way = chance.choice(elements), chance.randrange(8)
    value = content[one.value : one.end]
    text = chance.choice(_TEXTS).encode()
    text += b" " * (len(text) % 2)
    if way == 0:
        return content[: one.start] + content[one.end :]
    if way == 1:
        return content[: one.end] + content[one.start : one.end] + content[one.end :]
    if way == 2:
        return content[: one.start + 4] + chance.choice(_REPRESENTATIONS) + content[one.start + 6 :]
    if way == 3:  # another length
        size = one.length.stop - one.length.start
        length = chance.choice((0, 1, 2, len(value) + 2, chance.randrange(1 << 16), (1 << 8 * size) - 1))
        return content[: one.length.start] + length.to_bytes(size, one.order) + content[one.length.stop :]
    if way == 4:  # other bytes of the same length, as a binary value has them
        return one.resized(content, bytes(chance.choice((0, 1, 255, 127)) for _ in value))
    if way == 5 and b"\\" in value:  # one of several values
        parts = value.split(b"\\")
        parts[chance.randrange(len(parts))] = text.strip()
        joined = b"\\".join(parts)
        return one.resized(content, joined + b" " * (len(joined) % 2))
    return one.resized(content, text if way < 7 else _flipped(value, chance))


def _encoding(content: bytes) -> tuple[bool, Literal["little", "big"]]:
    """Whether elements tell their representation, and the order of bytes, behind the meta header."""
    if content[128:132] != b"DICM" or b"1.2.840.10008.1.2\0" in content[:1024]:
        return False, "little"
    return True, "big" if b"1.2.840.10008.1.2.2\0" in content[:1024] else "little"


def _elements(content: bytes, explicit: bool, order: Literal["little", "big"]) -> Iterator[_Element]:
    """The elements of a file one after another, those inside sequences behind the head of theirs."""
    at = 132 if content[128:132] == b"DICM" else 0
    while at + 8 <= len(content):
        meta = content[at : at + 2] == b"\2\0"
        told, way = (True, "little") if meta else (explicit, order)
        if int.from_bytes(content[at : at + 2], way) == _ITEM:
            at += 8
            continue
        name = content[at + 4 : at + 6]
        first, last = (8, 12) if told and name in _LONG else (6, 8) if told else (4, 8)
        length = slice(at + first, at + last)
        size = int.from_bytes(content[length], way)
        if size == _UNMEASURED and content[at : at + 4] == _PIXELS:
            yield _Element(at, length, length.stop, len(content), way)
            return
        if size == _UNMEASURED or (told and name == b"SQ"):
            yield _Element(at, length, length.stop, length.stop, way)
            at = length.stop
            continue
        if length.stop + size > len(content):
            return
        yield _Element(at, length, length.stop, length.stop + size, way)
        at = length.stop + size


# ---------------------------------------------------------------- scenes


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
