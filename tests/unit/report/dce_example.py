"""A small invented DCE exam with everything its page shows, fitted by the real models."""

from dataclasses import dataclass, field, replace

import numpy as np
from findings_example import ExampleMotion, ExampleRegion, _radius, _tumour

from bolus.core import (
    CONCENTRATION,
    QUANTITIES,
    SIGNAL,
    Acquisition,
    ArterialInput,
    Assumed,
    FitStatus,
    Grid,
    LabelMap,
    MapSet,
    Mask,
    ParameterMap,
    PerfusionSeries,
    Provenance,
    Step,
    TimeAxis,
)
from bolus.quantify.dce_fit import DceFit
from bolus.quantify.dce_forward import dce_curves
from bolus.quantify.dce_models import ExtendedTofts, Patlak, TwoCompartmentExchange
from bolus.quantify.dce_selection import choose_model
from bolus.quantify.population_aif import parker_aif
from bolus.report import DceFindings, ExampleVoxel, QualityFigure

STEP_S, FRAMES, ARRIVAL_S, HAEMATOCRIT = 4.0, 60, 26.0, 0.42
TIME = TimeAxis.regular(FRAMES, step_s=STEP_S, start_s=STEP_S / 2)
_TUMOUR_TRUTH = {1: (0.01, 15.0, 0.4), 2: (0.14, 32.0, 5.0), 3: (0.015, 12.0, 1.4)}


@dataclass(frozen=True, kw_only=True)
class ExampleEnhancement:
    vessel_signal: np.ndarray
    baseline: slice = field(default_factory=lambda: slice(0, 6))
    arrival: int = 6
    peak: int = 8
    contrast_to_noise: float = 88.0


def dce_findings(shape: tuple[int, int, int] = (30, 36, 6), *, model: str = "extended_tofts"):
    """Return the findings of an invented exam; deterministic."""
    rng = np.random.default_rng(11)
    affine = np.diag([-5.0, 5.0, 6.0, 1.0])
    affine[:3, 3] = [75.0, -90.0, -18.0]
    grid = Grid(shape=shape, affine=affine)
    radius, side = _radius(shape)
    brain = Mask(values=radius < 0.92, grid=grid, name="brain")
    white = Mask(
        values=brain.values & (radius < 0.55) & (radius > 0.25) & (side > 0.1),
        grid=grid, name="white matter",
    )  # fmt: skip
    tumour = _tumour(grid, brain)
    blood = parker_aif(TIME.seconds, arrival_s=ARRIVAL_S)
    plasma = blood / (1 - HAEMATOCRIT)
    truth = _truth(grid, brain, tumour, rng)
    clean = dce_curves("extended_tofts", truth, plasma, seconds=TIME.seconds)
    curves = clean + rng.normal(0, 0.02, clean.shape)
    fit, chosen = _fitted(model, curves, plasma, brain)
    signal, concentration = _series(grid, brain, curves, rng)
    maps = _maps(fit, brain, tumour, rng)
    moved = np.cumsum(rng.normal(0, 0.03, (FRAMES, 6)), axis=0)
    return DceFindings(
        label="sub-example ses-pre",
        version="0.1.0",
        created="2026-01-01T12:00:00Z",
        signal=signal,
        concentration=concentration,
        anatomy=signal.values[..., :6].mean(axis=-1),
        enhancement=ExampleEnhancement(vessel_signal=1 + 0.9 * blood + rng.normal(0, 0.02, FRAMES)),
        aif=_input(plasma, "blood / (1 − haematocrit)"),
        measured_aif=_artery(blood, grid, rng),
        vein=_input(np.interp(TIME.seconds - 6, TIME.seconds, blood) * 0.95, "vein, automatic"),
        vein_scale=1.18,
        brain=brain,
        maps=maps,
        model=model,
        chosen=chosen,
        provenance=_history(),
        white_matter=white,
        tumour=tumour,
        regions=_regions(maps, tumour, white),
        examples=_examples(fit, curves, brain, tumour, white, plasma, model),
        motion=ExampleMotion(
            parameters=moved, displacement_mm=np.linalg.norm(moved[:, :3], axis=1)
        ),
        quality=(QualityFigure(name="temporal signal-to-noise", value=44.0),),
        warnings=("1 frame differs from its neighbours by more than expected",),
        assumptions=(
            (
                "haematocrit",
                Assumed(value=HAEMATOCRIT, reason="not drawn that day", source="population mean"),
            ),
        ),
        settings={"model": model, "aif": "auto"},
    )


