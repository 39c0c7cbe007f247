"""HTML pages from the templates that lie in the folder `templates`; whatever is put into them is escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

#: What a page shows where a figure is missing.
MISSING = "–"


def html_page(template: str, **values: Any) -> str:
    """The page that a template makes of `values`."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    folder = FileSystemLoader(Path(__file__).parent / "templates")
    environment = Environment(
        loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"cell": _cell, "pixel": lambda value: f"{value:.1f}"}
    return environment


def _cell(value: Any) -> str:
    """A value as a reader sees it."""
    if isinstance(value, list):
        return ", ".join(_cell(one) for one in value)
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.1f}"
    return MISSING if value in (None, "") else str(value)
