"""The draft of a model card, from the manifest of packed weights: what they are, how they were made, what was
measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ..core.training_told import TERMS, how_generator_was_trained, loss_terms
from ..networks.grid import NetworkGrid

# Collections of The Cancer Imaging Archive.
_LICENCES = {
    "LIDC-IDRI": "CC BY 3.0",
    "Lung-PET-CT-Dx": "CC BY 4.0",
    "CPTAC": "CC BY 3.0",
    "Lung-Fused-CT-Pathology": "CC BY 3.0",
    "TCGA-LUSC": "CC BY 3.0",
    "4D-Lung": "CC BY 3.0",
    "QIN Lung CT Segmentation": "CC BY 3.0",
}

_SPLIT = (
    "by patient, `lnhg/data/splits.py`: `train` fits, `select` chooses the threshold, `report` gives the figures below"
)


def model_card(manifest: Mapping[str, Any], parameters: int, report: str | None, *, with_log: bool) -> str:
    """Markdown for weights of `parameters` parameters; `report` holds the tables of `lnhg validate`."""
    kind = manifest["kind"]
    rows, limits = _KINDS[kind]
    training = manifest.get("training", {})
    table = [*rows(manifest, parameters), ("split", _SPLIT)]
    measured = (
        report
        or "Not measured yet: `lnhg validate --output FILE` writes what `lnhg weights pack --report FILE` puts here."
    )
    parts = [
        f"# {kind.capitalize()} weights",
        "**Research use only. Not a medical device; not for diagnosis or treatment.**",
        "\n".join(["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in table)]),
        "## How it was trained",
        *([how_generator_was_trained(loss_terms(manifest))] if kind == "generator" else []),
        _commands(training.get("commands", ()), manifest),
        *([f"`{manifest['name']}-training.csv` is the log of the run."] if with_log else []),
        "## Measured (`lnhg validate --data DATA`)",
        measured.strip(),
        "## Limits",
        limits,
    ]
    return "\n\n".join(parts) + "\n"


def _commands(commands: Sequence[str], manifest: Mapping[str, Any]) -> str:
    threshold = manifest["thresholds"]["g" if manifest["kind"] == "generator" else "score"]
    packed = " ".join(f"{one}.pt" for one in manifest.get("mean_of", ())) or "CHECKPOINT"
    pack = f"lnhg weights pack {packed} --output FOLDER --threshold {threshold:g}"
    text = "\n".join(["```", *commands, pack, "```"])
    return text if commands else f"The checkpoint holds no command of its training.\n\n{text}"


def _generator_rows(manifest: Mapping[str, Any], parameters: int) -> list[tuple[str, str]]:
    training = manifest["training"]
    architecture = manifest["architecture"]
    width = architecture["width"]
    network = {
        "lnhg": f"the paper's generator with a first layer of {width} filters (the paper: 32)",
        "unet": f"the U-Net that the paper's generator is compared with, its first block {width} filters wide",
    }[architecture["name"]]
    target = {
        "binary": "50% consensus of the readers, as in the paper",
        "share": "share of the readers who outlined the voxel",
        "intensity": "normalised CT inside the 50% consensus",
    }[manifest["target"]]
    apart = NetworkGrid.from_dict(manifest["grid"]).slice_mm
    slices = "neighbouring CT slices" if apart is None else f"CT slices about {apart:g} mm apart"
    return [
        ("network", f"{network}, {parameters:,} parameters"),
        ("input", f"three {slices}, {_grid(manifest)}"),
        ("output", "G(x); the edge of a nodule lies at the manifest's threshold times its peak"),
        ("target R(x)", target),
        ("loss", _losses(training)),
        ("data", _data(training)),
        ("schedule", _schedule(training)),
    ]


def _detector_rows(manifest: Mapping[str, Any], parameters: int) -> list[tuple[str, str]]:
    architecture, training = manifest["architecture"], manifest["training"]
    return [
        (
            "network",
            f"Faster R-CNN on {architecture['backbone']}, GIoU loss on decoded boxes, {parameters:,} parameters",
        ),
        (
            "input",
            f"a slice and its neighbours {architecture['neighbour_mm']:g} mm away as {architecture['slices']} "
            f"channels, " + _grid(manifest),
        ),
        ("output", "boxes with scores; linked over slices to candidates"),
        ("data", _data(training)),
        *(_detector_training_rows(training) if "steps_by_phase" in training else ()),
    ]


def _detector_training_rows(training: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Rows of what checkpoints tell since they hold a record."""
    steps, rate = training["steps_by_phase"], f"{training['learning_rate']:g}"
    phases = f"{' + '.join(map(str, steps))} steps" + (", false positives mined in between" if len(steps) > 1 else "")
    start = training["start"]
    yield "start", f"`{start}`, features of ImageNet; licence to be named" if start else "random"
    yield (
        "schedule",
        f"{phases}; batch {training['batch']}, crops of {training['crop_pixels']} pixels, {training['optimiser']}, "
        f"largest learning rate {rate}, seed {training['seed']}",
    )
    if training["select_sensitivity"]:
        rates = ", ".join(f"{value:.3f} at {rate}" for rate, value in training["select_sensitivity"].items())
        yield "`select` patients", f"sensitivity {rates} false positives per scan"


