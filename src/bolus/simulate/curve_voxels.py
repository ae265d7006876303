"""What the voxels of one exam hold: tumour, normal brain and arteries, without a head."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from bolus.core.randomness import stream
from bolus.simulate.fast_mixture import CurveMixture, Parts, draw_parts
from bolus.simulate.growth import Glioma
from bolus.simulate.patient import PatientSettings, injected_bolus
from bolus.simulate.physics import relaxivities_at
from bolus.simulate.scanner import Injection, leaked_before, native_at
from bolus.simulate.structural import inverted
from bolus.simulate.tissues import TISSUES

CORE = ("necrosis", "nonviable", "hypovascular", "hypervascular")
"""Tissues of the mass; oedema and infiltrated brain lie around it."""
_CORE_NUMBERS = [list(TISSUES).index(name) for name in CORE]
_FIELDS = ("tissue", "share", "cbv", "mtt_s", "delay_s", "ktrans_per_min", "ve")
_RIM_PER_REACH = 1.25
"""Width of the infiltrated rim over the reach of infiltration: see `growth`, cells 0.5 to 0.35."""
_RIM_FILLED = 0.75
"""Share of the rim that is brain which cells can enter: 0.58 to 1.01 in seven grown gliomas."""
_MIXED = 1.0
"""Share of tumour voxels with two tissues, the larger of which then holds 0.75 on average. In the
tumour masks of eight simulated heads, on voxels of 1.7 x 1.7 x 6 mm, it holds 0.69 to 0.79."""
_NORMAL: Mapping[str, float] = MappingProxyType({"gm": 0.65, "wm": 0.31, "csf": 0.04})
_NORMAL_IN_RIM, _NORMAL_IN_CORE = 0.64, 0.20
"""How often the smaller part is normal brain, and which. In those eight masks normal brain fills
0.16 of what is oedema or infiltrated and 0.05 of the mass, two thirds of it grey matter."""
_ARTERY_SHARE = (0.35, 0.95)
_ARTERY_SPREAD = 0.08
_ARTERY_DELAY_S = 0.3
_AGENT_S = 300.0
_REPETITION_S, _INVERSION_S = 2.3, 1.1
_ENHANCED = 1.1
"""A voxel counts as enhancing from this T1-weighted signal over white matter's; set by us."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExamVoxels:
    """Two parts for every voxel of an exam, and which voxels are what.

    Voxels lie in the order tumour, white matter, grey matter, arteries. `tissue` is the larger
    part of tumour voxels in the numbers of `TISSUE_LABELS`. Of these voxels, `core` are those of
    the mass, `solid` those of the mass without its necrosis, `enhancing` the bright ones of it.
    """

    parts: tuple[Parts, Parts]
    tumour: slice
    white: slice
    brain: slice
    artery: slice
    tissue: np.ndarray
    enhancing: np.ndarray
    core: np.ndarray
    solid: np.ndarray


def tumour_volumes_ml(glioma: Glioma) -> Mapping[str, float]:
    """Return the volume [mL] of every tissue of a whole-tumour mask.

    The infiltrated rim has the volume of a shell around a ball as large as the mass, as wide as
    growth makes it, three quarters of it brain that cells can enter.

    Args:
        glioma: before treatment.

    Source:
        Compared with `growth.grow` in seven patients; the ball is our simplification.

    Example:
        >>> volumes = tumour_volumes_ml(Glioma(volume_ml=30.0, necrosis=0.2))
        >>> round(volumes["necrosis"], 3), round(volumes["infiltrated"])
        (6.0, 22)
    """
    radius_mm = float(np.cbrt(3000.0 * glioma.volume_ml / (4.0 * np.pi)))
    outer_mm = radius_mm + _RIM_PER_REACH * glioma.infiltration_mm
    shell_ml = 4.0 * np.pi / 3000.0 * (outer_mm**3 - radius_mm**3)
    dead = glioma.necrosis + glioma.nonviable
    shares = {
        "necrosis": glioma.necrosis,
        "nonviable": glioma.nonviable,
        "hypervascular": glioma.hypervascular,
        "hypovascular": max(0.0, 1.0 - dead - glioma.hypervascular),
    }
    volumes = {name: glioma.volume_ml * share for name, share in shares.items()}
    volumes |= {"oedema": glioma.oedema_ml, "infiltrated": _RIM_FILLED * shell_ml}
    return MappingProxyType(volumes)


