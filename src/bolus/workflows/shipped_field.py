"""The fields of space and time that come with bolus: how they were learned, and were measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from bolus import quantify
from bolus.core import ArterialInput, Grid, Mask, ParameterMap, PerfusionSeries, Weights
from bolus.core.randomness import stream
from bolus.io.weights import write_weights
from bolus.metrics.image_fidelity import image_fidelity, series_fidelity
from bolus.quantify.spgr import SpoiledGradientEcho
from bolus.simulate.dce import SimulatedDce, simulate_dce
from bolus.simulate.degrade import fewer_frames, g_factor, truncate_kspace, with_rician_noise
from bolus.simulate.fleet import draw_scanners
from bolus.simulate.patient import QUIET, PatientSettings, simulate_patient
from bolus.simulate.physics import relaxivities_at
from bolus.workflows.config import Config
from bolus.workflows.dce_artery import Enhanced
from bolus.workflows.dce_fitting import fit_brain
from bolus.workflows.shipped_frames import FrameScore, FrameTest, frame_tests, score_frames, spotted

if TYPE_CHECKING:
    from bolus.nets.spacetime_fit import FieldExample

SEED, VALIDATION_SEED, TEST_SEED = 30_410, 30_440, 30_470
PATIENTS, VALIDATION_PATIENTS, TEST_PATIENTS = 16, 4, 3
SNR = 60.0
"""Of the test that the card tells."""
SCALE = 2.0
_SHAPE, TEST_SHAPE = (120, 120, 8), (128, 128, 12)
_FACTORS = (1.75, 2.25)
_SNRS = (20.0, 200.0)
_DCE_EVERY = 3
_RESIDUES = ("gamma", "exponential")
_TEST_RESIDUE = "boxcar"
_TRAINED_ON = (
    f"simulated DSC and DCE series of {PATIENTS} patients on as many scanners (seed {SEED}), "
    "with 1.75 to 2.25 times fewer voxels along each axis of a slice, signal-to-noise 20 to 200"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DceTest:
    """A DCE scan without noise, and its true Ktrans as the same fit finds it on all its voxels."""

    scan: SimulatedDce
    ktrans: np.ndarray
    level: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DceScore:
    """Figures of Ktrans [PSNR in dB]; the bias is that of the tumour's mean, as a share."""

    frames_psnr: float
    map_psnr: float
    map_bias: float


Way = Callable[[PerfusionSeries, Mask, PerfusionSeries], PerfusionSeries]
"""From a coarse series and its mask to one on the grid and the times of the third."""


def field_examples(patients: int, *, seed: int) -> list["FieldExample"]:
    """Return coarse scans with noise and the same fine, each of another patient and scanner.

    Args:
        patients: how many; every third has DCE in place of DSC.
        seed: of patients, scanners and noise.
    """
    from bolus.nets.spacetime_fit import FieldExample

    found = []
    for n, scanner in enumerate(draw_scanners(patients, seed=seed, shape=_SHAPE)):
        random = stream(seed, "field", "patient", str(n))
        settings = PatientSettings(
            seed=seed + n, protocol=scanner.dsc, disturbances=QUIET,
            residue=_RESIDUES[n % len(_RESIDUES)],
        )  # fmt: skip
        is_dce = n % _DCE_EVERY == _DCE_EVERY - 1
        scan = simulate_dce(settings, scanner.dce) if is_dce else simulate_patient(settings)
        truth = spotted(scan.signal, scan.brain, random)
        factor = float(random.uniform(*_FACTORS))
        coarse = truncate_kspace(truth, _fewer(truth.grid, factor))
        level = float(np.median(truth.values[scan.brain.values][:, 2]))
        snr = float(np.exp(random.uniform(*np.log(_SNRS))))
        most = float(random.uniform(1, 2.5))
        g = g_factor(coarse.grid.shape, most=most, seed=seed + n)
        noisy = with_rician_noise(coarse, sigma=level / snr, seed=seed + n, g=g)
        found.append(
            FieldExample(
                given=noisy, mask=coarse_mask(scan.brain, coarse.grid), coarse=coarse, finer=truth
            )
        )
    return found


def coarse_mask(mask: Mask, grid: Grid) -> Mask:
    """Return a mask on fewer voxels: what is at the middle of each.

    Args:
        mask: on the fine grid.
        grid: of fewer voxels over the same field of view.
    """
    near = [
        np.clip(((np.arange(few) + 0.5) * many / few).astype(int), 0, many - 1)
        for few, many in zip(grid.shape, mask.values.shape, strict=True)
    ]
    return replace(mask, values=mask.values[np.ix_(*near)], grid=grid)


