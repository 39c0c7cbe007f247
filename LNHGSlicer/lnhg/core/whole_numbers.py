"""Whole numbers in texts that others wrote."""

from __future__ import annotations


def is_whole_number(text: str, most: int) -> bool:
    """Whether a text is a whole number from 0 that is written with 1 to `most` of the figures 0 to 9.

    Python takes those of other scripts for figures too, and powers, which it cannot read; and it refuses long texts.
    """
    return text.isascii() and text.isdigit() and len(text) <= most
