"""The U-Net that the generator is compared with: what it sees, its training by name, and its way into the pipeline."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lnhg.errors import WeightsError
from lnhg.networks.generator import Generator, build_generator
from lnhg.networks.torch_models import load_models
from lnhg.networks.unet import UNet
from lnhg.training.generator_config import PATCHES, variant
from lnhg.training.generator_training import GeneratorTraining
from lnhg.training.packing import pack
from training_data import PLACES


def test_gx_at_a_pixel_depends_on_no_pixel_beyond_the_reach() -> None:
    torch.manual_seed(0)
    unet = UNet(2).double().train()  # training: no last ReLU to hide a dependence
    for norm in unet.modules():
        if isinstance(norm, torch.nn.BatchNorm3d):
            norm.eval()
    unet.last_slope = 1.0
    size = 2 * unet.reach + 4 * unet.cell
    seen = 0
    for place in range(unet.reach, unet.reach + unet.cell):  # each place within a cell of pooling
        o = torch.rand(
            1, 1, 3, size, size, dtype=torch.double, generator=torch.Generator().manual_seed(1)
        ).requires_grad_()
        unet(o)[..., place, place].sum().backward()
        rows = torch.nonzero(o.grad.abs().amax((0, 1, 2, 4))).flatten()
        seen = max(seen, int((rows - place).abs().max()))
    assert seen == 23 and unet.reach == 24 and unet.reach % unet.cell == 0


@pytest.mark.parametrize(("rows", "columns"), [(28, 28), (13, 30), (7, 9)])
def test_every_size_of_slice_comes_back_as_it_was_and_never_below_zero(rows: int, columns: int) -> None:
    torch.manual_seed(0)
    o = torch.rand(2, 1, 3, rows, columns)
    g = UNet(2).eval()(o)
    assert g.shape == o.shape and g.min() >= 0


def test_the_variant_trains_and_what_it_packs_is_built_by_name(tmp_path: Path) -> None:
    config = replace(variant(PATCHES, "unet"), width=2, patch=12, batch=2, steps=2, background=0.0)
    assert (config.mse, config.vgg, config.adversarial) == (1.0, 0.0, 0.0)
    training = GeneratorTraining(config, tmp_path / "run", PLACES, [], None)
    training.run()
    pack([tmp_path / "run" / "last.pt"], tmp_path / "models", 0.4)
    loaded = load_models(tmp_path / "models", with_detector=False)
    assert isinstance(loaded.generator, UNet)
    assert loaded.manifests["generator"]["architecture"] == {"name": "unet", "width": 2}
    o, _ = training.samples.examples(2)
    torch.testing.assert_close(loaded.generator(o), training.generator.eval()(o), rtol=5e-3, atol=5e-3)
    next_run = GeneratorTraining(
        replace(config, seed=3), tmp_path / "next", PLACES, [], None, start=tmp_path / "run" / "last.pt"
    )
    assert torch.equal(next_run.generator.last.weight, training.generator.last.weight)


def test_an_architecture_without_a_name_is_the_papers_generator_and_a_foreign_one_is_refused() -> None:
    assert isinstance(build_generator({"width": 2}), Generator)
    with pytest.raises(WeightsError, match="network 'vnet' is not known; choose one of lnhg, unet"):
        build_generator({"name": "vnet", "width": 2})
