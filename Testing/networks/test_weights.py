"""Weights on disk: what is written is read back, and anything else is refused with one sentence."""

from __future__ import annotations

import errno
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save, save_file

from commanded import refused
from lnhg.core.manifest import read_manifest
from lnhg.core.nrrd_file import write_nrrd
from lnhg.core.seal import sealed
from lnhg.errors import InputError, WeightsError
from lnhg.networks.building import load_into, tensors_of
from lnhg.networks.generator import Generator
from lnhg.networks.torch_models import load_models
from lnhg.networks.weights import change_manifest, load_weights, save_weights
from readers.asked import AXIAL, HU

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
        load_into(load_weights(folder, "generator"), Generator(width=2))
    text = str(caught.value)
    assert text.endswith(".") and "\n" not in text and not re.search(r"\. [A-Z]", text), text
    return text


def _change(folder: Path, **values: Any) -> None:
    """Other values in the manifest, sealed anew, as somebody who knows how could do."""
    path = folder / "generator.json"
    path.write_text(json.dumps(sealed({**json.loads(path.read_text()), **values})))


def test_a_network_comes_back_from_disk(folder: Path, generator: Generator) -> None:
    weights = load_weights(folder, "generator")
    loaded = load_into(weights, Generator(width=2))
    image = torch.rand(1, 1, 3, 8, 8)
    torch.testing.assert_close(loaded(image), generator(image), rtol=5e-3, atol=2e-3)  # stored as fp16
    assert not loaded.training and not any(parameter.requires_grad for parameter in loaded.parameters())
    assert weights.manifest["thresholds"] == {"g": 0.5}
    assert {tensor.dtype for tensor in weights.tensors.values()} == {np.dtype(np.float32), np.dtype(np.int64)}


def test_only_the_two_files_are_left_in_the_folder(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["generator.json", "generator.safetensors"]


def test_the_manifest_can_be_read_alone(folder: Path) -> None:
    (folder / "generator.safetensors").unlink()
    assert read_manifest(folder, "generator")["architecture"] == {"width": 2}


def test_a_write_that_fails_leaves_the_former_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = load_weights(folder, "generator").tensors
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"cannot be written to .*No space"):
        save_weights(folder, "generator", Generator(width=2).state_dict(), _MANIFEST)
    after = load_weights(folder, "generator").tensors
    assert all(np.array_equal(before[name], after[name]) for name in before)


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
    [
        {"format": "other-1"},
        {"sha256": None},
        {"bytes": "many"},
        {"architecture": 2},
        {"grid": None},
        {"thresholds": [0.5]},
    ],
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


# ---------------------------------------------------------------- values that nothing can be computed with


def _forge(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    """Other tensors under a manifest that names them rightly."""
    tensors = tensors_of(load_weights(folder, "generator"))
    change(tensors)
    content = save({name: tensor.contiguous() for name, tensor in tensors.items()})
    (folder / "generator.safetensors").write_bytes(content)
    _change(folder, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["convolutions.0.weight", "deconvolutions.0.bias"])
def test_weights_that_are_not_finite_are_refused_though_their_hash_is_right(
    folder: Path, name: str, value: float
) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors[name].view(-1)[-1] = value

    _forge(folder, change)
    assert f"hold values that are not finite (in {name})" in _refusal(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e6])
def test_weights_that_fp16_cannot_hold_are_not_written(folder: Path, generator: Generator, value: float) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    state = generator.state_dict()
    state["convolutions.0.bias"][0] = value
    with pytest.raises(WeightsError, match="not finite"):
        save_weights(folder, "generator", state, _MANIFEST)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1.5, 10**400, "0.5", None, True])
def test_a_threshold_that_no_score_can_reach_or_miss_is_refused(folder: Path, tmp_path: Path, value: object) -> None:
    path = folder / "generator.json"
    path.write_text(json.dumps(sealed({**json.loads(path.read_text()), "thresholds": {"g": value}})))
    assert "as its threshold g; it must be from 0 to 1" in _refusal(folder)
    with pytest.raises(WeightsError, match="from 0 to 1"):
        save_weights(
            tmp_path / "new", "generator", Generator(width=2).state_dict(), {**_MANIFEST, "thresholds": {"g": value}}
        )


def test_a_manifest_without_its_threshold_is_refused(folder: Path) -> None:
    _change(folder, thresholds={"score": 0.5})
    assert "names no threshold g" in _refusal(folder)


