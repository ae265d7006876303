"""From a phantom and an injection to the series that a scanner would write."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bolus.core.arrays import Curve
from bolus.simulate.curves import ArterialBolus, capillary_concentration
from bolus.simulate.kernels import local_concentrations
from bolus.simulate.phantom import Phantom, TissueVoxels
from bolus.simulate.physics import (
    NativeTissue,
    Relaxivities,
    blood_transverse_change,
    gradient_echo_signal,
    longitudinal_magnetisation,
    longitudinal_rate,
    transverse_change,
)
from bolus.simulate.protocol import DscProtocol
from bolus.simulate.tissues import BLOOD
from bolus.simulate.vessel_size import REFERENCE_RADIUS_UM, vessel_size_factor

STEP_S = 0.1
"""Fine time grid of all concentrations."""
_ROWS = 32
_CHUNK = 16384
_VENOUS_TRANSIT_S = 5.0
_VENOUS_DELAY_S = 3.0
_BRIGHTNESS = 2000.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Injection:
    """Plasma concentrations that reach the brain: (fine,) arterial, bolus and preload, in mM.

    `residual` is what the preload left in plasma during the series, `bolus` gives the shapes.
    """

    bolus: ArterialBolus
    first_pass: Curve
    residual: Curve
    preload_mmol_per_kg: float
    preload_s: float

    @property
    def arterial(self) -> Curve:
        """Bolus and preload together [mM of plasma]."""
        return np.asarray(self.first_pass + self.residual)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardModel:
    """What turns concentrations into signal.

    `leakage` False keeps all agent in the vessels. `t1_effect` and `t2s_effect` switch the
    influence of leaked agent on R1 and on R2*. `vascular_t1_share` is how much of the plasma's
    agent relaxes tissue water longitudinally: 1 fast exchange, 0 none.
    """

    protocol: DscProtocol
    relaxivities: Relaxivities
    residue: str
    residue_shape: float
    haematocrit_small: float
    leakage: bool
    t1_effect: bool
    t2s_effect: bool
    vascular_t1_share: float


def inject(bolus: ArterialBolus, protocol: DscProtocol) -> Injection:
    """Return the plasma curves of a protocol on the fine grid."""
    seconds = np.arange(0.0, protocol.frames * protocol.repetition_time_s + 2.0, STEP_S)
    preload_s = 60 * protocol.preload_minutes
    residual = bolus.washout(seconds + preload_s, dose_mmol_per_kg=protocol.preload_mmol_per_kg)
    return Injection(
        bolus=bolus,
        first_pass=bolus(seconds),
        residual=residual,
        preload_mmol_per_kg=protocol.preload_mmol_per_kg,
        preload_s=preload_s,
    )


def leaked_before(injection: Injection, *, ktrans_per_s: np.ndarray, ve: np.ndarray) -> np.ndarray:
    """Return C_e [mM] at the first frame from the preload, in closed form.

    The first pass of the preload enters as an impulse, its washout as exponentials.
    """
    dose, ago_s = injection.preload_mmol_per_kg, injection.preload_s
    leaky = (ktrans_per_s > 0) & (ve > 0)
    kep = np.where(leaky, ktrans_per_s / np.where(ve > 0, ve, 1.0), 1.0)
    area = injection.bolus.first_pass_area_mmolar_s * dose / injection.bolus.dose_mmol_per_kg
    held = kep * area * np.exp(-kep * ago_s)
    washout = injection.bolus.washout
    for amplitude, per_min in zip(washout.amplitudes_kg_per_l, washout.rates_per_min, strict=True):
        rate = per_min / 60
        gap = np.where(np.abs(kep - rate) < 1e-9, 1e-9, kep - rate)
        held += dose * amplitude * kep * (np.exp(-rate * ago_s) - np.exp(-kep * ago_s)) / gap
    return np.asarray(np.where(leaky & (dose > 0), held, 0.0))


def concentrations(
    tissue: TissueVoxels, injection: Injection, model: ForwardModel
) -> tuple[np.ndarray, np.ndarray]:
    """Return local C_p and C_e [mM] (n, frames) in the voxels of one tissue."""
    return concentrations_at(
        tissue,
        injection,
        frames_s=np.arange(model.protocol.frames) * model.protocol.repetition_time_s,
        residue=model.residue,
        residue_shape=model.residue_shape,
        leakage=model.leakage,
    )


def concentrations_at(
    tissue: TissueVoxels,
    injection: Injection,
    *,
    frames_s: np.ndarray,
    residue: str,
    residue_shape: float,
    leakage: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Return local C_p and C_e [mM] (n, frames) in the voxels of one tissue, at any times.

    Args:
        tissue: its blood supply and leakage, voxel by voxel.
        injection: what arrives.
        frames_s: (frames,) increasing, within the time of the injection's curves.
        residue: a key of `RESIDUES`.
        residue_shape: of the gamma family.
        leakage: False keeps all agent in the vessels.
    """
    low, high = float(tissue.mtt_s.min()), float(tissue.mtt_s.max()) + 1e-6
    table = capillary_concentration(
        injection.first_pass, step_s=STEP_S, mtt_s=np.linspace(low, high, _ROWS),
        family=residue, shape=residue_shape,
    ) + injection.residual  # fmt: skip
    ktrans_per_s = tissue.ktrans_per_min / 60 * leakage
    ve = tissue.ve / 100
    return local_concentrations(
        table,
        (tissue.mtt_s - low) / (high - low) * (_ROWS - 1),
        tissue.delay_s / STEP_S,
        ktrans_per_s,
        ve,
        leaked_before(injection, ktrans_per_s=ktrans_per_s, ve=ve),
        frames_s / STEP_S,
        STEP_S,
    )


