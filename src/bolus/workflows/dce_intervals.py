"""Ktrans, ve and vp with calibrated intervals: what a network says beside the fit."""

import warnings
from dataclasses import dataclass

import numpy as np

from bolus.core import (
    QUANTITIES,
    ArterialInput,
    FitStatus,
    LabelMap,
    MapSet,
    Mask,
    ParameterMap,
    Step,
    Weights,
)
from bolus.core.quantities import INTERVAL_KEYS
from bolus.errors import QualityWarning
from bolus.quantify.dce_leak import OF_LEAKAGE
from bolus.report.dce_findings import NetworkFindings, NetworkRow
from bolus.workflows.dce_artery import Enhanced
from bolus.workflows.networks import chosen_weights

_KIND = "pharmacokinetics"
_SOURCE = "10.1080/01621459.2017.1307116"
_MANY = 0.2
"""Share of voxels that are unlike the training above which it is said."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KineticMaps:
    """Maps of a network, the voxels it was not trained for, and its name."""

    maps: tuple[ParameterMap, ...]
    unlike: Mask
    share_unlike: float
    name: str


def kinetic_maps(
    enhanced: Enhanced,
    status: np.ndarray,
    brain: Mask,
    plasma: ArterialInput,
    *,
    weights: Weights | None = None,
) -> KineticMaps:
    """Return medians, 90 % intervals and lack of knowledge of a network.

    Args:
        enhanced: concentration and its times.
        status: FitStatus (x, y, z) of the concentration.
        brain: where.
        plasma: arterial concentration [mM] before it is brought to the capillaries.
        weights: None for those that come with bolus.

    Warns:
        QualityWarning: the frames are outside of the training, or many voxels are unlike it.

    Raises:
        ResourceError: torch is not installed.
    """
    held = weights or chosen_weights(None, kind=_KIND)
    from bolus.nets.pharmacokinetics_fit import kinetic_posterior
    from bolus.nets.pharmacokinetics_input import PARAMETERS

    series = enhanced.concentration
    seconds = series.time.seconds
    found = kinetic_posterior(
        series.curves(brain), plasma.values, held,
        seconds=seconds, arterial_seconds=plasma.time.seconds,
    )  # fmt: skip
    step = Step("nets.kinetic_posterior", {"weights": held.digest()[:12]}, source=_SOURCE)
    provenance = series.provenance.merged(plasma.provenance).then(step)
    converted = status[brain.values]
    leaks = found.interval("ktrans")[0] > 0  # elsewhere ve is a number about nothing
    maps = []
    for key, keys in INTERVAL_KEYS.items():
        low, high = found.interval(key)
        lost = np.where(converted != FitStatus.OK, converted, FitStatus.NOT_CONVERGED)
        state = np.where(np.isfinite(found[key]), FitStatus.OK, lost).astype(np.uint8)
        if key in OF_LEAKAGE:
            state = np.where((state == FitStatus.OK) & ~leaks, FitStatus.AT_BOUND, state)
        at = PARAMETERS.index(key)
        known = np.where(state == FitStatus.OK, 1.0, np.nan)
        columns = (found.median[:, at], low, high, found.epistemic[:, at])
        for name, values in zip(keys, columns, strict=True):
            maps.append(
                ParameterMap.from_voxels(
                    known * values, quantity=QUANTITIES[name], mask=brain, provenance=provenance,
                    status=state, std=known * found.std[:, at] if name == keys[0] else None,
                )
            )  # fmt: skip
    unlike = np.zeros(brain.grid.shape, bool)
    unlike[brain.values] = found.unlike
    share = float(found.unlike.mean())
    _note(held, seconds, share)
    return KineticMaps(
        maps=tuple(maps), unlike=Mask(values=unlike, grid=brain.grid, name="unlike"),
        share_unlike=share, name=held.card.name,
    )  # fmt: skip


def fitted_maps(maps: MapSet) -> MapSet:
    """Return the maps that are not a network's.

    Args:
        maps: of one exam.
    """
    said = {key for keys in INTERVAL_KEYS.values() for key in keys}
    return MapSet({key: item for key, item in maps.items() if key not in said})


def network_findings(
    said: KineticMaps, maps: MapSet, *, tumour: LabelMap | None, normal: Mask
) -> NetworkFindings:
    """Return the numbers of the fit and of the network, region by region.

    Args:
        said: by the network.
        maps: of the fit; a quantity that its model does not have has no row.
        tumour: labels; those without a voxel give no row.
        normal: the brain outside of them.
    """
    regions = {} if tumour is None else {"whole tumour": tumour.foreground}
    regions["brain outside the tumour" if regions else "brain"] = normal
    held = {item.quantity.key: item for item in said.maps}
    rows = []
    for key, (middle, low, high, _) in INTERVAL_KEYS.items():
        for name, region in regions.items():
            use = region.values & np.isfinite(held[middle].values)
            if key not in maps or not use.any():
                continue
            fit = maps[key].values[use]
            ends = [held[end].values[use] for end in (low, high)]
            known = np.isfinite(fit)
            inside = (fit >= ends[0]) & (fit <= ends[1])
            rows.append(
                NetworkRow(
                    region=name, key=key,
                    fit=float(fit[known].mean()) if known.any() else float("nan"),
                    network=float(held[middle].values[use].mean()),
                    low=float(np.median(ends[0])), high=float(np.median(ends[1])),
                    inside=float(inside[known].mean()) if known.any() else float("nan"),
                )
            )  # fmt: skip
    return NetworkFindings(
        name=said.name, unlike=said.unlike, share_unlike=said.share_unlike, rows=tuple(rows)
    )


def _note(weights: Weights, seconds: np.ndarray, share: float) -> None:
    outside = weights.card.protocol.outside(
        {
            "interval_s": float(np.median(np.diff(seconds))),
            "duration_s": float(seconds[-1] - seconds[0]),
        }
    )
    doubts = list(outside)
    if share > _MANY:
        doubts.append(f"{100 * share:.0f} % of the voxels are unlike those of the training")
    if doubts:
        warnings.warn(
            QualityWarning(
                f"the intervals of {weights.card.name} are not calibrated for this series: "
                f"{'; '.join(doubts)}"
            ),
            stacklevel=3,
        )
