"""What the reports of habitats are made from, put together from what was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bolus import __version__, io
from bolus.core import Mask, ParameterMap, Provenance
from bolus.core.arrays import Volume
from bolus.errors import Code, FileError
from bolus.habitats import HabitatModel, HabitatTrack
from bolus.habitats.longitudinal import TrackedVisit
from bolus.habitats.patient_score import FrozenScore, score_change
from bolus.preprocess import resample_mask
from bolus.preprocess.alignment import (
    Alignment,
    VisitImage,
    resample_image_through,
    resample_mask_through,
)
from bolus.report.figures_registration import Overlay, registration_picture
from bolus.report.habitats_findings import (
    HabitatCohortFindings,
    HabitatPatientFindings,
    HabitatVisitPicture,
    PatientScore,
    VisitRegistration,
)
from bolus.workflows.config import Config
from bolus.workflows.exam import now_text
from bolus.workflows.habitat_steps import ChosenModel
from bolus.workflows.habitats_analyse import CohortScore
from bolus.workflows.visits import Visit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FollowedVisit:
    """A visit brought to the first one: what is compared, how it came there, and its image.

    `model` is that of the patient, the same for all visits; `maps` are on the grid of the first
    visit; `image` is its own that was registered to `fixed`, the first visit's of the same kind.
    """

    visit: Visit
    tracked: TrackedVisit
    model: HabitatModel
    alignment: Alignment
    maps: dict[str, ParameterMap]
    image: VisitImage
    fixed: VisitImage


def patient_findings(
    followed: Sequence[FollowedVisit],
    track: HabitatTrack,
    chosen: ChosenModel,
    config: Config,
    *,
    score: PatientScore | None = None,
) -> HabitatPatientFindings:
    """Return what the report of one patient is made from.

    Args:
        followed: the visits of `track`, in the same order.
        track: what became of the habitats.
        chosen: the model.
        config: its section `habitats`.
        score: of the first change, where there is one.
    """
    model = chosen.model
    return HabitatPatientFindings(
        label=f"sub-{track.subject}",
        version=__version__,
        created=now_text(),
        model=model,
        visits=tuple(_picture(item) for item in followed),
        track=track,
        registration=tuple(_registration(followed[0], item) for item in followed[1:]),
        provenance=_history(followed),
        score=score,
        head=_head(followed[0]),
        warnings=_warnings(followed),
        settings={
            **config.habitats.model_dump(mode="json"),
            "features": ", ".join(model.features),
            "model": "that comes with bolus" if chosen.path is None else chosen.path.name,
        },
    )


def patient_score(
    track: HabitatTrack, frozen: FrozenScore, chosen: ChosenModel
) -> PatientScore | None:
    """Return what the first change of a patient scores; None for whom it was fitted on.

    Args:
        track: what became of the habitats.
        frozen: rule and hazard of a cohort.
        chosen: the model of the habitats.
    """
    if not track.changes or track.subject in frozen.fitted_on:
        return None
    first = track.changes[0]
    pair = [c for c in track.changes if (c.before, c.after) == (first.before, first.after)]
    scored = score_change(pair, frozen)
    return PatientScore(
        before=first.before,
        after=first.after,
        cut_offs_ml=dict(frozen.cut_offs_ml),
        count=scored.count,
        hazard=scored.hazard,
        hazard_noise=scored.hazard_noise,
        source=f"fitted on {len(frozen.fitted_on)} patients for time to {frozen.outcome}",
        simulated=frozen.simulated or chosen.model.simulated,
    )


def require_same_model(frozen: FrozenScore, chosen: ChosenModel, where: Path) -> None:
    """Raise unless a score was fitted on habitats of the model that is used.

    Raises:
        FileError: it was fitted on habitats of another model.
    """
    if frozen.model != chosen.model.provenance.digest():
        raise FileError(
            Code.MODEL_INVALID,
            "was fitted on habitats of another model",
            mend="give that model with --model",
            where=str(where),
        )


def cohort_findings(found: CohortScore, bids_dir: Path, config: Config) -> HabitatCohortFindings:
    """Return what the report of a cohort is made from.

    Args:
        found: the analyses.
        bids_dir: the dataset, whose folder gives the name.
        config: its section `habitats`.
    """
    gathered = found.gathered
    simulated = ("The model of the habitats was fitted on simulated patients.",)
    return HabitatCohortFindings(
        label=bids_dir.resolve().name,
        version=__version__,
        created=now_text(),
        cohort=gathered.cohort,
        split=found.split,
        survival=found.survival,
        recurrence=found.recurrence,
        provenance=gathered.history,
        not_done=found.not_done,
        warnings=simulated if gathered.simulated else (),
        settings={
            "resamples": config.habitats.resamples,
            "seed": config.habitats.seed,
            "model": gathered.model_digest,
        },
    )


def _picture(item: FollowedVisit) -> HabitatVisitPicture:
    tracked = item.tracked
    return HabitatVisitPicture(
        key=item.visit.key,
        day=tracked.day,
        background=_background(item),
        maps=item.maps,
        labels=tracked.habitats.labels,
        lesion=tracked.enhancing,
        unusual_percent=100 * float(np.mean(tracked.habitats.unusual)),
    )


def _background(item: FollowedVisit) -> Volume:
    return resample_image_through(item.image, item.alignment, item.tracked.enhancing.grid)


def _registration(first: FollowedVisit, item: FollowedVisit) -> VisitRegistration:
    found, grid = item.alignment, item.fixed.grid
    overlay = Overlay(
        first=item.fixed.values,
        later=resample_image_through(item.image, found, grid),
        grid=grid,
        name=item.visit.key.session or item.visit.key.prefix,
        error_mm=found.error_mm,
        lesions=(
            resample_mask(first.visit.lesion, grid),
            resample_mask_through(item.visit.lesion, found, grid),
        ),
    )
    return VisitRegistration(
        key=item.visit.key,
        kind=found.kind,
        error_mm=found.error_mm,
        error_p95_mm=found.error_p95_mm,
        consistency_mm=found.consistency_median_mm,
        similarity=found.similarity,
        picture=registration_picture(overlay),
    )


def _head(first: FollowedVisit) -> Mask | None:
    path = first.visit.files.brain
    if path is None:
        return None
    return io.read_mask(path, name="brain", grid=first.visit.grid)


def _history(followed: Sequence[FollowedVisit]) -> Provenance:
    history = Provenance()
    for item in followed:
        history = history.merged(item.tracked.table.provenance)
        history = history.merged(item.alignment.provenance)
    return history.merged(followed[0].model.provenance).merged(
        followed[0].tracked.habitats.provenance
    )


def _warnings(followed: Sequence[FollowedVisit]) -> tuple[str, ...]:
    return tuple(
        f"{item.visit.key.prefix}: {notice}" for item in followed for notice in item.visit.notices
    )
