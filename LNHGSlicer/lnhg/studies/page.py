"""The evaluation page: one HTML file that needs no other."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from .tables import Table

_STYLE = """
body { margin: 0 auto; max-width: 1100px; padding: 24px 28px 60px; color: #1d2733; background: #fff;
  font: 14px/1.45 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 25px; font-weight: 600; margin: 0 0 10px; }
h2 { font-size: 18px; font-weight: 600; margin: 36px 0 10px; padding-bottom: 4px; border-bottom: 1px solid #dfe5ea; }
p { margin: 6px 0; max-width: 80ch; }
.banner { display: inline-block; padding: 4px 12px; border: 1px solid #b3261e; border-radius: 4px; color: #b3261e;
  font-weight: 600; }
nav a { margin-right: 14px; }
.wide { overflow-x: auto; margin: 14px 0 22px; }
table { border-collapse: collapse; font-size: 12.5px; font-variant-numeric: tabular-nums; }
caption { padding: 4px 0; text-align: left; font-weight: 600; }
th, td { padding: 3px 9px; text-align: left; vertical-align: top; border-bottom: 1px solid #dfe5ea; white-space: nowrap; }
thead th { color: #5c6b7a; font-weight: 600; white-space: normal; vertical-align: bottom; }
.note, figcaption { color: #5c6b7a; font-size: 12.5px; max-width: 95ch; }
figure { margin: 16px 0 24px; }
figure img { display: block; max-width: 100%; width: 900px; }
"""


@dataclass(frozen=True)
class Picture:
    """A figure of the page: its PNG and what it shows."""

    path: Path
    caption: str


@dataclass(frozen=True)
class Section:
    """A part of the page: heading, a paragraph (may be empty), pictures, tables."""

    heading: str
    text: str
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()


def page_html(title: str, sections: Sequence[Section], provenance: Mapping[str, str]) -> str:
    """The page; all text is escaped, all pictures are in it."""
    links = "".join(f'<a href="#part-{n}">{escape(section.heading)}</a>' for n, section in enumerate(sections))
    parts = "".join(_section(number, section) for number, section in enumerate(sections))
    origin = Table("Provenance", ("what", "value"), tuple(provenance.items()), "")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<div class="banner">Research use only, not for diagnosis</div>
<p>Nodules and pictures: LIDC-IDRI (The Cancer Imaging Archive), CC BY 3.0.</p>
<nav>{links}</nav>
{parts}
<h2>How this page was made</h2>
{_table(origin)}
</body>
</html>
"""


def _section(number: int, section: Section) -> str:
    text = f"<p>{escape(section.text)}</p>" if section.text else ""
    figures = "".join(_figure(picture) for picture in section.pictures)
    tables = "".join(_table(table) for table in section.tables)
    return f'<h2 id="part-{number}">{escape(section.heading)}</h2>\n{text}\n{tables}\n{figures}\n'


def _figure(picture: Picture) -> str:
    data = base64.b64encode(picture.path.read_bytes()).decode()
    caption = escape(picture.caption)
    image = f'<img src="data:image/png;base64,{data}" alt="{caption}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>\n"


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.header)
    rows = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    return (
        f'<div class="wide"><table><caption>{escape(table.title)}</caption><thead><tr>{head}</tr></thead>\n'
        f'<tbody>{rows}</tbody></table><p class="note">{escape(table.note)}</p></div>\n'
    )
