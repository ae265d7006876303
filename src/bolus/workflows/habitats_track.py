"""The habitats of a patient through time: visits brought together, volumes, changes, a report."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bolus import io, preprocess
from bolus.core import Grid, Mask, SessionKey
from bolus.errors import BolusError, Code, InputError
from bolus.habitats import HabitatTrack
from bolus.habitats.clustering import assign_habitats
from bolus.habitats.features import voxel_table
from bolus.habitats.longitudinal import TrackedVisit, track_habitats
from bolus.habitats.patient_score import FrozenScore
from bolus.io.habitat_score import read_habitat_score
from bolus.io.nifti import read_volumes
from bolus.preprocess.alignment import (
    Alignment,
    VisitImage,
    resample_map_through,
    resample_mask_through,
)
from bolus.preprocess.register import register_visits
from bolus.report.habitats_patient import render_habitat_patient
from bolus.workflows.config import Config
from bolus.workflows.exam import once
from bolus.workflows.execute import processes, run_jobs
from bolus.workflows.habitat_findings import (
    FollowedVisit,
    patient_findings,
    patient_score,
    require_same_model,
)
from bolus.workflows.habitat_outputs import (
    TRACK_TABLES,
    habitat_files,
    lesions_table,
    track_tables,
    write_habitats,
)
from bolus.workflows.habitat_steps import (
    FOLDER,
    SUMMARY_NAME,
    ChosenModel,
    StepOutcome,
    StepsOutcome,
    adapted,
    attempt,
    choose_model,
    require_any,
    settings_digest,
    with_beside,
)
from bolus.workflows.habitats_assign import CohortRequest
from bolus.workflows.outputs import REPORT_NAME
from bolus.workflows.progress import Progress, silent
from bolus.workflows.visits import Visit, VisitFiles, find_patients, read_visit

FIRST = "first"
"""The space of everything in a patient's folder: the perfusion grid of the first visit."""
_FIRST_FRAMES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    subject: str
    visits: tuple[VisitFiles, ...]
    output: Path
    among_others: bool


def track_cohort(
    request: CohortRequest, config: Config, *, progress: Progress = silent
) -> StepsOutcome:
    """Follow the habitats of every patient with two visits or more, and write a report each.

    Args:
        request: which patients, and by which model.
        config: its section `habitats`.
        progress: told how many patients are done.

    Raises:
        FileError: no results, no model, or no patient that can be followed.
        BolusError: every patient failed; the first reason is told.
    """
    chosen = choose_model(request.model)
    if request.score is not None:
        require_same_model(read_habitat_score(request.score), chosen, request.score)
    patients = find_patients(
        request.bids_dir, request.out_dir, chosen.model.features,
        participants=request.participants, sessions=request.sessions,
    )  # fmt: skip
    jobs = [
        _Job(
            subject=subject,
            visits=visits,
            output=request.out_dir / f"sub-{subject}" / FOLDER,
            among_others=not request.participants,
        )
        for subject, visits in patients.items()
    ]
    steps = run_jobs(
        partial(_track, chosen, config, request.score),
        jobs,
        executor=processes(request.workers),
        progress=lambda done, total: progress("Patients", done, total),
    )
    return require_any(StepsOutcome(steps=steps), what="patient", where=request.bids_dir)


def _track(chosen: ChosenModel, config: Config, score: Path | None, job: _Job) -> StepOutcome:
    name = f"sub-{job.subject}"
    images = [
        path
        for visit in job.visits
        for path in (*visit.present(), *visit.images.structural.values())
    ]
    days = [(visit.key.prefix, visit.when, visit.missing) for visit in job.visits]

    def work() -> bool:
        usable, missing = usable_visits(job.visits)
        require_two(job.subject, usable, missing)
        frozen = None if score is None else read_habitat_score(score)
        further = () if score is None else (score,)
        return once(
            with_beside((*images, *chosen.files, *further)),
            job.output,
            settings=settings_digest(config, chosen.model.provenance.digest(), days),
            work=lambda output: _write(output, job, chosen, config, frozen),
        ).skipped

    return attempt(name, job.output / REPORT_NAME, work, among_others=job.among_others)


