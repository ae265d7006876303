"""The published design: a conditional Wasserstein GAN on spectrograms of arterial curves.

Generator and critic are trained at once by one optimiser: each part of the loss has gradients
for one of them only, and Adam keeps every parameter apart, so this is the alternation of the
paper with one step each. Where it departs from the published code: groups are normalised in the
critic, not batches (a gradient penalty is one per example); patients are split once, without
replacement; the epoch is chosen by patients of its own; the learning rate falls.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from bolus.errors import Code, QuantityError
from bolus.nets.aif_input import AifCurves
from bolus.nets.aif_spectrogram import (
    IMAGE,
    from_images,
    input_images,
    sample_times,
    sampled,
    to_images,
)
from bolus.nets.batches import Tensors, seeded
from bolus.nets.machine import Machine, one_thread_count
from bolus.nets.train import EpochRow, Trained, TrainSettings, train

RECIPE_WGAN = TrainSettings(
    epochs=150, batch_size=64, learning_rate=2e-4, patience=150, clip=0.0, seed=1
)
PLASMA_SHARE = 0.55
"""1 minus the haematocrit of 0.45 that is assumed of every patient."""
_PENALTY = 10.0
_NOISE = 0.2
"""Standard deviation in the units of the images."""
_SLOPE = 0.2
_WIDTHS = (16, 32, 64, 128)
_GROUPS = 8
_FEWEST = 50


class Generator(nn.Module):
    """A small convolutional autoencoder of images."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(IMAGE[0], 16, 3, padding=1), nn.ELU(),
            nn.Conv2d(16, 32, 3, padding=1), nn.ELU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 32, 3, padding=1), nn.ELU(),
            nn.Conv2d(32, 16, 3, padding=1), nn.ELU(),
            nn.Upsample(scale_factor=2), nn.Conv2d(16, IMAGE[0], 3, padding=1),
        )  # fmt: skip

    def forward(self, image: Tensor) -> Tensor:
        """Return the image (n, 2, 8, 10) of the translated curve."""
        made: Tensor = self.layers(image)
        return made


class Critic(nn.Module):
    """Strided convolutions that score a curve beside the measured one."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 2 * IMAGE[0]
        for number, width in enumerate(_WIDTHS):
            layers.append(nn.Conv2d(before, width, 3, 2, 1))
            if number:
                layers.append(nn.GroupNorm(_GROUPS, width))
            layers.append(nn.LeakyReLU(_SLOPE))
            before = width
        self.layers = nn.Sequential(*layers, nn.Conv2d(before, 1, 1))

    def forward(self, made: Tensor, image: Tensor) -> Tensor:
        """Return one score (n,) each."""
        score: Tensor = self.layers(torch.cat([made, image], dim=1))
        return score.flatten(1).mean(1)


class SpectrogramGan(nn.Module):
    """Both networks; only the generator is used after training."""

    def __init__(self) -> None:
        super().__init__()
        self.generator, self.critic = Generator(), Critic()

    def forward(self, image: Tensor) -> Tensor:
        """Return the translated image."""
        made: Tensor = self.generator(image)
        return made


class GanTask:
    """Wasserstein distance with gradient penalty, and mean absolute error times a weight.

    The paper's weight is 1. A critic whose gradient has length 1 then moves each number of an
    image twelve times as far as the mean error does, whatever their unit.
    """

    def __init__(self, network: SpectrogramGan, *, error_weight: float = 1.0) -> None:
        self.network: nn.Module = network
        self._gan, self._weight = network, error_weight

    def training_loss(self, batch: Tensors, random: torch.Generator) -> Mapping[str, Tensor]:
        """Return the sum of both losses, and each; the same noise is on input and truth."""
        image, truth = batch
        noise = _NOISE * torch.randn(image.shape, generator=random, device=image.device)
        back = torch.rand(len(image), 1, 1, 1, generator=random, device=image.device) < 0.5
        image, truth = (torch.where(back, x.flip(-1), x) for x in (image + noise, truth + noise))
        made = self._gan.generator(image)
        critic = self._gan.critic
        apart = critic(made.detach(), image).mean() - critic(truth, image).mean()
        penalty = self._penalty(made.detach(), truth, image, random)
        held = {name: value.detach() for name, value in critic.named_parameters()}
        fooled = -functional_call(critic, held, (made, image)).mean()
        error = (made - truth).abs().mean()
        loss = apart + _PENALTY * penalty + fooled + self._weight * error
        return {"loss": loss, "distance": -apart.detach(), "error": error.detach()}

    def validation_loss(self, batch: Tensors) -> Mapping[str, Tensor]:
        """Return the mean absolute error."""
        image, truth = batch
        return {"loss": (self.network(image) - truth).abs().mean()}

    def _penalty(
        self, made: Tensor, truth: Tensor, image: Tensor, random: torch.Generator
    ) -> Tensor:
        """Return how far the critic's gradient between both is from a length of 1."""
        share = torch.rand(len(image), 1, 1, 1, generator=random, device=image.device)
        between = (share * truth + (1 - share) * made).requires_grad_()
        score = self._gan.critic(between, image).sum()
        (gradient,) = torch.autograd.grad(score, between, create_graph=True)
        length = gradient.flatten(1).square().sum(1).add(1e-12).sqrt()
        return (length - 1).square().mean()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpectrogramTranslator:
    """A trained generator and how it got there."""

    network: SpectrogramGan
    trained: Trained

    @one_thread_count(1)
    def __call__(
        self, curve: AifCurves
    ) -> tuple[Float[np.ndarray, " 60"], Float[np.ndarray, " 60"]]:
        """Return times [s] and plasma concentration [mM], 4 s apart."""
        with torch.inference_mode():
            made = self.network(input_images([curve], plasma_share=PLASMA_SHARE))
        return sample_times(curve.rise_s), from_images(made)[0]


