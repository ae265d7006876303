"""Where a DCE map shows leakage at all; without it, ve and kep are numbers about nothing."""

import numpy as np

from bolus.core.maps import FitStatus, MapSet, ParameterMap
from bolus.core.provenance import Step

INTERVAL_90 = 1.645
"""Standard errors from the middle of a normal distribution to the ends of its central 90 %."""
OF_LEAKAGE = ("ve", "kep")
"""Quantities that say nothing where nothing leaks."""


def leak_key(maps: MapSet) -> str:
    """Return the key of the map that says how fast the agent leaks, or "" where there is none.

    Assumes:
        Maps of one model: Ktrans, or PS where the model tells it from flow.

    Source:
        OSIPI CAPLEX Q.PH1.008 and Q.PH1.004.
    """
    return next((key for key in ("ktrans", "ps") if key in maps), "")


def find_leaking(maps: MapSet) -> np.ndarray:
    """Return where (x, y, z) the 90 % interval of Ktrans (or PS), if known, lies above zero.

    Args:
        maps: one of them is "ktrans" or "ps".

    Assumes:
        Errors of the fit are normal.

    Source:
        Set by us.
    """
    item = maps[leak_key(maps)]
    value = np.nan_to_num(item.values)
    error = np.zeros_like(value) if item.std is None else np.nan_to_num(item.std)
    return np.asarray((value > 0) & (value > INTERVAL_90 * error))


def find_determined(maps: MapSet, key: str) -> np.ndarray:
    """Return where (x, y, z) a map has an answer that means something.

    ve and kep do only where the agent leaks (`find_leaking`), and not where they lie on a bound of
    the fit, which has no standard error.

    Assumes:
        Errors of the fit are normal.

    Source:
        Set by us.
    """
    item = maps[key]
    found = np.isfinite(item.values)
    if key in OF_LEAKAGE and leak_key(maps):
        found &= find_leaking(maps)
        if item.std is not None and np.isfinite(item.std).any():
            found &= np.isfinite(item.std)
    return np.asarray(found)


def determined_maps(maps: MapSet) -> MapSet:
    """Return the maps with ve and kep left out where they mean nothing, for means over regions.

    Args:
        maps: of one exam.

    Returns:
        The same maps; ve and kep are NaN and AT_BOUND in the voxels of `find_determined` that are
        not.

    Assumes:
        Errors of the fit are normal.

    Source:
        Set by us.
    """
    changed = []
    for key in OF_LEAKAGE:
        if key in maps:
            item, kept = maps[key], find_determined(maps, key)
            lost = np.isfinite(item.values) & ~kept
            changed.append(
                ParameterMap(
                    quantity=item.quantity,
                    values=np.where(kept, item.values, np.nan),
                    status=np.where(lost, FitStatus.AT_BOUND, item.status).astype(np.uint8),
                    grid=item.grid,
                    provenance=item.provenance.then(Step("quantify.determined_maps", {})),
                    std=None if item.std is None else np.where(kept, item.std, np.nan),
                )
            )
    return maps.with_maps(*changed)
