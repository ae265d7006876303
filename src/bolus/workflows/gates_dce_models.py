"""Gate 3: every model gives back the parameters that made noise-free curves."""

import itertools
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from bolus.quantify.dce_fit import DceFit
from bolus.quantify.dce_linear import LinearTofts
from bolus.quantify.dce_models import DCE_MODELS
from bolus.quantify.vascular_artery import artery_between_samples
from bolus.report.certificate_findings import ErrorRow, ErrorTable, Gate, Line, Panel, Part, Plot
from bolus.workflows.gates_dce_object import (
    PARAMETERS,
    Kinetics,
    Sampling,
    artery,
    regular,
    solve,
    uneven,
)
from bolus.workflows.gates_request import GOALS, GateRequest

LARGEST_ERROR_PERCENT = 3.0
"""Mean absolute error of a parameter that a noise-free object may have."""
FINER_S = 0.2
"""Spacing at which the artery is put between its samples."""
DELAY_RANGE_S = (-10.0, 10.0)
DELAYS_S = (-8.0, -3.0, 0.0, 3.0, 8.0)
LABELS: Mapping[str, str] = MappingProxyType(
    {"ktrans": "Ktrans", "ve": "ve", "vp": "vp", "fp": "Fp", "ps": "PS"}
)
TITLES: Mapping[str, str] = MappingProxyType(
    {
        "tofts": "Tofts",
        "extended_tofts": "extended Tofts",
        "linear_tofts": "linear Tofts",
        "patlak": "Patlak",
        "two_compartment_uptake": "uptake",
        "two_compartment_exchange": "exchange",
    }
)
"""Ways to fit, as the page names them."""

_KTRANS, _VE, _VP = (0.02, 0.05, 0.1, 0.2, 0.4), (10.0, 20.0, 35.0, 50.0), (1.0, 3.0, 8.0)
_FP, _PLASMA = (10.0, 20.0, 40.0, 80.0), (1.5, 3.0, 8.0)
RANGES: Mapping[str, tuple[tuple[float, ...], ...]] = MappingProxyType(
    {
        "tofts": (_KTRANS, _VE),
        "extended_tofts": (_KTRANS, _VE, _VP),
        "patlak": ((0.002, 0.005, 0.01, 0.02, 0.05), _VP),
        "two_compartment_uptake": (_FP, (0.5, 1.0, 3.0, 8.0), _PLASMA),
        "two_compartment_exchange": (_FP, (1.0, 3.0, 8.0, 15.0), (10.0, 25.0, 50.0), _PLASMA),
    }
)
"""Values of the parameters of every model, in the order of `PARAMETERS`; all combinations."""

_SOURCE = f"limit: {GOALS}; models: Sourbron and Buckley, Phys Med Biol 2012;57:R1-R33"
_OBJECT = "two pools stepped at 5 ms"


def samplings() -> tuple[Sampling, ...]:
    """Return the samplings that the gates cover: even, uneven, tissue and artery alike or not."""
    return (
        Sampling(name="1.5 s", seconds=regular(1.5), arterial_seconds=regular(1.5)),
        Sampling(name="3 s", seconds=regular(3.0), arterial_seconds=regular(3.0)),
        Sampling(name="5 s, artery 1 s", seconds=regular(5.0), arterial_seconds=regular(1.0)),
        Sampling(name="uneven, artery 1.5 s", seconds=uneven(), arterial_seconds=regular(1.5)),
        Sampling(
            name="2 s, artery 3 s",
            seconds=regular(2.0),
            arterial_seconds=regular(3.0, start_s=-0.7),
        ),
    )


def coarse() -> Sampling:
    """Return a sampling that is too coarse for the first pass: tabulated, no gate."""
    return Sampling(name="5 s", seconds=regular(5.0), arterial_seconds=regular(5.0))


def kinetics(model: str, *, seed: int) -> Kinetics:
    """Return the curves of all combinations of a model's parameters, without noise."""
    values = np.array(list(itertools.product(*RANGES[model])))
    return solve(model, dict(zip(PARAMETERS[model], values.T, strict=True)), seed=seed)


def fit_object(
    way: str,
    held: Kinetics,
    sampling: Sampling,
    *,
    seed: int,
    delay_s: float | None = None,
    between: bool = True,
) -> DceFit:
    """Fit the sampled curves.

    Args:
        way: a key of `TITLES`.
        held: the curves.
        sampling: when tissue and artery are known.
        seed: of the artery.
        delay_s: how far the tissue is behind the artery; the fit then has to find it. None: no
            delay, and none is fitted.
        between: whether the artery is put between its samples; else it is linear there.
    """
    times, plasma = artery(seed)
    own = sampling.arterial_seconds
    values = np.interp(own, times, plasma)
    if between:
        fine = np.arange(own[0], own[-1], FINER_S)
        own, values = fine, artery_between_samples(values, own, fine)
    tissue = held.at(sampling.seconds, delay_s=delay_s or 0.0)
    if way == "linear_tofts":
        return LinearTofts()(tissue, values, seconds=sampling.seconds, arterial_seconds=own)
    model = DCE_MODELS[way](delay_range_s=None if delay_s is None else DELAY_RANGE_S)
    return model(tissue, values, seconds=sampling.seconds, arterial_seconds=own)


