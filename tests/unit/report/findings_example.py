"""A small invented exam with everything a report shows: an ellipsoid head with a tumour."""

from dataclasses import dataclass, field, replace

import numpy as np

from bolus.core import (
    DELTA_R2S,
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
from bolus.report import DscFindings, LeakageComparison, QualityFigure, TissueRatio

FRAMES, STEP_S, ECHO_TIME_S = 60, 1.5, 0.030


@dataclass(frozen=True, kw_only=True)
class ExampleBolus:
    steady: int = 2
    baseline: slice = field(default_factory=lambda: slice(2, 15))
    arrival: int = 15
    peak: int = 19
    first_pass_end: int = 27
    mean_signal: np.ndarray
    contrast_to_noise: float = 41.0


@dataclass(frozen=True, kw_only=True)
class ExampleMotion:
    parameters: np.ndarray
    displacement_mm: np.ndarray
    reference_frame: int = 8


@dataclass(frozen=True, kw_only=True)
class ExampleRegion:
    region: str
    key: str
    unit: str
    voxels: int
    volume_ml: float
    mean: float
    median: float
    p05: float
    p95: float
    mean_std: float
    low95: float
    high95: float


@dataclass(frozen=True, kw_only=True)
class ExampleBurden:
    low: float = 1.0
    high: float = 1.75
    low_percent: float = 21.4
    middle_percent: float = 30.2
    high_percent: float = 48.4
    low_interval: tuple[float, float] = (19.0, 23.9)
    middle_interval: tuple[float, float] = (27.5, 33.0)
    high_interval: tuple[float, float] = (45.4, 51.4)


def example_findings(shape: tuple[int, int, int] = (48, 56, 10)) -> DscFindings:
    """Return the findings of an invented exam; deterministic."""
    rng = np.random.default_rng(7)
    affine = np.diag([-3.6, 3.4, 5.0, 1.0])
    affine[:3, 3] = [85.0, -95.0, -20.0]
    grid = Grid(shape=shape, affine=affine)
    radius, side = _radius(shape)
    brain = Mask(values=radius < 0.92, grid=grid, name="brain")
    grey = brain.values & (radius > 0.74)
    white = Mask(
        values=brain.values & (radius < 0.55) & (radius > 0.25) & (side > 0.1),
        grid=grid,
        name="white matter",
    )
    tumour = _tumour(grid, brain)
    maps = _maps(grid, brain, grey, tumour, rng)
    series, delta, corrected = _series(grid, brain, maps, rng)
    signal = series.values[brain.values].mean(axis=0)
    moved = np.cumsum(rng.normal(0, 0.05, (FRAMES, 6)), axis=0)
    return DscFindings(
        label="sub-example ses-pre",
        version="0.1.0",
        created="2026-01-01T12:00:00Z",
        signal=series,
        anatomy=series.values[..., 2:15].mean(axis=-1),
        bolus=ExampleBolus(mean_signal=signal),
        aif=_artery(series, rng),
        brain=brain,
        white_matter=white,
        leakage_reference=brain.without(tumour.foreground),
        maps=maps,
        provenance=_provenance(),
        tumour=tumour,
        regions=_regions(maps, tumour, white),
        burden=ExampleBurden(),
        leakage=LeakageComparison(corrected=2.84, uncorrected=2.11),
        ratios=(
            TissueRatio(key="cbv", value=2.1, low=1.8, high=2.8),
            TissueRatio(key="cbf", value=3.6, low=1.9, high=3.4),
        ),
        motion=ExampleMotion(
            parameters=moved, displacement_mm=np.linalg.norm(moved[:, :3], axis=1)
        ),
        quality=(
            QualityFigure(name="temporal signal-to-noise", value=61.2, detail="baseline, brain"),
            QualityFigure(name="drift", value=-0.8, unit="%", detail="over the baseline"),
            QualityFigure(name="outlying frames", value=2, look=True, detail="frames 31, 32"),
        ),
        delta_r2s=delta,
        corrected=corrected,
        warnings=("2 frames differ from their neighbours by more than expected",),
        assumptions=(
            (
                "haematocrit",
                Assumed(value=0.45, reason="not drawn that day", source="population mean"),
            ),
        ),
        settings={"deconvolution": "vascular", "leakage": "bsw"},
    )


def small_findings() -> DscFindings:
    """Return the invented exam with few slices and two maps: quick to draw."""
    findings = example_findings((20, 24, 3))
    maps = MapSet({key: findings.maps[key] for key in ("ncbv", "k2")})
    return replace(findings, maps=maps)


def without_tumour(findings: DscFindings) -> DscFindings:
    """Return the same exam of a patient without a tumour mask."""
    return replace(findings, tumour=None, regions=(), burden=None, leakage=None)


def _radius(shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    axes = [np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in shape]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    return np.sqrt(x**2 + y**2 + (0.8 * z) ** 2), x


def _tumour(grid: Grid, brain: Mask) -> LabelMap:
    place = np.array([0.33, 0.55, 0.5])
    index = np.moveaxis(np.indices(grid.shape), 0, -1) / np.maximum(np.array(grid.shape) - 1, 1)
    if grid.shape[2] == 1:
        place[2] = 0.0
    distance = np.linalg.norm((index - place) * [1.0, 1.0, 0.6], axis=-1)
    labels = np.zeros(grid.shape, np.int16)
    for label, reach in ((3, 0.17), (2, 0.115), (1, 0.05)):
        labels[(distance < reach) & brain.values] = label
    return LabelMap(
        values=labels, grid=grid, names={1: "necrotic core", 2: "enhancing", 3: "oedema"}
    )


def _maps(
    grid: Grid, brain: Mask, grey: np.ndarray, tumour: LabelMap, rng: np.random.Generator
) -> MapSet:
    cbv = np.where(grey, 4.2, 2.0)
    mtt = np.where(grey, 4.6, 5.4)
    k2 = np.zeros(grid.shape)
    for label, volume, transit, leak in (
        (1, 0.7, 8.0, 0.004),
        (2, 6.1, 6.8, 0.016),
        (3, 1.5, 6.0, 0.001),
    ):
        there = tumour.values == label
        cbv[there], mtt[there], k2[there] = volume, transit, leak
    cbv = cbv * rng.normal(1, 0.08, grid.shape)
    mtt = mtt * rng.normal(1, 0.06, grid.shape)
    volumes = {
        "cbv": cbv,
        "ncbv": cbv / 2.0,
        "cbf": 60 * cbv / mtt,
        "mtt": mtt,
        "tmax": 1.5 + rng.gamma(2.0, 0.4, grid.shape),
        "k2": k2 + rng.normal(0, 0.0008, grid.shape),
        "psr": 95 - 1500 * k2 + rng.normal(0, 4, grid.shape),
    }
    status = np.zeros(brain.count, np.uint8)
    status[rng.random(brain.count) < 0.01] = FitStatus.NO_BOLUS
    maps = {}
    for key, values in volumes.items():
        inside = np.where(status == FitStatus.OK, values[brain.values], np.nan)
        maps[key] = ParameterMap.from_voxels(
            inside, quantity=QUANTITIES[key], mask=brain, provenance=Provenance(), status=status
        )
    return MapSet(maps)


def _series(
    grid: Grid, brain: Mask, maps: MapSet, rng: np.random.Generator
) -> tuple[PerfusionSeries, PerfusionSeries, PerfusionSeries]:
    seconds = STEP_S * np.arange(FRAMES)
    after = np.clip(seconds - 21.0, 0, None)
    shape = (after / 6.0) ** 2 * np.exp(2 - after / 3.0) + 0.12 * (1 - np.exp(-after / 8.0))
    height = np.nan_to_num(maps["cbv"].values) * 3.0
    corrected = height[..., None] * shape
    leak = np.nan_to_num(maps["k2"].values)[..., None] * np.cumsum(shape) * STEP_S * 25
    delta = corrected - leak
    base = np.where(brain.values, 900.0 + 60 * rng.standard_normal(grid.shape), 40.0)
    signal = base[..., None] * np.exp(-ECHO_TIME_S * delta)
    signal = (signal + rng.normal(0, 6, signal.shape)).astype(np.float32)
    series = PerfusionSeries(
        values=signal,
        quantity=SIGNAL,
        grid=grid,
        time=TimeAxis(seconds=seconds),
        acquisition=Acquisition(
            echo_time_s=ECHO_TIME_S,
            repetition_time_s=STEP_S,
            flip_angle_deg=60.0,
            field_strength_t=3.0,
            preload_dose_mmol_per_kg=0.1,
            contrast_dose_mmol_per_kg=0.1,
            sequence="GRE-EPI",
        ),
        provenance=Provenance(),
    )
    step = Step("quantify.signal_to_delta_r2s", {"echo_time_s": ECHO_TIME_S})
    return (
        series,
        series.derive(delta, DELTA_R2S, step),
        series.derive(corrected, DELTA_R2S, step),
    )


def _artery(series: PerfusionSeries, rng: np.random.Generator) -> ArterialInput:
    seconds = series.time.seconds
    after = np.clip(seconds - 19.5, 0, None)
    curve = 95 * (after / 4.0) ** 2 * np.exp(2 - after / 2.0) + 8 * (1 - np.exp(-after / 6.0))
    spread = rng.normal(1, 0.12, (10, 1)) * curve + rng.normal(0, 1.5, (10, FRAMES))
    nx, ny, nz = series.grid.shape
    voxels = [
        (nx // 2 + i, ny // 2 + 8 + i % 3, min(max(nz // 3 + i // 4, 0), nz - 1))
        for i in range(-5, 5)
    ]
    return ArterialInput(
        values=curve,
        time=series.time,
        quantity=DELTA_R2S,
        method="automatic",
        provenance=Provenance(),
        voxels=np.array(voxels),
        score=0.83,
        candidates=spread,
    )


def _regions(maps: MapSet, tumour: LabelMap, white: Mask) -> tuple[ExampleRegion, ...]:
    masks = [("tumour", tumour.foreground)]
    masks += [(name, tumour.mask(name)) for name in tumour.names.values()]
    masks += [("white matter", white)]
    rows = []
    for key in ("ncbv", "cbv", "cbf", "mtt", "tmax", "k2"):
        for name, mask in masks:
            values = maps[key].inside(mask)
            if not values.size:
                continue
            std = float(values.std() / np.sqrt(values.size) * 4)
            mean = float(values.mean())
            rows.append(
                ExampleRegion(
                    region=name,
                    key=key,
                    unit=maps[key].quantity.unit,
                    voxels=int(values.size),
                    volume_ml=mask.volume_ml,
                    mean=mean,
                    median=float(np.median(values)),
                    p05=float(np.percentile(values, 5)),
                    p95=float(np.percentile(values, 95)),
                    mean_std=std,
                    low95=mean - 1.96 * std,
                    high95=mean + 1.96 * std,
                )
            )
    return tuple(rows)


def _provenance() -> Provenance:
    history = Provenance(inputs=(("sub-example_dsc.nii.gz", "9f" * 32),))
    steps = (
        Step("io.read_series", {"file": "sub-example_dsc.nii.gz"}),
        Step("preprocess.correct_motion", {"reference_frame": 8}),
        Step("quantify.find_bolus", {"arrival": 15}),
        Step("quantify.signal_to_delta_r2s", {"echo_time_s": 0.03}, "10.1002/mrm.1910140211"),
        Step("quantify.find_aif", {"voxels": 10}, "10.1002/mrm.20759"),
        Step("quantify.correct_leakage", {"model": "bsw"}, "Boxerman et al., AJNR 2006;27:859"),
        Step("quantify.something_new", {"setting": 3}, "10.1234/unknown.5678"),
    )
    for step in steps:
        history = history.then(step)
    return history
