"""What the samples of the detector are made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sampling:
    """What the samples are made of.

    Attributes:
        size: crop width in pixels.
        mosaics: share of samples put together from cut-outs in their own surroundings and pieces of scans.
        mined: share of the other samples that show a false positive of an earlier detector (as long as there are any).
        real: share of them that show a real nodule of a scan.
        pasted: share of them into which something is pasted, one to three times.
        nodules: share of the pastes that are nodules; the others are decoys.
        emptied: share of the mosaics' cut-outs whose nodule is filled in.
        masses: share of the pastes that are made of a large nodule magnified to a mass, which no cut-out shows.
        subsolid: share of the nodules drawn from the sub-solid ones alone, which are few.
        simulated: share of the pasted nodules that are simulated in place of real ones.
        cubes: share of the mosaics' cut-outs that are drawn from the cubes alone, which show more of a nodule's
            surroundings.
        rounded: share of the samples whose HU come in steps, as some scans' do.
    """

    size: int = 128
    mosaics: float = 0.4
    mined: float = 0.5
    real: float = 0.1
    pasted: float = 0.65
    nodules: float = 0.5
    emptied: float = 0.25
    masses: float = 0.1
    subsolid: float = 0.2
    simulated: float = 0.25
    cubes: float = 0.25
    rounded: float = 0.5
