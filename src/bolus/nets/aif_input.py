"""An arterial curve of any frames as a network sees it: aligned to its half rise, in logarithms."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from bolus.core.arrays import read_only
from bolus.errors import Code, QuantityError, TimingError
from bolus.nets.batches import Tensors
from bolus.quantify.enhancement import half_rise_s

AXIS_S = np.concatenate(
    [np.arange(-12.0, 48.0, 1.5), np.arange(48.0, 120.0, 6.0), np.arange(120.0, 381.0, 20.0)]
)
"""Seconds from the half rise: as fine as DSC in the first pass, coarse where nothing is fast."""
POINTS = len(AXIS_S)
CHANNELS, SCALARS = 5, 4
WINDOWS = 11
SUMMARIES = 2 * WINDOWS + 2
_EDGES_S = np.concatenate([[AXIS_S[0] - 0.75], (AXIS_S[1:] + AXIS_S[:-1]) / 2, [AXIS_S[-1] + 10.0]])
_SMALL_MM = 0.25
"""Concentration [mM] from which on a curve counts by its logarithm."""
_FEWEST = 8
_DOSE = 0.1
_HALF = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AifCurves:
    """What was measured: concentration in whole blood [mM] (t,) at `seconds` (t,), baseline 0.

    `vein` is that of a large vein in the same frames, None where there is none; `dose_mmol_per_kg`
    None where it is not known.

    Raises:
        QuantityError: a curve is not finite, does not rise, or has another length.
        TimingError: fewer than eight frames, or times that do not increase.
    """

    artery: Float[np.ndarray, " t"]
    seconds: Float[np.ndarray, " t"]
    vein: Float[np.ndarray, " t"] | None = None
    dose_mmol_per_kg: float | None = None

    def __post_init__(self) -> None:
        seconds = np.asarray(self.seconds, np.float64)
        curves = [self.artery] if self.vein is None else [self.artery, self.vein]
        held = [np.asarray(curve, np.float64) for curve in curves]
        if seconds.ndim != 1 or len(seconds) < _FEWEST or not (np.diff(seconds) > 0).all():
            raise TimingError(
                Code.TIME_INVALID,
                f"{seconds.size} times for an arterial curve",
                mend=f"give at least {_FEWEST} increasing times in seconds",
            )
        if any(c.shape != seconds.shape or not np.isfinite(c).all() for c in held) or not (
            held[0].max() > 0
        ):
            raise QuantityError(
                Code.QUANTITY_WRONG,
                "the arterial or venous curve is not finite, does not rise, or has another length "
                "than its times",
                mend="give concentrations in mM, one for each time",
            )
        object.__setattr__(self, "seconds", read_only(seconds))
        object.__setattr__(self, "artery", read_only(held[0]))
        if self.vein is not None:
            object.__setattr__(self, "vein", read_only(held[1]))

    @property
    def rise_s(self) -> float:
        """When the artery is half risen [s]: point 0 of the axis."""
        return float(half_rise_s(self.artery[None], self.seconds)[0])

    @property
    def interval_s(self) -> float:
        """Usual time between frames [s]."""
        return float(np.median(np.diff(self.seconds)))


def to_scale(mmolar: np.ndarray) -> np.ndarray:
    """Return concentrations [mM] as the networks see them; 0 stays 0.

    Example:
        >>> to_scale(np.array([-0.25, 0.0, 7.75])).round(3).tolist()
        [-0.693, 0.0, 3.466]
    """
    return np.asarray(np.sign(mmolar) * np.log1p(np.abs(mmolar) / _SMALL_MM))


def from_scale(values: np.ndarray) -> np.ndarray:
    """Return concentrations [mM] from what networks say; nothing is negative.

    Example:
        >>> from_scale(to_scale(np.array([0.0, 5.0]))).round(6).tolist()
        [0.0, 5.0]
    """
    return np.asarray(_SMALL_MM * np.expm1(np.maximum(values, 0.0)))


def aif_inputs(curves: Sequence[AifCurves]) -> Tensors:
    """Return channels (n, 5, points) and scalars (n, 4), float32.

    Channels: artery, vein, which times of each were measured, and how near a frame is. Scalars:
    the logarithms of interval and baseline noise, the dose and whether it is known.

    Args:
        curves: measured.
    """
    channels = np.zeros((len(curves), CHANNELS, POINTS), np.float32)
    scalars = np.zeros((len(curves), SCALARS), np.float32)
    for row, numbers, curve in zip(channels, scalars, curves, strict=True):
        place_s = curve.seconds - curve.rise_s
        known = (place_s[0] <= AXIS_S) & (place_s[-1] >= AXIS_S)
        row[0] = np.where(known, to_scale(_averaged(curve.artery, place_s)), 0.0)
        row[2] = known
        if curve.vein is not None:
            row[1] = np.where(known, to_scale(_averaged(curve.vein, place_s)), 0.0)
            row[3] = known
        off = np.abs(AXIS_S[:, None] - place_s[None]).min(axis=1) / curve.interval_s
        row[4] = np.where(known, 1 - np.minimum(off, _HALF) / _HALF, 0.0)
        before = curve.artery[place_s < -2 * curve.interval_s]
        noise = float(before.std()) if len(before) > 1 else 0.0
        numbers[0] = np.log(curve.interval_s / 4.0)
        numbers[1] = np.log(max(noise, 1e-3)) / 3
        if curve.dose_mmol_per_kg is not None:
            numbers[2:] = curve.dose_mmol_per_kg / _DOSE, 1.0
    return torch.from_numpy(channels), torch.from_numpy(scalars)


def aif_targets(
    curves: Sequence[AifCurves], plasma: Sequence[tuple[np.ndarray, np.ndarray]]
) -> torch.Tensor:
    """Return true plasma curves (n, points), float32, on the scale and the axis of their inputs.

    Args:
        curves: measured.
        plasma: of each its plasma concentration [mM] and the times [s] of it, on the same clock.
    """
    found = np.zeros((len(curves), POINTS), np.float32)
    for row, curve, (values, seconds) in zip(found, curves, plasma, strict=True):
        row[:] = to_scale(np.interp(AXIS_S + curve.rise_s, seconds, values))
    return torch.from_numpy(found)


def aif_summaries(channels: torch.Tensor, scalars: torch.Tensor) -> Float[np.ndarray, "n s"]:
    """Return what arterial curves are compared by; NaN where most of a window was not measured.

    Args:
        channels: of `aif_inputs`.
        scalars: of `aif_inputs`.
    """
    held, numbers = channels.numpy().astype(float), scalars.numpy().astype(float)
    windows = held.reshape(len(held), CHANNELS, WINDOWS, -1)
    known = windows[:, 2:4].sum(axis=3)
    total = windows[:, :2].sum(axis=3)
    enough = known >= windows.shape[3] / 2
    means = np.where(enough, total / np.maximum(known, 1), np.nan)
    return np.concatenate([means.reshape(len(held), -1), numbers[:, :2]], axis=1)


def _averaged(values: np.ndarray, place_s: np.ndarray) -> np.ndarray:
    """Return the mean of a curve, linear between frames, around every point of the axis."""
    summed = np.concatenate([[0.0], np.cumsum(np.diff(place_s) * (values[1:] + values[:-1]) / 2)])
    # Beyond the last frame nothing is added: shorter bins are divided by what is in them.
    inside = np.clip(_EDGES_S, place_s[0], place_s[-1])
    width = np.diff(inside)
    area = np.diff(np.interp(inside, place_s, summed))
    return np.asarray(
        np.where(
            width > 0, area / np.where(width > 0, width, 1.0), np.interp(AXIS_S, place_s, values)
        )
    )
