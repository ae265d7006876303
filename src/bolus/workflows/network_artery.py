"""Arteries of a scan, found by the search or proposed by a network, as the settings say."""

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

from bolus import quantify
from bolus.core import ArterialInput, Mask, PerfusionSeries, Step
from bolus.errors import Code, MetadataError, QualityWarning
from bolus.workflows.networks import chosen_weights, protocol_of

if TYPE_CHECKING:
    from bolus.core import Weights

NETWORK = "network"
"""The setting that asks for it, and the name of the method."""
_KIND = "artery-picker"
_WINDER = "10.1002/mp.14351"


def dsc_artery(
    series: PerfusionSeries,
    brain: Mask,
    bolus: quantify.BolusTiming,
    *,
    way: str,
    voxels: int,
) -> ArterialInput:
    """Return the arterial curve of a DSC scan.

    Args:
        series: ΔR2* [1/s].
        brain: where to look.
        bolus: of the signal.
        way: "network", or anything else for the search.
        voxels: that are averaged.

    Warns:
        QualityWarning: the network was not used, and why.

    Raises:
        MetadataError: AIF_NOT_FOUND neither finds an artery.
        ResourceError: a library of networks is absent.
    """
    if way == NETWORK:
        found = proposed_artery(series, brain, bolus, voxels=voxels)
        if found is not None:
            return found
    return quantify.find_aif(series, brain, bolus, voxels=voxels)


def dce_artery(
    series: PerfusionSeries,
    mask: Mask,
    timing: quantify.Enhancement,
    *,
    way: str,
    voxels: int,
) -> ArterialInput:
    """Return the arterial curve of a DCE scan, as measured.

    Args:
        series: concentration [mM].
        mask: where to look.
        timing: of the signal.
        way: "network", or anything else for the search.
        voxels: that are averaged.

    Warns:
        QualityWarning: the network was not used, and why.

    Raises:
        MetadataError: AIF_NOT_FOUND neither finds an artery.
        ResourceError: a library of networks is absent.
    """
    if way == NETWORK:
        found = proposed_artery(series, mask, timing, voxels=voxels)
        if found is not None:
            return found
    return quantify.find_dce_aif(series, mask, timing, voxels=voxels)


def proposed_artery(
    series: PerfusionSeries,
    mask: Mask,
    timing: quantify.BolusTiming | quantify.Enhancement,
    *,
    voxels: int,
    weights: "Weights | None" = None,
) -> ArterialInput | None:
    """Return the mean curve of the voxels that a network proposes.

    Args:
        series: ΔR2* [1/s] with the timing of a bolus, or concentration [mM] with that of an
            enhancement.
        mask: where to look.
        timing: of the signal.
        voxels: that are averaged, at most.
        weights: None for those that come with bolus.

    Returns:
        The curve with its score; None where the network proposes nothing, or was not trained for
        such a series.

    Warns:
        QualityWarning: there is none, and why.

    Raises:
        ResourceError: a library of networks is absent.
        GeometryError, TimingError: the series cannot be read.
    """
    held = weights or chosen_weights(None, kind=_KIND)
    if outside := held.card.protocol.outside(protocol_of(series.time, series.acquisition)):
        _tell("it was trained for no such series: " + "; ".join(outside))
        return None
    from bolus.nets.artery_fit import propose_arteries

    dsc = isinstance(timing, quantify.BolusTiming)
    try:
        found = propose_arteries(
            series.values, series.time.seconds, mask.values, held,
            kind="dsc" if dsc else "dce", voxels=voxels,
        )  # fmt: skip
    except MetadataError as error:
        if error.code is not Code.AIF_NOT_FOUND:
            raise
        _tell(error.what)
        return None
    region = Mask(values=found.mask, grid=mask.grid, name=NETWORK)
    if isinstance(timing, quantify.BolusTiming):
        artery = quantify.aif_from_region(series, region, timing)
    else:
        artery = quantify.dce_aif_from_region(series, region, timing)
    step = Step(
        "nets.propose_arteries",
        {
            "network": held.card.name,
            "weights": held.digest()[:12],
            "voxels": region.count,
            "searched": found.searched,
            "score": round(float(artery.score), 4),
            "expected_share_of_artery": round(float(found.share[found.mask].mean()), 4),
        },
        source=_WINDER,
    )
    return replace(artery, method=NETWORK, provenance=series.provenance.then(step))


def _tell(why: str) -> None:
    """Say why the network was not used."""
    warnings.warn(
        QualityWarning(f"arteries were searched for without the network: {why}"), stacklevel=3
    )
