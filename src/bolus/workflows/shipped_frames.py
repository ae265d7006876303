"""The frame enhancer that comes with bolus: how it was learned, and what was measured of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from bolus.core import Mask, PerfusionSeries, Weights, stream
from bolus.io.weights import write_weights
from bolus.metrics.image_fidelity import image_fidelity, series_fidelity
from bolus.metrics.perfusion_bias import lesion_test
from bolus.quantify.aif_shape import aif_bias
from bolus.simulate.dce import simulate_dce
from bolus.simulate.degrade import g_factor, with_rician_noise
from bolus.simulate.fleet import Scanner, draw_scanners
from bolus.simulate.patient import QUIET, PatientSettings, simulate_patient

if TYPE_CHECKING:
    from bolus.nets.frame_enhance import FrameExample

SEED, VALIDATION_SEED, TEST_SEED = 20_410, 20_440, 20_470
PATIENTS, VALIDATION_PATIENTS, TEST_PATIENTS = 12, 3, 3
SNRS = (30.0, 60.0, 120.0)
"""Of the test that the card tells; `benchmarks/frame_enhancer.py` has 15 too."""
_SHAPE, _TEST_SHAPE = (72, 72, 10), (96, 96, 12)
_RESIDUES = ("gamma", "exponential")
_TEST_RESIDUE = "boxcar"
_SPOTS = 40
_LESIONS, _EDGE, _EXTRA = 6, (3, 3, 2), 1.0
_VESSELS = 20
_DCE_EVERY = 3
_TRAINED_ON = (
    f"simulated DSC and DCE series of {PATIENTS} patients on as many scanners (seed {SEED}), "
    "signal-to-noise 12 to 150, with small spots of more or less blood"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrameTest:
    """A DSC series without noise, with small lesions (their numbers, 0 elsewhere) and vessels.

    `level` is the baseline signal of white matter [a.u.]; `baseline` and `peak` count frames.
    """

    truth: PerfusionSeries
    brain: Mask
    lesions: np.ndarray
    around: np.ndarray
    vessels: np.ndarray
    level: float
    baseline: slice
    peak: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameScore:
    """Figures of one series against the truth; shares of the truth where they have no unit."""

    frames_psnr: float
    frames_ssim: float
    frames_nmse: float
    map_psnr: float
    map_nmse: float
    map_bias: float
    aif_peak: float
    aif_fwhm: float
    aif_ttp_s: float
    recovery_bias: float
    contrast: float
    lost: int
    invented: int


def frame_examples(patients: int, *, seed: int) -> list["FrameExample"]:
    """Return simulated scans with and without noise, each of another patient and scanner.

    Args:
        patients: how many; every third has DCE in place of DSC.
        seed: of patients, scanners and noise.
    """
    from bolus.nets.frame_enhance import FrameExample

    found = []
    for n, scanner in enumerate(draw_scanners(patients, seed=seed, shape=_SHAPE)):
        random = stream(seed, "frames", "patient", str(n))
        settings = PatientSettings(
            seed=seed + n, protocol=scanner.dsc, disturbances=QUIET,
            residue=_RESIDUES[n % len(_RESIDUES)],
        )  # fmt: skip
        scan = (
            simulate_dce(settings, scanner.dce)
            if n % _DCE_EVERY == _DCE_EVERY - 1
            else simulate_patient(settings)
        )
        truth = spotted(scan.signal, scan.brain, random)
        level = float(np.median(truth.values[scan.brain.values][:, 2]))
        snr = float(np.exp(random.uniform(np.log(12), np.log(150))))
        g = g_factor(truth.grid.shape, most=float(random.uniform(1, 2.5)), seed=seed + n)
        noisy = with_rician_noise(truth, sigma=level / snr, seed=seed + n, g=g)
        found.append(FrameExample(noisy=noisy, truth=truth, mask=scan.brain))
    return found


def fit_shipped_frames() -> Weights:
    """Learn the network again, as it was."""
    from bolus.nets.frame_enhance import fit_frames

    weights, _ = fit_frames(
        frame_examples(PATIENTS, seed=SEED),
        frame_examples(VALIDATION_PATIENTS, seed=VALIDATION_SEED),
    )
    return replace(weights, card=replace(weights.card, trained_on=_TRAINED_ON, simulated=True))


def frame_tests(
    patients: int, *, seed: int = TEST_SEED, shape: tuple[int, int, int] = _TEST_SHAPE
) -> list[FrameTest]:
    """Return DSC scans on scanners, of heads and with a residue that no training saw.

    Args:
        patients: how many, each on a scanner of its own.
        seed: of patients and scanners.
        shape: as of `draw_scanners`.
    """
    scanners = draw_scanners(patients, seed=seed, shape=shape)
    return [_test(scanner, seed + n) for n, scanner in enumerate(scanners)]


def score_frames(test: FrameTest, series: PerfusionSeries) -> FrameScore:
    """Compare a series with the truth: frames, map, vessels, recovery and lesions.

    Args:
        test: what is known.
        series: of the same scan, made better or worse.
    """
    inside, seconds = test.brain.values, test.truth.time.seconds
    frames = series_fidelity(series.values, test.truth.values, inside)
    found, true = (_area(one, test) for one in (series, test.truth))
    maps = image_fidelity(found, true, inside)
    bias = aif_bias(_vessel(series, test), _vessel(test.truth, test), seconds)
    near = lesion_test(found, true, test.lesions, test.around)
    recovery = [_recovery(one, test) for one in (series, test.truth)]
    return FrameScore(
        frames_psnr=frames.psnr, frames_ssim=frames.ssim, frames_nmse=frames.nmse,
        map_psnr=maps.psnr, map_nmse=maps.nmse, map_bias=maps.bias,
        aif_peak=bias.peak, aif_fwhm=bias.fwhm, aif_ttp_s=bias.time_to_peak_s,
        recovery_bias=recovery[0] - recovery[1],
        contrast=near.contrast, lost=near.lost, invented=near.invented,
    )  # fmt: skip


def noisy_scan(test: FrameTest, snr: float) -> PerfusionSeries:
    """Return the scan of a test with noise that is up to 1.8 times larger in its middle.

    Args:
        test: whose truth it is of.
        snr: ratio of white matter's signal to noise at the edge.
    """
    g = g_factor(test.truth.grid.shape, most=1.8, seed=test.seed)
    return with_rician_noise(test.truth, sigma=test.level / snr, seed=test.seed, g=g)


def measured_of(weights: Weights, tests: Sequence[FrameTest]) -> dict[str, float]:
    """Return the figures that `nets.frame_enhance.bias_guard` asks for, and gains over PCA.

    Biases are means over tests at the worst of `SNRS`; lesions are counted over all.

    Args:
        weights: of a frame enhancer.
        tests: that it did not learn from.
    """
    from bolus.nets.frame_enhance import enhance_frames
    from bolus.preprocess.local_pca import denoise_local_pca

    scores: dict[float, list[FrameScore]] = {snr: [] for snr in SNRS}
    gains = []
    for test in tests:
        for snr in SNRS:
            noisy = noisy_scan(test, snr)
            own = score_frames(test, enhance_frames(noisy, test.brain, weights, biased=True).series)
            other = score_frames(test, denoise_local_pca(noisy, test.brain).series)
            scores[snr].append(own)
            gains.append(own.map_psnr - other.map_psnr)

    def worst(name: str) -> float:
        means = [float(np.mean([getattr(s, name) for s in found])) for found in scores.values()]
        return max(means, key=abs)

    every = [score for found in scores.values() for score in found]
    return {
        "test_aif_peak": worst("aif_peak"),
        "test_aif_fwhm": worst("aif_fwhm"),
        "test_aif_ttp_s": worst("aif_ttp_s"),
        "test_recovery": worst("recovery_bias"),
        "test_map": worst("map_bias"),
        "test_lost": float(sum(score.lost for score in every)),
        "test_invented": float(sum(score.invented for score in every)),
        "map_gain_over_local_pca_db": float(np.mean(gains)),
    }


def write_shipped_frames(folder: Path) -> None:
    """Learn, measure and write the network and its card.

    Args:
        folder: `src/bolus/nets/weights` of a checkout.

    Raises:
        ResourceError: it may not be written.
    """
    weights = fit_shipped_frames()
    measured = {**weights.card.measured, **measured_of(weights, frame_tests(TEST_PATIENTS))}
    write_weights(folder, replace(weights, card=replace(weights.card, measured=measured)))


def spotted(series: PerfusionSeries, brain: Mask, random: np.random.Generator) -> PerfusionSeries:
    """Return a series with small spots of more or less agent, so that they are no noise to it.

    Args:
        series: signal.
        brain: where they are.
        random: decides about places, sizes and strengths.
    """
    inside = brain.values
    factor = np.ones(inside.shape, np.float32)
    for place in random.permutation(np.argwhere(inside))[:_SPOTS]:
        edge = (*random.integers(1, 5, 2), int(random.integers(1, 3)))
        here = tuple(slice(p, p + size) for p, size in zip(place, edge, strict=True))
        factor[here] = random.uniform(0, 3)
    values = np.maximum(series.values, 1e-3)
    start = values[..., 2:5].mean(axis=-1, keepdims=True)
    changed = start * (values / start) ** factor[..., None]
    kept = np.where(inside[..., None], np.minimum(changed, 4 * start), series.values)
    return replace(series, values=np.asarray(kept, np.float32))


def _test(scanner: Scanner, seed: int) -> FrameTest:
    settings = PatientSettings(
        seed=seed, protocol=scanner.dsc, disturbances=QUIET, residue=_TEST_RESIDUE
    )
    patient = simulate_patient(settings)
    brain, plain = patient.brain, patient.signal
    white = patient.tissues.mask("wm").values & ~patient.tumour.foreground.values
    peak = int(np.argmin(plain.mean_curve(brain)))
    baseline = slice(3, max(4, int(np.argmax(patient.aif.values > 0.01)) - 1))
    level = float(np.median(plain.values[white][:, baseline]))
    passage = _depth(plain.values[white], baseline).mean(axis=0)
    lesions = _lesions(white, seed)
    values = plain.values * np.exp(-_EXTRA * (lesions > 0)[..., None] * passage)
    depth = np.where(brain.values, _depth(plain.values, baseline)[..., peak], -1)
    vessels = np.zeros(depth.size, bool)
    vessels[np.argsort(-depth.ravel())[:_VESSELS]] = True
    around = ndimage.binary_dilation(lesions > 0, iterations=5) & white | (lesions > 0)
    return FrameTest(
        truth=replace(plain, values=values.astype(np.float32)), brain=brain, lesions=lesions,
        around=around, vessels=vessels.reshape(depth.shape), level=level, baseline=baseline,
        peak=peak, seed=seed,
    )  # fmt: skip


def _lesions(white: np.ndarray, seed: int) -> np.ndarray:
    """Return the numbers of small lesions in white matter, nine voxels apart or more."""
    room = ndimage.binary_erosion(white, structure=np.ones((5, 5, 3)))
    chosen: list[np.ndarray] = []
    for place in stream(seed, "lesions").permutation(np.argwhere(room)):
        if len(chosen) < _LESIONS and all(np.abs(place - o).max() >= 9 for o in chosen):
            chosen.append(place)
    drawn = np.zeros(white.shape, int)
    for number, place in enumerate(chosen, start=1):
        drawn[tuple(slice(p, p + size) for p, size in zip(place, _EDGE, strict=True))] = number
    return drawn


def _depth(values: np.ndarray, baseline: slice) -> np.ndarray:
    """Return -ln(S/S0)."""
    held = np.maximum(np.asarray(values, np.float64), 1e-3)
    return np.asarray(-np.log(held / held[..., baseline].mean(axis=-1, keepdims=True)))


def _area(series: PerfusionSeries, test: FrameTest) -> np.ndarray:
    """Return the area under -ln(S/S0) after the baseline: blood volume without a scale."""
    after = _depth(series.values, test.baseline)[..., test.baseline.stop :]
    return np.asarray(after.sum(axis=-1))


def _vessel(series: PerfusionSeries, test: FrameTest) -> np.ndarray:
    return np.asarray(_depth(series.values[test.vessels], test.baseline).mean(axis=0))


def _recovery(series: PerfusionSeries, test: FrameTest) -> float:
    """Return the percentage signal recovery of the brain's mean curve, as a share."""
    curve = series.mean_curve(test.brain)
    start, least = curve[test.baseline].mean(), curve.min()
    return float((curve[-5:].mean() - least) / (start - least))
