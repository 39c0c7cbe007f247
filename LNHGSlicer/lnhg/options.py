"""Everything a person may choose about a run, written once.

The command line, the Slicer module's parameter node and `lnhg.segment` are made from these fields.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from .errors import InputError

#: The widest rim, mm.
WIDEST_RIM_MM = 10.0
#: More CPU threads than any machine has.
MOST_THREADS = 1024
#: The paper's kinds of map, made from G(x) itself.
PAPERS_KINDS = ("inverse", "intensity")
_WIDEST_NODULE_MM = 1000.0
_MOST_AT_A_TIME = 100_000
#: What a sentence of dictation may name in braces; `categories.dictation` fills it in.
SENTENCE_FIELDS = (
    "number", "place", "side", "lobe", "type", "at_least", "long", "short", "mean", "mean_low", "mean_high", "solid",
    "volume", "volume_low", "volume_high", "course", "change", "doubling_days", "hints", "slice", "lung_rads",
    "fleischner", "fleischner_step", "bts", "bts_step", "brock",
)  # fmt: skip
#: The sentence where the user gives none. A part in square brackets is left out where something in it is not known.
SENTENCE = (
    "{place}, {type}, {at_least}{long} x {short} mm (mean {mean}[, 95% {mean_low} to {mean_high}])"
    "[, solid part {solid} mm], {volume} mm3[, {course}][ ({change})][, {hints}]; Lung-RADS {lung_rads}"
)


def _option(
    default: Any, help: str, *, choices: tuple[str, ...] = (), minimum: float | None = None, maximum: float = math.inf
) -> Any:
    return field(default=default, metadata={"help": help, "choices": choices, "minimum": minimum, "maximum": maximum})


@dataclass(frozen=True)
class Options:
    """Options of one run. Lengths are millimetres. None means: the value that the weights' manifest holds."""

    weights: Path | None = _option(  # noqa: RUF009 - a field, no shared value
        None,
        "folder with weights and manifests, or lnhg-hybrid, the generator that was trained by the paper's hybrid loss; "
        "a generator alone goes with the shipped detector (default: the shipped ones)",
    )
    device: str = _option("auto", "where the networks run", choices=("auto", "cuda", "mps", "cpu"))
    runtime: str = _option(
        "auto",
        "what computes the networks: PyTorch, or OpenVINO on the CPU; auto: PyTorch where it has a GPU, else OpenVINO "
        "where it is installed",
        choices=("auto", "torch", "openvino"),
    )
    threads: int | None = _option(None, "CPU threads (default: all cores)", minimum=1, maximum=MOST_THREADS)
    batch_size: int | None = _option(
        None, "tiles or slices a batch (default: from free memory)", minimum=1, maximum=_MOST_AT_A_TIME
    )
    triplets: str = _option(
        "averaged",
        "volumes of three slices: as many mm apart as the weights say, with a slice averaged over the three that hold "
        "it or taken from the one it is the middle of; or neighbours, averaged or side by side as in the paper",
        choices=("averaged", "overlapping", "neighbouring", "paper"),
    )
    fusion: str = _option(
        "scan", "fusion rule: in 3D over the scan, or slice by slice as in the paper", choices=("scan", "paper")
    )
    generator_threshold: float | None = _option(None, "threshold on G(x) that bounds a nodule", minimum=0, maximum=1)
    edge: str = _option(
        "peak",
        "a nodule ends at the threshold on G(x) times the nodule's own peak, or at the threshold itself as "
        "in the paper",
        choices=("peak", "fixed"),
    )
    score_threshold: float | None = _option(
        None,
        "lowest score of a candidate: the probability that readers would mark a nodule there",
        minimum=0,
        maximum=1,
    )
    false_positives_per_scan: float | None = _option(
        None,
        "about so many false positives a scan, as measured of the weights: sets the lowest detector score",
        minimum=0,
        maximum=_MOST_AT_A_TIME,
    )
    detector_alone: bool = _option(
        False, "take candidates as the detector scores them, as in the paper, without the second look of the rescorer"
    )
    minimum_diameter: float = _option(
        3.0, "smallest nodule kept: diameter of the sphere of equal volume, mm", minimum=0, maximum=_WIDEST_NODULE_MM
    )
    heterogeneity: str = _option(
        "auto",
        "map: HU away from the nodule's typical tissue beyond noise and edge (deviation), what of G(x) is due to "
        "unevenness inside (twin), or the paper's 1 - normalised G(x) (inverse) or normalised G(x) (intensity); auto: "
        "deviation, with --fusion paper inverse",
        choices=("auto", "deviation", "twin", "inverse", "intensity"),
    )
    normalisation: str = _option(
        "auto",
        "range of the map: the same in every scan (deviation, twin), over the scan's nodules, each nodule, or each "
        "whole slice as in the paper (inverse, intensity); auto: fixed for deviation and twin, else scan",
        choices=("auto", "fixed", "scan", "nodule", "slice"),
    )
    rim: float = _option(
        1.0, "outer layer of a nodule that is told apart from its core, mm", minimum=0, maximum=WIDEST_RIM_MM
    )
    hide_rim: bool = _option(False, "leave the rim out of the map; the table keeps its figures")
    roi: tuple[float, ...] | None = _option(
        None, "only nodules centred in this box: RAS bounds R0,R1,A0,A1,S0,S1 in mm"
    )
    slices: tuple[int, int] | None = _option(None, "only nodules centred on slices A to B of the CT as stored, from 0")
    full_generator: bool = _option(False, "run the generator on every slice, not only around the candidates")
    anywhere: bool = _option(
        False, "look for nodules in the whole CT; without it only in the lungs, and nowhere where no lungs are found"
    )
    seeds_only: bool = _option(False, "skip the detector: segment only at the given points")
    sentence: str = _option(
        SENTENCE,
        "the sentence of each nodule to dictate: names in braces are filled in, parts in square brackets are left out "
        "where something in them is not known",
    )

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            choices, minimum, maximum = (option.metadata[name] for name in ("choices", "minimum", "maximum"))
            if choices and value not in choices:
                raise InputError(f"Option {option.name} is {value!r}; choose one of {', '.join(choices)}.")
            if minimum is not None and value is not None and not value >= minimum:
                raise InputError(f"Option {option.name} is {value}; it must be at least {minimum:g}.")
            if minimum is not None and value is not None and not value <= maximum:
                raise InputError(f"Option {option.name} is {value}; it must be at most {maximum:g}.")
        if self.score_threshold is not None and self.false_positives_per_scan is not None:
            raise InputError(
                "Give the lowest detector score or the false positives per scan, not both: one sets the other."
            )
        _check_sentence(self.sentence)
        if self.roi is not None and (
            len(self.roi) != 6
            or not all(-math.inf < a < b < math.inf for a, b in zip(self.roi[::2], self.roi[1::2], strict=True))
        ):
            raise InputError("The region needs six RAS bounds R0,R1,A0,A1,S0,S1 in mm, finite and each pair rising.")
        if self.slices is not None and (len(self.slices) != 2 or not 0 <= self.slices[0] <= self.slices[1]):
            raise InputError("The slice range needs two numbers A-B with 0 <= A <= B.")
        if self.normalisation in ("slice", "fixed") and (self.normalisation == "slice") != self.papers_map:
            raise InputError(
                f"A map of the kind {self.map_kind} has no range {self.normalisation}; choose "
                f"{'scan, nodule or slice' if self.papers_map else 'fixed, scan or nodule'} for the normalisation, or "
                "another kind of map."
            )

    @property
    def everywhere(self) -> bool:
        """Whether the generator runs on every slice: asked for, or needed by the paper's rules."""
        return self.full_generator or self.fusion == "paper" or self.normalisation == "slice"

    @property
    def map_kind(self) -> str:
        """The kind of map that is made: `deviation`, `twin`, `inverse` or `intensity`."""
        if self.heterogeneity != "auto":
            return self.heterogeneity
        return "inverse" if self.fusion == "paper" else "deviation"

    @property
    def papers_map(self) -> bool:
        """Whether the map is one of the paper's."""
        return self.map_kind in PAPERS_KINDS

    @property
    def map_range(self) -> str:
        """The range of the map that is made: `fixed`, `scan`, `nodule` or `slice`."""
        if self.normalisation != "auto":
            return self.normalisation
        return "scan" if self.papers_map else "fixed"


