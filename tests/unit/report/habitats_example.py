"""A simulated patient of three visits, as the habitat report shows it."""

from dataclasses import replace

import numpy as np

from bolus.core import Grid, LabelMap, Mask, Provenance, SessionKey, Step
from bolus.habitats import (
    FeatureScale,
    HabitatChange,
    HabitatModel,
    HabitatTrack,
    Interval,
    ProgressionSite,
    Transition,
    VisitVolumes,
    assign_habitats,
    voxel_table,
)
from bolus.report.habitats_findings import (
    HabitatPatientFindings,
    HabitatVisitPicture,
    PatientScore,
    VisitRegistration,
)
from bolus.simulate import draw_profile, plan_visits, scan_grid, simulate_maps

NAMES = ("hypervascular", "hypovascular", "nonviable")
NOISE_ML = {"hypervascular": 0.6, "hypovascular": 1.4, "nonviable": 0.9}


def example_model(*, simulated: bool = True) -> HabitatModel:
    """Return habitats near their anchors."""
    scales = (
        FeatureScale(transform="log", centre=float(np.log(1.6)), spread=0.8, floor=0.05),
        FeatureScale(transform="linear", centre=1.3e-3, spread=0.35e-3),
    )
    plain = np.array([[4.6, 1.05e-3], [1.5, 1.2e-3], [0.7, 1.85e-3]])
    centres = np.column_stack(
        [(np.log(plain[:, 0]) - scales[0].centre) / 0.8, (plain[:, 1] - 1.3e-3) / 0.35e-3]
    )
    turned = np.array([[0.16, -0.03], [-0.03, 0.20]])
    return HabitatModel(
        method="mixture",
        features=("ncbv", "adc"),
        scales=scales,
        names=NAMES,
        weights=np.array([0.3, 0.45, 0.25]),
        centres=centres,
        covariances=np.stack([turned, turned, 1.3 * turned]),
        limits=np.array([[0.1, 12.0], [4e-4, 3e-3]]),
        fitted_on=frozenset(f"s{n:03d}" for n in range(120)),
        simulated=simulated,
        provenance=Provenance().then(Step("habitats.fit_habitats", {"k": 3})),
    )


def patient_findings(
    *, visits: int = 3, patient: int = 4, shape: tuple[int, int, int] = (64, 64, 14)
) -> HabitatPatientFindings:
    """Return a simulated patient with `visits` visits; deterministic."""
    profile = draw_profile(5, patient)
    grid = scan_grid(
        shape=shape, voxel_mm=tuple(220 / s if n < 2 else 126 / s for n, s in enumerate(shape)),
        orientation="LAS",
    )  # fmt: skip
    model = example_model()
    pictures = tuple(
        _picture(simulate_maps(profile, visit, grid=grid), model, n, visit.day)
        for n, visit in enumerate(plan_visits(profile, visits=visits, post_treatment=True))
    )
    return HabitatPatientFindings(
        label="sub-07",
        version="0.0.0",
        created="2026-11-23 01:00 UTC",
        model=model,
        visits=tuple(item for item, _ in pictures),
        track=_track(pictures),
        registration=tuple(_registration(item.key, n) for n, (item, _) in enumerate(pictures)),
        provenance=model.provenance.then(Step("habitats.track_habitats", {"resamples": 100})),
        score=_score(pictures) if visits > 1 else None,
        head=pictures[0][1],
        settings={"registration": "affine", "resamples": 100},
    )


def _picture(maps, model, n, day):
    lesion = Mask(values=maps.habitats.values > 0, grid=maps.habitats.grid, name="lesion")
    key = SessionKey("07", f"{n + 1:02d}")
    found = assign_habitats(
        voxel_table(maps.measured, lesion, key=key, features=model.features), model
    )
    rcbv = maps.truth["ncbv"].values
    image = 500 * maps.brain.values + 250 * np.clip(np.nan_to_num(rcbv), 0, 3) / 3
    image = image + 20 * np.random.default_rng(n).standard_normal(image.shape)
    picture = HabitatVisitPicture(
        key=key,
        day=day,
        background=image,
        maps={name: maps.measured[name] for name in model.features},
        labels=found.labels,
        lesion=lesion,
        unusual_percent=100 * float(found.unusual.mean()),
    )
    return picture, maps.brain