def tissue_signal(
    tissue: TissueVoxels,
    injection: Injection,
    model: ForwardModel,
    *,
    native: NativeTissue,
    extravascular_per_mmolar_s: "float | np.ndarray",
    vessel_radius_um: float = REFERENCE_RADIUS_UM,
) -> np.ndarray:
    """Return the signal of one pure tissue (echoes, n, frames) [a.u.].

    Args:
        tissue: its blood supply and leakage, voxel by voxel.
        injection: what arrives.
        model: physics.
        native: relaxation times and density of the tissue.
        extravascular_per_mmolar_s: R2* per mM of leaked agent, one number or (n, 1).
        vessel_radius_um: mean radius of its small vessels.
    """
    plasma, leaked = concentrations(tissue, injection, model)
    vp = tissue.cbv / 100 * (1 - model.haematocrit_small)
    ve = tissue.ve / 100
    r1 = longitudinal_rate(
        plasma, leaked, r10_per_s=np.full(len(vp), 1 / native.t1_s),
        vp=vp * model.vascular_t1_share, ve=ve * model.t1_effect,
        r1_per_mmolar_s=model.relaxivities.r1,
    )  # fmt: skip
    change = transverse_change(
        plasma, leaked if model.t2s_effect else np.zeros_like(leaked), vp=vp, ve=ve,
        vascular_per_mmolar_s=model.relaxivities.r2s_vascular * vessel_size_factor(
            vessel_radius_um, field_strength_t=model.protocol.field_strength_t
        ),
        extravascular_per_mmolar_s=extravascular_per_mmolar_s,
        native_mmolar=model.relaxivities.native_mmolar,
    )  # fmt: skip
    return _echoes(r1, 1 / native.t2s_s + change, native, model.protocol, flowing=False)


def native_at(by_field: Mapping[float, NativeTissue], field_strength_t: float) -> NativeTissue:
    """Return the native values at the nearer of the two fields."""
    return by_field[1.5 if field_strength_t < 2.2 else 3.0]