def _check_sentence(template: str) -> None:
    names = re.findall(r"\{([^{}]*)\}", template)
    unknown = [name for name in names if name not in SENTENCE_FIELDS]
    if unknown:
        raise InputError(f"The sentence names {unknown[0]!r}; choose from {', '.join(SENTENCE_FIELDS)}.")
    if re.search(r"[{}]", re.sub(r"\{[^{}]*\}", "", template)):
        raise InputError("The sentence has a brace without its partner; write names as {long}.")
    if re.search(r"[\[\]]", re.sub(r"\[[^\[\]]*\]", "", template)):
        raise InputError("The sentence has square brackets without partner or inside others; close each.")


#: Options of other versions by their names of then.
_FORMER_NAMES = {"false_finds_per_scan": "false_positives_per_scan"}
# Options that say where and by what networks are computed, not what is wanted of them.
_OF_MACHINE = ("device", "runtime", "threads", "batch_size")


def options_of_record(values: Mapping[str, Any]) -> tuple[Options, str]:
    """Options read back from JSON, which has lists for tuples and text for paths; and a sentence if another version
    wrote them.

    An option or a choice that is not known is left out, one that is missing gets its default; the sentence names them,
    but not a missing one whose default is None: nobody can have chosen it; nor one that says where networks run.
    Raises InputError for a value that is of no kind its option has.
    """
    values = {_FORMER_NAMES.get(name, name): value for name, value in values.items()}
    known = {option.name: option for option in fields(Options)}
    wrong = next(
        (name for name, value in values.items() if name in known and not _is_of_kind(known[name], value)), None
    )
    if wrong:
        raise InputError(f"The options of the run hold {str(values[wrong])[:20]!r} as {wrong}; run again.")
    lost = {name: value for name, value in values.items() if name not in known or not _is_choice(known[name], value)}
    read: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    read = {key: value for key, value in read.items() if key not in lost}
    if read.get("weights") is not None:
        read["weights"] = Path(read["weights"])
    others = [f"{name} {value}" for name, value in lost.items()]
    told = [f"not known to this version and left out: {', '.join(others)}"] if lost else []
    absent = [
        name
        for name, option in known.items()
        if name not in values and option.default is not None and name not in _OF_MACHINE
    ]
    told += [f"not recorded then, taken at their defaults: {', '.join(absent)}"] if absent else []
    note = f"The options of the run were written by another version of LNHG ({'; '.join(told)})." if told else ""
    return Options(**read), note


def _is_of_kind(option: Field[Any], value: Any) -> bool:
    """Whether a value of JSON is a number, a list, a truth or text, as its option's are."""
    if value is None:
        return option.default is None
    if isinstance(option.default, bool):
        return isinstance(value, bool)
    if option.metadata["minimum"] is not None:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    count = {"roi": 6, "slices": 2}.get(option.name)
    if count:
        return isinstance(value, (list, tuple)) and [isinstance(one, (int, float)) for one in value] == [True] * count
    return isinstance(value, str)


def _is_choice(option: Field[Any], value: Any) -> bool:
    choices = option.metadata["choices"]
    return not choices or value in choices
