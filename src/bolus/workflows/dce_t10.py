"""T1 before the agent: from a map, from flip-angle images, or as one assumed number."""

import warnings
from dataclasses import dataclass

import numpy as np

from bolus import preprocess, quantify
from bolus.core import (
    QUANTITIES,
    SIGNAL,
    Acquisition,
    Assumed,
    FitStatus,
    Mask,
    ParameterMap,
    PerfusionSeries,
    Provenance,
    Step,
    TimeAxis,
    Volume,
)
from bolus.errors import Code, MetadataError, QualityWarning
from bolus.quantify.t1 import LONGEST_T1_S, SHORTEST_T1_S

_LIKE_CONTRAST = 1.5
"""Flip angles within this factor give images alike enough to be registered to each other."""
_STILL_MM = 0.15


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FlipAngleImage:
    """One image of a flip-angle series, on the grid of the DCE series."""

    values: Volume
    flip_angle_deg: float
    repetition_time_s: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NativeT1:
    """What is known of T1 before the agent; the first of map, images and number counts."""

    t1_s: Volume | None = None
    images: tuple[FlipAngleImage, ...] = ()
    t10_s: float | None = None
    b1: Volume | None = None
    """Factor on every flip angle."""
    inputs: tuple[tuple[str, str], ...] = ()
    """Name and SHA-256 of the files."""


def native_rate(
    native: NativeT1, series: PerfusionSeries, anatomy: Volume, head: Mask, *, align: bool
) -> ParameterMap | Assumed:
    """Return R10 [1/s] of every voxel of `head`, or the number assumed for all.

    Args:
        native: what the user gave.
        series: the DCE series free of motion.
        anatomy: its baseline (x, y, z).
        head: where R10 is needed.
        align: whether flip-angle images may be moved onto the baseline.

    Raises:
        MetadataError: nothing is known of T1.
    """
    if native.t1_s is not None:
        return _from_map(native, head)
    if native.images:
        return _from_images(native, series, anatomy, head, align=align)
    if native.t10_s is not None:
        return Assumed(
            value=1 / native.t10_s,
            reason=f"one T10 of {native.t10_s:g} s for all voxels, no T1 was measured",
            source="stated by the user",
        )
    raise MetadataError(
        Code.METADATA_MISSING,
        "T1 before the agent is not known, and concentration needs it",
        mend="give --t1-map (in s), --vfa (each flip-angle image), or one --t10 in s to assume",
    )


def t10_map(r10: ParameterMap) -> ParameterMap:
    """Return T10 [s] with its standard error from a map of R10."""
    with np.errstate(divide="ignore", invalid="ignore"):
        seconds = 1 / r10.values
        error = None if r10.std is None else r10.std / r10.values**2
    return ParameterMap(
        quantity=QUANTITIES["t10"], values=seconds, status=r10.status, grid=r10.grid,
        provenance=r10.provenance, std=error,
    )  # fmt: skip


def _from_map(native: NativeT1, head: Mask) -> ParameterMap:
    t1 = np.asarray(native.t1_s, np.float64)[head.values]
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = 1 / t1
        usable = (t1 >= SHORTEST_T1_S) & (t1 <= LONGEST_T1_S)
    status = np.where(usable, FitStatus.OK, FitStatus.AT_BOUND)
    status[~np.isfinite(t1)] = FitStatus.NOT_FINITE
    return ParameterMap.from_voxels(
        rate, quantity=QUANTITIES["r10"], mask=head, status=status.astype(np.uint8),
        provenance=Provenance(inputs=native.inputs).then(Step("workflows.read_t1_map", {})),
    )  # fmt: skip


def _from_images(
    native: NativeT1, series: PerfusionSeries, anatomy: Volume, head: Mask, *, align: bool
) -> ParameterMap:
    images, moved_mm = [image.values for image in native.images], 0.0
    if align:
        images, moved_mm = _aligned(native, series, anatomy)
    angles = [image.flip_angle_deg for image in native.images]
    fit = quantify.fit_flip_angles(
        np.stack([values[head.values] for values in images], axis=-1),
        flip_angles_deg=angles,
        repetition_time_s=native.images[0].repetition_time_s,
        b1=None if native.b1 is None else np.asarray(native.b1, np.float64)[head.values],
    )
    said = "flip angles " + " ".join(f"{angle:g}" for angle in angles) + ", nonlinear"
    said += ", B1 map" if native.b1 is not None else ", no B1 map"
    if moved_mm:
        said += f", moved by {moved_mm:.2g} mm"
    history = Provenance(inputs=native.inputs)
    return quantify.r10_map(fit, mask=head, provenance=history, method=said)


def _aligned(
    native: NativeT1, series: PerfusionSeries, anatomy: Volume
) -> tuple[list[np.ndarray], float]:
    """Move all images as the one with the contrast of the series moves onto its baseline.

    They were taken in one go: one motion for all, found where the contrast is the same.
    """
    own = series.acquisition.require("flip_angle_deg")
    ratios = [max(i.flip_angle_deg / own, own / i.flip_angle_deg) for i in native.images]
    like = native.images[int(np.argmin(ratios))]
    untouched = [image.values for image in native.images]
    if min(ratios) > _LIKE_CONTRAST:
        warnings.warn(
            QualityWarning(
                "the flip-angle images are taken to lie where the series does: none has a flip "
                f"angle near its {own:g} degrees to register by"
            ),
            stacklevel=2,
        )
        return untouched, 0.0
    motion = preprocess.correct_motion(_pair(anatomy, like.values, series))
    moved_mm = float(motion.displacement_mm.max())
    if motion.skipped:
        warnings.warn(
            QualityWarning(
                "the flip-angle images are taken to lie where the series does: " + motion.skipped
            ),
            stacklevel=2,
        )
    if motion.skipped or moved_mm < _STILL_MM:
        return untouched, 0.0
    # Frame 1 of the pair comes to frame 0; which one the estimate held still does not matter then.
    back = [preprocess.apply_motion(_pair(anatomy, v, series), motion) for v in untouched]
    return [pair.values[..., 1] for pair in back], moved_mm


def _pair(first: Volume, second: Volume, series: PerfusionSeries) -> PerfusionSeries:
    return PerfusionSeries(
        values=np.stack([first, second], axis=-1).astype(np.float32),
        quantity=SIGNAL,
        grid=series.grid,
        time=TimeAxis.regular(2, step_s=1.0),
        acquisition=Acquisition(),
        provenance=Provenance(),
    )
