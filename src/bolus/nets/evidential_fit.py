"""A small network fitted to the curves of one patient by physics, which says how sure it is.

No training set: the loss is what the model of the curves leaves over, and the network then learns
its own doubt from echoes. Those are curves that the model makes of kinetics as the network finds
them, with the noise it leaves over. Slow: a reference for what is quick.
"""

from dataclasses import asdict, dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from bolus.core.arrays import Curve, Curves
from bolus.errors import Code, InputError, MetadataError, QuantityError, TimingError
from bolus.metrics.calibration_of_intervals import conformal_reach
from bolus.metrics.coverage import LEVELS
from bolus.nets.batches import generator, seeded
from bolus.nets.evidential_physics import (
    PHYSICAL_MODELS,
    CurveTable,
    PhysicalModel,
)
from bolus.nets.machine import one_thread_count
from bolus.nets.pharmacokinetics import HEADS
from bolus.nets.schedules import cosine

_HEAD = HEADS["evidential"]
_CALIBRATED = 4000
"""Echoes, never learned from, that set how far intervals reach."""
_WINDOW = 9
"""Frames over which noise is taken as alike."""
_ARRIVED = 0.1
"""The artery has arrived where it is above this share of its peak."""
_RISE = 0.05
"""Share of the steps in which the learning rate rises."""
_LEAST_FRAMES = 12
_HERMITE, _HERMITE_WEIGHTS = np.polynomial.hermite_e.hermegauss(7)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidentialSettings:
    """How a case is fitted.

    `physics_steps` with the physics alone, then `steps` with echoes as well, whose weight rises
    over the first `ramp` of them while that of the physics falls to `physics_share`. Each step
    takes `batch` curves at most, and `echoes` echoes of each. Of the echoes the share `broad` is
    drawn from all that is possible before curves are seen: else what was found wrongly at first
    would never be doubted.

    Raises:
        MetadataError: a number is not positive, or a share is not one.
    """

    physics_steps: int = 300
    steps: int = 1700
    ramp: int = 300
    hidden: int = 64
    batch: int = 512
    echoes: int = 2
    learning_rate: float = 8e-3
    physics_share: float = 0.1
    broad: float = 0.3

    def __post_init__(self) -> None:
        counts = (self.physics_steps, self.steps, self.ramp, self.hidden, self.batch, self.echoes)
        shares = (self.physics_share, self.broad)
        if min(*counts, self.learning_rate) <= 0 or not all(0 <= x <= 1 for x in shares):
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"a fit that cannot be: {asdict(self)}",
                mend="give positive numbers, and shares between 0 and 1",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvidentialFit:
    """What the network says of curves (n,): columns are `names`, in the units of the model.

    `mean` is the expected value, `aleatoric` and `epistemic` are standard deviations: b / (a - 1)
    and b / (v (a - 1)) of the normal-inverse-gamma distribution. `residual_std` (n,) is what the
    model leaves over, in the unit of the curves. NaN where a curve is not finite, or flat.
    """

    names: tuple[str, ...]
    mean: Float[np.ndarray, "n p"]
    aleatoric: Float[np.ndarray, "n p"]
    epistemic: Float[np.ndarray, "n p"]
    soft_mean: Float[np.ndarray, "n p"]
    soft_std: Float[np.ndarray, "n p"]
    reach: Float[np.ndarray, "p levels"]
    residual_std: Float[np.ndarray, " n"]
    usable: Bool[np.ndarray, " n"]
    model: PhysicalModel

    @property
    def std(self) -> Float[np.ndarray, "n p"]:
        """Standard deviation, both kinds together."""
        return np.asarray(np.hypot(self.aleatoric, self.epistemic))

    def __getitem__(self, name: str) -> Float[np.ndarray, " n"]:
        return self.mean[:, self.names.index(name)]

    def interval(self, name: str, level: float = 0.9) -> Float[np.ndarray, "ends n"]:
        """Return the lower and upper ends (2, n) of the central interval of one parameter.

        Args:
            name: of `names`.
            level: of `metrics.coverage.LEVELS`.

        Raises:
            MetadataError: the level was not calibrated.
        """
        if level not in LEVELS:
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"intervals of the level {level:g} are not calibrated",
                mend="ask for one of " + ", ".join(f"{x:g}" for x in LEVELS),
            )
        at = self.names.index(name)
        far = self.reach[at, LEVELS.index(level)] * self.soft_std
        ends = [_natural(self.model, self.soft_mean + sign * far)[:, at] for sign in (-1, 1)]
        return np.stack(ends)


