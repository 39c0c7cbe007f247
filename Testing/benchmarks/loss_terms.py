"""How much the terms of the hybrid loss weigh: value and gradient with respect to G(x), at the shipped generator.

`python Testing/benchmarks/loss_terms.py --data DATA [--vgg FILE]`; patches of several widths around nodules of select
patients.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import torch

from lnhg.data.training_data import cutouts_of
from lnhg.networks.perceptual import PerceptualFeatures
from lnhg.networks.torch_models import load_models
from lnhg.training.generator_config import PATCHES
from lnhg.training.generator_samples import Augmentation, batch, cutout_places
from lnhg.training.losses import mse_loss, perceptual_loss

WIDTHS, SAMPLES = (28, 32, 48, 64), 16

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", type=Path, required=True)
parser.add_argument("--vgg", type=Path, help="local file of VGG-19 weights (default: torchvision's download)")
arguments = parser.parse_args()

generator = load_models(with_detector=False).generator.train()
features = PerceptualFeatures(arguments.vgg)
terms = {"MSE (eq. 8)": mse_loss, "VGG (eq. 9)": partial(perceptual_loss, features)}
places = cutout_places(cutouts_of(arguments.data, "select"), "binary")
print("| patch | VGG's last map | term | value | norm of its gradient |\n|---|---|---|---|---|")
for width in WIDTHS:
    o, r = batch(places, PATCHES.grid, width, Augmentation(), range(SAMPLES), (0,))
    with torch.no_grad():
        g = generator(o)
        height, across = features(r).shape[-2:]
    for name, loss in terms.items():
        image = g.clone().requires_grad_(True)
        value = loss(image, r)
        (gradient,) = torch.autograd.grad(value, image)
        print(f"| {width} px | {height} x {across} | {name} | {value.item():.3g} | {gradient.norm().item():.2g} |")
