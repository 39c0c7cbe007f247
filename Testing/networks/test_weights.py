"""Weights on disk: what is written is read back, and anything else is refused with one sentence."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from lnhg.errors import WeightsError
from lnhg.networks.generator import Generator
from lnhg.networks.weights import load_weights, read_manifest, save_weights

_MANIFEST = {
    "kind": "generator",
    "architecture": {"width": 2},
    "grid": {"rule": "fixed", "pixel_mm": 1.0, "window_hu": [-1000, 400]},
    "thresholds": {"g": 0.5},
}


@pytest.fixture
def generator() -> Generator:
    torch.manual_seed(2)
    generator = Generator(width=2)
    with torch.no_grad():
        generator.train()(torch.rand(2, 1, 3, 8, 8))
    return generator.eval()


@pytest.fixture
def folder(tmp_path: Path, generator: Generator) -> Path:
    save_weights(tmp_path, "generator", generator.state_dict(), _MANIFEST)
    return tmp_path


def _refusal(folder: Path) -> str:
    """The sentence with which loading is refused."""
    with pytest.raises(WeightsError) as caught:
        load_weights(folder, "generator").load_into(Generator(width=2))
    text = str(caught.value)
    assert text.endswith(".") and "\n" not in text and not re.search(r"\. [A-Z]", text), text
    return text


def _change(folder: Path, **values: Any) -> None:
    path = folder / "generator.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_network_comes_back_from_disk(folder: Path, generator: Generator) -> None:
    weights = load_weights(folder, "generator")
    loaded = weights.load_into(Generator(width=2))
    image = torch.rand(1, 1, 3, 8, 8)
    torch.testing.assert_close(loaded(image), generator(image), rtol=5e-3, atol=2e-3)  # stored as fp16
    assert not loaded.training and not any(parameter.requires_grad for parameter in loaded.parameters())
    assert weights.manifest["thresholds"] == {"g": 0.5}
    assert {tensor.dtype for tensor in weights.tensors.values()} == {torch.float32, torch.int64}


def test_only_the_two_files_are_left_in_the_folder(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["generator.json", "generator.safetensors"]


def test_the_manifest_can_be_read_alone(folder: Path) -> None:
    (folder / "generator.safetensors").unlink()
    assert read_manifest(folder, "generator")["architecture"] == {"width": 2}


def test_a_write_that_fails_leaves_the_former_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, content: bytes) -> int:
        raise OSError("No space left on device")

    before = load_weights(folder, "generator").tensors
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        save_weights(folder, "generator", Generator(width=2).state_dict(), _MANIFEST)
    after = load_weights(folder, "generator").tensors
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_missing_weights_file_is_refused(folder: Path) -> None:
    (folder / "generator.safetensors").unlink()
    assert "generator.safetensors is missing" in _refusal(folder)


def test_a_missing_manifest_is_refused(folder: Path) -> None:
    (folder / "generator.json").unlink()
    assert "manifest generator.json is missing" in _refusal(folder)


def test_a_truncated_file_is_refused(folder: Path) -> None:
    path = folder / "generator.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert "cut off or foreign" in _refusal(folder)


def test_a_foreign_file_is_refused(folder: Path) -> None:
    save_file({"other": torch.zeros(3)}, folder / "generator.safetensors")
    assert "cut off or foreign" in _refusal(folder)


def test_one_changed_bit_is_refused(folder: Path) -> None:
    path = folder / "generator.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert "SHA-256 differs" in _refusal(folder)


def test_a_file_that_is_no_safetensors_is_refused_though_its_manifest_names_it(folder: Path) -> None:
    content = b"no tensors here, only text"
    (folder / "generator.safetensors").write_bytes(content)
    _change(folder, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
    assert "not a readable safetensors file" in _refusal(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00binary"])
def test_a_manifest_that_is_no_json_is_refused(folder: Path, content: bytes) -> None:
    (folder / "generator.json").write_bytes(content)
    assert "not readable JSON" in _refusal(folder)


@pytest.mark.parametrize(
    "changes",
    [{"format": "other-1"}, {"sha256": None}, {"bytes": "many"}, {"architecture": 2}, {"grid": None}, {"thresholds": [0.5]}],
)
def test_a_manifest_with_wrong_entries_is_refused(folder: Path, changes: dict[str, Any]) -> None:
    _change(folder, **changes)
    assert "not a manifest of LNHG weights" in _refusal(folder)


def test_a_manifest_that_is_a_list_is_refused(folder: Path) -> None:
    (folder / "generator.json").write_text("[]")
    assert "not a manifest of LNHG weights" in _refusal(folder)


def test_a_manifest_of_an_unknown_kind_is_refused(folder: Path) -> None:
    _change(folder, kind="classifier")
    assert "unknown kind 'classifier'" in _refusal(folder)


def test_a_manifest_with_another_hash_is_refused(folder: Path) -> None:
    _change(folder, sha256="0" * 64)
    assert "SHA-256 differs" in _refusal(folder)


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    save_weights(tmp_path, "generator", Generator(width=3).state_dict(), _MANIFEST)
    assert "do not fit the architecture" in _refusal(tmp_path)
