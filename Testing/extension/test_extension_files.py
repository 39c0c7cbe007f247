"""The files that make this repository an extension of Slicer; `test_install_tree.py` installs it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import matplotlib.image
import pytest

from lnhg.core.resources import resource
from lnhg.errors import LNHGError

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "LNHGSlicer"


def described() -> dict[str, str]:
    """The keywords of the `.s4ext` file; every other line must be a comment."""
    lines = (ROOT / "LNHGSlicer.s4ext").read_text(encoding="utf-8").splitlines()
    return dict([*line.split(maxsplit=1), ""][:2] for line in lines if line and not line.startswith("#"))


def catalogued() -> dict[str, object]:
    return json.loads((ROOT / "LNHGSlicer.json").read_text(encoding="utf-8"))


def metadata(name: str) -> str:
    found = re.search(rf'^set\({name} "(.*)"\)$', (ROOT / "CMakeLists.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert found, f"CMakeLists.txt does not set {name}"
    return found[1]


def test_the_catalogue_entry_has_the_fields_of_the_extension_index_and_no_others():
    entry = catalogued()
    assert re.fullmatch(r"https://.+/slicer-extension-catalog-entry-schema-v1\.0\.2\.json#", entry["$schema"])
    assert {"$schema", "category", "scm_url"} <= set(entry)
    optional = {"scm_revision", "scm_type", "build_dependencies", "build_subdirectory", "enabled", "tier"}
    assert set(entry) <= {"$schema", "category", "scm_url", "dicom_support_rule", *optional}
    assert entry["category"] == "Segmentation"
    assert 1 <= entry["tier"] <= 5
    assert entry["build_dependencies"] == ["PyTorch"]


def test_the_extension_description_has_every_keyword():
    keywords = (
        "scm scmurl scmrevision depends build_subdirectory homepage contributors category iconurl status tier "
        "description screenshoturls enabled"
    )
    assert set(described()) == set(keywords.split())
    assert "research use only" in described()["description"]


def test_the_three_descriptions_of_the_extension_agree():
    assert described()["scmurl"] == catalogued()["scm_url"]
    assert described()["scmrevision"] == catalogued()["scm_revision"]
    assert described()["category"] == catalogued()["category"]
    assert int(described()["tier"]) == catalogued()["tier"]
    assert described()["depends"] == metadata("EXTENSION_DEPENDS") == " ".join(catalogued()["build_dependencies"])
    assert described()["homepage"] == metadata("EXTENSION_HOMEPAGE")
    assert described()["iconurl"] == metadata("EXTENSION_ICONURL")
    assert described()["contributors"] == metadata("EXTENSION_CONTRIBUTORS")
    assert described()["description"] == metadata("EXTENSION_DESCRIPTION")


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