def _volumes(picture: HabitatVisitPicture) -> VisitVolumes:
    voxel = picture.labels.grid.voxel_volume_ml
    counts = np.bincount(picture.labels.values.ravel(), minlength=4)[1:4] * voxel
    lesion = picture.lesion.volume_ml
    return VisitVolumes(
        key=picture.key,
        day=picture.day,
        volumes_ml={
            name: Interval(v, max(v - 0.6 * NOISE_ML[name], 0.0), v + 0.7 * NOISE_ML[name])
            for name, v in zip(NAMES, counts.tolist(), strict=True)
        },
        fractions={
            name: Interval(v / lesion, max(v / lesion - 0.05, 0), min(v / lesion + 0.05, 1))
            for name, v in zip(NAMES, counts.tolist(), strict=True)
        },
        lesion_ml=lesion,
        left_out_ml=lesion - float(counts.sum()),
    )


def _track(pictures) -> HabitatTrack:
    shown = [item for item, _ in pictures]
    volumes = [_volumes(item) for item in shown]
    pairs = list(zip(range(len(shown) - 1), range(1, len(shown)), strict=True))
    if len(shown) > 2:
        pairs.append((0, len(shown) - 1))
    return HabitatTrack(
        subject="07",
        names=NAMES,
        visits=tuple(volumes),
        changes=tuple(_change(volumes[a], volumes[b], name) for a, b in pairs for name in NAMES),
        transitions=tuple(_transition(shown[a], shown[b]) for a, b in pairs),
        sites=() if len(shown) < 3 else tuple(_site(shown, name) for name in NAMES[:2]),
        missing=((SessionKey("07", "04"), "the visit has no ADC map"),),
    )


def _change(before: VisitVolumes, after: VisitVolumes, name: str) -> HabitatChange:
    value = after.volumes_ml[name].value - before.volumes_ml[name].value
    noise = NOISE_ML[name]
    return HabitatChange(
        before=before.key,
        after=after.key,
        days=after.day - before.day,
        habitat=name,
        change_ml=Interval(value, value - 0.9 * noise, value + 0.9 * noise),
        noise_ml=noise,
    )


def _transition(before: HabitatVisitPicture, after: HabitatVisitPicture) -> Transition:
    count = len(NAMES) + 1
    # a voxel without a habitat is the last name, outside
    first = (before.labels.values.ravel().astype(int) - 1) % count
    second = (after.labels.values.ravel().astype(int) - 1) % count
    code = first * count + second
    table = np.bincount(code, minlength=count**2).reshape(count, count).astype(float)
    table[-1, -1] = 0.0
    labels = np.where((first < count - 1) | (second < count - 1), code + 1, 0)
    grid: Grid = before.labels.grid
    names = (*NAMES, "outside")
    return Transition(
        before=before.key,
        after=after.key,
        names=names,
        volumes_ml=table * grid.voxel_volume_ml,
        labels=LabelMap(
            values=labels.reshape(grid.shape).astype(np.int32),
            grid=grid,
            names={i * count + j + 1: f"{names[i]} to {names[j]}"
                   for i in range(count) for j in range(count)},
        ),
    )  # fmt: skip


def _site(shown, name: str) -> ProgressionSite:
    likely = name == "hypovascular"
    return ProgressionSite(
        grew_from=shown[0].key, grew_to=shown[1].key, enhanced_at=shown[2].key, habitat=name,
        grown_ml=2.6, new_enhancement_ml=6.1, reach_mm=5.0, overlap=0.71 if likely else 0.24,
        expected=0.22, p_value=0.004 if likely else 0.38, permutations=999,
    )  # fmt: skip


def _registration(key: SessionKey, n: int) -> VisitRegistration:
    return VisitRegistration(
        key=key,
        kind="affine" if n else "none",
        error_mm=0.41 * (n > 0),
        error_p95_mm=0.92 * (n > 0) + 0.1 * n,
        consistency_mm=0.23 * (n > 0),
        similarity=0.81 if n else 1.0,
    )


def _score(pictures) -> PatientScore:
    return PatientScore(
        before=pictures[0][0].key,
        after=pictures[1][0].key,
        cut_offs_ml={"hypervascular": 0.8, "hypovascular": 2.0},
        count=Interval(1, 1, 2),
        hazard=Interval(1.9, 1.3, 2.7),
        hazard_noise=1.25,
        source="rule and Cox model learnt on 98 patients of the simulated cohort",
        simulated=True,
    )


def without_score(findings: HabitatPatientFindings) -> HabitatPatientFindings:
    """Return the same patient without a score."""
    return replace(findings, score=None)