def coarse_scan(
    truth: PerfusionSeries, *, scale: float, snr: float, level: float, seed: int, every: int = 1
) -> PerfusionSeries:
    """Return what a scan with larger voxels would have measured.

    Args:
        truth: fine and without noise.
        scale: how many times fewer voxels along each axis of a slice.
        snr: ratio of `level` to the noise at the edge; up to 1.8 times more in the middle.
        level: signal [a.u.].
        seed: of the noise.
        every: which frames are kept.
    """
    coarse = truncate_kspace(truth, _fewer(truth.grid, scale))
    g = g_factor(coarse.grid.shape, most=1.8, seed=seed)
    noisy = with_rician_noise(coarse, sigma=level / snr, seed=seed, g=g)
    return fewer_frames(noisy, every)


def dsc_field_tests(patients: int, *, seed: int = TEST_SEED) -> list[FrameTest]:
    """Return DSC scans on scanners, of heads and with a residue that no training saw.

    Args:
        patients: how many.
        seed: of patients and scanners.
    """
    return frame_tests(patients, seed=seed, shape=TEST_SHAPE)


def dce_field_tests(patients: int, *, seed: int = TEST_SEED) -> list[DceTest]:
    """Return DCE scans of such patients.

    Args:
        patients: how many.
        seed: of patients and scanners.
    """
    found = []
    for n, scanner in enumerate(draw_scanners(patients, seed=seed, shape=TEST_SHAPE)):
        settings = PatientSettings(
            seed=seed + n, protocol=scanner.dsc, disturbances=QUIET, residue=_TEST_RESIDUE
        )
        scan = simulate_dce(settings, scanner.dce)
        level = float(np.median(scan.signal.values[scan.brain.values][:, 0]))
        map_ = ktrans_map(scan, scan.signal)
        found.append(DceTest(scan=scan, ktrans=map_, level=level, seed=seed + n))
    return found


def ktrans_map(scan: SimulatedDce, series: PerfusionSeries) -> np.ndarray:
    """Return Ktrans [1/min] of a series with the true T1, flip angles and arterial curve.

    Args:
        scan: whose truth it is.
        series: on its grid and at its times.
    """
    timing = quantify.find_enhancement(scan.signal, scan.brain)
    sequence = SpoiledGradientEcho.of(series.acquisition)
    relaxivity = relaxivities_at(scan.protocol.field_strength_t).r1
    concentration, status = quantify.signal_to_concentration(
        series, r10=_r10(scan), sequence=sequence, r1_per_mmolar_s=relaxivity,
        baseline=timing.baseline, mask=scan.brain, b1=scan.b1,
    )  # fmt: skip
    enhanced = Enhanced(
        concentration=concentration, timing=timing, sequence=sequence, r1_per_mmolar_s=relaxivity
    )
    plasma: ArterialInput = scan.aif
    fitted = fit_brain(enhanced, status, scan.brain, plasma, Config())
    found = next(m for m in fitted.maps if m.quantity.key == "ktrans")
    return np.asarray(found.values)


def score_dce(test: DceTest, series: PerfusionSeries) -> DceScore:
    """Compare a DCE series and its Ktrans with the truth, where both fits have an answer.

    Args:
        test: what is known.
        series: of the same scan, on its grid.
    """
    inside = test.scan.brain.values
    frames = series_fidelity(series.values, test.scan.signal.values, inside)
    found = ktrans_map(test.scan, series)
    both = inside & np.isfinite(found) & np.isfinite(test.ktrans)
    maps = image_fidelity(np.where(both, found, 0), np.where(both, test.ktrans, 0), both)
    tumour = both & test.scan.tumour.foreground.values
    bias = found[tumour].mean() / test.ktrans[tumour].mean() - 1
    return DceScore(frames_psnr=frames.psnr, map_psnr=maps.psnr, map_bias=float(bias))


def interpolate_series(
    series: PerfusionSeries, _mask: Mask, like: PerfusionSeries, *, order: int = 1
) -> PerfusionSeries:
    """Return a series on another's grid and times, by straight lines in space, a spline in time.

    Args:
        series: coarse.
        like: whose voxels and times are wanted.
        order: 3 for a spline in space too.
    """
    from bolus.nets.spacetime_input import interpolated, spline_matrix

    own = spline_matrix(series.time.seconds, like.time.seconds)
    values = interpolated(series.values @ own.T, like.grid.shape, order=order)
    return replace(series, values=values, grid=like.grid, time=like.time)


