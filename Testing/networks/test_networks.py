"""The generator, the discriminator and the perceptual features, layer by layer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.nn.functional import leaky_relu, relu

from lnhg.errors import WeightsError
from lnhg.networks.discriminator import Discriminator
from lnhg.networks.generator import LEAKY_SLOPE, REACH, Generator, widened
from lnhg.networks.perceptual import PerceptualFeatures

_VGG = Path(__file__).resolve().parents[3] / "shared" / "data" / "imagenet" / "vgg19_features_uint8.safetensors"


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _triplets(count: int = 2, size: int = 12) -> torch.Tensor:
    return torch.rand(count, 1, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def generator() -> Generator:
    torch.manual_seed(0)
    return Generator(width=4)


class _Trace:
    """What went into and came out of each layer in one run."""

    def __init__(self, network: nn.Module, image: torch.Tensor) -> None:
        self.into: dict[nn.Module, torch.Tensor] = {}
        self.out: dict[nn.Module, torch.Tensor] = {}
        hooks = [layer.register_forward_hook(self._note) for layer in network.modules() if not list(layer.children())]
        self.result = network(image)
        for hook in hooks:
            hook.remove()

    def _note(self, layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        self.into[layer], self.out[layer] = inputs[0].clone(), output.clone()


# Generator ------------------------------------------------------------------------------------------------------------


def test_the_generator_has_the_papers_parameter_count() -> None:
    with torch.device("meta"):
        assert _parameters(Generator(width=32)) == 2_326_273


def test_the_generators_layers_have_the_papers_filters(generator: Generator) -> None:
    convolutions, deconvolutions = list(generator.convolutions), list(generator.deconvolutions)
    assert [layer.out_channels for layer in convolutions] == [4, 8, 16, 32]
    assert [layer.out_channels for layer in deconvolutions] == [16, 8, 4, 1]
    for layer in convolutions + deconvolutions:
        assert layer.kernel_size == (3, 3, 3) and layer.stride == (1, 1, 1)


def test_every_layer_of_the_generator_keeps_the_volumes_size(generator: Generator) -> None:
    trace = _Trace(generator.eval(), _triplets())
    assert {tuple(output.shape[2:]) for output in trace.out.values()} == {(3, 12, 12)}
    assert trace.result.shape == (2, 1, 3, 12, 12)


def test_encoder_layers_are_convolution_batch_norm_and_leaky_relu(generator: Generator) -> None:
    trace = _Trace(generator.train(), _triplets())
    followers = [*list(generator.convolutions)[1:], generator.deconvolutions[0]]
    for convolution, norm, follower in zip(generator.convolutions, generator.encoder_norms, followers, strict=True):
        torch.testing.assert_close(trace.into[norm], trace.out[convolution])
        torch.testing.assert_close(trace.into[follower], leaky_relu(trace.out[norm], LEAKY_SLOPE))


def test_the_first_three_decoder_layers_add_the_encoder_result_of_the_same_width(generator: Generator) -> None:
    trace = _Trace(generator.train(), _triplets())
    for number in range(3):
        deconvolution, norm = generator.deconvolutions[number], generator.decoder_norms[number]
        encoded = trace.into[generator.convolutions[3 - number]]  # what the encoder handed to its next layer
        torch.testing.assert_close(trace.into[norm], trace.out[deconvolution] + encoded)
        torch.testing.assert_close(
            trace.into[generator.deconvolutions[number + 1]], leaky_relu(trace.out[norm], LEAKY_SLOPE)
        )


def test_the_last_decoder_layer_adds_the_input_before_its_relu(generator: Generator) -> None:
    image = _triplets()
    trace = _Trace(generator.eval(), image)
    torch.testing.assert_close(trace.result, relu(trace.out[generator.deconvolutions[3]] + image))


def test_without_weights_in_the_last_layer_the_generator_gives_its_input_back(generator: Generator) -> None:
    with torch.no_grad():
        generator.deconvolutions[3].weight.zero_()
        generator.deconvolutions[3].bias.zero_()
    torch.testing.assert_close(generator.eval()(_triplets()), _triplets())


@pytest.mark.parametrize(("slope", "below_zero"), [(0.0, 0.0), (0.01, -0.05)])
def test_the_last_relu_leaks_in_training_only(slope: float, below_zero: float) -> None:
    generator = Generator(width=2, last_slope=slope)
    with torch.no_grad():
        generator.deconvolutions[3].weight.zero_()
        generator.deconvolutions[3].bias.fill_(-5)
    black = torch.zeros(2, 1, 3, 8, 8)
    torch.testing.assert_close(generator.train()(black), torch.full_like(black, below_zero))
    torch.testing.assert_close(generator.eval()(black), black)


def test_gradients_reach_every_parameter_of_the_generator(generator: Generator) -> None:
    generator.eval()(_triplets()).square().sum().backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_the_generator_sees_eight_pixels_far_and_no_further() -> None:
    generator = Generator(width=2).double().eval()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.abs_()  # so that no path cancels another
        image = torch.zeros(1, 1, 3, 41, 41, dtype=torch.float64)
        before = generator(image)
        image[0, 0, 1, 20, 20] = 1
        moved = (generator(image) - before)[0, 0].abs().amax(0)
    rows, columns = torch.nonzero(moved, as_tuple=True)
    assert REACH == 8
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (12, 28, 12, 28)


# Discriminator --------------------------------------------------------------------------------------------------------


def test_the_discriminator_has_the_papers_layers_and_size() -> None:
    with torch.device("meta"):
        discriminator = Discriminator()
    assert [layer.out_channels for layer in discriminator.convolutions] == [32, 64, 128]
    assert discriminator.connected.in_features == 128 * 3 * 256 * 256
    convolutions = (27 * 1 + 1) * 32 + (27 * 32 + 1) * 64 + (27 * 64 + 1) * 128
    assert _parameters(discriminator) == convolutions + 128 * 3 * 256 * 256 + 1 == 25_443_393


def test_the_discriminator_gives_one_score_a_sample() -> None:
    assert Discriminator((3, 12, 12), width=2)(_triplets(5)).shape == (5,)


def test_a_score_does_not_depend_on_the_other_samples_as_it_would_with_batch_norm() -> None:
    discriminator = Discriminator((3, 12, 12), width=2).train()
    images = _triplets(4)
    images[1:] *= 100
    torch.testing.assert_close(discriminator(images)[:1], discriminator(images[:1]))
    kinds = {type(layer) for layer in discriminator.modules()} - {Discriminator, nn.ModuleList}
    assert kinds == {nn.Conv3d, nn.Linear}


def test_gradients_reach_every_parameter_of_the_discriminator() -> None:
    discriminator = Discriminator((3, 12, 12), width=2)
    discriminator(_triplets()).sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in discriminator.parameters())


# Perceptual features --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def features() -> PerceptualFeatures:
    if not _VGG.is_file():
        pytest.skip(f"the VGG-19 weights {_VGG.name} are not here")
    return PerceptualFeatures(_VGG)


def test_the_perceptual_features_are_those_of_the_sixteenth_convolution(features: PerceptualFeatures) -> None:
    convolutions = [layer for layer in features.features if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 16 and features.features[-1] is convolutions[-1]
    assert features(torch.zeros(2, 1, 3, 32, 48)).shape == (2 * 3, 512, 2, 3)


def test_the_eight_bit_weights_are_scaled_back(features: PerceptualFeatures) -> None:
    with safe_open(_VGG, "pt") as file:
        stored, scale, minimum = (
            file.get_tensor(f"features.34.weight.{name}") for name in ("quantised", "scale", "minimum")
        )
    torch.testing.assert_close(features.features[34].weight.data, stored * scale + minimum)


def test_grey_images_reach_the_network_in_the_oxford_convention(features: PerceptualFeatures) -> None:
    mean = torch.tensor([103.939, 116.779, 123.68])
    for value in (0.0, 1.0):
        seen = _Trace(features, torch.full((1, 1, 1, 16, 16), value)).into[features.features[0]]
        torch.testing.assert_close(seen[0, :, 5, 5], 255 * value - mean)


def test_gradients_flow_to_the_image_and_the_features_stay_frozen(features: PerceptualFeatures) -> None:
    image = _triplets(1, 16).requires_grad_(True)
    features(image).square().mean().backward()
    assert image.grad is not None and image.grad.abs().max() > 0
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in features.parameters())


def test_slices_are_independent_images_in_order(features: PerceptualFeatures) -> None:
    images = _triplets(2, 16)
    together = features(images)
    torch.testing.assert_close(together[4:5], features(images[1:, :, 1:2]), rtol=1e-4, atol=1e-3)


def test_foreign_and_broken_perceptual_weights_are_refused(tmp_path: Path) -> None:
    foreign, broken = tmp_path / "foreign.safetensors", tmp_path / "broken.safetensors"
    save_file({"features.0.weight": torch.zeros(2)}, foreign)
    broken.write_bytes(foreign.read_bytes()[:-3])
    with pytest.raises(WeightsError, match=r"foreign\.safetensors does not hold VGG-19's 16 convolution layers"):
        PerceptualFeatures(foreign)
    with pytest.raises(WeightsError, match=r"broken\.safetensors cannot be read"):
        PerceptualFeatures(broken)


def test_a_widened_generator_draws_nearly_the_same_image_and_its_filters_can_part() -> None:
    torch.manual_seed(3)
    narrow = Generator(2).eval()
    o = torch.rand(1, 1, 3, 24, 24)
    wide = Generator(4).eval()
    wide.load_state_dict(widened(narrow.state_dict(), 4))
    with torch.no_grad():
        assert torch.nn.functional.mse_loss(wide(o), narrow(o)).sqrt() < 0.02 * narrow(o).std()
    first, copy = wide.convolutions[1].weight[0], wide.convolutions[1].weight[4]
    assert not torch.equal(first, copy)
    with pytest.raises(ValueError, match="cannot become one of 3"):
        widened(narrow.state_dict(), 3)
