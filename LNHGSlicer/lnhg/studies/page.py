"""The evaluation page: one HTML file that needs no other."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..writers.html_templates import html_page
from .tables import Table


@dataclass(frozen=True)
class Picture:
    """A figure of the page: its PNG and what it shows."""

    path: Path
    caption: str

    def data_url(self) -> str:
        """The picture itself, for the page."""
        return f"data:image/png;base64,{base64.b64encode(self.path.read_bytes()).decode()}"


@dataclass(frozen=True)
class Section:
    """A part of the page: heading, a paragraph (may be empty), pictures, tables."""

    heading: str
    text: str
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()


def page_html(title: str, sections: Sequence[Section], provenance: Mapping[str, str]) -> str:
    """The page; all text is escaped, all pictures are in it."""
    origin = Table("Provenance", ("what", "value"), tuple(provenance.items()), "")
    return html_page("study.html", title=title, sections=sections, origin=origin)
