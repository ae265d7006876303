"""Cohorts in which there is nothing to find, and how often a predictor finds it.

Three errors make a predictor look good on such data: visits of one subject on both sides of a
split, features chosen with the labels of the subjects to be predicted, and a cut-point chosen on
the data it is tested on. Whoever reports an AUC runs through here first.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bolus.core.arrays import read_only
from bolus.core.randomness import stream
from bolus.errors import Code, MetadataError
from bolus.simulate.tissues import HABITAT_LABELS, TISSUES

ALPHA = 0.05
"""A p-value below this is a finding."""
AUC_TOLERANCE = 0.05
FALSE_POSITIVES = 0.06
"""Gate 9: mean AUC within 0.50 +- 0.05, and no more than this share of findings."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NullCohort:
    """Visits whose features have nothing to do with the label.

    `features` (rows, features), one row per visit; `labels` (rows,) 0 or 1, the same for all
    visits of one subject; `subject` (rows,) and `visit` (rows,) count from 0.
    """

    features: np.ndarray
    labels: np.ndarray
    subject: np.ndarray
    visit: np.ndarray

    def __post_init__(self) -> None:
        rows = len(self.labels)
        if not rows == len(self.features) == len(self.subject) == len(self.visit):
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"{rows} labels, {len(self.features)} rows of features, {len(self.subject)} "
                f"subjects and {len(self.visit)} visits",
                mend="give one of each per visit",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a predictor claims of one cohort: area under the ROC curve, and its p-value."""

    auc: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NullResult:
    """How a predictor does where there is nothing: `auc` (mean), `false_positives` (a share).

    `auc_spread` is the standard deviation over `cohorts`.
    """

    auc: float
    auc_spread: float
    false_positives: float
    cohorts: int

    @property
    def passes(self) -> bool:
        """Whether gate 9 is kept.

        The share of findings fails only if that many would come up by chance in fewer than 5 % of
        such runs of a predictor whose true share is the allowed one.
        """
        found = round(self.false_positives * self.cohorts)
        chance = stats.binomtest(found, self.cohorts, FALSE_POSITIVES, alternative="greater").pvalue
        return bool(abs(self.auc - 0.5) <= AUC_TOLERANCE and chance >= ALPHA)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UnchangedPair:
    """Two measurements of a tumour that did not change.

    `truth`, `before`, `after` (voxels, 2): nCBV [ratio] and ADC [mm2/s]; `habitat` (voxels,) in
    the numbers of `HABITAT_LABELS`, the same at both visits.
    """

    truth: np.ndarray
    before: np.ndarray
    after: np.ndarray
    habitat: np.ndarray


def null_cohort(
    seed: int, *, subjects: int, visits: int, features: int, within: float = 0.3
) -> NullCohort:
    """Return subjects with features and labels drawn apart from each other.

    Feature = subject's own value N(0, 1) + visit's N(0, within²): a subject looks alike at every
    visit, so that a predictor who has seen one visit recognises the next.

    Args:
        seed: decides it.
        subjects: half of them (rounded down) have label 1.
        visits: of each subject.
        features: columns.
        within: standard deviation between visits of one subject, relative to that between
            subjects.

    Source:
        Set by us. The leak of such splits: Saeb et al., GigaScience 2017;6:gix019.

    Example:
        >>> cohort = null_cohort(1, subjects=10, visits=3, features=4)
        >>> cohort.features.shape, int(cohort.labels.sum())
        ((30, 4), 15)
    """
    own = stream(seed, "null", "subjects").standard_normal((subjects, 1, features))
    visit = within * stream(seed, "null", "visits").standard_normal((subjects, visits, features))
    labels = np.zeros(subjects, np.int64)
    labels[: subjects // 2] = 1
    stream(seed, "null", "labels").shuffle(labels)
    return NullCohort(
        features=read_only((own + visit).reshape(subjects * visits, features)),
        labels=read_only(np.repeat(labels, visits)),
        subject=read_only(np.repeat(np.arange(subjects), visits)),
        visit=read_only(np.tile(np.arange(visits), subjects)),
    )


def permuted_cohort(
    features: np.ndarray, labels: np.ndarray, subject: np.ndarray, *, seed: int
) -> NullCohort:
    """Return a real cohort whose labels were exchanged between subjects, not between visits.

    Args:
        features: (rows, features), one row per visit.
        labels: (rows,), the same for all visits of a subject.
        subject: (rows,) names or numbers.
        seed: decides the exchange.

    Raises:
        MetadataError: lengths differ, or a subject has two labels.

    Example:
        >>> cohort = permuted_cohort(np.eye(4), np.array([0, 0, 1, 1]), np.array([7, 7, 9, 9]),
        ...                          seed=1)
        >>> bool(cohort.labels[0] == cohort.labels[1])
        True
    """
    names, first, whose = np.unique(subject, return_index=True, return_inverse=True)
    labels = np.asarray(labels)
    if len(labels) != len(whose) or (labels != labels[first][whose]).any():
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{len(labels)} labels of {len(whose)} rows differ within some of {len(names)} "
            "subjects",
            mend="give one label per subject, repeated for each visit",
        )
    exchanged = stream(seed, "null", "exchange").permutation(labels[first])
    order = np.argsort(whose, kind="stable")
    starts = np.searchsorted(whose[order], np.arange(len(names)))
    visit = np.empty(len(whose), np.int64)
    visit[order] = np.arange(len(whose)) - starts[whose[order]]
    return NullCohort(
        features=read_only(np.array(features, np.float64)),
        labels=read_only(exchanged[whose]),
        subject=read_only(whose),
        visit=read_only(visit),
    )


def unchanged_pairs(
    count: int,
    *,
    seed: int,
    voxels: int,
    ncbv_noise: float,
    adc_noise_mm2_per_s: float,
    gain_spread: float,
) -> tuple[UnchangedPair, ...]:
    """Return tumours measured twice without any change: nothing here is growth or response.

    Every pair has its own mixture of habitats (uniform over all mixtures); voxels scatter around
    their tissue's nCBV and ADC by 15 %, the same at both visits; each visit adds noise of its own
    and a scanner gain to nCBV.

    Args:
        count: pairs.
        seed: decides them.
        voxels: of each tumour.
        ncbv_noise: standard deviation of nCBV [ratio] in one voxel and visit.
        adc_noise_mm2_per_s: the same of ADC.
        gain_spread: standard deviation of the logarithm of the gain of a visit.

    Source:
        Set by us; tissue values: `tissues.TISSUES`.

    Example:
        >>> pair = unchanged_pairs(1, seed=1, voxels=50, ncbv_noise=0.1,
        ...                        adc_noise_mm2_per_s=5e-5, gain_spread=0.0)[0]
        >>> pair.before.shape, bool(np.isclose(np.mean(pair.after - pair.before), 0, atol=0.05))
        ((50, 2), True)
    """
    white = TISSUES["wm"].cbv
    centres = np.array(
        [(TISSUES[n].cbv / white, TISSUES[n].adc_mm2_per_s) for n in HABITAT_LABELS.values()]
    )
    noise = np.array([ncbv_noise, adc_noise_mm2_per_s])
    pairs = []
    for n in range(count):
        random = stream(seed, "null", "pair", str(n))
        mixture = random.dirichlet(np.ones(len(centres)))
        kinds = random.choice(len(centres), size=voxels, p=mixture)
        truth = centres[kinds] * np.exp(0.15 * random.standard_normal((voxels, 2)))
        gains = np.exp(gain_spread * random.standard_normal(2))
        seen = [
            truth * np.array([gain, 1.0]) + noise * random.standard_normal((voxels, 2))
            for gain in gains
        ]
        pairs.append(
            UnchangedPair(
                truth=read_only(truth),
                before=read_only(seen[0]),
                after=read_only(seen[1]),
                habitat=read_only(np.array(list(HABITAT_LABELS), np.uint8)[kinds]),
            )
        )
    return tuple(pairs)


def finding(scores: np.ndarray, labels: np.ndarray) -> Finding:
    """Return the AUC of scores and the p-value that it is better than chance.

    Args:
        scores: (subjects,) one per independent subject, larger for label 1; ties count half.
        labels: (subjects,) 0 or 1.

    Raises:
        MetadataError: only one label is there.

    Source:
        Mann and Whitney, Ann Math Stat 1947;18:50 (one-sided); Hanley and McNeil, Radiology
        1982;143:29.

    Example:
        >>> finding(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1])).auc
        1.0
    """
    above, below = scores[labels == 1], scores[labels == 0]
    if not len(above) or not len(below):
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{len(above)} subjects have label 1 and {len(below)} label 0",
            mend="an AUC needs both",
        )
    test = stats.mannwhitneyu(above, below, alternative="greater")
    return Finding(
        auc=float(test.statistic / (len(above) * len(below))), p_value=float(test.pvalue)
    )


def null_cohorts(
    count: int, *, seed: int, subjects: int, visits: int, features: int, within: float = 0.3
) -> Iterator[NullCohort]:
    """Yield `count` cohorts of `null_cohort`, each with a seed of its own.

    Example:
        >>> len(list(null_cohorts(3, seed=1, subjects=10, visits=2, features=2)))
        3
    """
    for n in range(count):
        own = int(stream(seed, "null", "cohort", str(n)).integers(2**31))
        yield null_cohort(own, subjects=subjects, visits=visits, features=features, within=within)


def false_positive_rate(
    predictor: Callable[[NullCohort], Finding], cohorts: Iterable[NullCohort]
) -> NullResult:
    """Return how often a predictor finds what is not there.

    Args:
        predictor: the whole way from features and labels to a claim, with its own splits, choices
            and test; it gets one cohort and must not know others.
        cohorts: where there is nothing, such as `null_cohorts`; 200 or more for a gate.

    Raises:
        MetadataError: no cohorts.

    Example:
        >>> def coin(cohort):
        ...     return finding(np.arange(len(cohort.labels)) % 7.0, cohort.labels)
        >>> result = false_positive_rate(
        ...     coin, null_cohorts(40, seed=1, subjects=40, visits=1, features=1))
        >>> result.cohorts, result.passes
        (40, True)
    """
    claims = [predictor(cohort) for cohort in cohorts]
    if not claims:
        raise MetadataError(
            Code.ARGUMENT_INVALID, "there are no cohorts", mend="give at least one, better 200"
        )
    aucs = np.array([claim.auc for claim in claims])
    return NullResult(
        auc=float(aucs.mean()),
        auc_spread=float(aucs.std()),
        false_positives=float(np.mean([claim.p_value < ALPHA for claim in claims])),
        cohorts=len(claims),
    )
