"""Structural images of the same patient: T1w, T1w after agent, T2w and FLAIR, from equations.

Contrast comes from T1, T2 and proton density of the tissues and from the agent alone; the template
decides only where tissue is.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from bolus.core.geometry import Grid
from bolus.core.randomness import stream
from bolus.simulate.disturbances import add_rician_noise, receive_gain
from bolus.simulate.patient import PatientSettings, injected_bolus, phantom_of
from bolus.simulate.phantom import Phantom
from bolus.simulate.physics import NativeTissue, relaxivities_at
from bolus.simulate.scanner import Injection, leaked_before, native_at
from bolus.simulate.tissues import BLOOD

_BRIGHTNESS = 2000.0
_AGENT_S = 300.0
"""From the injection of the agent to the image after it."""

SequenceLaw = Callable[[NativeTissue, np.ndarray], np.ndarray]
"""Signal for proton density 1 from native values and R1 [1/s], with its sign."""


def simulate_structural(settings: PatientSettings, grid: Grid) -> Mapping[str, np.ndarray]:
    """Return structural images (x, y, z) float32 [a.u.] on a grid.

    "T1w" is an inversion recovery read by gradient echo (like MPRAGE: TR 2.3 s, TI 1.1 s, TE
    3 ms), "T1ce" the same five minutes after the protocol's dose, "T2w" a spin echo (TR 5 s,
    effective TE 90 ms), "FLAIR" an inversion recovery (TR 9 s, TE 90 ms) whose inversion time
    nulls the patient's CSF. Leaked agent relaxes tissue, R1 = R10 + r1 ve Ce; agent in capillaries
    relaxes their own blood and no more, because water leaves them slowly. Flowing blood is dark in
    the spin echoes. A voxel is the sum of its tissues' signals before the magnitude is taken.
    Noise is Rician, `Disturbances.snr` in white matter.

    Args:
        settings: the patient and the disturbances; field and dose are those of its DSC protocol.
        grid: any; images are averaged over the thickness of its slices.

    Returns:
        "T1w", "T1ce", "T2w" and "FLAIR".

    Source:
        Bloch, Phys Rev 1946;70:460 (recovery and decay); Mugler and Brookeman, Magn Reson Med
        1990;15:152 (MPRAGE); Hajnal et al., J Comput Assist Tomogr 1992;16:841 (FLAIR). The
        sequences' times are usual ones, set by us.

    Example:
        >>> grid = Grid(shape=(16, 16, 4), affine=np.array(
        ...     [[12.0, 0, 0, -90], [0, 12, 0, -108], [0, 0, 30, -25], [0, 0, 0, 1]]))
        >>> images = simulate_structural(PatientSettings(seed=1), grid)
        >>> sorted(images), images["FLAIR"].shape
        (['FLAIR', 'T1ce', 'T1w', 'T2w'], (16, 16, 4))
    """
    phantom = phantom_of(settings, grid)
    fluid = native_at(phantom.models["csf"].native, settings.protocol.field_strength_t)
    null_s = nulling_time(fluid.t1_s, repetition_time_s=9.0)

    def t1w(native: NativeTissue, r1_per_s: np.ndarray) -> np.ndarray:
        recovered = inverted(r1_per_s, repetition_time_s=2.3, inversion_time_s=1.1)
        return recovered * math.exp(-0.003 / native.t2s_s)

    def t2w(native: NativeTissue, r1_per_s: np.ndarray) -> np.ndarray:
        return np.asarray(-np.expm1(-5.0 * r1_per_s) * math.exp(-0.090 / native.t2_s))

    def flair(native: NativeTissue, r1_per_s: np.ndarray) -> np.ndarray:
        recovered = inverted(r1_per_s, repetition_time_s=9.0, inversion_time_s=null_s)
        return recovered * math.exp(-0.090 / native.t2_s)

    clean = {
        "T1w": _sum(phantom, settings, t1w, flowing=True, injection=None),
        "T1ce": _sum(phantom, settings, t1w, flowing=True, injection=_agent(settings)),
        "T2w": _sum(phantom, settings, t2w, flowing=False, injection=None),
        "FLAIR": _sum(phantom, settings, flair, flowing=False, injection=None),
    }
    seed = int(stream(settings.scan_seed, "structural").integers(2**31))
    return MappingProxyType(
        {
            name: written(values, phantom, settings, seed=seed, name=name)
            for name, values in clean.items()
        }
    )


def inverted(
    r1_per_s: np.ndarray, *, repetition_time_s: float, inversion_time_s: float
) -> np.ndarray:
    """Return Mz/M0 = 1 - 2 exp(-TI R1) + exp(-TR R1), with its sign, read by 90 degrees.

    Source:
        Bydder and Young, J Comput Assist Tomogr 1985;9:659.

    Example:
        >>> float(inverted(np.array(1.0), repetition_time_s=50.0, inversion_time_s=50.0).round(3))
        1.0
    """
    late = np.exp(-repetition_time_s * np.asarray(r1_per_s))
    return np.asarray(1 - 2 * np.exp(-inversion_time_s * np.asarray(r1_per_s)) + late)


def nulling_time(t1_s: float, *, repetition_time_s: float) -> float:
    """Return the inversion time [s] at which a tissue has no signal.

    TI = T1 ln(2 / (1 + exp(-TR/T1))), the zero of `inverted`.

    Example:
        >>> round(nulling_time(3.8, repetition_time_s=9.0), 2)
        2.29
    """
    return t1_s * math.log(2 / (1 + math.exp(-repetition_time_s / t1_s)))


def written(
    signal: np.ndarray, phantom: Phantom, settings: PatientSettings, *, seed: int, name: str
) -> np.ndarray:
    """Return an image (x, y, z) float32 as the scanner writes it: coil, magnitude, noise.

    Args:
        signal: (present,) of the phantom's voxels, with its sign.
        phantom: where the voxels are.
        settings: SNR in white matter and the coil's variation.
        seed: of the noise.
        name: of the stream of noise.
    """
    trouble, present = settings.disturbances, phantom.present
    gain = receive_gain(phantom.grid, seed=settings.scan_seed, strength=trouble.gain_variation)
    seen = _BRIGHTNESS * np.abs(signal) * gain[present.values]
    white = phantom.reference.values[present.values]
    sigma = float(seen[white].mean()) / trouble.snr if white.any() else 0.0
    volume = np.zeros(phantom.grid.shape, np.float32)
    volume[present.values] = seen
    return add_rician_noise(volume, sigma=sigma, seed=seed, name=name)


def _agent(settings: PatientSettings) -> Injection:
    """Return what a dose leaves in plasma and tissue after a while, as an earlier dose."""
    bolus = injected_bolus(settings)
    held = bolus.washout(np.array([_AGENT_S]), dose_mmol_per_kg=bolus.dose_mmol_per_kg)
    return Injection(
        bolus=bolus,
        first_pass=np.zeros(1),
        residual=held,
        preload_mmol_per_kg=bolus.dose_mmol_per_kg,
        preload_s=_AGENT_S,
    )


def _sum(
    phantom: Phantom,
    settings: PatientSettings,
    law: SequenceLaw,
    *,
    flowing: bool,
    injection: Injection | None,
) -> np.ndarray:
    """Return the signal (present,) of all tissues and vessels, with its sign."""
    field_t = settings.protocol.field_strength_t
    r1_per_mmolar_s = (settings.relaxivities or relaxivities_at(field_t)).r1
    body, blood = settings.physiology, native_at(BLOOD, field_t)
    plasma = 0.0 if injection is None else float(injection.residual[0])

    def of_blood(haematocrit: float) -> float:
        rate = 1 / blood.t1_s + r1_per_mmolar_s * (1 - haematocrit) * plasma
        return float(blood.proton_density * law(blood, np.array(rate)))

    total = np.zeros(phantom.present.count)
    capillary = of_blood(body.haematocrit_small)
    native_blood = blood.proton_density * float(law(blood, np.array(1 / blood.t1_s)))
    for name, tissue in phantom.tissues.items():
        native = native_at(phantom.models[name].native, field_t)
        rate = np.full(len(tissue.voxels), 1 / native.t1_s)
        if injection is not None and settings.leakage:
            ve = tissue.ve / 100
            ktrans_per_s = tissue.ktrans_per_min / 60
            leaked = leaked_before(injection, ktrans_per_s=ktrans_per_s, ve=ve)
            rate = rate + r1_per_mmolar_s * ve * leaked
        pure = native.proton_density * law(native, rate)
        pure = pure + tissue.cbv / 100 * (capillary - native_blood)
        total[tissue.voxels] += tissue.share * pure
    if flowing:
        total += (phantom.artery + phantom.vein) * of_blood(body.haematocrit_large)
    return total
