"""Simulated curves in the form in which patients' curves were published, and their descriptors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bolus.core.arrays import Curve, Curves
from bolus.core.randomness import stream
from bolus.simulate.head import build_head
from bolus.simulate.patient import PatientSettings, forward_model, injected_bolus
from bolus.simulate.phantom import Phantom, build_phantom, scan_grid
from bolus.simulate.scanner import inject, phantom_signal

REGION_SHARES: Mapping[str, tuple[str, float]] = {
    "artery": ("artery", 0.25),
    "choroid_plexus": ("choroid", 0.5),
    "csf": ("csf", 0.9),
    "gm": ("gm", 0.6),
    "wm": ("wm", 0.9),
}
"""Regions of the published curves, as the compartment and its least share of a voxel."""
_SCALE_QUANTILE = 0.995
_MOST = 4000
_TAIL = 6
_BASELINE = slice(4, 9)


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveShape:
    """What one signal curve looks like.

    `drop` is the share of the baseline that is lost at the minimum, `recovery` the share of that
    loss regained by the last frames, `minimum_s` when the minimum is, `width_s` how long the
    signal is below half its drop (infinite if it does not come back).
    """

    drop: float
    recovery: float
    minimum_s: float
    width_s: float


def describe_curve(curve: Curve, *, step_s: float) -> CurveShape:
    """Describe a signal curve that begins with at least nine frames before the bolus.

    Args:
        curve: signal (t,) of any scale.
        step_s: between frames.

    Source:
        Drop and recovery as percentage signal recovery: Barajas et al., Radiology 2009;253:486.

    Example:
        >>> t = 1.5 * np.arange(60)
        >>> shape = describe_curve(1 - 0.4 * np.exp(-((t - 24) / 6) ** 2), step_s=1.5)
        >>> round(shape.drop, 2), round(shape.recovery, 2), shape.minimum_s, round(shape.width_s)
        (0.4, 1.0, 24.0, 10)
    """
    values = np.asarray(curve, np.float64)
    base = float(np.median(values[_BASELINE]))
    lowest = _BASELINE.start + int(values[_BASELINE.start :].argmin())
    depth = base - values[lowest]
    half = base - depth / 2
    above = values >= half
    before, after = np.flatnonzero(above[:lowest]), np.flatnonzero(above[lowest:])
    width_s = np.inf
    if before.size and after.size:
        left, right = int(before[-1]), lowest + int(after[0])
        down = left + (values[left] - half) / (values[left] - values[left + 1])
        up = right - 1 + (half - values[right - 1]) / (values[right] - values[right - 1])
        width_s = step_s * (up - down)
    recovery = (float(values[-_TAIL:].mean()) - values[lowest]) / depth if depth > 0 else np.nan
    return CurveShape(
        drop=float(depth / base),
        recovery=float(recovery),
        minimum_s=step_s * lowest,
        width_s=float(width_s),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PatientCurves:
    """Median curve of every region of one patient, and all curves of the tumour (voxels, t).

    Each voxel's curve is divided by its own 99.5th percentile over time, as the published ones.
    """

    regions: Mapping[str, Curve]
    tumour: Curves


def measure_patient(settings: PatientSettings, *, snr: float) -> PatientCurves:
    """Simulate a head at rest and take the curves that the published cohort reports.

    Args:
        settings: the patient and the protocol; motion, drift and coil do not act.
        snr: of white matter before the bolus.

    Example:
        >>> from dataclasses import replace
        >>> from bolus.simulate.protocol import PROTOCOLS
        >>> small = replace(PROTOCOLS["reference_cohort"], shape=(48, 48, 8),
        ...                 voxel_mm=(4.6, 4.6, 14.0))
        >>> found = measure_patient(PatientSettings(seed=1, protocol=small), snr=180.0)
        >>> found.regions["gm"].shape
        (60,)
    """
    protocol = settings.protocol
    phantom = build_phantom(
        build_head(settings.seed, glioma=settings.glioma, deformation_mm=settings.deformation_mm),
        grid=scan_grid(
            shape=protocol.shape, voxel_mm=protocol.voxel_mm, orientation=protocol.orientation
        ),
        pose=settings.head_pose,
        seed=settings.seed,
        tissues=settings.tissues,
    )
    clean = phantom_signal(
        phantom, inject(injected_bolus(settings), protocol), forward_model(settings)
    )[0]
    white = phantom.reference.values[phantom.present.values]
    sigma = float(clean[white][:, _BASELINE].mean()) / snr
    random = stream(settings.scan_seed, "realism", "noise")
    shares = compartment_shares(phantom)
    regions = {}
    for region, (name, least) in REGION_SHARES.items():
        where = np.flatnonzero(shares[name] > least)[:_MOST]
        if where.size:
            regions[region] = np.median(_scaled(clean[where], sigma, random), axis=0)
    tumour = np.flatnonzero(phantom.tumour.values[phantom.present.values])
    return PatientCurves(regions=regions, tumour=_scaled(clean[tumour], sigma, random))


def compartment_shares(phantom: Phantom) -> dict[str, np.ndarray]:
    """Return the share (present voxels,) of every tissue and of artery and vein."""
    shares = {"artery": phantom.artery, "vein": phantom.vein}
    for name, tissue in phantom.tissues.items():
        values = np.zeros(phantom.present.count)
        values[tissue.voxels] = tissue.share
        shares[name] = values
    return shares


def _scaled(clean: np.ndarray, sigma: float, random: np.random.Generator) -> Curves:
    noisy = clean + sigma * random.standard_normal(clean.shape, dtype=np.float32)
    return np.asarray(noisy / np.quantile(noisy, _SCALE_QUANTILE, axis=1, keepdims=True))


def nearest_code(curves: Curves, codes: Curves) -> np.ndarray:
    """Return for every curve the number of the code that is nearest in mean absolute difference.

    Args:
        curves: (n, t), scaled as the codes.
        codes: (k, t).

    Example:
        >>> nearest_code(np.array([[1.0, 0.9], [1.0, 0.2]]), np.array([[1.0, 0.3], [1.0, 0.8]]))
        array([1, 0])
    """
    distance = np.stack([np.abs(curves - code).mean(axis=1) for code in codes], axis=1)
    return np.asarray(distance.argmin(axis=1))


def pointwise_quartiles(curves: Sequence[Curve]) -> Curves:
    """Return lower quartile, median and upper quartile over patients at every time, (3, t)."""
    return np.asarray(np.quantile(np.array(curves), (0.25, 0.5, 0.75), axis=0))
