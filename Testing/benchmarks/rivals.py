"""Seconds that other people's networks need for a scan, with random weights: only their time is compared.

`python Testing/benchmarks/rivals.py RIVAL CT --runtime RUNTIME` prints one line of JSON; `speed.py` runs all of them,
each in its own process. PyTorch is what they come with; `openvino` computes them as OpenVINO converts them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from lnhg.core.ct import CT
from lnhg.readers.read_ct import read_ct

# A scan that takes longer is extrapolated from the windows run so far, of which there are at least so many.
_LONGEST_S, _WINDOWS = 6.0, 3


@dataclass(frozen=True)
class Rival:
    """One rival on one scan.

    Attributes:
        what: its settings and how its time was found, for the page.
        windows: parts of the scan, each as long to compute as one that is timed.
        network: what computes one of them.
        part: the network's input for the part of this number.
    """

    what: str
    windows: int
    network: Callable[[torch.Tensor], object]
    part: Callable[[int], torch.Tensor]


@dataclass(frozen=True)
class Timed:
    """A rival's time. `seconds` are those of the windows that were run, of `windows` for the scan."""

    what: str
    seconds: tuple[float, ...]
    windows: int

    @property
    def whole(self) -> bool:
        return len(self.seconds) == self.windows


def nnunet(ct: CT) -> Rival:
    """The network of nnU-Net's plan for the lung tumours of the Medical Segmentation Decathlon, as nnU-Net v2 builds
    it.
    """
    from dynamic_network_architectures.architectures.unet import PlainConvUNet
    from monai.data.utils import dense_patch_slices

    patch, spacing, mirrored = (80, 192, 160), (1.24, 0.785, 0.785), 8
    stages = 6
    network = PlainConvUNet(
        input_channels=1,
        n_stages=stages,
        features_per_stage=(32, 64, 128, 256, 320, 320),
        conv_op=torch.nn.Conv3d,
        kernel_sizes=3,
        strides=[1, 2, 2, 2, 2, (1, 2, 2)],
        n_conv_per_stage=(2,) * stages,
        num_classes=2,
        n_conv_per_stage_decoder=(2,) * (stages - 1),
        conv_bias=True,
        norm_op=torch.nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=torch.nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    ).eval()
    size = _resampled(ct, spacing)
    places = dense_patch_slices(size, patch, [edge // 2 for edge in patch])
    return Rival(
        f"plan of the Decathlon's lung task: windows of {_by(patch)} at {_by(spacing)} mm, half overlapping, Gaussian "
        f"weights, "
        f"mirrored along three axes ({mirrored} passes each, the default); resampling not counted",
        len(places) * mirrored,
        network,
        lambda number: _patch(ct, patch, number),
    )


def retinanet(ct: CT) -> Rival:
    """The RetinaNet of MONAI's bundle `lung_nodule_ct_detection`."""
    from monai.apps.detection.networks.retinanet_network import RetinaNet, resnet_fpn_feature_extractor
    from monai.data.utils import dense_patch_slices
    from monai.networks.nets.resnet import resnet50

    window, spacing, parts = (192, 512, 512), (1.25, 0.703125, 0.703125), (8, 8, 8)
    backbone = resnet50(spatial_dims=3, n_input_channels=1, conv1_t_stride=[2, 2, 1], conv1_t_size=[7, 7, 7])
    features = resnet_fpn_feature_extractor(backbone, 3, False, [1, 2], None)
    network = RetinaNet(3, num_classes=1, num_anchors=3, feature_extractor=features, size_divisible=[16, 16, 8]).eval()
    size = _resampled(ct, spacing)
    places = dense_patch_slices(size, window, [int(edge * 0.75) for edge in window])
    part = tuple(edge // share for edge, share in zip(window, parts, strict=True))
    return Rival(
        f"settings of MONAI's bundle: windows of {_by(window[::-1])} at {_by(spacing[::-1])} mm, a quarter "
        f"overlapping; timed "
        f"on pieces of {_by(part[::-1])}, {parts[0] * parts[1] * parts[2]} to a window; resampling and box choice not "
        f"counted",
        len(places) * parts[0] * parts[1] * parts[2],
        _Flat(network),
        lambda number: _patch(ct, part, number).permute(0, 1, 4, 3, 2),
    )


def faster_rcnn(ct: CT) -> Rival:
    """Torchvision's detector on every slice."""
    from torchvision.models.detection import fasterrcnn_resnet50_fpn

    network = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=2).eval()

    def slice_(number: int) -> torch.Tensor:
        k = (len(ct.hu) // 2 + number) % len(ct.hu)  # from the middle on, and round
        return _scaled(ct, (slice(k, k + 1), slice(None), slice(None))).expand(3, -1, -1)

    what = "torchvision's defaults (slices resized to 800 pixels), every slice"
    return Rival(what, len(ct.hu), _OfOneImage(network), slice_)


class _Flat(torch.nn.Module):
    """MONAI's network with its maps as a tuple, which can be traced."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(one for maps in self.network(image).values() for one in maps)


class _OfOneImage(torch.nn.Module):
    """Torchvision's detector with one image, whose boxes and scores are a tuple, which can be traced."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(self.network([image])[0].values())


RIVALS = {
    "nnU-Net 3D full resolution": nnunet,
    "MONAI RetinaNet": retinanet,
    "torchvision Faster R-CNN ResNet-50-FPN": faster_rcnn,
}


def converted(rival: Rival, threads: int | None) -> Rival:
    """The rival as OpenVINO computes it, for inputs of this size alone; converting is not timed."""
    from lnhg.networks.openvino_import import import_openvino

    openvino, example = import_openvino(with_converter=True), rival.part(0).contiguous()
    model = openvino.tools.ovc.convert_model(rival.network, example_input=example, input=list(example.shape))
    how = {"INFERENCE_PRECISION_HINT": "f32", **({"INFERENCE_NUM_THREADS": threads} if threads else {})}
    request = openvino.Core().compile_model(model, "CPU", how).create_infer_request()
    return replace(rival, network=lambda image: request.infer([image.numpy()], share_inputs=True, share_outputs=True))


def timed(rival: Rival) -> Timed:
    """Run the rival on the whole scan, or on some windows where the scan takes longer."""
    seconds: list[float] = []
    with torch.inference_mode():
        rival.network(rival.part(0))  # the first run sets up
        while len(seconds) < rival.windows:
            if len(seconds) >= _WINDOWS and sum(seconds) > _LONGEST_S:
                break
            image = rival.part(len(seconds)).contiguous()
            began = time.perf_counter()
            rival.network(image)
            seconds.append(time.perf_counter() - began)
    return Timed(rival.what, tuple(seconds), rival.windows)


def _resampled(ct: CT, spacing: tuple[float, float, float]) -> tuple[int, ...]:
    """Slices, rows and columns of the CT at another spacing (slice, row, column), mm."""
    return tuple(round(n * have / want) for n, have, want in zip(ct.hu.shape, ct.spacing[::-1], spacing, strict=True))


def _patch(ct: CT, size: tuple[int, ...], number: int) -> torch.Tensor:
    """A piece of the CT `[1, 1, slice, row, column]`, moved on by some slices for each number; mirrored where it
    ends.
    """
    first = min(7 * number, max(0, len(ct.hu) - size[0]))
    rows = (ct.hu.shape[1] - size[1]) // 2
    columns = (ct.hu.shape[2] - size[2]) // 2
    where = slice(first, first + size[0]), slice(rows, rows + size[1]), slice(columns, columns + size[2])
    return _scaled(ct, where)[None, None]


def _scaled(ct: CT, where: tuple[slice, ...]) -> torch.Tensor:
    return ((torch.from_numpy(ct.hu[where]).float() + 1024) / 1324).clamp_(0, 1)


def _by(size: Sequence[float]) -> str:
    return " x ".join(f"{edge:g}" for edge in size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rival", choices=sorted(RIVALS))
    parser.add_argument("ct", type=Path)
    parser.add_argument("--runtime", default="torch", choices=("openvino", "torch"))
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    try:
        rival = RIVALS[arguments.rival](read_ct(arguments.ct))
    except ModuleNotFoundError as error:
        print(json.dumps({"error": f"needs the package {error.name}: pip install 'lnhg[bench]'"}))
        return
    if arguments.runtime == "openvino":
        try:
            rival = converted(rival, arguments.threads)
        except Exception as error:  # OpenVINO's errors have no kind in common
            print(json.dumps({"error": f"OpenVINO does not convert it ({type(error).__name__})"}))
            print(error, file=sys.stderr)
            return
    print(json.dumps(asdict(timed(rival))))


if __name__ == "__main__":
    sys.exit(main())
