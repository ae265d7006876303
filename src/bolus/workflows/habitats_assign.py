"""The habitats of every visit by a frozen model: labels, memberships, volumes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bolus import io
from bolus.errors import BolusError
from bolus.habitats import HabitatMap, HabitatModel, VoxelTable
from bolus.habitats.clustering import assign_habitats
from bolus.workflows.config import Config
from bolus.workflows.exam import once
from bolus.workflows.execute import processes, run_jobs
from bolus.workflows.habitat_outputs import habitat_files, habitats_table, write_habitats
from bolus.workflows.habitat_steps import (
    FOLDER,
    ChosenModel,
    StepOutcome,
    StepsOutcome,
    adapted,
    attempt,
    choose_model,
    require_any,
    settings_digest,
    with_beside,
    without_what_it_needs,
)
from bolus.workflows.outputs import SPACE
from bolus.workflows.progress import Progress, silent
from bolus.workflows.visits import Visit, VisitFiles, find_patients, read_visit


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortRequest:
    """Which visits of which dataset, and the model; None for the one that comes with bolus.

    `score` is a file of `bolus habitats score` to score patients that are followed with.
    """

    bids_dir: Path
    out_dir: Path
    model: Path | None = None
    score: Path | None = None
    participants: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    workers: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """A visit, and those of the same patient before it."""

    files: VisitFiles
    before: tuple[VisitFiles, ...]
    output: Path
    among_others: bool


def assign_cohort(
    request: CohortRequest, config: Config, *, progress: Progress = silent
) -> StepsOutcome:
    """Write the habitats of every visit that has all features of the model and a lesion.

    Args:
        request: which visits, and by which model.
        config: its section `habitats` has the labels of the lesion.
        progress: told how many visits are done.

    Raises:
        FileError: no results, no model, or no visit that can be used.
        BolusError: every visit failed; the first reason is told.
    """
    chosen = choose_model(request.model)
    found = partial(
        find_patients, request.bids_dir, request.out_dir, chosen.model.features,
        participants=request.participants,
    )  # fmt: skip
    asked = found(sessions=request.sessions)
    every = found() if request.sessions else asked  # the first visit counts, asked for or not
    jobs = [
        _Job(
            files=visit,
            before=_before(visit, every[subject]),
            output=request.out_dir / visit.key.folder / FOLDER,
            among_others=not request.participants,
        )
        for subject, visits in asked.items()
        for visit in visits
    ]
    steps = run_jobs(
        partial(_assign, chosen, config),
        jobs,
        executor=processes(request.workers),
        progress=lambda done, total: progress("Visits", done, total),
    )
    return require_any(StepsOutcome(steps=steps), what="visit", where=request.bids_dir)


def _before(visit: VisitFiles, visits: Sequence[VisitFiles]) -> tuple[VisitFiles, ...]:
    """Return the visits that can be used before one of them."""
    earlier = visits[: [v.key for v in visits].index(visit.key)]
    return tuple(v for v in earlier if not v.missing and v.when.day is not None)


def _of_patient(model: HabitatModel, job: _Job, own: VoxelTable, config: Config) -> HabitatModel:
    """Return the model adapted as by the first visit that can be read; its own if there is none."""
    for files in job.before:
        try:
            visit = read_visit(files, own.features, lesion_names=config.habitats.lesion)
            return adapted(model, visit.table(own.features), files.when, config)
        except BolusError:
            continue
    return adapted(model, own, job.files.when, config)


def _assign(chosen: ChosenModel, config: Config, job: _Job) -> StepOutcome:
    files = job.files
    if files.missing:
        return without_what_it_needs(files)
    names = io.OutputNames(key=files.key, space=SPACE)

    earlier = [path for visit in job.before for path in visit.present()]

    def work() -> bool:
        return once(
            with_beside((*files.present(), *earlier, *chosen.files)),
            job.output,
            settings=settings_digest(config, chosen.model.provenance.digest()),
            work=lambda output: _write_visit(output, names, job, chosen, config),
        ).skipped

    return attempt(
        files.key.prefix, job.output / names.table("habitats"), work, among_others=job.among_others
    )


def _write_visit(
    output: io.OutputFolder,
    names: io.OutputNames,
    job: _Job,
    chosen: ChosenModel,
    config: Config,
) -> HabitatMap:
    features = chosen.model.features
    table_name = names.table("habitats")
    sidecar = table_name.replace(".tsv", ".json")
    output.expect(habitat_files(names, chosen.model) | io.Manifest(must={table_name, sidecar}))
    visit = read_visit(job.files, features, lesion_names=config.habitats.lesion)
    table = visit.table(features)
    own = _of_patient(chosen.model, job, table, config)
    found = assign_habitats(table, own)
    sources = _sources(visit)
    write_habitats(output, names, found, sources=sources)
    output.write(table_name, habitats_table(table, found))
    output.write(
        sidecar,
        io.json_text(
            {
                "Model": chosen.model.provenance.digest(),
                "ModelOfPatient": own.provenance.digest(),
                "ModelSimulated": chosen.model.simulated,
                "Features": list(features),
                "Scanner": visit.scanner,
                "VoxelsWithoutFeature": table.left_out,
                "VoxelsUnusual": int(np.count_nonzero(found.unusual)),
                "Notices": list(visit.notices),
            }
        ),
    )
    return found


def _sources(visit: Visit) -> list[str]:
    return [path.name for path in visit.files.present()]