@pytest.mark.parametrize(
    ("old", "new"), [('"g": 0.5', '"g": 0.4'), ('"pixel_mm": 1.0', '"pixel_mm": 1.4'), ('"seal": "', '"seal": "0')]
)
def test_a_manifest_that_was_changed_by_hand_is_refused(folder: Path, old: str, new: str) -> None:
    path = folder / "generator.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    assert "was changed since it was written (its seal differs)" in _refusal(folder)


def test_a_manifest_without_its_seal_is_refused_and_one_of_before_seals_is_read(folder: Path) -> None:
    path = folder / "generator.json"
    manifest = json.loads(path.read_text())
    del manifest["seal"]
    path.write_text(json.dumps(manifest))
    assert "its seal differs" in _refusal(folder)
    path.write_text(json.dumps({**manifest, "format": "lnhg-weights-1"}))
    assert load_weights(folder, "generator").manifest["thresholds"] == {"g": 0.5}


def test_a_manifest_that_the_program_changes_is_sealed_anew(folder: Path) -> None:
    change_manifest(folder, "generator", thresholds={"g": 0.25})
    assert load_weights(folder, "generator").manifest["thresholds"] == {"g": 0.25}


@pytest.mark.parametrize("width", [10**9, 0, -1, "two", None, 3])
def test_a_network_of_another_width_than_its_tensors_is_refused_before_memory_is_taken(
    folder: Path, width: object
) -> None:
    _change(folder, architecture={"width": width})
    with pytest.raises(WeightsError, match=r"do not fit the architecture their manifest names; install them again\.$"):
        load_models(folder, with_detector=False)


@pytest.mark.parametrize(
    "grid",
    [
        {},
        {"rule": "fixed", "pixel_mm": 0, "window_hu": [-1000, 400]},
        {"rule": "fixed", "pixel_mm": float("nan"), "window_hu": [-1000, 400]},
        {"rule": "fixed", "pixel_mm": 1.0, "window_hu": [400, -1000]},
        {"rule": "fixed", "pixel_mm": 1.0, "window_hu": [-1000]},
        {"rule": "other", "pixel_mm": 1.0, "window_hu": [-1000, 400]},
    ],
)
def test_a_grid_on_which_nothing_can_be_seen_is_refused(folder: Path, grid: dict[str, object]) -> None:
    _change(folder, grid=grid)
    with pytest.raises(WeightsError, match=r"names no usable grid; install the weights again\.$"):
        load_models(folder, with_detector=False)


@pytest.mark.parametrize("content", ["[" * 100_000, '{"format": "lnhg-weights-2", "kind": ', "null"])
def test_a_manifest_of_any_text_ends_in_a_sentence(folder: Path, content: str) -> None:
    (folder / "generator.json").write_text(content)
    assert _refusal(folder).startswith(
        ("The manifest generator.json is not readable JSON", "generator.json is not a manifest")
    )


# ---------------------------------------------------------------- as a run meets them


def _nan(folder: Path) -> None:
    _forge(folder, lambda tensors: tensors["convolutions.0.weight"].fill_(float("nan")))


def _infinite(folder: Path) -> None:
    _forge(folder, lambda tensors: tensors["deconvolutions.0.bias"].fill_(float("-inf")))


def _by_hand(folder: Path) -> None:
    path = folder / "generator.json"
    path.write_text(path.read_text().replace('"g": 0.5', '"g": 0.4'))


_BAD: dict[str, tuple[str, Callable[[Path], None]]] = {
    "nan": ("hold values that are not finite (in convolutions.0.weight)", _nan),
    "infinite": ("hold values that are not finite (in deconvolutions.0.bias)", _infinite),
    "a threshold of nan": ("as its threshold g", lambda folder: _change(folder, thresholds={"g": float("nan")})),
    "an infinite threshold": ("as its threshold g", lambda folder: _change(folder, thresholds={"g": float("inf")})),
    "a threshold changed by hand": ("its seal differs", _by_hand),
}


@pytest.mark.parametrize("what", _BAD)
@pytest.mark.parametrize("command", ["segment", "batch", "weights verify"])
def test_a_command_refuses_such_weights_before_it_writes(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], what: str, command: str
) -> None:
    word, spoil = _BAD[what]
    spoil(folder)
    write_nrrd(tmp_path / "ct.nrrd", HU, AXIAL)
    run = [tmp_path / "ct.nrrd", "--output", tmp_path / "out", "--weights", folder]
    refused([*command.split(), *([folder] if "verify" in command else run)], tmp_path, capfd, word)
