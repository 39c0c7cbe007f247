"""The files that make this repository an extension of Slicer; `test_install_tree.py` installs it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import pytest

from lnhg.core.resources import resource
from lnhg.errors import LNHGError

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "LNHGSlicer"


def catalogued() -> dict[str, object]:
    return json.loads((ROOT / "LNHGSlicer.json").read_text(encoding="utf-8"))


def metadata(name: str) -> str:
    found = re.search(rf'^set\({name} "(.*)"\)$', (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert found, f"CMakeLists.txt does not set {name}"
    return found[1]


def addresses_of_screenshots() -> list[str]:
    return metadata("EXTENSION_SCREENSHOTURLS").split()


def owner_and_name() -> str:
    return str(catalogued()["scm_url"]).removeprefix("https://github.com/")


def test_the_catalogue_entry_has_the_fields_of_the_extension_index_and_no_others():
    entry = catalogued()
    assert re.fullmatch(r"https://.+/slicer-extension-catalog-entry-schema-v1\.0\.2\.json#", entry["$schema"])
    assert {"$schema", "category", "scm_url"} <= set(entry)
    texts = {"$schema", "category", "scm_url", "scm_revision", "scm_type", "build_subdirectory", "dicom_support_rule"}
    assert set(entry) <= texts | {"build_dependencies", "enabled", "tier"}
    assert all(isinstance(value, str) for name, value in entry.items() if name in texts)
    assert entry["category"] == "Segmentation"
    assert entry["tier"] == 3
    assert entry["build_dependencies"] == ["PyTorch"]


def test_the_catalogue_entry_has_the_line_ends_of_the_index():
    written = (ROOT / "LNHGSlicer.json").read_bytes()
    assert b"\r" not in written and written.endswith(b"}\n")


def test_the_project_is_called_as_its_entry_and_its_name_does_not_begin_with_slicer():
    project = re.search(r"^project\((\w+)\)$", (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert project and (ROOT / f"{project[1]}.json").is_file()
    assert not project[1].lower().startswith("slicer")


def test_the_repository_has_slicer_in_its_name_and_one_address_everywhere():
    assert re.fullmatch(r"https://github\.com/[\w.-]+/Slicer-?[\w.-]+", catalogued()["scm_url"])
    assert metadata("EXTENSION_HOMEPAGE") == catalogued()["scm_url"]
    assert metadata("EXTENSION_DEPENDS").split() == catalogued()["build_dependencies"]
    for address in (metadata("EXTENSION_ICONURL"), *addresses_of_screenshots()):
        assert address.startswith(
            f"https://raw.githubusercontent.com/{owner_and_name()}/{catalogued()['scm_revision']}/"
        )


def test_one_command_sets_the_address_in_all_files(tmp_path):
    for name in ("CMakeLists.txt", "LNHGSlicer.json", ".ci/set_address.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    set_it = [sys.executable, ".ci/set_address.py"]

    refused = subprocess.run(
        [*set_it, "https://github.com/someone/nodules"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert refused.returncode and "Slicer in the name" in refused.stderr
    subprocess.run([*set_it, "https://github.com/someone/SlicerNodules"], cwd=tmp_path, check=True, capture_output=True)

    assert json.loads((tmp_path / "LNHGSlicer.json").read_text(encoding="utf-8"))["scm_url"].endswith(
        "someone/SlicerNodules"
    )
    cmake = (tmp_path / "CMakeLists.txt").read_text(encoding="utf-8")
    assert owner_and_name() not in cmake and cmake.count("someone/SlicerNodules") >= 3


def test_there_are_screenshots_and_each_is_a_picture_of_the_repository():
    assert addresses_of_screenshots()
    for address in addresses_of_screenshots():
        assert (ROOT / address.partition("/main/")[2]).read_bytes().startswith(b"\x89PNG")


def test_the_description_says_in_one_or_two_sentences_what_it_is_for():
    described = metadata("EXTENSION_DESCRIPTION")
    assert described.count(". ") <= 1 and described.endswith(".")
    assert "research use only" in described


def test_the_licence_lies_in_the_root_and_the_readme_names_it():
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "[Apache-2.0](LICENSE)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_folder_of_the_module_holds_one_python_file_since_slicer_takes_each_for_a_module():
    assert [path.name for path in MODULE.glob("*.py")] == ["LNHGSlicer.py"]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the repository")
def test_a_clone_with_its_history_is_at_most_a_hundred_megabytes():
    counted = subprocess.run(
        ["git", "count-objects", "-v"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    counts = dict(line.split(": ") for line in counted.splitlines())
    assert int(counts["size"]) + int(counts["size-pack"]) < 100_000  # KiB, packed and not packed


def test_the_icon_is_the_file_that_the_address_names_and_of_the_catalogues_size():
    icon = ROOT / metadata("EXTENSION_ICONURL").rpartition("/main/")[2]
    for file in (icon, MODULE / "Resources" / "Icons" / "LNHGSlicer.png"):
        assert matplotlib.image.imread(file).shape == (128, 128, 4)


def test_in_a_checkout_the_resources_are_the_top_level_ones():
    assert resource("Colors", "LNHG-Heterogeneity.ctbl").parents[1] == ROOT / "Resources"
    assert resource("Models") == ROOT / "Resources" / "Models"


def test_a_missing_resource_is_named_in_one_sentence():
    with pytest.raises(LNHGError, match=r"^The file Models/none\.json that comes with LNHG is missing; .+\.$"):
        resource("Models", "none.json")
