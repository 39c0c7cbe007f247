"""A follow-up as one scene: both studies with their nodules, the earlier one under a transform."""

from __future__ import annotations

import re
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from host.handmade import GRIDS, handmade_result

pytest.importorskip("slicer_core", reason="Slicer's library is not installed")


def test_both_studies_are_in_the_scene_and_the_earlier_is_laid_on_the_later(tmp_path) -> None:
    from lnhg.followup.fit import Fit
    from lnhg.followup.follow import FollowUp, Interlude
    from lnhg.followup.study import study_of
    from LNHGSlicerLib.scene.followup_scene import to_last, write_followup_scene

    one = study_of("study 1", handmade_result(GRIDS["axial"]))
    moved = np.eye(4)
    moved[:3, 3] = 5, -3, 2
    step = Interlude(100.0, Fit(10, 1.0, 0.4, 1.2), True, (), moved)
    follow_up = FollowUp((one, replace(one, name="study 2")), (step,), ((1, 1), (2, 2)), ())
    np.testing.assert_array_equal(to_last(follow_up)[0], moved)
    write_followup_scene(follow_up, tmp_path / "follow.mrb")
    with zipfile.ZipFile(tmp_path / "follow.mrb") as packed:
        (name,) = [one for one in packed.namelist() if one.endswith(".mrml")]
        text = packed.read(name).decode()
    assert len(re.findall(r"<Segmentation\b", text)) == 2
    (transform,) = re.findall(r"<LinearTransform\b[^>]*>", text)
    assert "Study 1 on the last" in transform
    under = re.findall(r'name="(CT, [^"]*)"[^>]*references="[^"]*transform:', text)
    assert under == ["CT, Study 1"]
