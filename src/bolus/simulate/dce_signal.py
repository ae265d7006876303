"""What the tissues and the blood of a phantom do in a spoiled gradient echo with an agent."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bolus.simulate.patient import PatientSettings
from bolus.simulate.phantom import Phantom
from bolus.simulate.physics import (
    Relaxivities,
    blood_transverse_change,
    longitudinal_rate,
    relaxivities_at,
    transverse_change,
)
from bolus.simulate.scanner import Injection, blood_concentration, concentrations_at, native_at
from bolus.simulate.tissues import BLOOD
from bolus.simulate.vessel_size import vessel_size_factor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compartment:
    """One tissue or blood where it is: voxel numbers (n,) within `Phantom.present`, and its rates.

    `r1_per_s` and `r2s_per_s` are (n, 1 + frames), the first column before the agent; `pulses`
    (n,) is how many the spins have met, infinity in the steady state.
    """

    voxels: np.ndarray
    share: np.ndarray
    density: float
    r1_per_s: np.ndarray
    r2s_per_s: np.ndarray
    pulses: np.ndarray


def compartments(
    phantom: Phantom,
    injection: Injection,
    settings: PatientSettings,
    *,
    frames_s: np.ndarray,
    field_strength_t: float,
    arterial_pulses: np.ndarray,
) -> Iterator[Compartment]:
    """Yield every tissue, then arterial and venous blood, with their rates.

    Args:
        phantom: of the patient on the grid of the scan.
        injection: what arrives.
        settings: physiology, residue, leakage, relaxivities.
        frames_s: (frames,) times.
        field_strength_t: of the scanner.
        arterial_pulses: (present,) how many pulses arterial blood has met in each voxel.
    """
    relaxivities = settings.relaxivities or relaxivities_at(field_strength_t)
    for name in phantom.tissues:
        if len(phantom.tissues[name].voxels):
            yield _tissue(
                name, phantom, injection, settings,
                frames_s=frames_s, relaxivities=relaxivities, field_strength_t=field_strength_t,
            )  # fmt: skip
    steady = np.full(phantom.present.count, np.inf)
    for share, pulses, venous in (
        (phantom.artery, arterial_pulses, False),
        (phantom.vein, steady, True),
    ):
        voxels = np.flatnonzero(share > 0)
        held = blood_concentration(
            injection, frames_s=frames_s, delay_s=phantom.vessel_delay_s[voxels], venous=venous
        )
        r1, r2s = blood_rates(held, relaxivities=relaxivities, field_strength_t=field_strength_t)
        native = native_at(BLOOD, field_strength_t)
        yield Compartment(
            voxels=voxels,
            share=share[voxels],
            density=native.proton_density,
            r1_per_s=_with_start(r1, 1 / native.t1_s),
            r2s_per_s=_with_start(r2s, 1 / native.t2s_s),
            pulses=pulses[voxels],
        )


def _tissue(
    name: str,
    phantom: Phantom,
    injection: Injection,
    settings: PatientSettings,
    *,
    frames_s: np.ndarray,
    relaxivities: Relaxivities,
    field_strength_t: float,
) -> Compartment:
    """Return one tissue; its water meets plasma and leaked agent alike (fast exchange)."""
    tissue, model = phantom.tissues[name], phantom.models[name]
    native = native_at(model.native, field_strength_t)
    plasma, leaked = concentrations_at(
        tissue, injection, frames_s=frames_s, residue=settings.residue,
        residue_shape=settings.residue_shape, leakage=settings.leakage,
    )  # fmt: skip
    vp = tissue.cbv / 100 * (1 - settings.physiology.haematocrit_small)
    r1 = longitudinal_rate(
        plasma, leaked, r10_per_s=np.full(len(vp), 1 / native.t1_s), vp=vp,
        ve=tissue.ve / 100, r1_per_mmolar_s=relaxivities.r1,
    )  # fmt: skip
    vascular = relaxivities.r2s_vascular * vessel_size_factor(
        model.vessel_radius_um, field_strength_t=field_strength_t
    )
    change = transverse_change(
        plasma, leaked, vp=vp, ve=tissue.ve / 100, vascular_per_mmolar_s=vascular,
        extravascular_per_mmolar_s=model.r2s_extravascular * relaxivities.extravascular_scale,
        native_mmolar=relaxivities.native_mmolar,
    )  # fmt: skip
    return Compartment(
        voxels=tissue.voxels,
        share=tissue.share,
        density=native.proton_density,
        r1_per_s=_with_start(r1, 1 / native.t1_s),
        r2s_per_s=_with_start(1 / native.t2s_s + change, 1 / native.t2s_s),
        pulses=np.full(len(vp), np.inf),
    )


def blood_rates(
    blood_mmolar: np.ndarray, *, relaxivities: Relaxivities, field_strength_t: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return R1 and R2* [1/s] of whole blood that holds an agent.

    Args:
        blood_mmolar: concentration in whole blood [mM].
        relaxivities: of the agent.
        field_strength_t: of the scanner.

    Source:
        Rohrer et al., Invest Radiol 2005;40:715 (r1); van Osch et al., Magn Reson Med
        2003;49:1067 (R2*); native blood: `tissues`.

    Example:
        >>> from bolus.simulate.physics import relaxivities_at
        >>> r1, r2s = blood_rates(np.array([0.0, 5.0]), relaxivities=relaxivities_at(3.0),
        ...                       field_strength_t=3.0)
        >>> r1.round(2).tolist(), r2s.round(1).tolist()
        ([0.61, 19.11], [18.2, 63.2])
    """
    native = native_at(BLOOD, field_strength_t)
    change = blood_transverse_change(
        blood_mmolar, linear=relaxivities.blood_linear, quadratic=relaxivities.blood_quadratic
    )
    return 1 / native.t1_s + relaxivities.r1 * blood_mmolar, 1 / native.t2s_s + change


def _with_start(rates: np.ndarray, native_per_s: float) -> np.ndarray:
    return np.concatenate([np.full((len(rates), 1), native_per_s), rates], axis=1)
