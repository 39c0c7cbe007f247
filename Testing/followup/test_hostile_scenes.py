"""Scenes (`.mrb`) that were damaged, or made to do harm: refused with a sentence, and nothing is written outside."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lnhg.cli import main
from lnhg.followup.reviewed_scene import read_scene
from made_before import RESULT

_CT, _MAP, _TABLE, _SEGMENTS = "CT.nrrd", "Heterogeneity.nrrd", "Nodule table.tsv", "Nodules.seg.nrrd"
_SCENE = "scene.mrml"


def changed(folder: Path, changes: dict[str, Callable[[bytes], bytes]]) -> Path:
    """The scene of an older version with the named files in it changed."""
    folder.mkdir(exist_ok=True)
    path = folder / "reviewed.mrb"
    with (
        zipfile.ZipFile(RESULT / "scene.mrb") as before,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as after,
    ):
        for name in before.namelist():
            change = changes.get(name.rpartition("/")[2])
            after.writestr(name, before.read(name) if change is None else change(before.read(name)))
    return path


def refused(path: Path, capsys: pytest.CaptureFixture[str], *words: str) -> None:
    """`lnhg follow` tells one sentence with these words, ends with 2, and leaves no folder of results."""
    output = path.parent / "out"
    assert main(["follow", str(path), str(path), "--output", str(output)]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("lnhg: ")]
    assert len(told) == 1 and all(word in told[0] for word in words), told
    assert not output.exists()


def xml(old: str, new: str) -> dict[str, Callable[[bytes], bytes]]:
    def change(text: bytes) -> bytes:
        assert old.encode() in text
        return text.replace(old.encode(), new.encode())

    return {_SCENE: change}


def zeros(size: int) -> Callable[[bytes], bytes]:
    return lambda content: content + bytes(size)


@pytest.mark.parametrize(
    ("file", "megabytes"), [(_CT, 65), (_MAP, 8), (_TABLE, 65), (_SEGMENTS, 8), (_SCENE, 65)], ids=lambda one: str(one)
)
def test_a_scene_that_unpacks_to_what_none_holds_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, megabytes: int
) -> None:
    path = changed(tmp_path, {file: zeros(megabytes << 20)})
    assert path.stat().st_size < 1_000_000
    refused(path, capsys, "reviewed.mrb would unpack to what no scene holds", "leave it out.")


@pytest.mark.parametrize("lead", ["../../outside", "/tmp/outside", "..\\..\\outside", "a/../../../outside"])
def test_no_name_in_a_scene_leads_out_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lead: str) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    node = re.search(rb"LNHG.ct:(\w+)", zipfile.ZipFile(RESULT / "scene.mrb").read("scene/scene.mrml"))[1]
    path = changed(tmp_path / "in", {_SCENE: lambda text: text.replace(node, lead.encode())})
    result, _ = read_scene(path)
    assert len(result.nodules) == 2
    assert sorted(str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*")) == [
        "in",
        "in/reviewed.mrb",
        "temporary",
    ]
    assert not Path("/tmp/outside.nrrd").exists()


def _other_grid(content: bytes) -> bytes:
    return re.sub(rb"sizes: (\d+) (\d+) (\d+)", rb"sizes: \3 \2 \1", content)


@pytest.mark.parametrize(
    "changes",
    [
        {_SCENE: lambda text: text.replace(b"<MRML", b"<!DOCTYPE MRML [<!ENTITY a 'a'>]><MRML", 1)},
        {_SCENE: lambda text: text[: len(text) // 2]},
        {_SCENE: lambda text: re.sub(rb"LNHG.Options:[^;]*", b"LNHG.Options:[1]", text)},
        {_SCENE: lambda text: re.sub(rb"LNHG.Source:[^;]*", b"LNHG.Source:" + b"[" * 99999, text)},
        {_SCENE: lambda text: text.replace(b"LNHG.table:", b"LNHG.other:")},
        {_SCENE: lambda text: re.sub(rb"LNHG.ct:[^;]*", b"LNHG.ct: ", text)},
        {_TABLE: lambda text: text.replace(b"\t", b",")},
        {_TABLE: lambda text: b"a\n" + b'"' + b"x" * 200_000},
        {_MAP: _other_grid},
        {_SEGMENTS: _other_grid},
        {_SEGMENTS: lambda content: content.replace(b"Segment0_Layer:=0", b"Segment0_Layer:=7")},
        {_SEGMENTS: lambda content: content[:900]},
        {_CT: lambda content: b""},
    ],
    ids=lambda changes: "",
)  # fmt: skip
def test_a_damaged_scene_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Callable[[bytes], bytes]]
) -> None:
    path = changed(tmp_path, changes)
    assert path.read_bytes() != (RESULT / "scene.mrb").read_bytes()
    refused(path, capsys, "; ")


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
def test_a_scene_whose_zip_is_damaged_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: float
) -> None:
    path = changed(tmp_path, {})
    content = bytearray(path.read_bytes())
    at = int(place * len(content))
    content[at : at + 400] = bytes(400)
    path.write_bytes(content)
    refused(path, capsys, "reviewed.mrb holds no result of LNHG that can be read")


def test_segments_in_layers_are_read_as_those_in_one(tmp_path: Path) -> None:
    """Slicer saves segments that overlap in layers, along the first axis of the file."""
    import gzip

    def in_layers(content: bytes) -> bytes:
        header, _, packed = content.partition(b"\n\n")
        voxels = np.frombuffer(gzip.decompress(packed), np.uint8)
        layers = np.stack([np.where(voxels == 1, 1, 0), np.where(voxels == 2, 2, 0)], -1).astype(np.uint8)
        for old, new in (
            (b"dimension: 3", b"dimension: 4"),
            (b"sizes: ", b"sizes: 2 "),
            (b"kinds: ", b"kinds: list "),
            (b"space directions: ", b"space directions: none "),
            (b"Segment1_Layer:=0", b"Segment1_Layer:=1"),
        ):
            assert old in header
            header = header.replace(old, new)
        return header + b"\n\n" + gzip.compress(layers.tobytes())

    result, _ = read_scene(changed(tmp_path, {_SEGMENTS: in_layers}))
    plain, _ = read_scene(RESULT / "scene.mrb")
    assert result.labels.max() == 2
    np.testing.assert_array_equal(result.labels, plain.labels)