def without_t1(findings: DceFindings) -> DceFindings:
    """Return the same exam with one T1 assumed."""
    maps = MapSet({k: v for k, v in findings.maps.items() if k != "t10"})
    assumed = ("T1 before the agent [s]", Assumed(value=1.4, reason="no T1 map", source="a book"))
    return replace(findings, maps=maps, assumptions=(*findings.assumptions, assumed))


def all_failed(findings: DceFindings) -> DceFindings:
    """Return the same exam with no fit that converged."""
    maps = {}
    for key, item in findings.maps.items():
        status = np.full(findings.brain.count, FitStatus.NOT_CONVERGED, np.uint8)
        maps[key] = ParameterMap.from_voxels(
            np.full(findings.brain.count, np.nan), quantity=item.quantity, mask=findings.brain,
            provenance=item.provenance, status=status, std=np.full(findings.brain.count, np.nan),
        )  # fmt: skip
    return replace(findings, maps=MapSet(maps), regions=(), examples=())


def population_aif(findings: DceFindings) -> DceFindings:
    """Return the same exam with an artery from the population."""
    return replace(
        findings, measured_aif=None, vein=None, vein_scale=1.0,
        aif=replace(findings.aif, method="population average: Parker"),
    )  # fmt: skip


def _truth(grid: Grid, brain: Mask, tumour: LabelMap, rng: np.random.Generator):
    spread = rng.normal(1, 0.1, (3, brain.count))
    values = np.ones((3, brain.count)) * np.array([[0.0], [10.0], [1.8]])
    labels = tumour.values[brain.values]
    for label, numbers in _TUMOUR_TRUTH.items():
        values[:, labels == label] = np.array(numbers)[:, None]
    values *= spread
    return {"ktrans": values[0], "ve": values[1], "vp": values[2]}


def _fitted(model: str, curves: np.ndarray, plasma: np.ndarray, brain: Mask):
    def fit(kind) -> DceFit:
        return kind(curves, plasma, seconds=TIME.seconds)

    if model == "two_compartment_exchange":
        return fit(TwoCompartmentExchange()), None
    extended = fit(ExtendedTofts())
    if model != "best":
        return extended, None
    choice = choose_model({"patlak": fit(Patlak()), "extended_tofts": extended})
    labels = np.zeros(brain.grid.shape, np.int16)
    labels[brain.values] = choice.chosen.astype(np.int16) + 1
    names = {1: "Patlak", 2: "extended Tofts"}
    return extended, LabelMap(values=labels, grid=brain.grid, names=names)


def _series(grid, brain, curves, rng):
    values = np.zeros((*grid.shape, FRAMES), np.float32)
    values[brain.values] = curves
    base = np.where(brain.values, 800 + 50 * rng.standard_normal(grid.shape), 30.0)[..., None]
    acquisition = Acquisition(
        echo_time_s=0.002, repetition_time_s=0.005, flip_angle_deg=15.0, field_strength_t=3.0,
        contrast_dose_mmol_per_kg=0.1, contrast_agent="gadobutrol", sequence="SPGR",
    )  # fmt: skip
    shared = {"grid": grid, "time": TIME, "acquisition": acquisition, "provenance": Provenance()}
    return (
        PerfusionSeries(values=(base * (1 + 0.4 * values)).astype(np.float32), quantity=SIGNAL,
                        **shared),
        PerfusionSeries(values=values, quantity=CONCENTRATION, **shared),
    )  # fmt: skip


