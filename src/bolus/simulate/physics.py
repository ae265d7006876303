"""From concentrations to the signal of a gradient-echo EPI series.

Water sees the agent in three ways: longitudinal relaxation by everything that is there; the
mesoscopic field around capillaries, by the difference between plasma and the space around it; and
the field around cells, by what has leaked out. See docs/explanation/simulator.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from bolus.errors import Code, MetadataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxivities:
    """How strongly the agent acts [1/s per mM], at one field strength.

    `r1` of gadolinium chelates in plasma (Rohrer et al., Invest Radiol 2005;40:715).
    `r2s_vascular` multiplies vp |Cp - Ce|, the mesoscopic term (theory: about 87 per mM of blood
    at 3 T, Kjølby et al., Magn Reson Med 2006;56:187; here set so that grey matter's signal falls
    as in patients). What has leaked acts by ve Ce; how strongly depends on cell packing and is a
    property of the tissue (TRATE, Semmineh et al., Magn Reson Med 2015;74:772): `tissues` has it
    at 3 T, `extravascular_scale` takes it to this field. `native_mmolar` is the field that
    deoxygenated capillary blood has before any agent, as the plasma concentration that would make
    it. `blood_linear` and `blood_quadratic` are those of whole arterial blood.
    """

    r1: float
    r2s_vascular: float
    extravascular_scale: float
    blood_linear: float
    blood_quadratic: float
    native_mmolar: float


RELAXIVITIES: Mapping[float, Relaxivities] = MappingProxyType(
    {
        1.5: Relaxivities(r1=4.1, r2s_vascular=16.5, extravascular_scale=0.5,
                          blood_linear=7.0, blood_quadratic=0.0, native_mmolar=1.0),
        3.0: Relaxivities(r1=3.7, r2s_vascular=33.0, extravascular_scale=1.0,
                          blood_linear=9.0, blood_quadratic=0.0, native_mmolar=1.0),
    }
)  # fmt: skip
"""Gadopentetate by field [T]; arteries by a linear law."""

QUADRATIC_BLOOD: Mapping[float, tuple[float, float]] = MappingProxyType(
    {1.5: (7.62, 0.574), 3.0: (0.493, 2.62)}
)
"""ΔR2* = a C + b C² of whole blood: van Osch et al., Magn Reson Med 2003;49:1067 (1.5 T) and
Akbudak et al., Proc ISMRM 2004 (3 T); C in mM of blood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeTissue:
    """What a tissue is before any agent: relaxation times [s] and proton density (CSF = 1)."""

    t1_s: float
    t2_s: float
    t2s_s: float
    proton_density: float


def relaxivities_at(field_strength_t: float) -> Relaxivities:
    """Return the relaxivities at a field strength.

    Raises:
        MetadataError: neither 1.5 nor 3 T.

    Example:
        >>> relaxivities_at(3.0).r1
        3.7
    """
    for field, values in RELAXIVITIES.items():
        if abs(field - field_strength_t) < 0.1:
            return values
    raise MetadataError(
        Code.METADATA_IMPLAUSIBLE,
        f"no relaxivities are known for {field_strength_t:g} T; expected 1.5 or 3 T",
        mend="state the relaxivities of the agent at this field",
    )


def longitudinal_rate(
    plasma: np.ndarray,
    extravascular: np.ndarray,
    *,
    r10_per_s: np.ndarray,
    vp: np.ndarray,
    ve: np.ndarray,
    r1_per_mmolar_s: float,
) -> np.ndarray:
    """Return R1 = R10 + r1 (vp Cp + ve Ce) [1/s].

    Args:
        plasma: local Cp [mM], (..., t).
        extravascular: Ce [mM], (..., t).
        r10_per_s: native rate, (...).
        vp: plasma volume fraction (0 to 1), (...).
        ve: volume fraction of the extravascular extracellular space, (...).
        r1_per_mmolar_s: relaxivity.

    Source:
        Solomon, Phys Rev 1955;99:559; water exchange is fast (Quarles et al., Phys Med Biol
        2009;54:5749).

    Example:
        >>> float(longitudinal_rate(np.array([5.0]), np.array([1.0]), r10_per_s=np.array(1.0),
        ...                         vp=np.array(0.02), ve=np.array(0.2), r1_per_mmolar_s=4.0)[0])
        2.2
    """
    held = vp[..., None] * plasma + ve[..., None] * extravascular
    return np.asarray(r10_per_s[..., None] + r1_per_mmolar_s * held)


def transverse_change(
    plasma: np.ndarray,
    extravascular: np.ndarray,
    *,
    vp: np.ndarray,
    ve: np.ndarray,
    vascular_per_mmolar_s: "float | np.ndarray",
    extravascular_per_mmolar_s: "float | np.ndarray",
    native_mmolar: float,
) -> np.ndarray:
    """Return ΔR2* = r_v vp (|Cp - Ce + Cn| - Cn) + r_e ve Ce [1/s].

    The first term is the field around capillaries, which vanishes when both sides are equally
    magnetic; the second that of agent around cells. Either relaxivity may be a number per voxel,
    (..., 1). Cn = 0 is the published form; blood that is partly deoxygenated is already magnetic.

    Args:
        plasma: local Cp [mM], (..., t).
        extravascular: Ce [mM], (..., t).
        vp: plasma volume fraction (0 to 1), (...).
        ve: volume fraction of the extravascular extracellular space, (...).
        vascular_per_mmolar_s: r_v.
        extravascular_per_mmolar_s: r_e.
        native_mmolar: Cn, the field of deoxygenated blood as a concentration of agent in plasma.

    Source:
        Two-compartment model of Quarles et al., Phys Med Biol 2009;54:5749, and Semmineh et al.,
        Tomography 2017;3:41 (gradient correction).

    Example:
        >>> transverse_change(np.array([5.0]), np.array([0.0]), vp=np.array(0.03),
        ...                   ve=np.array(0.0), vascular_per_mmolar_s=60.0, native_mmolar=0.0,
        ...                   extravascular_per_mmolar_s=25.0).round(6).tolist()
        [9.0]
    """
    field = np.abs(plasma - extravascular + native_mmolar) - native_mmolar
    vessels = vp[..., None] * field
    cells = ve[..., None] * extravascular
    return np.asarray(vascular_per_mmolar_s * vessels + extravascular_per_mmolar_s * cells)