def denoise_then_interpolate(
    series: PerfusionSeries, mask: Mask, like: PerfusionSeries, *, order: int = 1
) -> PerfusionSeries:
    """Return it after local principal components.

    Args:
        series: coarse.
        mask: of its brain.
        like: as `interpolate_series`.
        order: as there.
    """
    from bolus.preprocess.local_pca import denoise_local_pca

    clean = denoise_local_pca(series, mask).series
    return interpolate_series(clean, mask, like, order=order)


def field_way(weights: Weights) -> Way:
    """Return the way of a network.

    Args:
        weights: of `nets.spacetime_fit`.
    """
    from bolus.nets.spacetime_apply import refine_series

    def way(series: PerfusionSeries, mask: Mask, like: PerfusionSeries) -> PerfusionSeries:
        # frames after the last of the scan cannot be asked for: it is held
        last = series.time.seconds[-1]
        asked = like.time.seconds[like.time.seconds <= last]
        found = refine_series(
            series, mask, weights, shape=like.grid.shape, seconds=asked, biased=True
        ).series
        short = len(like.time) - len(asked)
        held = np.repeat(found.values[..., -1:], short, axis=-1)
        return replace(found, values=np.concatenate([found.values, held], axis=-1), time=like.time)

    return way


BASELINES: Mapping[str, Way] = MappingProxyType(
    {"trilinear": interpolate_series, "denoised, trilinear": denoise_then_interpolate}
)
"""What the target names."""


def measured_of(
    way: Way, dsc: Sequence[FrameTest], dce: Sequence[DceTest], *, scale: float = SCALE,
    snr: float = SNR, every: int = 1,
) -> tuple[list[FrameScore], list[DceScore]]:  # fmt: skip
    """Return the scores of a way over tests.

    Args:
        way: from coarse to fine.
        dsc: tests.
        dce: tests.
        scale: in each slice.
        snr: of the coarse scan.
        every: frames that are kept.
    """
    perfused, leaked = [], []
    for test in dsc:
        given = coarse_scan(
            test.truth, scale=scale, snr=snr, level=test.level, seed=test.seed, every=every
        )
        found = way(given, coarse_mask(test.brain, given.grid), test.truth)
        perfused.append(score_frames(test, found))
    for one in dce:
        given = coarse_scan(
            one.scan.signal, scale=scale, snr=snr, level=one.level, seed=one.seed, every=every
        )
        found = way(given, coarse_mask(one.scan.brain, given.grid), one.scan.signal)
        leaked.append(score_dce(one, found))
    return perfused, leaked


def fit_shipped_field() -> Weights:
    """Learn the networks again, as they were."""
    from bolus.nets.spacetime_fit import fit_field

    weights, _ = fit_field(
        field_examples(PATIENTS, seed=SEED),
        field_examples(VALIDATION_PATIENTS, seed=VALIDATION_SEED),
    )
    return replace(weights, card=replace(weights.card, trained_on=_TRAINED_ON, simulated=True))


def write_shipped_field(folder: Path) -> None:
    """Learn, measure and write the networks and their card.

    Args:
        folder: `src/bolus/nets/weights` of a checkout.

    Raises:
        ResourceError: it may not be written.
    """
    weights = fit_shipped_field()
    dsc, dce = dsc_field_tests(TEST_PATIENTS), dce_field_tests(TEST_PATIENTS)
    perfused, leaked = measured_of(field_way(weights), dsc, dce)
    measured = {
        **weights.card.measured,
        **{
            f"test_{name}": float(np.mean([getattr(score, own) for score in perfused]))
            for name, own in (("aif_peak", "aif_peak"), ("aif_fwhm", "aif_fwhm"),
                              ("aif_ttp_s", "aif_ttp_s"), ("recovery", "recovery_bias"),
                              ("map", "map_bias"))
        },
        "test_ktrans": float(np.mean([score.map_bias for score in leaked])),
        "test_lost": float(sum(score.lost for score in perfused)),
        "test_invented": float(sum(score.invented for score in perfused)),
    }  # fmt: skip
    write_weights(folder, replace(weights, card=replace(weights.card, measured=measured)))


def _fewer(grid: Grid, scale: float) -> tuple[int, int, int]:
    x, y, z = grid.shape
    return round(x / scale), round(y / scale), z


def _r10(scan: SimulatedDce) -> ParameterMap:
    return scan.truth["r10"]