def _rescorer_rows(manifest: Mapping[str, Any], parameters: int) -> list[tuple[str, str]]:
    training = manifest["training"]
    return [
        ("network", f"three blocks of two 3D convolutions, {parameters:,} parameters; not in the paper"),
        ("input", f"the surroundings of a candidate, planes 2 mm apart, {_grid(manifest)}"),
        ("output", "the probability of a nodule; the geometric mean with the detector's score is the new score"),
        ("data", "candidates of the detector on the `train` patients; to be named, with licences"),
        (
            "schedule",
            f"{training['steps_done']} steps, batch {training['batch']}, AdamW, {training['rate']:g} on a cosine",
        ),
    ]


def _grid(manifest: Mapping[str, Any]) -> str:
    grid = NetworkGrid.from_dict(manifest["grid"])
    low, high = manifest["grid"]["window_hu"]
    pixels = (
        f"{grid.pixel_mm:g} mm pixels in the slice"
        if grid.rule == "fixed"
        else "half of the CT's resolution in the slice"
    )
    return f"HU {low:g}..{high:g} scaled to 0..1, {pixels}"


def _losses(training: Mapping[str, Any]) -> str:
    terms = loss_terms({"training": training})
    return " + ".join(f"{weight:g} {TERMS[name]}" for name, weight in terms.items() if weight)


def _data(training: Mapping[str, Any]) -> str:
    data: Mapping[str, Mapping[str, int]] = training.get("data", {})
    texts = [
        f"{name} ({_LICENCES.get(name, 'licence to be named')}): {_counts(counts)}" for name, counts in data.items()
    ]
    return "; ".join(texts) + " of the `train` patients" if texts else "to be named, with its licences"


def _counts(counts: Mapping[str, int]) -> str:
    """Older checkpoints do not tell of how many patients."""
    patients = f" ({counts['patients']} patients)" if "patients" in counts else ""
    return f"{counts['nodules']} nodules and {counts['scans']} whole scans{patients}"


def _schedule(training: Mapping[str, Any]) -> str:
    parts = [
        f"{training['steps_done']} of {training['steps']} steps",
        f"batch {training['batch']}" + (f" in {training['processes']} processes" if training["processes"] > 1 else ""),
        f"patches of {training['patch']} pixels",
        f"Adam, learning rate {training['learning_rate']:g} down to {training['final_rate']:g} on a cosine",
        f"{training['warm_up']} steps of warm-up",
        training.get("precision", "float32"),
        f"seed {training['seed']}",
    ]
    return ", ".join(parts)


_GENERATOR_LIMITS = """\
Say here what the figures above do not: which nodules it gets wrong, and where it invents some. It saw nodules of the
collections above only. What the map of heterogeneity means is not known; see the README."""

_DETECTOR_LIMITS = """\
Say here what the figures above do not: which structures it takes for nodules. Small and hilar vessels, the dome of the
diaphragm and partial volume at the apex are the usual false positives."""

_RESCORER_LIMITS = """\
Say here on how many nodules and false positives it was measured, with and without. It saw few whole scans."""

_KINDS: Mapping[str, tuple[Callable[[Mapping[str, Any], int], list[tuple[str, str]]], str]] = {
    "generator": (_generator_rows, _GENERATOR_LIMITS),
    "detector": (_detector_rows, _DETECTOR_LIMITS),
    "rescorer": (_rescorer_rows, _RESCORER_LIMITS),
}