def steady_state(
    r1_per_s: np.ndarray, *, repetition_time_s: float, flip_angle_deg: "float | np.ndarray"
) -> np.ndarray:
    """Return Mz/M0 just before a pulse: (1 - E1) / (1 - cos(a) E1), E1 = exp(-TR R1).

    Source:
        Ernst and Anderson, Rev Sci Instrum 1966;37:93.

    Example:
        >>> round(float(steady_state(np.array(1.0), repetition_time_s=1.5, flip_angle_deg=90)), 4)
        0.7769
    """
    decay = np.exp(-repetition_time_s * np.asarray(r1_per_s))
    return np.asarray((1 - decay) / (1 - np.cos(np.radians(flip_angle_deg)) * decay))


def longitudinal_magnetisation(
    r1_per_s: np.ndarray, *, repetition_time_s: float, flip_angle_deg: float, dummies: int
) -> np.ndarray:
    """Follow Mz/M0 from pulse to pulse, as R1 changes.

    M(n+1) = 1 - (1 - M(n) cos a) exp(-TR (R1(n) + R1(n+1)) / 2) from full magnetisation: the first
    frames of a series are bright, and with constant R1 it ends in the steady state. R1 changes
    linearly from pulse to pulse; holding it would cost 1 % of the peak where much leaks.

    Args:
        r1_per_s: (..., t), one rate per frame.
        repetition_time_s: between excitations, which in single-shot EPI is the frame interval.
        flip_angle_deg: excitation.
        dummies: excitations before the first frame that is kept.

    Returns:
        (..., t) just before each frame's pulse.

    Source:
        Bloch, Phys Rev 1946;70:460, without transverse coherence (ideal spoiling).

    Example:
        >>> m = longitudinal_magnetisation(np.full(60, 0.7), repetition_time_s=1.5,
        ...                                flip_angle_deg=60.0, dummies=0)
        >>> float(m[0]), bool(abs(m[-1] - steady_state(np.array(0.7), repetition_time_s=1.5,
        ...                                            flip_angle_deg=60.0)) < 1e-9)
        (1.0, True)
    """
    r1_per_s = np.asarray(r1_per_s)
    first = np.exp(-repetition_time_s * r1_per_s[..., 0])
    between = np.exp(-repetition_time_s * (r1_per_s[..., :-1] + r1_per_s[..., 1:]) / 2)
    cosine = np.cos(np.radians(flip_angle_deg))
    present = np.ones_like(first)
    for _ in range(dummies):
        present = 1 - (1 - present * cosine) * first
    magnetisation = np.empty_like(r1_per_s)
    magnetisation[..., 0] = present
    for frame in range(between.shape[-1]):
        present = 1 - (1 - present * cosine) * between[..., frame]
        magnetisation[..., frame + 1] = present
    return magnetisation


def gradient_echo_signal(
    magnetisation: np.ndarray,
    r2s_per_s: np.ndarray,
    *,
    proton_density: np.ndarray,
    echo_time_s: float,
    flip_angle_deg: float,
) -> np.ndarray:
    """Return S = M0 sin(a) Mz exp(-TE R2*) [a.u.].

    Args:
        magnetisation: Mz/M0 before the pulse, (..., t).
        r2s_per_s: R2* with the agent, (..., t).
        proton_density: M0, (...).
        echo_time_s: of this echo.
        flip_angle_deg: excitation.

    Source:
        Ernst and Anderson, Rev Sci Instrum 1966;37:93; OSIPI CAPLEX M.SM2.002 (its names, not its
        signs).

    Example:
        >>> float(gradient_echo_signal(np.ones(1), np.zeros(1), proton_density=np.array(100.0),
        ...                            echo_time_s=0.03, flip_angle_deg=90.0)[0])
        100.0
    """
    scale = proton_density[..., None] * np.sin(np.radians(flip_angle_deg))
    return np.asarray(scale * magnetisation * np.exp(-echo_time_s * r2s_per_s))


def blood_transverse_change(blood: np.ndarray, *, linear: float, quadratic: float) -> np.ndarray:
    """Return ΔR2* = a C + b C² [1/s] of whole blood holding C [mM].

    Args:
        blood: concentration in whole blood [mM], plasma's times (1 - haematocrit).
        linear: a [1/s per mM].
        quadratic: b [1/s per mM²]; 0 for the linear law.

    Source:
        van Osch et al., Magn Reson Med 2003;49:1067.

    Example:
        >>> float(blood_transverse_change(np.array(2.0), linear=7.62, quadratic=0.574))
        17.536
    """
    return np.asarray(linear * blood + quadratic * blood**2)
