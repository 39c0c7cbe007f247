"""The synthetic chest as a source of Slicer's module Sample Data; it is made on this computer, nothing is
downloaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

#: Section and name in Sample Data; the name of the volume in the scene.
CATEGORY, SAMPLE, NODE = "LNHG Slicer", "LNHGSyntheticChest", "LNHG synthetic chest"
#: Slices, rows, columns.
SHAPE = (120, 512, 512)
_ICON = Path(__file__).resolve().parents[2] / "Resources" / "Icons" / "LNHGSlicer.png"


def register() -> None:
    """Add the synthetic chest to Sample Data, once however often it is called; for when Slicer has started."""
    try:
        import SampleData  # a module of Slicer, which the library alone and some applications do not have
    except ModuleNotFoundError:
        return

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=SAMPLE,
        # Sample Data wants an address for each file. This is none, so a download by it is given up with a sentence.
        uris=f"made-on-this-computer:{SAMPLE}",
        fileNames=f"{SAMPLE}.nrrd",
        nodeNames=NODE,
        thumbnailFileName=str(_ICON),
        customDownloader=add_synthetic_chest,
    )


def add_synthetic_chest(source: Any = None) -> list[Any]:
    """Draw the chest, add it to the scene and show it; an error is shown and raised.

    Args:
        source: Sample Data's source, whose button was clicked.

    Returns:
        The volume node, alone in a list, as Sample Data's own downloads are.
    """
    with slicer.util.tryWithErrorDisplay(_("The synthetic chest could not be made."), waitCursor=True):
        from lnhg.phantom import chest_phantom

        ct = chest_phantom(shape=SHAPE).ct
        node = slicer.util.addVolumeFromArray(ct.hu, ct.ijk_to_ras, NODE)
        slicer.util.setSliceViewerLayers(background=node, fit=True)
    return [node]
