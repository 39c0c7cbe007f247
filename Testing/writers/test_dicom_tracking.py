"""A nodule has one tracking identifier and UID in the structured reports of all studies, whatever was followed when."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

hd = pytest.importorskip("highdicom", reason="needs the dicom extra: pip install 'lnhg[dicom]'")
pytest.importorskip("slicer", reason="needs the host extra: pip install 'lnhg[host]'")

from test_dicom_export import scanned  # noqa: E402

from host.followed import follow_up  # noqa: E402
from host.handmade import GRIDS  # noqa: E402
from lnhg import cli  # noqa: E402
from lnhg.followup.tracking_uids import trackings  # noqa: E402
from lnhg.followup.written import save_follow_up  # noqa: E402


def tracked(folder: Path, source: Path, output: Path) -> list[tuple[str, str]]:
    """Identifier and UID of each group of the report of one study; its segments have the same."""
    assert cli.main(["export", "dicom", str(folder), "--source", str(source), "--output", str(output)]) == 0
    report = hd.sr.srread(output / "nodules-sr.dcm")
    found = [
        (one.tracking_identifier, str(one.tracking_uid))
        for one in report.content.get_volumetric_roi_measurement_groups()
    ]
    segments = hd.seg.segread(output / "nodules-seg.dcm").SegmentSequence
    assert found == [(one.TrackingID, str(one.TrackingUID)) for one in segments]
    return found


def test_two_studies_and_later_three_give_a_nodule_the_same(tmp_path: Path) -> None:
    result = scanned(tmp_path / "ct", GRIDS["axial"])
    two = follow_up(result)  # nodule 1 in both, 2 of the first is gone, 2 of the second is new
    save_follow_up(two, tmp_path / "two", with_identity=True, for_scene=True)
    first, second = (
        tracked(tmp_path / "two" / name, tmp_path / "ct", tmp_path / name) for name in ("study-1", "study-2")
    )
    assert first[0] == second[0]
    later = replace(result.ct, hu=result.ct.hu + 1)  # the second CT is another one
    other = replace(two.studies[1], result=replace(result, ct=later))
    apart = replace(two, studies=(two.studies[0], other))
    uids = [one.uid for one in trackings(apart)]
    assert len(set(uids)) == 3 and uids[0] == first[0][1]
    step = two.interludes[0]
    three = replace(
        apart,
        studies=(*apart.studies, other),
        interludes=(step, step),
        tracks=((1, 1, 1), (None, 2, 2), (2, None, None)),
    )
    assert {one.uid for one in trackings(three)} == set(uids)
    assert trackings(three)[0] == trackings(apart)[0]


def test_results_that_were_not_followed_are_tracked_alone(tmp_path: Path) -> None:
    from lnhg.followup.tracking_uids import tracking_in

    assert tracking_in(tmp_path) == {}
    (tmp_path / "follow.json").write_text("[]")
    assert tracking_in(tmp_path / "study-1") == {}
