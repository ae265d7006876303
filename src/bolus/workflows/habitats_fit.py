"""Habitats learnt on the finished sessions of a cohort, and frozen into a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bolus import io
from bolus.core.learned import split_subjects
from bolus.errors import BolusError, Code, ConfigError, FileError, QuantityError
from bolus.habitats import HabitatModel, VoxelTable
from bolus.habitats.choose_k import choose_k
from bolus.habitats.clustering import fit_habitats
from bolus.io.habitat_model import read_habitat_model, write_habitat_model
from bolus.io.tables import read_table
from bolus.workflows.config import Config
from bolus.workflows.exam import once
from bolus.workflows.habitat_steps import (
    MODEL_NAME,
    require_features,
    settings_digest,
    with_beside,
)
from bolus.workflows.progress import Progress, silent
from bolus.workflows.simulate import PLAN_NAME
from bolus.workflows.visits import VisitFiles, find_patients, read_visit

TABLE_NAME = "visits.tsv"
NUMBER_NAME = "number.tsv"
"""How many habitats the cohort supports, whatever was asked for; no rows if it is too small."""
_NUMBERS = (2, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRequest:
    """What to learn habitats on, and how.

    `participants` are subject labels, all if empty. `share` of those that can be used are drawn
    for the fit, so that the others can test it. `method` is "mixture" or "k-means".
    """

    bids_dir: Path
    out_dir: Path
    output: Path
    participants: tuple[str, ...] = ()
    habitats: int = 3
    method: str = "mixture"
    share: float = 1.0

    def __post_init__(self) -> None:
        if self.habitats not in _NUMBERS:
            raise ConfigError(
                Code.USAGE,
                f"--habitats is {self.habitats}, expected 2 or 3",
                mend="no other number has names",
            )
        if not 0 < self.share <= 1:
            raise ConfigError(
                Code.USAGE,
                f"--share is {self.share:g}, expected above 0 and at most 1",
                mend="leave it away to fit on all",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOutcome:
    """Where the model is, what it is, and who is not in it and why.

    `supported` is the number of habitats that patients of the cohort agree on, None if they are
    too few to say. `skipped` says that a complete one of the same inputs and settings was there.
    """

    path: Path
    model: HabitatModel
    supported: int | None
    left_out: tuple[tuple[str, str], ...]
    skipped: bool


def fit_cohort(request: FitRequest, config: Config, *, progress: Progress = silent) -> FitOutcome:
    """Fit habitats on every visit that has all features and a lesion, and write the model.

    Args:
        request: what to fit on.
        config: its section `habitats` has features, labels of the lesion, and the seed.
        progress: told about every visit.

    Raises:
        FileError: no results, or no visit that can be used.
        QuantityError: the voxels do not suffice, or clusters cannot be named.
        ResourceError: the disk is full, or may not be written.
    """
    features = require_features(config.habitats.features)
    patients = find_patients(
        request.bids_dir, request.out_dir, features, participants=request.participants
    )
    visits = [visit for found in patients.values() for visit in found]
    usable = [visit for visit in visits if not visit.missing and not visit.when.repeat]
    left_out = [(v.key.prefix, "; ".join(v.missing) or "second scan of a visit")
                for v in visits if v not in usable]  # fmt: skip
    chosen = _drawn(usable, request.share, seed=config.habitats.seed)
    left_out += [(v.key.prefix, "kept for testing") for v in usable if v not in chosen]
    usable = chosen
    if not usable:
        raise FileError(
            Code.DATASET_INVALID,
            f"holds no visit to fit habitats on (first: {left_out[0][0]}: {left_out[0][1]})",
            mend="see docs/how-to/habitats.md for what is needed and where it is looked for",
            where=str(request.bids_dir),
        )

    def work(output: io.OutputFolder) -> HabitatModel:
        output.expect(io.Manifest(must={MODEL_NAME, TABLE_NAME, NUMBER_NAME}))
        tables = _tables(usable, features, config, left_out, progress)
        progress("Fitting", 0, 1)
        model = fit_habitats(
            tables,
            k=request.habitats,
            method=request.method,
            seed=config.habitats.seed,
            simulated=(request.bids_dir / PLAN_NAME).is_file(),
        )
        progress("Fitting", 1, 1)
        write_habitat_model(output.path(MODEL_NAME), model)
        output.write(TABLE_NAME, _listed(visits, tables, left_out))
        output.write(NUMBER_NAME, _numbers(tables, seed=config.habitats.seed))
        return model

    outcome = once(
        with_beside(path for visit in usable for path in visit.present()),
        request.output,
        settings=settings_digest(config, request.habitats, request.method, request.share),
        work=work,
    )
    path = request.output / MODEL_NAME
    model = outcome.findings or read_habitat_model(path)
    return FitOutcome(
        path=path,
        model=model,
        supported=_supported(request.output / NUMBER_NAME),
        left_out=tuple(left_out),
        skipped=outcome.findings is None,
    )


def _numbers(tables: Sequence[VoxelTable], *, seed: int) -> str:
    """Return what speaks for each number of habitats; no rows where the cohort is too small."""
    columns = ("habitats", "stability", "stability_sd", "bic_per_voxel", "supported")
    try:
        found = choose_k(tables, seed=seed)
    except QuantityError:
        return io.table_text(columns, [])
    each = zip(found.candidates, found.stability, found.stability_spread, found.bic, strict=True)
    rows = [
        (k, float(mean) if np.isfinite(mean) else None, float(sd) if np.isfinite(mean) else None,
         float(bic), k == found.k)
        for k, mean, sd, bic in each
    ]  # fmt: skip
    return io.table_text(columns, rows)


def _supported(path: Path) -> int | None:
    """Return the number of habitats that a cohort supports, as its table says."""
    columns, cells = read_table(path)
    rows = [dict(zip(columns, row, strict=True)) for row in cells]
    chosen = [int(row["habitats"]) for row in rows if row["supported"].lower() == "true"]
    return chosen[0] if chosen else None


def _drawn(visits: Sequence[VisitFiles], share: float, *, seed: int) -> list[VisitFiles]:
    """Return all visits of a share of the patients."""
    if share >= 1:
        return list(visits)
    subjects = sorted({visit.key.subject for visit in visits})
    kept = split_subjects(subjects, seed=seed, validation=0.0, test=1 - share).training
    return [visit for visit in visits if visit.key.subject in kept]


def _tables(
    visits: Sequence[VisitFiles],
    features: tuple[str, ...],
    config: Config,
    left_out: list[tuple[str, str]],
    progress: Progress,
) -> list[VoxelTable]:
    """Read the voxels of every visit; one that cannot be used is left out by name."""
    tables = []
    for number, files in enumerate(visits):
        progress("Reading visits", number, len(visits))
        try:
            visit = read_visit(files, features, lesion_names=config.habitats.lesion)
            tables.append(visit.table(features))
        except BolusError as error:
            if len(visits) == 1:
                raise
            left_out.append((files.key.prefix, error.what))
    progress("Reading visits", len(visits), len(visits))
    return tables


def _listed(
    visits: Sequence[VisitFiles],
    tables: Sequence[VoxelTable],
    left_out: Sequence[tuple[str, str]],
) -> str:
    used = {table.key: table for table in tables}
    why = dict(left_out)
    rows = [
        (
            visit.key.prefix,
            used[visit.key].count if visit.key in used else 0,
            used[visit.key].scanner or None if visit.key in used else None,
            why.get(visit.key.prefix),
        )
        for visit in visits
    ]
    return io.table_text(("visit", "voxels", "scanner", "left_out"), rows)