def usable_visits(
    visits: Sequence[VisitFiles],
) -> tuple[tuple[VisitFiles, ...], tuple[tuple[SessionKey, str], ...]]:
    """Return the visits that can be followed, in order of their day, and why others cannot."""
    usable, missing = [], []
    for visit in visits:
        if visit.missing:
            missing.append((visit.key, "; ".join(visit.missing)))
        elif visit.when.day is None:
            missing.append((visit.key, "no day or date in the tables of sessions and scans"))
        elif visit.when.repeat:
            missing.append((visit.key, "a second scan of a visit"))
        else:
            usable.append(visit)
    return tuple(usable), tuple(missing)


def require_two(
    subject: str, usable: Sequence[object], missing: Sequence[tuple[SessionKey, str]]
) -> None:
    """Raise unless there is something to compare.

    Raises:
        InputError: fewer than two visits.
    """
    if len(usable) >= 2:
        return
    why = "".join(f"; {key.prefix}: {reason}" for key, reason in missing)
    raise InputError(
        Code.VISITS_TOO_FEW,
        f"{len(usable)} visits can be used where two are needed{why}",
        mend="add visits, or what they lack",
        where=f"sub-{subject}",
    )


def _write(
    output: io.OutputFolder,
    job: _Job,
    chosen: ChosenModel,
    config: Config,
    frozen: FrozenScore | None,
) -> HabitatTrack:
    followed, missing = follow(job.visits, chosen, config)
    require_two(job.subject, followed, missing)
    output.expect(_files(job.subject, followed, chosen))
    settings = config.habitats
    track = track_habitats(
        [item.tracked for item in followed],
        followed[0].model,
        resamples=settings.resamples,
        seed=settings.seed,
    )
    track = replace(track, missing=(*track.missing, *missing))
    for item in followed:
        names = io.OutputNames(key=item.visit.key, space=FIRST)
        sources = [path.name for path in item.visit.files.present()]
        write_habitats(output, names, item.tracked.habitats, sources=sources)
    for step in track.transitions:
        names = io.OutputNames(key=step.after, space=FIRST)
        io.write_labels(
            output, names.segmentation("transitions"), step.labels,
            sources=[step.before.prefix, step.after.prefix],
        )  # fmt: skip
    tracked = [item.tracked for item in followed]
    tables = {**track_tables(track), "lesions": lesions_table(tracked)}
    for name, text in tables.items():
        output.write(f"sub-{job.subject}_{name}.tsv", text)
    output.write(f"sub-{job.subject}_{SUMMARY_NAME}", _summary(followed, chosen))
    scored = None if frozen is None else patient_score(track, frozen, chosen)
    findings = patient_findings(followed, track, chosen, config, score=scored)
    output.write(REPORT_NAME, render_habitat_patient(findings))
    return track


def _files(subject: str, followed: Sequence[FollowedVisit], chosen: ChosenModel) -> io.Manifest:
    """Return what is written of a patient."""
    names = [io.OutputNames(key=item.visit.key, space=FIRST) for item in followed]
    changes = {
        f"{name.segmentation('transitions')}{ending}"
        for name in names[1:]
        for ending in (".nii.gz", ".json", ".tsv")
    }
    tables = {f"sub-{subject}_{name}.tsv" for name in TRACK_TABLES}
    files = io.Manifest(must={*changes, *tables, f"sub-{subject}_{SUMMARY_NAME}", REPORT_NAME})
    for name in names:
        files |= habitat_files(name, chosen.model)
    return files


def _summary(followed: Sequence[FollowedVisit], chosen: ChosenModel) -> str:
    """Return which model was used, how well visits came together, and what was noticed."""
    model = chosen.model
    visits = {
        item.visit.key.prefix: {
            "Registration": item.alignment.kind,
            "LikelyErrorMm": item.alignment.error_mm,
            "LikelyErrorP95Mm": item.alignment.error_p95_mm,
            "ConsistencyMedianMm": item.alignment.consistency_median_mm,
            "Similarity": item.alignment.similarity,
            "Matrix": item.alignment.matrix.tolist(),
            "Notices": list(item.visit.notices),
        }
        for item in followed
    }
    return io.json_text(
        {
            "Model": model.provenance.digest(),
            "ModelOfPatient": followed[0].model.provenance.digest(),
            "ModelSimulated": model.simulated,
            "ModelSteps": json.loads(model.provenance.to_json())["steps"],
            "FittedOn": sorted(model.fitted_on),
            "Visits": visits,
        }
    )