def _maps(fit: DceFit, brain: Mask, tumour: LabelMap, rng: np.random.Generator) -> MapSet:
    found = {}
    for key in fit.names:
        found[key] = ParameterMap.from_voxels(
            fit[key], quantity=QUANTITIES[key], mask=brain, provenance=Provenance(),
            status=fit.status_of(key), std=fit.std(key),
        )  # fmt: skip
    t1 = np.where(tumour.foreground.values, 1.7, 1.15) * rng.normal(1, 0.1, brain.grid.shape)
    for key, values in (("t10", t1[brain.values]), ("r2", fit.r2), ("residual", fit.residual_std)):
        found[key] = ParameterMap.from_voxels(
            values, quantity=QUANTITIES[key], mask=brain, provenance=Provenance(),
            status=None if key == "t10" else fit.status,
        )  # fmt: skip
    return MapSet(found)


def _input(values: np.ndarray, method: str) -> ArterialInput:
    return ArterialInput(
        values=values, time=TIME, quantity=CONCENTRATION, method=method, provenance=Provenance(),
        voxels=np.empty((0, 3), np.int64), score=float("nan"),
    )  # fmt: skip


def _artery(blood: np.ndarray, grid: Grid, rng: np.random.Generator) -> ArterialInput:
    nx, ny, nz = grid.shape
    candidates = rng.normal(1, 0.12, (8, 1)) * blood + rng.normal(0, 0.1, (8, FRAMES))
    voxels = [(nx // 2 + i % 4, ny // 2 + 4 + i % 3, min(nz // 3 + i // 5, nz - 1)) for i in
              range(8)]  # fmt: skip
    return replace(
        _input(blood, "automatic"), voxels=np.array(voxels), score=0.78, candidates=candidates
    )


def _regions(maps: MapSet, tumour: LabelMap, white: Mask) -> tuple[ExampleRegion, ...]:
    masks = [("tumour", tumour.foreground)]
    masks += [(name, tumour.mask(name)) for name in tumour.names.values()] + [
        ("white matter", white)
    ]
    rows = []
    for key in maps:
        for name, mask in masks:
            values = maps[key].inside(mask)
            if not values.size:
                continue
            std, mean = float(values.std() / np.sqrt(values.size) * 3), float(values.mean())
            p05, middle, p95 = (float(v) for v in np.percentile(values, [5, 50, 95]))
            rows.append(
                ExampleRegion(
                    region=name, key=key, unit=maps[key].quantity.unit, voxels=int(values.size),
                    volume_ml=mask.volume_ml, mean=mean, median=middle, p05=p05, p95=p95,
                    mean_std=std, low95=mean - 1.96 * std, high95=mean + 1.96 * std,
                )
            )  # fmt: skip
    return tuple(rows)


def _examples(fit, curves, brain, tumour, white, plasma, model) -> tuple[ExampleVoxel, ...]:
    index = np.argwhere(brain.values)
    rows = []
    for region, mask in (
        ("enhancing", tumour.mask("enhancing")), ("oedema", tumour.mask("oedema")),
        ("white matter", white),
    ):  # fmt: skip
        inside = np.flatnonzero(mask.values[brain.values])
        if not inside.size:
            continue
        at = int(inside[inside.size // 2])
        rows.append(
            ExampleVoxel(
                index=tuple(int(v) for v in index[at]),
                region=region,
                measured=curves[at],
                fitted=_curve(fit, at, model, plasma),
                parameters=tuple(
                    (key, float(fit[key][at]), float(fit.std(key)[at])) for key in fit.names
                ),
            )
        )
    return tuple(rows)


def _curve(fit: DceFit, at: int, model: str, plasma: np.ndarray) -> np.ndarray:
    name = "extended_tofts" if model == "best" else model
    numbers = {key: np.nan_to_num(fit[key][at : at + 1], nan=1.0) for key in fit.names}
    return dce_curves(name, numbers, plasma, seconds=TIME.seconds)[0]


def _history() -> Provenance:
    history = Provenance(inputs=(("sub-example_dce.nii.gz", "9f" * 32),))
    for step in (
        Step("io.read_series", {"file": "sub-example_dce.nii.gz"}),
        Step("quantify.signal_to_concentration", {"r1_per_s_mmolar": 4.5}),
        Step("quantify.find_dce_aif", {"voxels": 8}),
    ):
        history = history.then(step)
    return history
