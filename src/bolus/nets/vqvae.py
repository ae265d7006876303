"""A VQ-VAE of signal curves: a few codes at each of a few places, together one habitat.

The joint states are few, so all of them are decoded at every step. The expected reconstruction
error over states is then exact and has a gradient: nothing passes straight through.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from bolus.errors import Code, MetadataError
from bolus.nets.batches import seeded
from bolus.nets.curve_augment import OtherProtocols, draw
from bolus.nets.physical_axis import AXIS

MOST_STATES = 64
_MISSING = 2.0
"""Stands for values that were not measured; above all curves."""
_GENTLE = 0.1
"""Factor of the decoder's output, so that steps that suit the encoder do not shake the curves."""
_TIE = 0.1
"""States whose errors differ by this share of the typical one are mixed."""
_MASK_PARTS = 12
"""The mask is seen as the measured share of so many parts of the axis."""
_LEAST_VARIANCE = 1e-8
_LOOKS = 3
"""Other protocols that a validation looks through."""
_START_STEPS = 500
_START_RATE = 1e-2


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeSettings:
    """Size of the network and weights of its losses.

    `positions` places with `codes_each` codes of `dimension` numbers give codes_each ** positions
    joint states. `hidden` and `decoder_hidden` are widths. `commitment` weighs the distance of
    the latent to its code, `nearest` the likelihood of the state that fits the whole curve best.
    `components` is the number of principal components of the curves that the encoder sees.
    `softness` is the squared distance at which another code is e times less likely.
    `dead_share` is the share of curves below which a code is started again. `augment`: half of
    every batch is seen as another protocol would have measured it.

    Raises:
        MetadataError: fewer than 2 or more than 64 joint states, or a width below 1.
    """

    positions: int = 3
    codes_each: int = 2
    dimension: int = 2
    components: int = 8
    hidden: int = 64
    decoder_hidden: int = 32
    commitment: float = 0.01
    nearest: float = 1.0
    softness: float = 1.0
    dead_share: float = 1e-3
    augment: bool = True

    def __post_init__(self) -> None:
        widths = (self.positions, self.dimension, self.components, self.hidden, self.decoder_hidden)
        if min(widths) < 1 or not 2 <= self.codes_each**self.positions <= MOST_STATES:
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"{self.positions} positions of {self.codes_each} codes, widths {widths[1:]}",
                mend=f"choose 2 to {MOST_STATES} joint states, and widths of 1 or more",
            )

    @property
    def states(self) -> int:
        """Number of joint states."""
        return int(self.codes_each**self.positions)