def follow(
    files: Sequence[VisitFiles], chosen: ChosenModel, config: Config
) -> tuple[tuple[FollowedVisit, ...], tuple[tuple[SessionKey, str], ...]]:
    """Read the visits of a patient and bring them to the first that can be used.

    Args:
        files: in order of their day.
        chosen: the model.
        config: its section `habitats`.

    Returns:
        The visits on the perfusion grid of the first, and why others are not among them.
    """
    usable, left_out = usable_visits(files)
    missing = list(left_out)
    followed: list[FollowedVisit] = []
    for item in usable:
        try:
            visit = read_visit(item, chosen.model.features, lesion_names=config.habitats.lesion)
            followed.append(_bring(visit, followed[0] if followed else None, chosen, config))
        except BolusError as error:
            missing.append((item.key, error.what))
    return tuple(followed), tuple(missing)


def _bring(
    visit: Visit, first: FollowedVisit | None, chosen: ChosenModel, config: Config
) -> FollowedVisit:
    """Bring one visit to the first; the first one to itself."""
    files, features = visit.files, chosen.model.features
    own = visit.table(features)
    model = adapted(chosen.model, own, files.when, config) if first is None else first.model
    grid = visit.grid if first is None else first.visit.grid
    if first is None:
        alignment, image = Alignment.of_itself(grid), _best_image(files)
        fixed = image
    else:
        image, fixed = _images(files, first.visit.files)
        alignment = register_visits(
            image,
            fixed,
            moving_lesion=_drawn(visit, image.grid),
            fixed_lesion=_drawn(first.visit, fixed.grid),
            model=config.habitats.registration,
        )
    maps = {key: resample_map_through(item, alignment, grid) for key, item in visit.maps.items()}
    lesion = resample_mask_through(visit.lesion, alignment, grid)
    table = voxel_table(maps, lesion, key=visit.key, features=features, scanner=visit.scanner)
    assert files.when.day is not None  # it would not be usable
    return FollowedVisit(
        visit=visit,
        tracked=TrackedVisit(
            table=table,
            habitats=assign_habitats(table, model),
            day=files.when.day,
            enhancing=lesion,
            error_mm=alignment.error_mm,
            ncbv_reference_error=visit.reference_error,
            acquired_voxel_ml=visit.grid.voxel_volume_ml,
            own_table=own,
            own_habitats=assign_habitats(own, model),
        ),
        model=model,
        alignment=alignment,
        maps=maps,
        image=image,
        fixed=fixed,
    )


def _drawn(visit: Visit, grid: Grid) -> Mask:
    """Return everything drawn of a tumour, cavity and oedema too, where the images are."""
    return preprocess.resample_mask(visit.labels.foreground, grid)


def _images(moving: VisitFiles, fixed: VisitFiles) -> tuple[VisitImage, VisitImage]:
    """Return the best kind of image that both visits have, else the series before the bolus.

    Raises:
        InputError: they have no image of one kind.
    """
    for kind, path in fixed.images.structural.items():
        if kind in moving.images.structural:
            return _image(moving.images.structural[kind]), _image(path)
    if moving.series is None or fixed.series is None:
        raise InputError(
            Code.REGISTRATION_FAILED,
            "the two visits have no image of one kind",
            mend="add a structural image of each",
            where=moving.key.prefix,
        )
    return _early(moving.series), _early(fixed.series)


def _best_image(files: VisitFiles) -> VisitImage:
    path = next(iter(files.images.structural.values()), None)
    if path is not None:
        return _image(path)
    assert files.series is not None  # it has perfusion maps
    return _early(files.series)


def _image(path: Path) -> VisitImage:
    values, grid = io.read_image(path)
    return VisitImage(values=values, grid=grid)


def _early(path: Path) -> VisitImage:
    values, grid, _digest = read_volumes(path)
    return VisitImage(values=values[..., :_FIRST_FRAMES].mean(axis=-1), grid=grid)
