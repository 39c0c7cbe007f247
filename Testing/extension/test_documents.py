"""README and docs: short, true to the weights, without dead links, and with commands that exist."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

import lnhg
from lnhg.cli import _parser
from lnhg.core.nodule import columns
from lnhg.followup.written import _TITLES

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = [
    README,
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "Resources" / "Models").rglob("*.md")),
]
#: What a reader does today; the pages of what was done keep the commands of their time.
GUIDES = [README, *(ROOT / "docs" / f"{name}.md" for name in ("radiologist", "command_line", "training", "evaluation"))]


def prose(page: Path) -> list[str]:
    """Lines that are no rows of tables, which Markdown cannot break."""
    lines = page.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.lstrip().startswith("|")]


def without_code(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", without_code(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def commands(page: Path) -> list[str]:
    blocks = re.findall(r"```\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("lnhg ")]


def test_the_readme_is_short_and_has_what_the_extension_index_asks_for():
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    for wanted in (
        "# LNHG Slicer",
        "research use only",
        "module LNHG Slicer",
        "doi.org/10.1109/JBHI",
        "Apache-2.0",
        "Sample Data",
    ):
        assert wanted.lower() in text.lower()
    assert "(Resources/Screenshots/" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page)):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        to = (page.parent / file).resolve() if file else page
        assert to.exists(), target
        assert not anchor or anchor in anchors(to), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_line_of_text_is_longer_than_a_window(page: Path):
    assert [line for line in prose(page) if len(line) > 120] == []


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_the_command_line_knows_every_command_of_the_guides(page: Path):
    for command in commands(page):
        _parser().parse_args(shlex.split(command, comments=True)[1:])


def section(page: Path, title: str) -> str:
    """What stands below a title, down to the next of any level."""
    return re.split(r"^#+ ", page.read_text(encoding="utf-8").split(f"# {title}\n")[1], flags=re.MULTILINE)[0]


@pytest.mark.parametrize("title", ["How to read the map", "What was measured", "Limits"])
def test_each_figure_of_the_readme_stands_on_the_page_of_figures_with_its_command(title: str):
    listed = section(ROOT / "docs" / "measured.md", "Those of the front page")
    text = section(README, title).replace("Slicer 5.12", "Slicer")
    figures = re.findall(r"(?<![\w.-])\d\d?\.\d+(?!\w|\.\d)", re.sub(r"\]\([^)]*\)|`[^`]*`", "", text))
    assert [figure for figure in figures if figure not in listed] == []
    assert figures


def test_the_figure_to_compare_over_time_has_one_name_wherever_it_is_told():
    (title,) = [one.title for one in columns() if one.key == "unevenness_hu"]
    for page in (README, *(ROOT / "docs" / f"{name}.md" for name in ("measured", "radiologist", "follow_up"))):
        assert f"`{title}`" in page.read_text(encoding="utf-8"), page.name
    report = (ROOT / "LNHGSlicer" / "lnhg" / "writers" / "templates" / "report.html").read_text(encoding="utf-8")
    assert f"<th>{title.capitalize().replace('hu', 'HU')}</th>" in report
    assert f"change of {title}" in _TITLES


def test_the_sizes_to_install_are_those_of_the_list_of_packages():
    lines = (ROOT / "LNHGSlicer" / "Resources" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    sizes = {line.split(">=")[0]: int(re.search(r", (\d+)", line)[1]) for line in lines if ">=" in line}
    on_gpu = {"torch", "torchvision"}
    assert sum(size for name, size in sizes.items() if name not in on_gpu) == pytest.approx(100, abs=5)
    assert sum(size for name, size in sizes.items() if name != "openvino") == pytest.approx(2500, abs=100)
    install = section(README, "Install in Slicer")
    assert "about 100 MB" in install and "about 2.5 GB" in install


def test_the_readme_says_with_which_loss_the_shipped_generator_was_trained():
    training = json.loads((ROOT / "Resources" / "Models" / "generator.json").read_text(encoding="utf-8"))["training"]
    said = "trained with the squared error alone" in " ".join(README.read_text(encoding="utf-8").split())
    assert said == (training["vgg"] == training["adversarial"] == 0)


def test_the_newest_entry_of_the_changes_is_the_version():
    assert (
        re.search(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)[1]
        == lnhg.__version__
    )
