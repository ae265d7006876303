"""The analyses of a cohort's habitats: who trains and who tests, and what cannot be done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from bolus.core.learned import Split, split_subjects
from bolus.errors import Code, LeakageError, MetadataError
from bolus.habitats.analyses import RecurrenceAnalysis, SurvivalAnalysis
from bolus.habitats.patient_score import FrozenScore, freeze_score
from bolus.habitats.recurrence_analysis import analyse_recurrence
from bolus.habitats.survival_analysis import analyse_survival
from bolus.habitats.survival_study import fit_survival
from bolus.workflows.config import Config
from bolus.workflows.habitats_gather import Gathered
from bolus.workflows.progress import Progress, silent, stage

_FEWEST_FOR_TEST = 5
_FEWEST_OF_A_PART = 3
A = TypeVar("A")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CohortScore:
    """The analyses; None where `not_done` says why there is none."""

    gathered: Gathered
    split: Split
    survival: SurvivalAnalysis | None
    frozen: FrozenScore | None
    recurrence: RecurrenceAnalysis | None
    not_done: tuple[tuple[str, str], ...]


def analyse(
    gathered: Gathered,
    split: Split,
    outcome: str,
    config: Config,
    progress: Progress = silent,
) -> CohortScore:
    """Do both analyses, each if patients and events suffice for it.

    Args:
        gathered: one row a patient.
        split: of its subjects.
        outcome: what is awaited.
        config: its section `habitats`.
        progress: told about both.
    """
    settings, cohort = config.habitats, gathered.cohort
    not_done: list[tuple[str, str]] = []

    def tried(name: str, work: Callable[[], A]) -> A | None:
        with stage(progress, name):
            try:
                return work()
            except MetadataError as error:
                not_done.append((name, error.what))
                return None

    def survival_beyond(noise_ml: Mapping[str, float] | None) -> SurvivalAnalysis:
        _require_parts(split)
        return analyse_survival(
            cohort, split, seed=settings.seed, outcome=outcome, noise_ml=noise_ml,
            resamples=settings.resamples, permutations=settings.resamples,
        )  # fmt: skip

    def recurrence_or_effect() -> RecurrenceAnalysis:
        _require_parts(split)
        return analyse_recurrence(
            cohort, split, seed=settings.seed, permutations=settings.resamples
        )

    survival = tried(
        f"time to {outcome}, cut-offs beyond noise", lambda: survival_beyond(gathered.noise_ml)
    )
    if survival is None:
        survival = tried(f"time to {outcome}", lambda: survival_beyond(None))
        if survival is None:
            del not_done[0]  # the second reason is that of both
    frozen = None if survival is None else _frozen(gathered, split, survival)
    recurrence = tried("recurrence or treatment effect", recurrence_or_effect)
    return CohortScore(
        gathered=gathered, split=split, survival=survival, frozen=frozen, recurrence=recurrence,
        not_done=tuple(not_done),
    )  # fmt: skip


def _require_parts(split: Split) -> None:
    parts = (split.training, split.validation, split.test)
    if min(map(len, parts)) < _FEWEST_OF_A_PART:
        raise MetadataError(
            Code.OUTCOMES_TOO_FEW,
            f"{sum(map(len, parts))} patients make parts of {len(parts[0])}, {len(parts[1])} and "
            f"{len(parts[2])} for training, validation and test, where each needs "
            f"{_FEWEST_OF_A_PART}",
            mend="follow more patients",
        )


def _frozen(gathered: Gathered, split: Split, found: SurvivalAnalysis) -> FrozenScore:
    """Return rule and score for a further patient, as they were chosen and fitted."""
    study = fit_survival(
        gathered.cohort, split, outcome=found.outcome, limits_ml=found.limits_ml,
        cut_offs_ml=found.cut_offs_ml,
    )  # fmt: skip
    return freeze_score(
        study.rule, study.score, model=gathered.model_digest, simulated=gathered.simulated
    )


def split_of(gathered: Gathered, *, seed: int) -> Split:
    """Deal patients to training, validation and test; whom the habitats were fitted on trains.

    Args:
        gathered: one row a patient.
        seed: decides who goes where.

    Raises:
        LeakageError: nearly every patient took part in fitting the habitats.
    """
    rows = gathered.cohort.rows
    fresh = [row for row in rows if row.subject not in gathered.fitted_on]
    used = frozenset(row.subject for row in rows) & gathered.fitted_on
    if used and len(fresh) < _FEWEST_FOR_TEST:
        raise LeakageError(
            Code.SPLIT_LEAKS,
            f"{len(used)} of {len(rows)} patients were used to fit the habitats, which leaves "
            f"{len(fresh)} to test them on",
            mend="fit on a part of the patients (bolus habitats fit --share 0.5) and follow again, "
            "or use the model that comes with bolus",
        )
    share = 0.4 * len(rows) / len(fresh) if used else 0.4
    found = split_subjects(
        [row.subject for row in fresh],
        seed=seed,
        test=min(share, 0.8),
        validation=0.15,
        strata=[row.scanner for row in fresh],
    )
    return Split(training=found.training | used, validation=found.validation, test=found.test)
