"""Names of files and folders made from names in data, which may hold anything: slashes, dots, control characters, a
device.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

# Names of devices on Windows, whatever ending they have.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
# Disks allow 255 bytes, and endings are added.
_LONGEST_BYTES = 120


def safe_name(name: str, instead: str = "scan") -> str:
    """`name` as the name of a file or folder on any system: no path, nothing hidden, no option, no formula; cut if
    long.

    The same for the same name; `instead` where nothing of it is left.
    """
    plain = unicodedata.normalize("NFC", name.encode(errors="replace").decode())
    safe = re.sub(r"[^\w.+-]+", "-", plain).strip("-+. ") or instead
    if _DEVICES.fullmatch(safe):
        safe = f"{instead}-{safe}"
    content = safe.encode()
    return (
        safe
        if len(content) <= _LONGEST_BYTES
        else f"{content[:_LONGEST_BYTES].decode(errors='ignore')}-{short_hash(safe)}"
    )


def own_name(name: str, instead: str = "scan") -> str:
    """`safe_name`, with a short hash where something was left out, so that two names stay two."""
    safe = safe_name(name, instead)
    return safe if safe == name else f"{safe}-{short_hash(name)}"


def short_hash(text: str) -> str:
    """Eight digits that tell texts apart."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]
