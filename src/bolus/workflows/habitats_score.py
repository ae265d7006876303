"""What habitats did in a cohort against its outcomes: analyses, tables and a report."""

from dataclasses import dataclass
from pathlib import Path

from bolus import io
from bolus.errors import BolusError, Code, ConfigError
from bolus.io.habitat_score import score_bytes
from bolus.io.tables import read_table
from bolus.report.habitats_cohort import render_habitat_cohort
from bolus.workflows.config import Config
from bolus.workflows.exam import once
from bolus.workflows.habitat_findings import cohort_findings
from bolus.workflows.habitat_steps import settings_digest
from bolus.workflows.habitats_analyse import CohortScore, analyse, split_of
from bolus.workflows.habitats_gather import OUTCOMES, anybody_followed, gather
from bolus.workflows.habitats_score_outputs import NOT_DONE_NAME, score_tables
from bolus.workflows.outputs import REPORT_NAME
from bolus.workflows.progress import Progress, silent, stage

GROUP_FOLDER = "group_habitats"
SCORE_NAME = "score.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRequest:
    """Which cohort, which further table of patients, and what is awaited.

    Raises:
        ConfigError: another outcome than those that are known.
    """

    bids_dir: Path
    out_dir: Path
    clinical: Path | None = None
    outcome: str = "progression"

    def __post_init__(self) -> None:
        if self.outcome not in OUTCOMES:
            raise ConfigError(
                Code.USAGE,
                f"--outcome is '{self.outcome[:40]}', expected {' or '.join(OUTCOMES)}",
                mend="choose one of them",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreOutcome:
    """Where the report is, and what it says in short; `skipped` if it had been there before."""

    report: Path
    patients: int
    left_out: tuple[tuple[str, str], ...]
    not_done: tuple[tuple[str, str], ...]
    numbers: tuple[tuple[str, str], ...]
    skipped: bool


def score_cohort(
    request: ScoreRequest, config: Config, *, progress: Progress = silent
) -> ScoreOutcome:
    """Analyse the followed patients of a cohort, and write tables and a report.

    An analysis for which patients or events are too few is left out by name.

    Args:
        request: which cohort.
        config: its section `habitats` has the seed and the number of resamples.
        progress: told about every stage.

    Raises:
        FileError: nobody was followed, or a table cannot be read.
        MetadataError: a table contradicts another, or holds what cannot be understood.
        LeakageError: every patient took part in fitting the habitats.
        ResourceError: lifelines is not installed; the disk is full, or may not be written.
    """
    gathered = gather(request.bids_dir, request.out_dir, clinical=request.clinical)
    cohort = gathered.cohort
    split = split_of(gathered, seed=config.habitats.seed)

    def work(output: io.OutputFolder) -> CohortScore:
        found = analyse(gathered, split, request.outcome, config, progress)
        tables = score_tables(found)
        frozen = () if found.frozen is None else (SCORE_NAME,)
        output.expect(io.Manifest(must={*tables, *frozen, REPORT_NAME}))
        with stage(progress, "Report and files"):
            for name, text in tables.items():
                output.write(name, text)
            if found.frozen is not None:
                output.write(SCORE_NAME, score_bytes(found.frozen))
            page = render_habitat_cohort(cohort_findings(found, request.bids_dir, config))
            output.write(REPORT_NAME, page)
        return found

    folder = request.out_dir / GROUP_FOLDER
    outcome = once(
        gathered.files,
        folder,
        settings=settings_digest(config, request.outcome),
        work=work,
    )
    found = outcome.findings
    _, listed = read_table(folder / NOT_DONE_NAME)
    return ScoreOutcome(
        report=folder / REPORT_NAME,
        patients=len(cohort.rows),
        left_out=cohort.left_out,
        not_done=tuple((name, why) for name, why in listed),
        numbers=() if found is None else _numbers(found),
        skipped=found is None,
    )


def score_if_followed(
    bids_dir: Path, out_dir: Path, config: Config
) -> ScoreOutcome | BolusError | None:
    """Score the cohort if somebody's habitats were followed; what stops it is returned.

    Args:
        bids_dir: the dataset.
        out_dir: where results are.
        config: its section `habitats`.
    """
    if not anybody_followed(out_dir):
        return None
    try:
        return score_cohort(ScoreRequest(bids_dir=bids_dir, out_dir=out_dir), config)
    except BolusError as error:
        return error


def _numbers(found: CohortScore) -> tuple[tuple[str, str], ...]:
    """Return what a reader wants first."""
    lines: list[tuple[str, str]] = []
    if found.survival is not None:
        lines += [
            (f"C-index, {row.name}", _text(row.harrell.value, row.harrell.lower, row.harrell.upper))
            for row in found.survival.concordance
        ]
        lines += [
            (
                f"hazard ratio, {row.name} per {row.per}",
                _text(row.ratio.value, row.ratio.lower, row.ratio.upper),
            )
            for row in found.survival.hazards
            if row.adjusted and "SD" not in row.per
        ]
    if found.recurrence is not None:
        lines += [
            (f"AUC, {row.name}", _text(row.auc.value, row.auc.lower, row.auc.upper))
            for row in found.recurrence.rocs
        ]
    return tuple(lines)


def _text(value: float, lower: float, upper: float) -> str:
    return f"{value:.2f} ({lower:.2f} to {upper:.2f})"
