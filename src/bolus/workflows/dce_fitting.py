"""A DCE model over the brain: maps with standard errors, example voxels, areas without a model."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from bolus import quantify
from bolus.core import (
    QUANTITIES,
    ArterialInput,
    FitStatus,
    LabelMap,
    Mask,
    ParameterMap,
    PerfusionSeries,
    Step,
)
from bolus.core.arrays import Curve, Curves
from bolus.errors import QualityWarning
from bolus.quantify.dce_transit import DELAY_RANGE_S
from bolus.report import ExampleVoxel
from bolus.workflows.config import Config
from bolus.workflows.dce_artery import Enhanced

_CANDIDATES = ("patlak", "tofts", "extended_tofts")
"""What "best" chooses from, simplest first; more rates cannot be told apart in single voxels."""
_SOURCES: Mapping[str, str] = {
    "tofts": "10.1002/jmri.1880100302",
    "extended_tofts": "10.1002/jmri.1880070113",
    "patlak": "10.1038/jcbfm.1983.1",
    "two_compartment_uptake": "10.1088/0031-9155/57/2/R1",
    "two_compartment_exchange": "10.1088/0031-9155/57/2/R1",
    "best": "10.1093/biomet/76.2.297",
}
_WITH_FLOW = ("two_compartment_uptake", "two_compartment_exchange")
_AT_ONCE = quantify.Transit(delay_s=0.0, dispersion_s=0.0)
_LONGEST_FRAME_S = 8.0
_CHUNK = 8192
_INITIAL_S = 60.0
_STEADY_AFTER_S = 60.0
"""First pass and recirculation are over this long after the arrival."""
_SHORTEST_STEADY_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """What the models gave in the voxels of the brain."""

    maps: tuple[ParameterMap, ...]
    fits: Mapping[str, quantify.DceFit]
    choice: quantify.ModelChoice | None
    brain: Mask
    plasma: ArterialInput
    """As the models had it: dispersed, and with samples between those that were measured."""
    delay_s: float | None
    """Of the patient; None where every voxel has its own."""

    @property
    def chosen(self) -> LabelMap | None:
        """The model of every voxel, from 1 on; None where there was no choice."""
        if self.choice is None:
            return None
        values = np.zeros(self.brain.grid.shape, np.int16)
        ok = self.choice.status == FitStatus.OK
        values[self.brain.values] = np.where(ok, self.choice.chosen.astype(np.int16) + 1, 0)
        names = {n + 1: name for n, name in enumerate(self.choice.names)}
        return LabelMap(values=values, grid=self.brain.grid, names=names)

    @property
    def leading(self) -> str:
        """The map of leakage: Ktrans, or PS where the model tells it from flow."""
        return "ktrans" if any(m.quantity.key == "ktrans" for m in self.maps) else "ps"

    def model_of(self, voxel: int) -> str:
        """Return the name of the model of a voxel of the brain."""
        if self.choice is None:
            return next(iter(self.fits))
        return self.choice.names[int(self.choice.chosen[voxel])]


def fit_brain(
    enhanced: Enhanced, status: np.ndarray, brain: Mask, plasma: ArterialInput, config: Config
) -> Fitted:
    """Fit the model of the settings to every voxel of the brain.

    With the delay "patient" the artery is first brought to the capillaries: one delay and one
    dispersion that fit the median curve of the brain (`quantify.find_transit`). The two-compartment
    models have a transit of their own and take the delay only.

    Args:
        enhanced: concentration and its times.
        status: FitStatus (x, y, z) of the concentration.
        brain: where to fit.
        plasma: arterial concentration [mM] on its own times.
        config: its `dce` section.
    """
    series = enhanced.concentration
    seconds = series.time.seconds
    names = _CANDIDATES if config.dce.model == "best" else (config.dce.model,)
    fine = quantify.between_samples(plasma)
    curves = series.curves(brain, dtype=np.float32)
    transit = _transit(curves, seconds, fine) if config.dce.delay == "patient" else _AT_ONCE
    flowing = config.dce.model in _WITH_FLOW
    arrived = fine if flowing else quantify.disperse(fine, transit.dispersion_s)
    fits = {
        name: _model(name, config)(
            curves, arrived.values, seconds=seconds, arterial_seconds=arrived.time.seconds,
            delay_s=transit.delay_s,
        )
        for name in names
    }  # fmt: skip
    fitted = config.dce.delay == "voxel"
    step = Step(
        "quantify.fit_dce",
        {
            "model": config.dce.model,
            "delay": "of every voxel" if fitted else f"{transit.delay_s:.3g} s",
        },
        source=_SOURCES[config.dce.model],
    )
    choice = quantify.choose_model(fits) if len(fits) > 1 else None
    return Fitted(
        maps=_maps(fits, choice, status[brain.values], brain, (series, arrived, step)),
        fits=fits,
        choice=choice,
        brain=brain,
        plasma=arrived,
        delay_s=None if fitted else transit.delay_s,
    )


def _model(name: str, config: Config) -> quantify.DceModel:
    """Return a model with the limits of the settings."""
    model = quantify.DCE_MODELS[name]()
    if isinstance(model, quantify.Tofts | quantify.ExtendedTofts):
        model = replace(model, kep_range_per_min=(0.0, config.dce.kep_max_per_min))
    return replace(model, delay_range_s=DELAY_RANGE_S) if config.dce.delay == "voxel" else model


def _transit(curves: Curves, seconds: Curve, plasma: ArterialInput) -> quantify.Transit:
    """Return how plasma gets to the median curve of the brain; at once where that is not seen.

    The median does not know of vessels and tumours while they are the smaller part.
    """
    step_s = float(np.median(np.diff(seconds)))
    finite = np.isfinite(curves).all(axis=1)
    found, why = None, f"frames of {step_s:.3g} s are too long to see it"
    if step_s <= _LONGEST_FRAME_S and finite.any():
        median = np.array([np.median(frame[finite]) for frame in curves.T], np.float64)
        found, why = quantify.find_transit(median, plasma, seconds=seconds), "no fit has an answer"
    if found is not None:
        return found
    warnings.warn(
        QualityWarning(f"the delay of the brain behind the artery is taken as 0 s: {why}"),
        stacklevel=3,
    )
    return _AT_ONCE


def _maps(
    fits: Mapping[str, quantify.DceFit],
    choice: quantify.ModelChoice | None,
    converted: np.ndarray,
    brain: Mask,
    history: tuple[PerfusionSeries, ArterialInput, Step],
) -> tuple[ParameterMap, ...]:
    """Put every parameter on the grid; a voxel without concentration keeps the reason for that."""
    series, plasma, step = history
    provenance = series.provenance.merged(plasma.provenance).then(step)
    columns: dict[str, tuple[np.ndarray, np.ndarray | None, np.ndarray]] = {}
    for key in _keys(fits):
        parts = [_column(fit, key) for fit in fits.values()]
        columns[key] = parts[0] if choice is None else _picked(parts, choice)
    found = []
    for key, (values, error, status) in columns.items():
        lost = (status != FitStatus.OK) & (converted != FitStatus.OK)
        found.append(
            ParameterMap.from_voxels(
                values, quantity=QUANTITIES[key], mask=brain, provenance=provenance,
                status=np.where(lost, converted, status), std=error,
            )
        )  # fmt: skip
    return tuple(found)


def _keys(fits: Mapping[str, quantify.DceFit]) -> list[str]:
    """Return the keys of all parameters, and of what follows from them."""
    keys = list(dict.fromkeys(key for fit in fits.values() for key in fit.names))
    if {"ktrans", "ve"} <= set(keys):
        keys.append("kep")
    return [*keys, "r2", "residual"]


def _column(fit: quantify.DceFit, key: str) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Return values, standard errors and status of one key; AT_BOUND where it has no value."""
    if key in ("r2", "residual"):
        values = fit.r2 if key == "r2" else fit.residual_std
        return np.where(fit.status == FitStatus.OK, values, np.nan), None, fit.status
    if key == "kep" and {"ktrans", "ve"} <= set(fit.names):
        values, error = quantify.kep_per_min(fit)
        lost = (fit.status == FitStatus.OK) & ~np.isfinite(values)
        return values, error, np.where(lost, FitStatus.AT_BOUND, fit.status).astype(np.uint8)
    if key in fit.names:
        return fit[key], fit.std(key), fit.status_of(key)
    nothing = np.full(len(fit.status), np.nan)
    lacking = np.where(fit.status == FitStatus.OK, FitStatus.AT_BOUND, fit.status)
    return nothing, nothing, lacking.astype(np.uint8)