class _Network(nn.Module):
    """Curves (n, t) to the last layer (n, parameters, 4) of the evidential head."""

    def __init__(self, curves: Tensor, *, hidden: int, parameters: int) -> None:
        super().__init__()
        seen = _features(curves)
        self.usual, self.scale = seen.mean(dim=0), seen.std(dim=0).clamp_min(1e-3)
        last = nn.Linear(hidden, _HEAD.numbers * parameters)
        with torch.no_grad():
            last.weight.mul_(0.1)
        self.layers = nn.Sequential(
            nn.Linear(seen.shape[1], hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), last
        )

    def forward(self, curves: Tensor) -> Tensor:
        """Return the last layer."""
        seen = (_features(curves) - self.usual) / self.scale
        told: Tensor = self.layers(seen)
        return told.reshape(len(curves), -1, _HEAD.numbers)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Case:
    """What all steps of one fit share; `before` is the number of frames before the bolus."""

    model: PhysicalModel
    table: CurveTable
    settings: EvidentialSettings
    before: int
    random: torch.Generator

    def expected(self, soft: Tensor) -> Tensor:
        """Return the curves of soft parameters."""
        return self.model.curves(self.table, self.model.natural(soft))

    def told(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return soft mean and both variances (n, p, 2)."""
        centre, spread = self.model.column("centre"), self.model.column("spread")
        out = _HEAD.read(raw)
        return centre + spread * out[..., 0], out[..., 1:] * spread[:, None] ** 2

    def standardised(self, soft: Tensor) -> Tensor:
        """Return soft parameters in units of what is likely before curves are seen."""
        return (soft - self.model.column("centre")) / self.model.column("spread")

    def echoes(self, raw: Tensor, residual: Tensor) -> tuple[Tensor, Tensor]:
        """Return new curves and their soft parameters, drawn from what the network says."""
        count = self.settings.echoes
        mean, variance = self.told(raw)
        std = variance.sum(dim=-1).sqrt().repeat(count, 1)
        broad = torch.rand(len(std), 1, generator=self.random) < self.settings.broad
        drawn = torch.randn(std.shape, generator=self.random)
        known = mean.repeat(count, 1) + std * drawn
        likely = self.model.column("centre") + self.model.column("spread") * drawn
        low, high = self.model.column("low"), self.model.column("high")
        soft = torch.where(broad, likely, known).clamp(low, high)
        noise = self._noise(residual).repeat(count, 1)
        noise = noise * torch.randn(noise.shape, generator=self.random)
        most = torch.randint(0, self.before + 1, (len(noise), 1), generator=self.random)
        first = torch.arange(noise.shape[1]) < most  # from whose mean the curve was measured
        mean = (noise * first).sum(dim=1, keepdim=True) / most.clamp_min(1)
        noise = noise - mean
        values = self.model.derived(self.model.natural(soft))
        return self.expected(soft) + noise, self.model.soft(values)

    def _noise(self, residual: Tensor) -> Tensor:
        """Return the standard deviation of noise (n, t): residuals about each frame."""
        half, frames = _WINDOW // 2, residual.shape[1]
        padded = nn.functional.pad(residual[:, None] ** 2, (half, half), mode="reflect")
        about = nn.functional.avg_pool1d(padded, _WINDOW, stride=1)[:, 0]
        return (about * frames / (frames - self.model.free)).sqrt()


@one_thread_count(1)
def evidential_fit(
    tissue: Curves,
    arterial: Curve,
    *,
    seconds: Curve,
    seed: int,
    model: str = "extended_tofts",
    arterial_seconds: Curve | None = None,
    settings: EvidentialSettings | None = None,
) -> EvidentialFit:
    """Fit the curves of one case, with intervals: physics is all that is learned from.

    Args:
        tissue: (n, t) curves of one patient; concentrations [mM] (DCE), or in any unit that the
            artery has as well (DSC). Some hundred or more: they share the network.
        arterial: of the artery, in the same unit.
        seconds: times of the tissue [s].
        seed: decides everything.
        model: of `evidential_physics.PHYSICAL_MODELS`.
        arterial_seconds: times of the artery [s]; None if they are those of the tissue.
        settings: of the fit.

    Raises:
        InputError: the model is not known.
        TimingError: times and curves do not match, or there are fewer than 12 frames.
        QuantityError: the artery is not finite or never positive, or no curve is usable.

    Assumes:
        The model is right, and so is the artery. Noise is independent between frames, but for
        the mean of the first ones, none to all before the bolus, which curves were measured from.

    Source:
        The evidential loss: Amini et al., NeurIPS 2020, arXiv 1910.02600. Evidence and a physics
        residual in a fit of one case: Lee et al., 2026, arXiv 2603.09359, where the evidence is
        of the residual, and coordinates are looked up in a hash grid. Evidence of the parameters
        by echoes is ours; it is a simulation-based inference (Cranmer et al., Proc Natl Acad Sci
        117 (2020) 30055) whose prior is what the case itself shows.
    """
    if model not in PHYSICAL_MODELS:
        raise InputError(
            Code.ARGUMENT_INVALID,
            f"no physical model is called {model!r}",
            mend="name one of " + ", ".join(PHYSICAL_MODELS),
        )
    times, artery = (np.ascontiguousarray(x, np.float64) for x in (seconds, arterial))
    own = times if arterial_seconds is None else np.ascontiguousarray(arterial_seconds, np.float64)
    _require(tissue, artery, times, own)
    usable = np.isfinite(tissue).all(axis=1) & (np.ptp(tissue, axis=1) > 0)
    if not usable.any():
        raise QuantityError(
            Code.QUANTITY_WRONG,
            "no curve is finite and varies",
            mend="give curves with a bolus",
        )
    scale = float(np.abs(tissue[usable]).max(axis=1).mean())
    curves = torch.from_numpy((tissue[usable] / scale).astype(np.float32))
    chosen = settings or EvidentialSettings()
    came = float(own[int(np.argmax(artery > _ARRIVED * artery.max()))])
    case = _Case(
        model=PHYSICAL_MODELS[model], settings=chosen,
        table=PHYSICAL_MODELS[model].table(artery / scale, times, own),
        before=int(np.count_nonzero(times < came)),
        random=generator(seed, "evidential fit"),
    )  # fmt: skip
    with seeded(seed, "evidential fit"):
        network = _Network(curves, hidden=chosen.hidden, parameters=len(case.model.parameters))
    _learn(network, curves, case)
    return _read(network, curves, case, usable, scale)


def _require(tissue: Curves, arterial: Curve, seconds: Curve, own: Curve) -> None:
    rising = all(np.all(np.diff(x) > 0) for x in (seconds, own))
    if (
        tissue.ndim != 2
        or tissue.shape[1] != len(seconds)
        or len(arterial) != len(own)
        or not rising
        or min(len(seconds), len(own)) < _LEAST_FRAMES
    ):
        raise TimingError(
            Code.ARGUMENT_INVALID,
            f"curves {tissue.shape} and an artery of {len(arterial)} frames for "
            f"{len(seconds)} and {len(own)} times",
            mend=f"give {_LEAST_FRAMES} increasing times or more, one for each frame",
        )
    if not np.isfinite(arterial).all() or not np.max(arterial) > 0:
        raise QuantityError(
            Code.QUANTITY_WRONG,
            "the artery is not finite, or never above zero",
            mend="choose another artery",
        )


def _learn(network: _Network, curves: Tensor, case: _Case) -> None:
    """Fit the network: first by physics, then by physics and echoes."""
    given = case.settings
    total = given.physics_steps + given.steps
    optimiser = torch.optim.Adam(network.parameters(), lr=given.learning_rate)
    for step in range(total):
        share = (step + 1) / total
        for group in optimiser.param_groups:
            group["lr"] = given.learning_rate * min(share / _RISE, cosine(share))
        taught = min(max((step - given.physics_steps) / given.ramp, 0.0), 1.0)
        some = curves
        if len(curves) > given.batch:
            some = curves[torch.randperm(len(curves), generator=case.random)[: given.batch]]
        raw = network(some)
        soft, residual = _left_over(raw, some, case)
        loss = (1 - taught * (1 - given.physics_share)) * _physics_loss(soft, residual, case)
        if taught > 0:
            with torch.no_grad():
                again, truth = case.echoes(raw, residual)
            evidence = _HEAD.loss(network(again), case.standardised(truth))
            loss = loss + taught * evidence.mean()
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()


def _left_over(raw: Tensor, curves: Tensor, case: _Case) -> tuple[Tensor, Tensor]:
    """Return the soft means, and what their curves leave over."""
    soft = case.told(raw)[0]
    return soft, curves - case.expected(soft)


def _physics_loss(soft: Tensor, residual: Tensor, case: _Case) -> Tensor:
    """Return the negative log posterior of a frame: noise of each curve unknown and white."""
    frames = residual.shape[1]
    square = torch.log((residual**2).sum(dim=1) + 1e-10)
    held = 0.5 * (case.standardised(soft)[:, : case.model.free] ** 2).sum(dim=1)
    return (0.5 * square + held / frames).mean()


def _features(curves: Tensor) -> Tensor:
    """Return shape, height over noise, size and noise of curves: what the network sees."""
    bend = curves[:, 2:] - 2 * curves[:, 1:-1] + curves[:, :-2]
    noise = bend.abs().median(dim=1).values[:, None] + 1e-6
    size = curves.norm(dim=1, keepdim=True) + 1e-6
    shape = curves / size * curves.shape[1] ** 0.5
    return torch.cat([shape, torch.asinh(curves / noise), size.log(), noise.log()], dim=1)


def _read(
    network: _Network, curves: Tensor, case: _Case, usable: np.ndarray, scale: float
) -> EvidentialFit:
    """Return what the network says of all curves, calibrated on echoes of its own."""
    with torch.no_grad():
        raw = network(curves)
        mean, variance = case.told(raw)
        residual = _left_over(raw, curves, case)[1]
        reach = _reach(network, raw, residual, case)
    soft, parts = mean.numpy().astype(np.float64), variance.numpy().astype(np.float64)
    std = np.sqrt(parts.sum(axis=-1))
    points = np.stack([_natural(case.model, soft + x * std) for x in _HERMITE])
    weight = (_HERMITE_WEIGHTS / _HERMITE_WEIGHTS.sum())[:, None, None]
    expected = (weight * points).sum(axis=0)
    spread = np.sqrt((weight * (points - expected) ** 2).sum(axis=0))
    share = np.sqrt(parts / parts.sum(axis=-1, keepdims=True))
    free = residual.shape[1] - case.model.free
    left = scale * np.sqrt((residual.numpy().astype(np.float64) ** 2).sum(axis=1) / free)

    def whole(values: np.ndarray) -> np.ndarray:
        found = np.full((len(usable), *values.shape[1:]), np.nan)
        found[usable] = values
        return found

    return EvidentialFit(
        names=case.model.names, mean=whole(expected), aleatoric=whole(spread * share[..., 0]),
        epistemic=whole(spread * share[..., 1]), soft_mean=whole(soft), soft_std=whole(std),
        reach=reach, residual_std=whole(left), usable=usable, model=case.model,
    )  # fmt: skip


def _reach(network: _Network, raw: Tensor, residual: Tensor, case: _Case) -> np.ndarray:
    """Return how many standard deviations intervals reach, by echoes that were not learned."""
    rounds = -(-_CALIBRATED // (len(raw) * case.settings.echoes))
    drawn = [case.echoes(raw, residual) for _ in range(rounds)]
    truth = torch.cat([soft for _, soft in drawn]).numpy().astype(np.float64)
    told = [case.told(network(curves)) for curves, _ in drawn]
    mean = torch.cat([m for m, _ in told]).numpy().astype(np.float64)
    std = torch.cat([v for _, v in told]).sum(dim=-1).sqrt().numpy().astype(np.float64)
    return np.stack([
        conformal_reach(truth[:, at], mean[:, at], std[:, at], levels=LEVELS)
        for at in range(truth.shape[1])
    ])  # fmt: skip


def _natural(model: PhysicalModel, soft: np.ndarray) -> np.ndarray:
    """Return parameters (n, p) in their units, of soft ones."""
    return model.natural(torch.from_numpy(soft)).numpy()