def vessel_signal(
    injection: Injection, model: ForwardModel, *, delay_s: np.ndarray, venous: bool
) -> np.ndarray:
    """Return the signal of pure arterial or venous blood (echoes, n, frames) [a.u.].

    Arterial blood flows in with full magnetisation; venous blood has been in the slab.
    """
    native = native_at(BLOOD, model.protocol.field_strength_t)
    frames_s = model.protocol.repetition_time_s * np.arange(model.protocol.frames)
    local = blood_concentration(injection, frames_s=frames_s, delay_s=delay_s, venous=venous)
    change = blood_transverse_change(
        local, linear=model.relaxivities.blood_linear,
        quadratic=model.relaxivities.blood_quadratic,
    )  # fmt: skip
    r1 = 1 / native.t1_s + model.relaxivities.r1 * local
    return _echoes(r1, 1 / native.t2s_s + change, native, model.protocol, flowing=not venous)


def blood_concentration(
    injection: Injection, *, frames_s: np.ndarray, delay_s: np.ndarray, venous: bool
) -> np.ndarray:
    """Return the concentration in whole blood of large vessels [mM], (n, frames).

    Args:
        injection: what arrives.
        frames_s: (frames,) times within those of the injection's curves.
        delay_s: (n,) behind the carotid bifurcation; veins come later by a passage of the brain.
        venous: blood that has passed the capillaries.
    """
    plasma = injection.first_pass
    if venous:
        plasma = capillary_concentration(
            plasma, step_s=STEP_S, mtt_s=np.array([_VENOUS_TRANSIT_S]), family="gamma", shape=2.0
        )[0]
        delay_s = delay_s + _VENOUS_DELAY_S
    blood = (plasma + injection.residual) * (1 - injection.bolus.haematocrit)
    fine_s = STEP_S * np.arange(len(blood))
    return np.asarray(np.interp(frames_s[None, :] - delay_s[:, None], fine_s, blood))


def _echoes(
    r1_per_s: np.ndarray,
    r2s_per_s: np.ndarray,
    native: NativeTissue,
    protocol: DscProtocol,
    *,
    flowing: bool,
) -> np.ndarray:
    """Return (echoes, n, frames) from relaxation rates."""
    flip_deg = protocol.flip_angle_deg
    magnetisation = (
        np.ones_like(r1_per_s)
        if flowing
        else longitudinal_magnetisation(
            r1_per_s, repetition_time_s=protocol.repetition_time_s, flip_angle_deg=flip_deg,
            dummies=protocol.dummies,
        )
    )  # fmt: skip
    density = np.full(len(r1_per_s), native.proton_density)
    return np.stack(
        [
            gradient_echo_signal(
                magnetisation, r2s_per_s, proton_density=density, echo_time_s=te_s,
                flip_angle_deg=flip_deg,
            )
            for te_s in protocol.echo_times_s
        ]
    )  # fmt: skip


def phantom_signal(phantom: Phantom, injection: Injection, model: ForwardModel) -> np.ndarray:
    """Return the noise-free signal (echoes, present voxels, frames) float32 [a.u.]."""
    protocol = model.protocol
    total = np.zeros((len(protocol.echo_times_s), phantom.present.count, protocol.frames), "f4")
    for name, tissue in phantom.tissues.items():
        native = native_at(phantom.models[name].native, protocol.field_strength_t)
        cells = phantom.models[name].r2s_extravascular * model.relaxivities.extravascular_scale
        for at in range(0, len(tissue.voxels), _CHUNK):
            part = tissue.part(slice(at, at + _CHUNK))
            pure = tissue_signal(
                part, injection, model, native=native, extravascular_per_mmolar_s=cells,
                vessel_radius_um=phantom.models[name].vessel_radius_um,
            )  # fmt: skip
            total[:, part.voxels] += part.share[:, None] * pure
    for share, venous in ((phantom.artery, False), (phantom.vein, True)):
        voxels = np.flatnonzero(share > 0)
        delay_s = phantom.vessel_delay_s[voxels]
        pure = vessel_signal(injection, model, delay_s=delay_s, venous=venous)
        total[:, voxels] += share[voxels, None] * pure
    return total * np.float32(_BRIGHTNESS)
