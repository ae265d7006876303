"""From a tumour's signal curves to everything that the report and the files of codes show."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from bolus import __version__, io
from bolus.core import (
    QUANTITIES,
    FitStatus,
    LabelMap,
    MapSet,
    Mask,
    ParameterMap,
    PerfusionSeries,
    Provenance,
    Step,
    Weights,
    stream,
)
from bolus.core.quantities import LATENTS
from bolus.errors import Code, QuantityError
from bolus.habitats.code_shares import code_quartiles, code_shares, noisy_again
from bolus.report.codes_findings import CodeCurve, CodeFindings
from bolus.workflows.codes_series import TumourSeries

_MISFIT_LIMIT = "distance_p95"
"""In a card: the misfit that 95 % of the curves of the training stay below."""

_REPEATS, _SEED = 30, 1
"""Of the noise that the intervals of shares come from."""


def found_codes(
    read: TumourSeries,
    weights: Weights,
    made: Mapping[str, Path],
    *,
    label: str,
    created: str,
) -> CodeFindings:
    """Give every voxel of a tumour a code, and gather what is shown of it.

    Args:
        read: the tumour's signal.
        weights: of a network of codes.
        made: files of the DSC step, nCBV among them if it is there.
        label: what the report calls the session.
        created: when, as text for the report.

    Raises:
        QuantityError: no voxel of the tumour has a curve.
        TimingError: frames are not evenly spaced.
    """
    from bolus.nets.curve_codes import encode_curves
    from bolus.nets.physical_axis import arrival_seconds

    signal = read.signal.from_frame(read.bolus.steady)
    tumour = read.tumour.foreground
    curves = signal.curves(tumour, dtype=np.float32)
    seconds = read.signal.time.seconds
    coded = partial(
        encode_curves,
        interval_s=signal.time.uniform_step_s(),
        arrival_s=arrival_seconds(read.bolus, seconds - seconds[read.bolus.steady]),
        weights=weights,
    )
    random = stream(_SEED, "codes", "noise")
    found = coded(curves)
    again = [coded(noisy_again(curves, random)).codes for _ in range(_REPEATS)]
    usable = found.codes > 0
    if not usable.any():
        raise QuantityError(
            Code.MASK_EMPTY,
            f"none of the {tumour.count} voxels of the tumour has a signal curve",
            mend="check that tumour and series belong together",
        )
    names = code_names(weights)
    codes = LabelMap(values=_volume(tumour, found.codes), grid=tumour.grid, names=names)
    history = _history(signal, weights)
    columns = {"codedistance": found.distance} | {
        key: found.latent[:, place] for place, key in enumerate(latent_keys(weights))
    }
    curved = code_quartiles(curves[usable], found.codes[usable], count=len(names))
    return CodeFindings(
        label=label,
        version=__version__,
        created=created,
        signal=signal,
        anatomy=read.anatomy,
        brain=read.brain,
        tumour=read.tumour,
        codes=codes,
        maps=_maps(columns, tumour, usable, history),
        shares=code_shares(codes, read.tumour, np.array([_volume(tumour, one) for one in again])),
        curves=_curves(codes, curved, made),
        card=weights.card,
        weights_digest=weights.digest(),
        provenance=history,
        unlike_percent=_unlike(found.distance[usable], weights),
        left_out=int(np.count_nonzero(~usable)),
    )


def code_names(weights: Weights) -> dict[int, str]:
    """Return the codes of a network: number -> name, the largest drop first."""
    settings = weights.card.settings
    count = int(settings["codes_each"]) ** int(settings["positions"])
    return {number: f"H{number}" for number in range(1, count + 1)}


def latent_keys(weights: Weights) -> tuple[str, ...]:
    """Return the registry keys of the coordinates that a network gives a curve."""
    settings = weights.card.settings
    return LATENTS[: int(settings["positions"]) * int(settings["dimension"])]


def _maps(
    columns: Mapping[str, np.ndarray], tumour: Mask, usable: np.ndarray, history: Provenance
) -> MapSet:
    status = np.where(usable, FitStatus.OK, FitStatus.NO_SIGNAL).astype(np.uint8)
    maps = {}
    for key, column in columns.items():
        maps[key] = ParameterMap.from_voxels(
            column, quantity=QUANTITIES[key], mask=tumour, provenance=history, status=status
        )
    return MapSet(maps)


def _history(signal: PerfusionSeries, weights: Weights) -> Provenance:
    card = weights.card
    step = Step(
        "nets.encode_curves",
        {
            "network": card.name,
            "weights": weights.digest()[:16],
            "trained_on": "simulated curves" if card.simulated else "patients",
        },
        source="10.48550/arXiv.1711.00937",
    )
    return signal.provenance.then(Step("quantify.find_exam_bolus", {})).then(step)


def _volume(mask: Mask, values: np.ndarray) -> np.ndarray:
    volume = np.zeros(mask.grid.shape, values.dtype)
    volume[mask.values] = values
    return volume


def _curves(
    codes: LabelMap, quartiles: np.ndarray, made: Mapping[str, Path]
) -> tuple[CodeCurve, ...]:
    ncbv = io.read_map(made["ncbv"]) if "ncbv" in made else None
    rows = []
    for name, (low, middle, high) in zip(codes.names.values(), quartiles, strict=True):
        own = codes.mask(name)
        known = ncbv.inside(own) if ncbv is not None else np.empty(0)
        rows.append(
            CodeCurve(
                code=name,
                voxels=own.count,
                low=low,
                middle=middle,
                high=high,
                ncbv=float(np.median(known)) if known.size else float("nan"),
            )
        )
    return tuple(rows)


def _unlike(distance: np.ndarray, weights: Weights) -> float:
    """Return the share [%] of curves that fit worse than 95 % of those of the training."""
    limit = weights.card.measured.get(_MISFIT_LIMIT, float("nan"))
    return float(100 * np.mean(distance > limit)) if np.isfinite(limit) else float("nan")
