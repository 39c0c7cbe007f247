"""Draw one picture of the nodules of docs/follow_up.md, and the plot: one simulated patient in three studies.

    lnhg sample --followed --output followed
    lnhg follow followed/study-1/ct.nrrd followed/study-2/ct.nrrd followed/study-3/ct.nrrd --days 90 180 \
        --output followed/result
    python Testing/benchmarks/follow_pictures.py followed
"""

from __future__ import annotations

import argparse
import base64
import io
import re
from pathlib import Path

from PIL import Image, ImageDraw

PICTURES = Path(__file__).resolve().parents[2] / "Resources" / "Screenshots"
_WIDE, _CAPTION = 240, 22


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("followed", type=Path, help="folder with result/follow.html")
    parser.add_argument("--nodules", type=int, nargs="+", help="which nodules are shown (default: the first four)")
    arguments = parser.parse_args()
    page = (arguments.followed / "result" / "follow.html").read_text(encoding="utf-8")
    (plot,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    (PICTURES / "follow-volume.png").write_bytes(base64.b64decode(plot))
    cards = re.findall(r"<h2>Nodule (\d+), .*?</section>", page, flags=re.S)
    wanted = arguments.nodules or [int(number) for number in cards[:4]]
    rows = [_row(page, number) for number in wanted]
    sheet = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    sheet.save(PICTURES / "follow-nodules.png", optimize=True)


def _row(page: str, number: int) -> Image.Image:
    """The pictures of one nodule in all studies, with their captions."""
    (card,) = re.findall(rf"<h2>Nodule {number}, .*?</section>", page, flags=re.S)
    views = re.findall(
        r"<figure>\s*(?:<img src=\"data:image/jpeg;base64,([^\"]+)\".*?>)?\s*<figcaption>(.*?)</fig", card
    )
    row = Image.new("RGB", (_WIDE * len(views) + 4, _WIDE + _CAPTION), "white")
    draw = ImageDraw.Draw(row)
    for place, (content, caption) in enumerate(views):
        if content:
            picture = Image.open(io.BytesIO(base64.b64decode(content))).resize((_WIDE - 6, _WIDE - 6))
            row.paste(picture, (place * _WIDE, _CAPTION))
        draw.text((place * _WIDE, 4), f"{number}: {caption}".replace("³", "3").replace("–", "not there"), fill="black")
    return row


if __name__ == "__main__":
    main()
