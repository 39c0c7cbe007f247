"""What `lnhg follow` writes of two studies, by hand: for panel and scene, without registration and networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer

from host.handmade import GRIDS, handmade_result
from lnhg.core.result import Result
from lnhg.followup.change import change
from lnhg.followup.fit import Fit
from lnhg.followup.follow import MATCHED, RESOLVED, FollowUp, Interlude, Pair
from lnhg.followup.study import study_of

RESULT = handmade_result(GRIDS["oblique"])
#: The later study is turned and moved against the earlier one.
RIGID = np.array([[0, -1, 0, 5], [1, 0, 0, -3], [0, 0, 1, 2], [0, 0, 0, 1.0]])


def follow_up(result: Result = RESULT, days: float | None = 100.0) -> FollowUp:
    """The first nodule is in both studies, the second in the earlier one alone."""
    one, two = study_of("study 1", result), study_of("study 2", result)
    first, second = result.nodules
    places = [np.array(row.centre_ras) for row in (first, second)]
    gone = (RIGID @ [*places[1], 1])[:3]
    pairs = (
        Pair(MATCHED, first, first, (places[0], places[0]), change(first, first, days, same_protocol=True)),
        Pair(RESOLVED, second, None, (places[1], gone), None),
    )
    step = Interlude(days, Fit(100, 0.93, 0.4, 1.2), True, pairs, RIGID)
    return FollowUp((one, two), (step,), ((1, 1), (2, None), (None, 2)), ("Study 1 and study 2 are drawn (--days).",))


def kept(prior: Any, current: Any, followed: FollowUp | None = None) -> Any:
    """A follow-up of two results of the scene, as a run leaves it there."""
    from lnhg.followup.written import _TITLES, record, table
    from LNHGSlicerLib.review.follow_up import keep_follow_up
    from LNHGSlicerLib.review.study_out import state_of

    followed = followed or follow_up()
    rows = [dict(zip(_TITLES, map(str, row), strict=True)) for row in table(followed)]
    studies = (prior, current)
    numbers = [[row.id for row in nodes.rows] for nodes in studies]
    states = [state_of(nodes) for nodes in studies]
    return keep_follow_up(studies, numbers, states, record(followed), rows, "<p>the report</p>")


def make_lower_views() -> None:
    """The views of the layout with two rows, which the application makes when it is shown."""
    from LNHGSlicerLib.scene.headless import fit_slice_views

    layouts = slicer.vtkMRMLLayoutLogic()
    layouts.SetMRMLScene(slicer.mrmlScene)
    layout = layouts.GetLayoutNode()
    before = layout.GetViewArrangement()
    layout.SetViewArrangement(layout.SlicerLayoutThreeOverThreeView)
    fit_slice_views()
    layout.SetViewArrangement(before)
    layouts.SetMRMLScene(None)


def views(names: Sequence[str]) -> list[Any]:
    """The composite nodes of slice views by their names."""
    found = {one.GetLayoutName(): one for one in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}
    return [found[name] for name in names]