class CurveVqvae(nn.Module):
    """Encoder, codebooks and decoder.

    The encoder compares a curve with those of all joint states, over what was measured: the codes
    of the best states, averaged, are a first latent. What a small network adds to it is learned.
    It sees that comparison, the principal components of the training's curves (`centre` (points,)
    and `axes` (points, components)), and which times were measured. `scale` is a typical error.
    `codebooks` (positions, codes, dimension); `states` (n, positions) the code of each state at
    each position, neighbours in the list one code apart; `rank` (n,) the order of the states by
    the drop of their curves, largest first.
    """

    def __init__(self, settings: CodeSettings) -> None:
        super().__init__()
        points, width = AXIS.points, settings.positions * settings.dimension
        self.settings = settings
        self.encoder = nn.Sequential(
            nn.Linear(settings.states + settings.components + _MASK_PARTS, settings.hidden),
            nn.ReLU(),
            nn.Linear(settings.hidden, settings.hidden),
            nn.ReLU(),
            nn.Linear(settings.hidden, width),
        )
        self.decoder = nn.Sequential(
            nn.Linear(width, settings.decoder_hidden),
            nn.ReLU(),
            nn.Linear(settings.decoder_hidden, points),
        )
        line = 2.0 * torch.arange(settings.codes_each) - (settings.codes_each - 1)
        books = line[None, :, None].expand(settings.positions, -1, settings.dimension)
        self.codebooks = nn.Parameter(books.clone())
        last = self.encoder[-1]
        assert isinstance(last, nn.Linear)  # as built above
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.states: Tensor
        self.rank: Tensor
        self.centre: Tensor
        self.axes: Tensor
        self.scale: Tensor
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("centre", torch.zeros(points))
        self.register_buffer("axes", torch.zeros(points, settings.components))
        self.register_buffer("states", neighbouring_states(settings))
        self.register_buffer("rank", torch.arange(settings.states))

    def latent(self, values: Tensor, measured: Tensor) -> Tensor:
        """Return (n, positions, dimension) of curves (n, points) and masks (n, points) of 1."""
        with torch.no_grad():
            errors = errors_of_states(values, measured, self.curves())
            alike = torch.softmax(-errors / (_TIE * self.scale), 1)
            first = alike @ self.state_codes()
        width = measured.shape[1] // _MASK_PARTS
        parts = measured.view(-1, _MASK_PARTS, width).mean(2)
        seen = torch.cat([alike, (values - self.centre) @ self.axes, parts], dim=1)
        learned: Tensor = self.encoder(seen)
        shape = (-1, self.settings.positions, self.settings.dimension)
        return (first + learned).view(shape)

    def code_distances(self, latent: Tensor) -> Tensor:
        """Return squared distances (n, positions, codes) to all codes."""
        return (latent[:, :, None] - self.codebooks).square().sum(-1)

    def state_distances(self, by_code: Tensor) -> Tensor:
        """Return squared distances (n, states) to all joint states."""
        places = range(self.settings.positions)
        return torch.stack([by_code[:, p, self.states[:, p]] for p in places]).sum(0)

    def state_codes(self) -> Tensor:
        """Return the codes of every joint state side by side (states, positions x dimension)."""
        places = range(self.settings.positions)
        return torch.cat([self.codebooks[p, self.states[:, p]] for p in places], dim=1)

    def curves(self) -> Tensor:
        """Return the curve (states, points) of every joint state."""
        decoded: Tensor = self.decoder(self.state_codes())
        return self.centre + _GENTLE * decoded

    def forward(self, values: Tensor, measured: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return number by drop (n,) from 0, latent (n, positions x dimension) and curve."""
        latent = self.latent(values, measured)
        state = self.state_distances(self.code_distances(latent)).argmin(1)
        return self.rank[state], latent.flatten(1), self.curves()[state]


def neighbouring_states(settings: CodeSettings) -> Tensor:
    """Return all joint states (n, positions), each one step of one code from the one before.

    The reflected Gray code: where neighbouring states share a border in curves, only one position
    has to change there.
    """
    states: list[tuple[int, ...]] = [()]
    for _ in range(settings.positions):
        states = [
            (code, *rest)
            for code in range(settings.codes_each)
            for rest in (states if code % 2 == 0 else states[::-1])
        ]
    return torch.tensor(states)


def start_network(
    settings: CodeSettings, values: np.ndarray, centres: np.ndarray, *, seed: int
) -> CurveVqvae:
    """Return a network that sees principal components and decodes the curves of clusters.

    Args:
        settings: of the network.
        values: curves (n, points) of the training, for the components, each scaled to variance 1.
        centres: curves (states, points), largest drop first.
        seed: of the weights.
    """
    with seeded(seed, "curve codes"):
        network = CurveVqvae(settings)
    wanted = torch.as_tensor(np.array(centres, np.float32))
    spread, axes = np.linalg.eigh(np.cov(values, rowvar=False))
    kept = slice(-1, -settings.components - 1, -1)
    with torch.no_grad():
        network.centre.copy_(torch.from_numpy(values.mean(axis=0)))
        scaled = axes[:, kept] / np.sqrt(np.maximum(spread[kept], _LEAST_VARIANCE))
        network.axes.copy_(torch.from_numpy(scaled))
    steps = torch.optim.Adam(network.decoder.parameters(), lr=_START_RATE)
    for _ in range(_START_STEPS):
        steps.zero_grad()
        (network.curves() - wanted).square().mean().backward()  # type: ignore[no-untyped-call]
        steps.step()
    return network


def errors_of_states(values: Tensor, measured: Tensor, curves: Tensor) -> Tensor:
    """Return mean absolute errors (n, states) over the measured points of each curve.

    A point that was not measured is put far above all curves; what that adds is known and is
    taken off, which is several times quicker than a mask on (n, states, points).
    """
    far = torch.where(measured > 0, values, _MISSING)
    missing = 1 - measured
    added = _MISSING * missing.sum(1, keepdim=True) - missing @ curves.T
    if torch.compiler.is_compiling():  # ONNX has no such distance
        apart = (far[:, None] - curves).abs().sum(2)
    else:
        apart = torch.cdist(far, curves, p=1.0)
    return (apart - added) / measured.sum(1, keepdim=True)


class CodesTask:
    """How the network learns; a `Task` of `nets.train`.

    Batches are (values, measured), both (n, points).
    """

    def __init__(self, network: CurveVqvae) -> None:
        self.network = network
        self._others = OtherProtocols()
        self._used = torch.zeros(network.codebooks.shape[:2])
        self._worst = torch.zeros(0)

    def training_loss(
        self, batch: tuple[Tensor, ...], random: torch.Generator
    ) -> Mapping[str, Tensor]:
        """Return the loss and its parts."""
        values, measured = batch
        network, settings = self.network, self.network.settings
        seen = self._others.seen(values, measured, random) if settings.augment else batch
        latent = network.latent(*seen)
        by_code = network.code_distances(latent)
        logits = -network.state_distances(by_code) / settings.softness
        errors = errors_of_states(values, measured, network.curves())
        fixed = errors.detach()
        # The decoder follows the best states, not those of an encoder that has yet to learn.
        reconstruction = errors.min(1).values.mean()
        expected = (torch.softmax(logits, 1) * fixed).sum(1).mean()
        nearest = nn.functional.cross_entropy(logits, fixed.argmin(1))
        commitment = by_code.min(2).values.sum(1).mean()
        self._watch(by_code.detach(), latent.detach(), fixed)
        loss = (reconstruction + expected) / network.scale
        loss = loss + settings.nearest * nearest + settings.commitment * commitment
        return {
            "loss": loss,
            "expected_error": expected.detach(),
            "nearest": nearest.detach(),
            "commitment": commitment.detach(),
        }

    def validation_loss(self, batch: tuple[Tensor, ...]) -> Mapping[str, Tensor]:
        """Return the reconstruction error of the chosen states, and their perplexity.

        Half of the loss is that of curves as other protocols would have measured them.
        """
        values, measured = batch
        number, _, curves = self.network(values, measured)
        plain = _mean_error(curves, values, measured)
        losses = {"loss": plain, "error": plain}
        if self.network.settings.augment:
            seen = [other.apply(values, measured) for other in self._others.some(_LOOKS)]
            others = [_mean_error(self.network(*one)[2], values, measured) for one in seen]
            losses["loss"] = (plain + torch.stack(others).mean()) / 2
        shares = torch.bincount(number, minlength=self.network.settings.states) / len(number)
        return losses | {"perplexity": perplexity(shares)}

    def after_epoch(self, epoch: int, random: torch.Generator) -> None:
        """Move codes that no curve has to the latents of curves that fit worst."""
        del epoch
        total = self._used.sum(1, keepdim=True)
        dead = self._used < self.network.settings.dead_share * total
        for position, code in dead.nonzero().tolist():
            chosen = draw(len(self._worst), 1, random)[0]
            with torch.no_grad():
                self.network.codebooks[position, code] = self._worst[chosen, position]
        self._used.zero_()

    def _watch(self, by_code: Tensor, latent: Tensor, errors: Tensor) -> None:
        codes = self.network.settings.codes_each
        chosen = by_code.argmin(2)
        used = torch.stack([torch.bincount(one, minlength=codes) for one in chosen.T])
        self._used += used.to(self._used)
        worst = errors.min(1).values.topk(min(16, len(errors))).indices
        self._worst = latent[worst]


def _mean_error(curves: Tensor, values: Tensor, measured: Tensor) -> Tensor:
    return (((curves - values).abs() * measured).sum(1) / measured.sum(1)).mean()


def perplexity(shares: Tensor) -> Tensor:
    """Return exp(entropy) of shares: how many codes are in use, were they used equally."""
    return torch.exp(torch.special.entr(shares).sum())
