"""Everything the page of a series is made from, DSC or not: one value, put together by a caller."""

from dataclasses import dataclass

import numpy as np

from bolus.core import SIGNAL, Mask, PerfusionSeries, Provenance, read_only
from bolus.errors import Code, GeometryError, TimingError
from bolus.report.findings import Bolus, Motion

_FIRST_FRAMES = 3
"""Frames a change is shown against where no baseline is known."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeriesFindings:
    """What was seen in one perfusion series, ready to be shown; nothing is read from files here.

    `kind` says in words what the series turned out to be; `bolus` is None where it has no single
    first pass. `curves` are (name, values (t,)) of `curves_of`: the brain's first, then one for
    each of `regions`, in their order. `anatomy` is (x, y, z) on the grid of `signal`. With `motion`
    None, `motion_skipped` says why. `created` is a text of the caller's: same findings, same bytes.

    Raises:
        GeometryError: a mask or the anatomy lies on another grid, or a region has no curve.
        TimingError: a curve has another number of frames than the series.
    """

    label: str
    version: str
    created: str
    signal: PerfusionSeries
    curves_of: PerfusionSeries
    anatomy: np.ndarray
    kind: str
    bolus: Bolus | None
    brain: Mask
    curves: tuple[tuple[str, np.ndarray], ...]
    provenance: Provenance
    regions: tuple[Mask, ...] = ()
    motion: Motion | None = None
    motion_skipped: str = ""
    warnings: tuple[str, ...] = ()
    title: str = "Perfusion series"

    def __post_init__(self) -> None:
        grid, frames = self.signal.require(SIGNAL).grid, len(self.signal.time)
        if self.anatomy.shape != grid.shape:
            raise GeometryError(
                Code.GRID_MISMATCH,
                f"the anatomy has shape {self.anatomy.shape} where the series has {grid.shape}",
                mend="resample it onto the grid of the series",
            )
        for mask in (self.brain, *self.regions):
            grid.require_match(mask.grid, what=f"the {mask.name} mask")
        if len(self.curves) != 1 + len(self.regions):
            raise GeometryError(
                Code.ARGUMENT_INVALID,
                f"{len(self.curves)} curves where the brain and {len(self.regions)} regions "
                f"have {1 + len(self.regions)}",
                mend="give the brain's curve first, then one for each region",
            )
        for name, values in self.curves:
            if np.shape(values) != (frames,):
                raise TimingError(
                    Code.TIME_INVALID,
                    f"the curve of {name} has shape {np.shape(values)} where the series has "
                    f"{frames} frames",
                    mend="give one value per frame",
                )
        object.__setattr__(self, "anatomy", read_only(np.asarray(self.anatomy)))

    @property
    def start(self) -> slice:
        """Frames that a change is shown against: the baseline, or the first ones."""
        return self.bolus.baseline if self.bolus is not None else slice(0, _FIRST_FRAMES)

    @property
    def start_words(self) -> str:
        """What `start` is, for readers."""
        if self.bolus is not None:
            return "baseline"
        return f"first {min(_FIRST_FRAMES, len(self.signal.time))} frames"

    @property
    def shows_change(self) -> bool:
        """Whether a change against the start says something: only for arbitrary units."""
        return self.curves_of.quantity.key == SIGNAL.key

    @property
    def masks(self) -> tuple[Mask, ...]:
        """The brain and the regions, in the order of the curves."""
        return (self.brain, *self.regions)

    def level(self, values: np.ndarray) -> float:
        """Return the mean of a curve over the start."""
        return float(np.mean(np.asarray(values, np.float64)[self.start]))

    def change_percent(self, values: np.ndarray) -> np.ndarray:
        """Return a curve as change against its start [%]; all NaN where that is not positive."""
        level = self.level(values)
        if not level > 0:
            return np.full(len(values), np.nan)
        return np.asarray(100 * (np.asarray(values, np.float64) / level - 1))
