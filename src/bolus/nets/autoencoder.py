"""An autoencoder of signal curves: the plain network that codes are compared with."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from bolus.nets.batches import Tensors, seeded
from bolus.nets.curve_augment import OtherProtocols
from bolus.nets.machine import Machine
from bolus.nets.physical_axis import AXIS
from bolus.nets.train import TrainSettings, train

_HIDDEN = 32
_CENTRE, _SPREAD = 0.8, 0.2
"""Of scaled curves, roughly; brings the input of the network to the order of 1."""
RECIPE = TrainSettings(epochs=16, batch_size=2048, learning_rate=5e-3, seed=1)
"""As that of the codes, with the rate that suits it."""


class CurveAutoencoder(nn.Module):
    """Curves (n, 60) and masks to a few numbers and back."""

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(2 * AXIS.points, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, latents)
        )
        self.decoder = nn.Sequential(
            nn.Linear(latents, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, AXIS.points)
        )

    def latent(self, values: Tensor, measured: Tensor) -> Tensor:
        """Return the numbers (n, latents) of curves and masks (n, 60)."""
        found: Tensor = self.encoder(torch.cat([(values - _CENTRE) / _SPREAD, measured], dim=1))
        return found

    def forward(self, values: Tensor, measured: Tensor) -> Tensor:
        """Return the curves that come back."""
        back: Tensor = self.decoder(self.latent(values, measured))
        return _CENTRE + _SPREAD * back


class AutoencoderTask:
    """Mean absolute error to the whole curve, from it and from what other protocols see of it."""

    def __init__(self, network: CurveAutoencoder) -> None:
        self.network = network
        self._others = OtherProtocols()

    def training_loss(self, batch: Tensors, random: torch.Generator) -> Mapping[str, Tensor]:
        """Return the loss."""
        values, measured = batch
        seen = self._others.seen(values, measured, random)
        return {"loss": _error(self.network(*seen), values, measured)}

    def validation_loss(self, batch: Tensors) -> Mapping[str, Tensor]:
        """Return the loss on curves as they were measured."""
        values, measured = batch
        return {"loss": _error(self.network(values, measured), values, measured)}


def fit_autoencoder(
    training: Tensors,
    validation: Tensors,
    *,
    latents: int = 6,
    recipe: TrainSettings = RECIPE,
    machine: Machine | None = None,
) -> CurveAutoencoder:
    """Train an autoencoder of curves.

    Args:
        training: of `curve_codes.gather_curves`.
        validation: of other patients.
        latents: numbers that a curve becomes.
        recipe: of the training.
        machine: where it runs.

    Assumes:
        As `fit_curve_codes`.

    Source:
        Clusters of an autoencoder's latents: Park et al., AJNR Am J Neuroradiol 2023;44:543.
    """
    with seeded(recipe.seed, "autoencoder"):
        network = CurveAutoencoder(latents)
    task = AutoencoderTask(network)
    done = train(task, training, validation, settings=recipe, machine=machine)
    assert isinstance(done.network, CurveAutoencoder)  # the task's own
    return done.network


def latents_of(network: CurveAutoencoder, values: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Return latents (n, latents) of curves and masks (n, 60)."""
    with torch.no_grad():
        pair = (torch.from_numpy(np.array(a, np.float32)) for a in (values, measured))
        return np.asarray(network.latent(*pair).numpy())


def _error(curves: Tensor, values: Tensor, measured: Tensor) -> Tensor:
    return ((curves - values).abs() * measured).sum() / measured.sum()