def _picked(
    parts: list[tuple[np.ndarray, np.ndarray | None, np.ndarray]], choice: quantify.ModelChoice
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Take every voxel's column from its own model."""

    def pick(columns: list[np.ndarray]) -> np.ndarray:
        return np.choose(choice.chosen, columns)

    errors = [error for _, error, _ in parts if error is not None]
    return (
        pick([values for values, _, _ in parts]),
        pick(errors) if errors else None,
        pick([status for _, _, status in parts]),
    )


def area_maps(signal: PerfusionSeries, enhanced: Enhanced, brain: Mask) -> tuple[ParameterMap, ...]:
    """Return IAUC60 and the steady-state area, each where the scan is long enough for it.

    Args:
        signal: free of motion.
        enhanced: its concentration and where the agent is.
        brain: where to look.
    """
    seconds, timing = signal.time.seconds, enhanced.timing
    arrival_s, end_s = float(seconds[timing.arrival - 1]), float(seconds[-1])
    found: list[ParameterMap] = []
    if end_s >= arrival_s + _INITIAL_S:
        area = _by_chunk(
            enhanced.concentration,
            brain,
            lambda c: quantify.initial_area(
                c, seconds=seconds, arrival_s=arrival_s, duration_s=_INITIAL_S
            ),
        )
        step = Step("quantify.initial_area", {"arrival_s": arrival_s, "duration_s": _INITIAL_S})
        found.append(_plain(area, "iauc60", brain, enhanced.concentration, step))
    from_s = arrival_s + _STEADY_AFTER_S
    if end_s >= from_s + _SHORTEST_STEADY_S:
        area = _by_chunk(
            signal,
            brain,
            lambda c: quantify.steady_state_area(
                c, seconds=seconds, baseline=timing.baseline, from_s=from_s, until_s=end_s
            ),
        )
        step = Step("quantify.steady_state_area", {"from_s": from_s, "until_s": end_s})
        found.append(_plain(area, "ssarea", brain, signal, step))
    if len(found) < 2:
        warnings.warn(
            QualityWarning(
                f"the series ends {end_s - arrival_s:.3g} s after the agent arrives: too early for "
                + ("a steady state" if found else "IAUC60 and a steady state")
            ),
            stacklevel=2,
        )
    return tuple(found)


def _by_chunk(
    series: PerfusionSeries, brain: Mask, measure: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    places = np.argwhere(brain.values)
    parts = [
        measure(series.values[tuple(places[first : first + _CHUNK].T)].astype(np.float64))
        for first in range(0, len(places), _CHUNK)
    ]
    return np.concatenate(parts)


def _plain(
    values: np.ndarray, key: str, brain: Mask, series: PerfusionSeries, step: Step
) -> ParameterMap:
    return ParameterMap.from_voxels(
        values, quantity=QUANTITIES[key], mask=brain, provenance=series.provenance.then(step)
    )


def example_voxels(
    fitted: Fitted, series: PerfusionSeries, *, tumour: Mask | None, normal: Mask
) -> tuple[ExampleVoxel, ...]:
    """Return up to three voxels that show the fit, always the same ones for the same maps.

    With a tumour: where its leakage is nearest to its 95th percentile, to its median, and the
    median of normal tissue. Without: the quartiles' middle, the 75th and 95th percentile of all.

    Args:
        fitted: of the brain.
        series: concentration.
        tumour: its voxels within the brain, if there is one.
        normal: normal tissue, or the brain.
    """
    if tumour is not None and tumour.count:
        wanted = [("tumour, high leakage", tumour, 95), ("tumour, median", tumour, 50)]
        wanted.append(("normal tissue, median", normal, 50))
    else:
        wanted = [(f"brain, {p}th percentile", fitted.brain, p) for p in (50, 75, 95)]
    leak = next(m for m in fitted.maps if m.quantity.key == fitted.leading)
    number = np.full(fitted.brain.grid.shape, -1)
    number[fitted.brain.values] = np.arange(fitted.brain.count)
    shown = []
    for region, where, percentile in wanted:
        places = np.argwhere(where.values & (leak.status == FitStatus.OK))
        if not len(places):
            continue
        values = leak.values[tuple(places.T)]
        nearest = int(np.argmin(np.abs(values - np.percentile(values, percentile))))
        index = tuple(int(i) for i in places[nearest])
        shown.append(_example(fitted, series, index, int(number[index]), region))
    return tuple(shown)


def _example(
    fitted: Fitted, series: PerfusionSeries, index: tuple[int, ...], voxel: int, region: str
) -> ExampleVoxel:
    model = fitted.model_of(voxel)
    fit = fitted.fits[model]
    parameters = {key: fit[key][voxel : voxel + 1] for key in fit.names}
    if fitted.delay_s is not None:
        parameters["delay"] = np.array([fitted.delay_s])
    curve = quantify.dce_curves(
        model, parameters, fitted.plasma.values, seconds=series.time.seconds,
        arterial_seconds=fitted.plasma.time.seconds,
    )  # fmt: skip
    x, y, z = index
    return ExampleVoxel(
        index=(x, y, z),
        region=region,
        measured=np.asarray(series.values[x, y, z], np.float64),
        fitted=curve[0],
        parameters=tuple(
            (key, float(fit[key][voxel]), float(fit.std(key)[voxel])) for key in fit.names
        ),
    )
