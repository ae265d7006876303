"""Everything a DSC report is made from: one value, put together by the workflow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from bolus.core import (
    QUANTITIES,
    SIGNAL,
    ArterialInput,
    Assumed,
    LabelMap,
    MapSet,
    Mask,
    PerfusionSeries,
    Provenance,
    TimeAxis,
    read_only,
)
from bolus.errors import Code, GeometryError, QuantityError


@runtime_checkable
class Bolus(Protocol):
    """Where the bolus is in the frames; `quantify.bolus.BolusTiming` is one."""

    @property
    def steady(self) -> int:
        """First frame in the steady state."""

    @property
    def baseline(self) -> slice:
        """Frames before the arrival."""

    @property
    def arrival(self) -> int:
        """First frame of the bolus."""

    @property
    def peak(self) -> int:
        """Frame of the strongest effect."""

    @property
    def first_pass_end(self) -> int:
        """Frame behind the first pass."""

    @property
    def mean_signal(self) -> np.ndarray:
        """Brain mean signal (t,) [a.u.]."""

    @property
    def contrast_to_noise(self) -> float:
        """Depth of the signal drop over the noise of the baseline."""


def first_pass_s(time: TimeAxis, bolus: Bolus) -> tuple[float, float]:
    """Return when the first pass begins and ends [s]."""
    seconds = time.seconds
    last = min(bolus.first_pass_end, len(seconds)) - 1
    return float(seconds[bolus.arrival]), float(seconds[max(last, bolus.arrival)])


def largest(values: np.ndarray) -> float:
    """Return the largest finite value, or NaN where there is none."""
    finite = values[np.isfinite(values)]
    return float(finite.max()) if finite.size else float("nan")


@runtime_checkable
class Motion(Protocol):
    """How the head moved; `preprocess.motion.MotionCorrection` is one."""

    @property
    def parameters(self) -> np.ndarray:
        """(t, 6): three translations [mm] and three rotations [deg]."""

    @property
    def displacement_mm(self) -> np.ndarray:
        """(t,) mean displacement of the head against the reference frame [mm]."""

    @property
    def reference_frame(self) -> int:
        """The frame all others were brought to."""


@runtime_checkable
class Region(Protocol):
    """One quantity in one region; `quantify.regions.RegionRow` is one."""

    @property
    def region(self) -> str:
        """Name of the region."""

    @property
    def key(self) -> str:
        """Registry key of the quantity."""

    @property
    def unit(self) -> str:
        """Its unit."""

    @property
    def voxels(self) -> int:
        """Voxels with an answer."""

    @property
    def volume_ml(self) -> float:
        """Their volume [mL]."""

    @property
    def mean(self) -> float:
        """Mean over the voxels."""

    @property
    def median(self) -> float:
        """Median over the voxels."""

    @property
    def p05(self) -> float:
        """5th percentile over the voxels."""

    @property
    def p95(self) -> float:
        """95th percentile over the voxels."""

    @property
    def mean_std(self) -> float:
        """Standard error of the mean."""

    @property
    def low95(self) -> float:
        """Lower end of the 95 % interval of the mean."""

    @property
    def high95(self) -> float:
        """Upper end of the 95 % interval of the mean."""


@runtime_checkable
class Burden(Protocol):
    """Shares of a tumour by nCBV class; `quantify.regions.FractionalTumourBurden` is one."""

    @property
    def low(self) -> float:
        """Lower limit of nCBV."""

    @property
    def high(self) -> float:
        """Upper limit of nCBV."""

    @property
    def low_percent(self) -> float:
        """Share of voxels at or below the lower limit [%]."""

    @property
    def middle_percent(self) -> float:
        """Share of voxels between the limits [%]."""

    @property
    def high_percent(self) -> float:
        """Share of voxels above the upper limit [%]."""

    @property
    def low_interval(self) -> tuple[float, float]:
        """95 % interval of `low_percent` [%]."""

    @property
    def middle_interval(self) -> tuple[float, float]:
        """95 % interval of `middle_percent` [%]."""

    @property
    def high_interval(self) -> tuple[float, float]:
        """95 % interval of `high_percent` [%]."""


@runtime_checkable
class QualityLine(Protocol):
    """One number of the series' quality; `QualityFigure` is one."""

    @property
    def name(self) -> str:
        """What it is."""

    @property
    def value(self) -> float:
        """The number."""

    @property
    def unit(self) -> str:
        """Its unit; "" for a plain count or ratio."""

    @property
    def look(self) -> bool:
        """Whether it asks for a look."""

    @property
    def detail(self) -> str:
        """What it means, in a few words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakageComparison:
    """Mean tumour nCBV [ratio] with the leakage correction and without it."""

    corrected: float
    uncorrected: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TissueRatio:
    """Grey-to-white-matter ratio of one quantity, and where a healthy brain is expected."""

    key: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityFigure:
    """One number of the series' quality, and whether it asks for a look.

    `unit` is "" for a plain count or ratio; `detail` says in a few words what it means.
    """

    name: str
    value: float
    unit: str = ""
    look: bool = False
    detail: str = ""


@runtime_checkable
class SeriesNumbers(Protocol):
    """What was measured of the series; `preprocess.quality.SeriesQuality` is one."""

    @property
    def baseline_tsnr(self) -> float:
        """Temporal signal-to-noise before the bolus."""

    @property
    def drift_percent_per_min(self) -> float:
        """Slope of the brain mean before the bolus [%/min]."""

    @property
    def outlier_frames(self) -> tuple[int, ...]:
        """Frames that jump, counted from 0."""

    @property
    def lost_percent(self) -> float:
        """Share of brain voxels without a usable curve [%]."""

    @property
    def look_tsnr(self) -> bool:
        """Whether noise will rule single voxels."""

    @property
    def look_drift(self) -> bool:
        """Whether drift may pass for leakage."""

    @property
    def look_lost(self) -> bool:
        """Whether too many voxels have no curve."""


def quality_figures(quality: SeriesNumbers) -> tuple[QualityFigure, ...]:
    """Return what was measured of a series as lines of the report; frames are counted from 1."""
    frames = ", ".join(str(frame + 1) for frame in quality.outlier_frames[:12])
    more = ", ..." if len(quality.outlier_frames) > 12 else ""
    return (
        QualityFigure(
            name="temporal signal-to-noise",
            value=quality.baseline_tsnr,
            look=quality.look_tsnr,
            detail="before the bolus, median of the brain",
        ),
        QualityFigure(
            name="drift",
            value=quality.drift_percent_per_min,
            unit="%/min",
            look=quality.look_drift,
            detail="of the brain mean before the bolus",
        ),
        QualityFigure(
            name="frames that jump",
            value=len(quality.outlier_frames),
            look=bool(quality.outlier_frames),
            detail=f"frame {frames}{more}" if frames else "outside of the first pass",
        ),
        QualityFigure(
            name="voxels without a curve",
            value=quality.lost_percent,
            unit="%",
            look=quality.look_lost,
            detail="of the brain",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DscFindings:
    """What one DSC exam gave, ready to be shown; nothing is computed from files here.

    `created` is a text given by the caller, so that the same findings give the same bytes.
    `anatomy` is (x, y, z) on the grid of `signal`. With `motion` None, `motion_skipped` says why.
    `delta_r2s` and `corrected` (both ΔR2* [1/s] on the same grid) add the tissue curves, and need
    hold no others;
    `brain`, `white_matter` and `leakage_reference` may hold no voxels, but lie on the grid.

    Raises:
        GeometryError: a mask, map or the anatomy lies on another grid than the series.
        QuantityError: a row or ratio names a quantity that is not in the registry.
    """

    label: str
    version: str
    created: str
    signal: PerfusionSeries
    anatomy: np.ndarray
    bolus: Bolus
    aif: ArterialInput
    brain: Mask
    white_matter: Mask
    leakage_reference: Mask
    maps: MapSet
    provenance: Provenance
    title: str = "DSC perfusion report"
    tumour: LabelMap | None = None
    regions: tuple[Region, ...] = ()
    burden: Burden | None = None
    leakage: LeakageComparison | None = None
    ratios: tuple[TissueRatio, ...] = ()
    motion: Motion | None = None
    motion_skipped: str = ""
    quality: tuple[QualityLine, ...] = ()
    delta_r2s: PerfusionSeries | None = None
    corrected: PerfusionSeries | None = None
    warnings: tuple[str, ...] = ()
    assumptions: tuple[tuple[str, Assumed], ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        grid = self.signal.require(SIGNAL).grid
        if self.anatomy.shape != grid.shape:
            raise GeometryError(
                Code.GRID_MISMATCH,
                f"the anatomy has shape {self.anatomy.shape} where the series has {grid.shape}",
                mend="resample it onto the grid of the series",
            )
        for mask in (self.brain, self.white_matter, self.leakage_reference):
            grid.require_match(mask.grid, what=f"the {mask.name} mask")
        for key, item in self.maps.items():
            grid.require_match(item.grid, what=f"the {key} map")
        if self.tumour is not None:
            grid.require_match(self.tumour.grid, what="the tumour label map")
        for key in (*(r.key for r in self.regions), *(r.key for r in self.ratios)):
            if key not in QUANTITIES:
                raise QuantityError(
                    Code.QUANTITY_WRONG,
                    f"{key!r} is not a quantity of the registry",
                    mend="use a key of bolus.core.QUANTITIES",
                )
        object.__setattr__(self, "anatomy", read_only(np.asarray(self.anatomy)))

    @property
    def tumour_mask(self) -> Mask | None:
        """The union of all tumour labels, or None where there is no tumour."""
        if self.tumour is None or not self.tumour.foreground.count:
            return None
        return self.tumour.foreground

    @property
    def bolus_window_s(self) -> tuple[float, float]:
        """First-pass window: arrival and end [s]."""
        return first_pass_s(self.signal.time, self.bolus)

    def lost_voxels(self, key: str) -> tuple[int, int]:
        """Return how many brain voxels of a map have no answer, and how many there are."""
        item = self.maps[key]
        inside = self.brain.values
        return int(np.count_nonzero(inside & ~np.isfinite(item.values))), self.brain.count
