"""Set the repository's address in every file that holds it: `python .ci/set_address.py https://github.com/OWNER/NAME`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ENTRY = "LNHGSlicer.json"


def set_address(root: Path, address: str) -> list[str]:
    """Write the new address over the one of the catalogue's entry, in all files of git; returns the changed ones."""
    found = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]*slicer[\w.-]*)", address, re.IGNORECASE)
    if not found:
        sys.exit(
            f"{address} is no https://github.com/OWNER/NAME with Slicer in the name, as the extension index asks for."
        )
    old = json.loads((root / ENTRY).read_text(encoding="utf-8"))["scm_url"].removeprefix("https://github.com/")
    words = ["git", "-C", str(root), "grep", "--name-only", "-I", "--fixed-strings", old]
    files = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    for file in files:
        text = (root / file).read_bytes()
        (root / file).write_bytes(text.replace(old.encode(), found[1].encode()))
    return files


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print("\n".join(set_address(Path(__file__).resolve().parents[1], sys.argv[1])))