def lay_exam(
    settings: PatientSettings, *, tumour: int, white: int, grey: int, arteries: int
) -> ExamVoxels:
    """Draw the voxels of one exam.

    Args:
        settings: glioma, tissues, body and protocol of the exam.
        tumour: voxels of the whole tumour.
        white: voxels of normal white matter.
        grey: voxels of normal grey matter.
        arteries: voxels with an artery, which share the voxel with grey matter.

    Source:
        Set by us, and `tumour_volumes_ml`.
    """
    groups = [
        _tumour(settings, tumour),
        _drawn(settings, white, "white", weights={"wm": 1.0}, mixed=0.0),
        _drawn(settings, grey, "grey", weights={"gm": 1.0}, mixed=0.0),
        _arteries(settings, arteries),
    ]
    ends = np.cumsum([tumour, white, grey, arteries])
    main, second = groups[0]
    core = np.isin(main.tissue, _CORE_NUMBERS)
    return ExamVoxels(
        parts=(_joined([g[0] for g in groups]), _joined([g[1] for g in groups])),
        tumour=slice(0, tumour),
        white=slice(tumour, int(ends[1])),
        brain=slice(tumour, int(ends[2])),
        artery=slice(int(ends[2]), int(ends[3])),
        tissue=(main.tissue + 1).astype(np.uint8),
        enhancing=core & (_brightness(settings, (main, second)) > _ENHANCED),
        core=core,
        solid=core & (main.tissue != _CORE_NUMBERS[0]),
    )


def _tumour(settings: PatientSettings, count: int) -> tuple[Parts, Parts]:
    """Draw voxels of the whole tumour, some of which share their place with normal brain."""
    volumes = tumour_volumes_ml(settings.glioma or Glioma())
    main, second = _drawn(settings, count, "tumour", weights=volumes, mixed=_MIXED)
    normal, _ = _drawn(settings, count, "tumour and brain", weights=_NORMAL, mixed=0.0)
    random = stream(settings.scan_seed, "curve cohort", "normal share")
    core = np.isin(main.tissue, _CORE_NUMBERS)
    other = random.random(count) < np.where(core, _NORMAL_IN_CORE, _NORMAL_IN_RIM)
    chosen = {n: np.where(other, getattr(normal, n), getattr(second, n)) for n in _FIELDS}
    return main, Parts(**(chosen | {"share": second.share}))


def _drawn(
    settings: PatientSettings, count: int, name: str, *, weights: Mapping[str, float], mixed: float
) -> tuple[Parts, Parts]:
    seed = int(stream(settings.scan_seed, "curve cohort", name).integers(2**31))
    mixture = CurveMixture(weights=weights, mixed=mixed)
    return draw_parts([settings], np.zeros(count, np.intp), seed=seed, mixture=mixture)


def _arteries(settings: PatientSettings, count: int) -> tuple[Parts, Parts]:
    """Let arteries fill a part of their voxels that is about the same in one exam."""
    grey, _ = _drawn(settings, count, "artery", weights={"gm": 1.0}, mixed=0.0)
    random = stream(settings.scan_seed, "curve cohort", "artery share")
    typical = random.uniform(*_ARTERY_SHARE)
    share = np.clip(typical + _ARTERY_SPREAD * random.standard_normal(count), 0.1, 1.0)
    nothing = np.zeros(count)
    blood = Parts(
        tissue=np.full(count, len(TISSUES)),
        share=share,
        cbv=nothing,
        mtt_s=np.full(count, 5.0),
        delay_s=random.uniform(0.0, _ARTERY_DELAY_S, count),
        ktrans_per_min=nothing,
        ve=nothing,
    )
    return blood, replace(grey, share=1.0 - share)


def _joined(groups: list[Parts]) -> Parts:
    return Parts(**{n: np.concatenate([getattr(g, n) for g in groups]) for n in _FIELDS})


def _brightness(settings: PatientSettings, parts: tuple[Parts, Parts]) -> np.ndarray:
    """Return T1-weighted signals five minutes after a single dose, over normal white matter's."""
    field_t = settings.protocol.field_strength_t
    r1_per_mmolar_s = (settings.relaxivities or relaxivities_at(field_t)).r1
    bolus = injected_bolus(settings)
    agent = Injection(
        bolus=bolus,
        first_pass=np.zeros(1),
        residual=np.zeros(1),
        preload_mmol_per_kg=bolus.dose_mmol_per_kg,
        preload_s=_AGENT_S,
    )
    native = [native_at(settings.tissues[name].native, field_t) for name in TISSUES]
    rates = np.array([1 / times.t1_s for times in native])
    densities = np.array([times.proton_density for times in native])
    total = np.zeros(len(parts[0].share))
    for part in parts:
        ve = part.ve / 100
        leaked = leaked_before(agent, ktrans_per_s=part.ktrans_per_min / 60, ve=ve)
        rate = rates[part.tissue] + r1_per_mmolar_s * ve * leaked
        total += part.share * densities[part.tissue] * _weighted(rate)
    white = list(TISSUES).index("wm")
    return np.asarray(total / (densities[white] * _weighted(rates[white])))


def _weighted(r1_per_s: np.ndarray) -> np.ndarray:
    """Return the magnitude of the T1-weighted sequence of `structural`."""
    signal = inverted(r1_per_s, repetition_time_s=_REPETITION_S, inversion_time_s=_INVERSION_S)
    return np.asarray(np.abs(signal))
