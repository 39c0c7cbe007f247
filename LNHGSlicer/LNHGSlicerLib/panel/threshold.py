"""The panel's slider for the lowest probability of a candidate: it tells how many false positives come with it."""

from __future__ import annotations

from math import log
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from lnhg.errors import LNHGError

from .guard import Guard

# What the parameter and its spin box under Advanced hold; 0 there means: as the weights say.
_DECIMALS = 3


class ThresholdGroup:
    """Slider, sentence and button of one parameter: the lowest probability, `score_threshold`."""

    def __init__(self, ui: Any, guard: Guard) -> None:
        self.ui = ui
        self._parameters: Any = None
        self._read_of: tuple[str, bool] | None = None
        self._threshold: Any = None
        self._why_not = ""
        ui.falsePositivesSlider.setEnabled(False)
        ui.usualThresholdButton.setEnabled(False)
        ui.falsePositivesSlider.valueChanged.connect(guard(self._choose))
        ui.usualThresholdButton.clicked.connect(guard(lambda *_: self._set(0.0)))

    def show(self, parameters: Any) -> None:
        """The threshold as the parameters have it."""
        self._parameters = parameters
        weights = parameters.weights, parameters.detector_alone or parameters.fusion == "paper"
        if weights != self._read_of:
            self._read_of = weights
            self._read(*weights)
        chosen = parameters.score_threshold
        self.ui.usualThresholdButton.setEnabled(bool(chosen))
        self.ui.falsePositivesSlider.setEnabled(bool(self._rates))
        self.ui.falsePositivesLabel.setText(self._why_not or self._sentence(chosen or self._threshold.usual))
        if self._rates:
            blocked = self.ui.falsePositivesSlider.blockSignals(True)
            self.ui.falsePositivesSlider.setValue(self._place_of(chosen or self._threshold.usual))
            self.ui.falsePositivesSlider.blockSignals(blocked)

    @property
    def _rates(self) -> tuple[float, ...]:
        """The false positives a scan that were measured, rising; empty where none were."""
        known = self._threshold is not None and self._threshold.points is not None
        return self._threshold.points.rates if known else ()

    def _read(self, weights: str, detector_alone: bool) -> None:
        """What was measured of the weights of a folder, by default the shipped ones."""
        from lnhg.core.manifest import detector_folder, read_manifest, scored_by, weights_folder
        from lnhg.core.operating_points import Threshold

        self._threshold, self._why_not = None, ""
        try:
            folder = weights_folder(Path(weights) if weights else None)
            scoring = scored_by(detector_folder(folder), detector_alone=detector_alone)
            read_manifest(folder, "generator")  # which every run needs
            self._threshold = Threshold.of_manifest(scoring)
        except LNHGError as error:
            self._why_not = str(error)

    def _sentence(self, probability: float) -> str:
        told = _("a probability of {share} or more").format(share=f"{probability:.{_DECIMALS}f}")
        if not self._rates:
            return _("Not measured of these weights; {probability}").format(probability=told)
        lowest, highest = (f"{end:.2g}" for end in (self._rates[0], self._rates[-1]))
        rate = f"{self._threshold.rate(probability):.2g}"
        about = {lowest: _("at most {rate} a scan"), highest: _("at least {rate} a scan")}
        rates = about.get(rate, _("about {rate} a scan")).format(rate=rate)
        return _("{rates} ({probability})").format(rates=rates, probability=told)

    def _choose(self, place: int) -> None:
        if self._rates:
            low, high = self._rates[0], self._rates[-1]
            rate = low * (high / low) ** (place / self.ui.falsePositivesSlider.property("maximum"))
            self._set(max(10**-_DECIMALS, self._threshold.probability(rate)))

    def _set(self, probability: float) -> None:
        self._parameters.score_threshold = round(probability, _DECIMALS)

    def _place_of(self, probability: float) -> int:
        """Equal steps of the slider are equal ratios of the rate."""
        low, high = self._rates[0], self._rates[-1]
        share = log(self._threshold.rate(probability) / low) / log(high / low)
        return round(self.ui.falsePositivesSlider.property("maximum") * share)
