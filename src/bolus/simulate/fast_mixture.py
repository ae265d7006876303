"""What the curves of the fast path are drawn from: tissues, shares, and values that scatter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from bolus.core.arrays import read_only
from bolus.core.randomness import stream
from bolus.errors import Code, MetadataError
from bolus.simulate.patient import PatientSettings
from bolus.simulate.tissues import ARTERY, SCALP, TISSUE_LABELS, TISSUES, VEIN

TRANSIT_S = (0.8, 30.0)
"""Shortest and longest mean transit time of a curve."""
_SCATTER = {"mtt": 0.067, "leakage": 0.25, "delay_s": 0.35, "cbv": 0.03}
"""Standard deviations within a tissue, as in `phantom`; cbv has the tissue's own spread too."""
_VESSEL_DELAY_S = 1.5


def _default_weights() -> Mapping[str, float]:
    rare = {"choroid": 0.3, ARTERY: 0.3, VEIN: 0.3, SCALP: 0.0}
    return MappingProxyType({name: rare.get(name, 1.0) for name in (*TISSUES, ARTERY, VEIN)})


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveMixture:
    """Which curves are drawn: ours to choose, and yours.

    `weights` by name of tissue (of `TISSUES`, or "artery", "vein"), in any unit. `mixed` is the
    share of curves that hold a second tissue, up to half of the voxel. `widen` multiplies the
    scatter within tissues: above 1 a network sees more than any one head shows. `gain` [a.u.] are
    the limits of the scanners' brightness, log-uniform over patients.

    Raises:
        MetadataError: a weight is negative or of no tissue, or a share is outside 0 to 1.
    """

    weights: Mapping[str, float] = field(default_factory=_default_weights)
    mixed: float = 0.3
    widen: float = 1.0
    gain: tuple[float, float] = (500.0, 4000.0)

    def __post_init__(self) -> None:
        known = set(self.weights) <= {*TISSUES, ARTERY, VEIN}
        values = list(self.weights.values())
        plain = sum(self.weights.get(name, 0.0) for name in TISSUES) > 0
        if not known or min(values, default=-1.0) < 0 or not plain or not 0 <= self.mixed <= 1:
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"weights {dict(self.weights)} with a mixed share of {self.mixed:g}",
                mend="give known tissues weights of 0 or more, and a share between 0 and 1",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Parts:
    """One tissue of each of n curves: its number (0 first) and values."""

    tissue: np.ndarray
    share: np.ndarray
    cbv: np.ndarray
    mtt_s: np.ndarray
    delay_s: np.ndarray
    ktrans_per_min: np.ndarray
    ve: np.ndarray


def draw_parts(
    patients: Sequence[PatientSettings], whose: np.ndarray, *, seed: int, mixture: CurveMixture
) -> tuple[Parts, Parts]:
    """Draw the larger and the smaller part of every curve."""
    names = list(TISSUE_LABELS.values())
    weights = np.array([mixture.weights.get(name, 0.0) for name in names])
    plain = weights.copy()
    plain[len(TISSUES) :] = 0.0
    mixed = stream(seed, "curves", "mixed").random(len(whose)) < mixture.mixed
    lesser = np.where(mixed, 0.5 * stream(seed, "curves", "share").random(len(whose)), 0.0)
    both = []
    for part, weight, share in (("main", weights, 1 - lesser), ("second", plain, lesser)):
        limits = np.cumsum(weight) / weight.sum()
        places = stream(seed, "curves", part, "tissue").random(len(whose))
        tissue = np.minimum(np.searchsorted(limits, places, side="right"), len(names) - 1)
        both.append(_values(patients, whose, tissue, share, mixture, random=(seed, part)))
    return both[0], both[1]


def _values(
    patients: Sequence[PatientSettings],
    whose: np.ndarray,
    tissue: np.ndarray,
    share: np.ndarray,
    mixture: CurveMixture,
    *,
    random: tuple[int, str],
) -> Parts:
    """Give every curve the mean values of its tissue in its patient, and scatter."""
    seed, part = random
    vessel = (0.0, 5.0, 0.0, 0.0, 0.0, 0.0)
    means = np.array(
        [
            [(m.cbv, m.mtt_s, m.delay_s, m.ktrans_per_min, m.ve, m.spread) for m in (
                p.tissues[name] for name in TISSUES)] + [vessel, vessel]
            for p in patients
        ]
    )  # fmt: skip
    cbv, mtt_s, delay_s, ktrans, ve, spread = means[whose, tissue].T

    def normal(name: str) -> np.ndarray:
        drawn = stream(seed, "curves", part, name).standard_normal(len(whose))
        return np.asarray(mixture.widen * drawn)

    late = stream(seed, "curves", part, "vessel").uniform(0.0, _VESSEL_DELAY_S, len(whose))
    scattered = np.maximum(delay_s + _SCATTER["delay_s"] * normal("delay"), 0.0)
    return Parts(
        tissue=tissue,
        share=share,
        cbv=cbv * np.exp(np.hypot(spread, _SCATTER["cbv"]) * normal("cbv")),
        mtt_s=np.clip(mtt_s * np.exp(_SCATTER["mtt"] * normal("mtt")), *TRANSIT_S),
        delay_s=np.where(tissue < len(TISSUES), scattered, late),
        ktrans_per_min=ktrans * np.exp(_SCATTER["leakage"] * normal("leakage")),
        ve=ve,
    )


def take(parts: Parts, which: np.ndarray) -> Parts:
    """Return the parts of some curves."""
    return Parts(
        tissue=parts.tissue[which],
        share=parts.share[which],
        cbv=parts.cbv[which],
        mtt_s=parts.mtt_s[which],
        delay_s=parts.delay_s[which],
        ktrans_per_min=parts.ktrans_per_min[which],
        ve=parts.ve[which],
    )


def together(main: Parts, second: Parts) -> Mapping[str, np.ndarray]:
    """Return the truth of whole voxels, as `phantom` defines it; NaN with a large vessel."""
    parts = (main, second)
    cbv = sum(p.share * p.cbv for p in parts)
    flow = sum(p.share * p.cbv / p.mtt_s for p in parts)
    late = sum(p.share * p.cbv / p.mtt_s * p.delay_s for p in parts)
    values = {
        "cbv": np.asarray(cbv),
        "ktrans_per_min": np.asarray(sum(p.share * p.ktrans_per_min for p in parts)),
        "ve": np.asarray(sum(p.share * p.ve for p in parts)),
    }
    tissue = main.tissue < len(TISSUES)
    safe = np.where(tissue, flow, 1.0)
    values |= {"mtt_s": np.asarray(cbv) / safe, "delay_s": np.asarray(late) / safe}
    return MappingProxyType(
        {key: read_only(np.where(tissue, value, np.nan)) for key, value in values.items()}
    )
