"""A diffusion scan of the same patient: b = 0 and b = 1000 s/mm² with the ADC that they give."""

import math
from dataclasses import dataclass

import numpy as np

from bolus.core.geometry import Grid
from bolus.core.maps import ParameterMap
from bolus.core.randomness import stream
from bolus.simulate.disturbances import add_rician_noise, lost_phase_rate, receive_gain
from bolus.simulate.patient import PatientSettings, phantom_of
from bolus.simulate.phantom import Phantom
from bolus.simulate.scanner import native_at
from bolus.simulate.tissues import BLOOD

B_S_PER_MM2 = 1000.0
_DIRECTIONS = 3
_ECHO_TIME_S = 0.080
_REPETITION_TIME_S = 5.0
_BRIGHTNESS = 2000.0
_FLOWING_MM2_PER_S = 10.0e-3
"""What flow does to blood of large vessels, as a diffusion coefficient; set by us."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulatedDiffusion:
    """Two images (x, y, z) float32 [a.u.], the ADC from them [mm²/s], and the truth.

    `b1000` is the geometric mean over three directions. `adc` has noise and partial volume in it
    and is NaN where there is no head; `truth` is the mean over the tissues of a voxel, where no
    large vessel is.
    """

    b0: np.ndarray
    b1000: np.ndarray
    adc: np.ndarray
    truth: ParameterMap


def simulate_diffusion(settings: PatientSettings, grid: Grid) -> SimulatedDiffusion:
    """Simulate diffusion-weighted spin-echo EPI with b = 0 and 1000 s/mm².

    S(b) = Σ shares · M0 (1 - exp(-TR/T1)) exp(-TE/T2) exp(-b ADC), TR 5 s, TE 80 ms: water with a
    long T2 shines through at b = 1000. Diffusion is isotropic; each of the three directions has
    noise of its own (Rician, `Disturbances.snr` in white matter at b = 0).

    Args:
        settings: the patient and the disturbances; the field is that of its DSC protocol.
        grid: of the scan.

    Returns:
        Images, ADC = ln(S(0) / S(1000)) / 1000, and the truth.

    Source:
        Stejskal and Tanner, J Chem Phys 1965;42:288; Le Bihan et al., Radiology 1986;161:401;
        ADC of the tissues: `tissues`. Times are usual ones, set by us.

    Example:
        >>> grid = Grid(shape=(16, 16, 4), affine=np.array(
        ...     [[12.0, 0, 0, -90], [0, 12, 0, -108], [0, 0, 30, -25], [0, 0, 0, 1]]))
        >>> scan = simulate_diffusion(PatientSettings(seed=1), grid)
        >>> bool(3e-4 < np.nanmedian(scan.adc) < 3e-3)
        True
    """
    phantom = phantom_of(settings, grid)
    present = phantom.present
    seed = int(stream(settings.scan_seed, "diffusion").integers(2**31))
    plain, weighted = (_signal(phantom, settings, b) for b in (0.0, B_S_PER_MM2))
    seen = _seen(phantom, settings)
    white = phantom.reference.values[present.values]
    snr = settings.disturbances.snr
    sigma = float((plain * seen)[white].mean()) / snr if white.any() else 0.0

    def scanned(signal: np.ndarray, name: str) -> np.ndarray:
        volume = np.zeros(grid.shape, np.float32)
        volume[present.values] = signal * seen
        return add_rician_noise(volume, sigma=sigma, seed=seed, name=name)

    b0 = scanned(plain, "b 0")
    b1000 = np.ones(grid.shape, np.float32)
    for direction in range(_DIRECTIONS):
        b1000 = b1000 * scanned(weighted, f"b 1000 direction {direction}")
    b1000 = np.cbrt(b1000)
    adc = np.full(grid.shape, np.nan)
    measured = present.values & (b0 > 0) & (b1000 > 0)
    adc[measured] = np.log(b0[measured] / b1000[measured]) / B_S_PER_MM2
    return SimulatedDiffusion(b0=b0, b1000=b1000, adc=adc, truth=phantom.truth["adc"])


def _signal(phantom: Phantom, settings: PatientSettings, b_s_per_mm2: float) -> np.ndarray:
    """Return the signal (present,) of all tissues and vessels."""
    field_t = settings.protocol.field_strength_t
    total = np.zeros(phantom.present.count)
    sources = [
        (tissue.voxels, tissue.share, native_at(phantom.models[name].native, field_t),
         phantom.models[name].adc_mm2_per_s)
        for name, tissue in phantom.tissues.items()
    ]  # fmt: skip
    vessels = phantom.artery + phantom.vein
    voxels = np.flatnonzero(vessels > 0)
    sources.append((voxels, vessels[voxels], native_at(BLOOD, field_t), _FLOWING_MM2_PER_S))
    for where, share, native, adc_mm2_per_s in sources:
        recovered = 1 - math.exp(-_REPETITION_TIME_S / native.t1_s)
        pure = native.proton_density * recovered * math.exp(-_ECHO_TIME_S / native.t2_s)
        total[where] += share * pure * math.exp(-b_s_per_mm2 * adc_mm2_per_s)
    return _BRIGHTNESS * total


def _seen(phantom: Phantom, settings: PatientSettings) -> np.ndarray:
    """Return what the coil and the field beside air make of every present voxel.

    A spin echo refocuses lost phase; a tenth of it stays as dropout of distorted voxels.
    """
    trouble = settings.disturbances
    gain = receive_gain(phantom.grid, seed=settings.scan_seed, strength=trouble.gain_variation)
    loss = lost_phase_rate(phantom.grid, to_scanner=settings.head_pose.affine)
    kept = np.exp(-0.1 * _ECHO_TIME_S * loss * trouble.phase_loss)
    return np.asarray((gain * kept)[phantom.present.values])