def fit_spectrogram(
    training: tuple[Sequence[AifCurves], Sequence[tuple[np.ndarray, np.ndarray]]],
    validation: tuple[Sequence[AifCurves], Sequence[tuple[np.ndarray, np.ndarray]]],
    *,
    error_weight: float = 1.0,
    recipe: TrainSettings = RECIPE_WGAN,
    machine: Machine | None = None,
    on_epoch: Callable[[EpochRow], None] | None = None,
) -> SpectrogramTranslator:
    """Fit the published design to pairs of measured and true arterial curves.

    Args:
        training: measured curves, and of each the plasma curve [mM] and its times [s].
        validation: of other patients.
        error_weight: of the mean absolute error; the paper's is 1.
        recipe: of the training; its seed decides everything.
        machine: where it runs.
        on_epoch: told about every epoch.

    Raises:
        QuantityError: fewer than 50 curves in either part.

    Assumes:
        Patients of training and validation are disjoint.

    Source:
        Choi et al., Radiology 2020;297:178, doi 10.1148/radiol.2020192763; the loss: Gulrajani et
        al., NIPS 2017 (arXiv 1704.00028); normalised groups: Wu and He, ECCV 2018
        (arXiv 1803.08494).
    """
    parts = [_pairs(*part) for part in (training, validation)]
    with seeded(recipe.seed, "aif", "spectrogram"):
        network = SpectrogramGan()
    done = train(
        GanTask(network, error_weight=error_weight), *parts,
        settings=recipe, machine=machine or Machine(), on_epoch=on_epoch,
        about={"error_weight": error_weight},
    )  # fmt: skip
    return SpectrogramTranslator(network=network, trained=done)


def _pairs(curves: Sequence[AifCurves], truth: Sequence[tuple[np.ndarray, np.ndarray]]) -> Tensors:
    if len(curves) < _FEWEST:
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"{len(curves)} arterial curves to learn from",
            mend=f"give at least {_FEWEST} for training and for validation",
        )
    rows = [
        sampled(values, seconds, rise_s=curve.rise_s)
        for curve, (values, seconds) in zip(curves, truth, strict=True)
    ]
    return input_images(list(curves), plasma_share=PLASMA_SHARE), to_images(np.array(rows))