def mean_errors(fit: DceFit, truth: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the mean absolute error [%] of every parameter; a lost voxel makes it infinite."""
    return {key: _mean(np.abs(fit[key] / value - 1)) for key, value in truth.items()}


def _mean(errors: np.ndarray) -> float:
    return float(100 * errors.mean()) if np.isfinite(errors).all() else float("inf")


def model_part(request: GateRequest) -> Part:
    """Measure gate 3 on curves, over samplings and delays.

    Args:
        request: the seed decides whose artery it is.
    """
    objects = {model: kinetics(model, seed=request.seed) for model in PARAMETERS}
    objects["linear_tofts"] = objects["extended_tofts"]
    found = {
        (way, sampling.name, between): mean_errors(
            fit_object(way, objects[way], sampling, seed=request.seed, between=between),
            objects[way].truth,
        )
        for way in TITLES
        for sampling in (*samplings(), coarse())
        for between in (True, False)
    }
    late = {
        (way, delay_s): mean_errors(
            fit_object(way, objects[way], samplings()[1], seed=request.seed, delay_s=delay_s),
            objects[way].truth,
        )
        for way in DCE_MODELS
        for delay_s in DELAYS_S
    }
    return Part(
        title="Noise-free curves",
        text=(
            "Curves of every model over a wide grid of parameters, made by stepping the "
            "differential equations at 5 ms, and seen at five samplings of 300 s. The gates are "
            "for an artery put between its samples (artery_between_samples); the table also has "
            "an artery that is linear there, and 5 s a frame, which is too coarse for Fp. The "
            "fitted delay is gated at 3 s a frame."
        ),
        gates=(*_sampling_gates(objects, found), *_delay_gates(late)),
        plots=(_delay_plot(late),),
        tables=(_table(found),),
    )


def _sampling_gates(
    objects: Mapping[str, Kinetics], found: Mapping[tuple[str, str, bool], Mapping[str, float]]
) -> list[Gate]:
    return [
        Gate(
            name=f"{LABELS[key]}, noise-free",
            what=f"mean absolute error of {LABELS[key]}, largest of {len(samplings())} samplings",
            object=_OBJECT,
            method=TITLES[way],
            value=max(found[way, sampling.name, True][key] for sampling in samplings()),
            unit="%",
            high=LARGEST_ERROR_PERCENT,
            source=_SOURCE,
        )
        for way in TITLES
        for key in objects[way].truth
    ]


def _delay_gates(late: Mapping[tuple[str, float], Mapping[str, float]]) -> list[Gate]:
    return [
        Gate(
            name="delay of either sign",
            what="mean absolute error of the worst parameter, delays of -8 to +8 s fitted",
            object=_OBJECT,
            method=TITLES[way],
            value=max(max(late[way, delay_s].values()) for delay_s in DELAYS_S),
            unit="%",
            high=LARGEST_ERROR_PERCENT,
            source=_SOURCE,
        )
        for way in DCE_MODELS
    ]


def _table(found: Mapping[tuple[str, str, bool], Mapping[str, float]]) -> ErrorTable:
    columns = tuple(LABELS.values())
    return ErrorTable(
        title="Noise-free curves by sampling",
        text="Mean absolute error; the artery curved or linear between its samples.",
        columns=columns,
        absolute=columns,
        rows=tuple(
            ErrorRow(
                object=f"{name}, {'curved' if between else 'linear'}",
                method=TITLES[way],
                errors=tuple(errors.get(key, float("nan")) for key in LABELS),
            )
            for (way, name, between), errors in found.items()
        ),
    )


def _delay_plot(late: Mapping[tuple[str, float], Mapping[str, float]]) -> Plot:
    return Plot(
        title="Error by delay without noise",
        text="Mean absolute error by delay of the tissue, which is fitted; 3 s a frame.",
        x_label="delay [s]",
        y_label="mean absolute error [%]",
        keys=("ktrans",),
        panels=tuple(
            Panel(
                title=TITLES[way],
                perfect="zero",
                lines=tuple(
                    Line(
                        name=LABELS[key],
                        x=DELAYS_S,
                        y=tuple(late[way, delay_s][key] for delay_s in DELAYS_S),
                    )
                    for key in PARAMETERS[way]
                ),
            )
            for way in DCE_MODELS
        ),
    )
