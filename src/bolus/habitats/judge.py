"""Judge predictors of an outcome: fitted in folds, thresholds fixed there, one look at the test."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from bolus.core.exam_curves import CurveCohort
from bolus.core.learned import Split
from bolus.core.randomness import stream
from bolus.habitats.predictors import Outcome, Predictor, Probabilities
from bolus.metrics.classification import DelongTest, auc_with_interval, delong_test
from bolus.metrics.evaluation import Performance, best_threshold, performance
from bolus.metrics.folds import dealt_labels, require_apart, subject_folds
from bolus.metrics.multiplicity import holm
from bolus.simulate.null import Finding, finding

Told = Callable[[str], None]


def _silent(said: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """How predictors are judged: `folds` of subjects, `seeds` of fits, `permutations` of labels.

    Each permutation deals the labels of both parts anew and fits by the very same steps.
    """

    folds: int = 5
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    permutations: int = 1
    seed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """One predictor: its figures on the test part and out of fold, and how they vary.

    `test_probability` is the mean over seeds; `seed_aucs` the AUC of each seed on the test part;
    `permuted` those of fits to dealt labels, each with the p-value of Mann and Whitney.
    """

    name: str
    baseline: bool
    test: Performance
    development: Performance
    test_probability: Float[np.ndarray, " n"]
    seed_aucs: tuple[float, ...]
    permuted: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """A predictor against a baseline on the test part, by DeLong; `p_holm` over all of them."""

    predictor: str
    baseline: str
    test: DelongTest
    p_holm: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judgement:
    """All predictors on the same test part."""

    outcome: str
    rows: tuple[Judged, ...]
    comparisons: tuple[Comparison, ...]
    patients: Mapping[str, int]

    @property
    def best_baseline(self) -> Judged:
        """The baseline with the largest AUC on the test part."""
        return max((row for row in self.rows if row.baseline), key=lambda row: row.test.auc.value)


def judge(
    predictors: Sequence[Predictor],
    development: CurveCohort,
    test: CurveCohort,
    *,
    outcome: Outcome,
    how: Judging,
    told: Told = _silent,
) -> Judgement:
    """Fit every predictor on the development part, and look at the test part once.

    Out-of-fold probabilities of the development part fix each predictor's threshold. Then it is
    fitted on that part as a whole, a fifth of it kept to choose by, once a seed.

    Args:
        predictors: at least one baseline among them.
        development: exams to fit and choose on; the label is known for all.
        test: exams of other subjects.
        outcome: to predict.
        how: folds, seeds and controls.
        told: about what is being done.

    Raises:
        LeakageError: a subject is in both parts.
        MetadataError: labels are missing, or a class is absent.

    Assumes:
        One exam a subject in the test part, or exams of a subject that count as independent.

    Source:
        Nested cross-validation: Varma and Simon, BMC Bioinformatics 2006;7:91. Comparison: DeLong
        et al., Biometrics 1988;44:837, p by Holm.
    """
    require_apart(development.subjects, test.subjects)
    splits = _splits(development, outcome, how)
    rows = []
    for predictor in predictors:
        told(predictor.name)
        rows.append(_judged(predictor, development, test, splits, outcome, how))
    return Judgement(
        outcome=outcome.name,
        rows=tuple(rows),
        comparisons=_compared(rows, outcome.of(test)),
        patients={
            "development": len(set(development.subjects)),
            "test": len(set(test.subjects)),
            "test positive": int(outcome.of(test).sum()),
        },
    )


def null_aucs(
    predictor: Predictor,
    development: CurveCohort,
    test: CurveCohort,
    *,
    outcome: Outcome,
    repeats: int,
    seed: int,
) -> tuple[Finding, ...]:
    """Return AUCs of fits to labels dealt at random: 0.5 on average, or something leaks.

    The labels of the test part are dealt too: a predictor of one number would otherwise reach its
    true AUC or one minus that, as chance has it, and the mean would tell nothing.

    Args:
        predictor: to fit.
        development: its labels are dealt anew each time.
        test: as are these.
        outcome: to predict.
        repeats: how often.
        seed: of the dealing.

    Raises:
        LeakageError: a subject is in both parts.

    Assumes:
        One label a subject.

    Source:
        Ojala and Garriga, J Mach Learn Res 2010;11:1833.
    """
    require_apart(development.subjects, test.subjects)
    found = []
    for number in range(repeats):
        own = int(stream(seed, "null", predictor.name, str(number)).integers(2**31))
        dealt, other = dealt_parts(development, test, outcome=outcome, seed=own)
        fitted = _fitted(predictor, dealt, _whole(dealt, outcome, own), own)
        found.append(finding(fitted(blind(other)), outcome.of(other).astype(np.int64)))
    return tuple(found)


def dealt_parts(
    development: CurveCohort, test: CurveCohort, *, outcome: Outcome, seed: int
) -> tuple[CurveCohort, CurveCohort]:
    """Return both parts with labels dealt at random within each, before anything is made of them.

    Args:
        development: to fit on.
        test: to judge by.
        outcome: whose labels are dealt.
        seed: of the dealing.

    Assumes:
        One label a subject.

    Source:
        Ojala and Garriga, J Mach Learn Res 2010;11:1833.
    """
    seeds = stream(seed, "dealt parts").integers(2**31, size=2)
    return (
        outcome.dealt(development, dealt_labels(outcome.of(development), seed=int(seeds[0]))),
        outcome.dealt(test, dealt_labels(outcome.of(test), seed=int(seeds[1]))),
    )


def blind(cohort: CurveCohort) -> CurveCohort:
    """Return exams without labels and without the truth of simulated voxels.

    Args:
        cohort: its exams.

    Assumes:
        Nothing else of an exam gives its label away.

    Source:
        Set by us: a predictor cannot peek at what it is not handed.
    """
    unseen = np.zeros(0, np.uint8)
    return CurveCohort(
        exams=tuple(dataclasses.replace(e, labels={}, tissue=unseen) for e in cohort.exams)
    )


def _judged(
    predictor: Predictor,
    development: CurveCohort,
    test: CurveCohort,
    splits: Sequence[Split],
    outcome: Outcome,
    how: Judging,
) -> Judged:
    first = how.seeds[0]
    held_out = np.zeros(len(development.exams))
    for split in splits:
        fitted = _fitted(predictor, development, split, first)
        inside = np.array([s in split.test for s in development.subjects])
        held_out[inside] = fitted(blind(development.of(split.test)))
    threshold = best_threshold(held_out, outcome.of(development))
    seeds = how.seeds if predictor.draws else (first,)
    whole = _whole(development, outcome, how.seed)
    unseen = blind(test)
    by_seed = [_fitted(predictor, development, whole, seed)(unseen) for seed in seeds]
    mean, truth = np.mean(by_seed, axis=0), outcome.of(test)
    return Judged(
        name=predictor.name,
        baseline=predictor.baseline,
        test=performance(
            predictor.name, mean, truth, threshold=threshold, sites=test.sites, seed=how.seed
        ),
        development=performance(
            predictor.name, held_out, outcome.of(development), threshold=threshold,
            sites=development.sites, seed=how.seed,
        ),
        test_probability=mean,
        seed_aucs=tuple(auc_with_interval(one, truth).value for one in by_seed),
        permuted=null_aucs(
            predictor, development, test, outcome=outcome, repeats=how.permutations, seed=how.seed
        ),
    )  # fmt: skip


def _fitted(predictor: Predictor, cohort: CurveCohort, split: Split, seed: int) -> Probabilities:
    return predictor.fit(cohort.of(split.training), cohort.of(split.validation), seed)


def _splits(cohort: CurveCohort, outcome: Outcome, how: Judging) -> tuple[Split, ...]:
    return subject_folds(
        cohort.subjects, folds=how.folds, seed=how.seed, strata=_strata(cohort, outcome)
    )


def _whole(cohort: CurveCohort, outcome: Outcome, seed: int) -> Split:
    """Return all of the cohort: four fifths to train on, one to choose by."""
    fold = subject_folds(cohort.subjects, folds=5, seed=seed, strata=_strata(cohort, outcome))[0]
    return Split(training=fold.training | fold.validation, validation=fold.test, test=frozenset())


def _strata(cohort: CurveCohort, outcome: Outcome) -> list[str]:
    present = outcome.of(cohort)
    return [f"{site} {bool(one)}" for site, one in zip(cohort.sites, present, strict=True)]


def _compared(rows: Sequence[Judged], truth: np.ndarray) -> tuple[Comparison, ...]:
    """Hold what is no baseline against every baseline."""
    pairs = [(a, b) for a in rows if not a.baseline for b in rows if b.baseline]
    tests = [delong_test(a.test_probability, b.test_probability, truth) for a, b in pairs]
    p_values = holm([test.p_value for test in tests]) if tests else ()
    return tuple(
        Comparison(predictor=a.name, baseline=b.name, test=test, p_holm=p)
        for (a, b), test, p in zip(pairs, tests, p_values, strict=True)
    )
