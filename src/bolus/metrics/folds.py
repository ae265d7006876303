"""Folds of subjects: nobody is in two, and each has its share of every stratum."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from bolus.core.learned import Split
from bolus.core.randomness import stream
from bolus.errors import Code, LeakageError, MetadataError


def subject_folds(
    subjects: Sequence[str],
    *,
    folds: int,
    seed: int,
    strata: Sequence[str] | None = None,
    validation: float = 0.2,
) -> tuple[Split, ...]:
    """Deal subjects to folds; each fold is tested once, by what the others trained and chose.

    Args:
        subjects: of every exam, in any order; all exams of a subject go to one part.
        folds: how many, at least 2.
        seed: decides who goes where.
        strata: a label an exam, such as class and site; every part gets its share of each. A
            subject counts in the stratum of its first exam.
        validation: share of those that are not tested, kept to choose the epoch by.

    Returns:
        A split a fold; the tests of all are everybody, once.

    Raises:
        MetadataError: fewer subjects than folds, or strata do not fit.

    Assumes:
        Subjects are independent.

    Source:
        Nested cross-validation: Varma and Simon, BMC Bioinformatics 2006;7:91.

    Example:
        >>> splits = subject_folds(["a", "b", "b", "c", "d"], folds=2, seed=1, validation=0.5)
        >>> sorted(splits[0].test | splits[1].test), [len(s.validation) for s in splits]
        (['a', 'b', 'c', 'd'], [1, 1])
    """
    labels = list(strata) if strata is not None else [""] * len(subjects)
    first: dict[str, str] = {}
    for subject, label in zip(subjects, labels, strict=True):
        first.setdefault(subject, label)
    if not 2 <= folds <= len(first) or not 0 <= validation < 1:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{len(first)} subjects in {folds} folds, {validation:g} to choose by",
            mend="ask for 2 folds or more, and bring at least as many subjects",
        )
    dealt = _dealt(first, folds, seed=seed, name="folds")
    splits = []
    for number in range(folds):
        rest = {s: label for s, label in first.items() if dealt[s] != number}
        parts = max(2, round(1 / validation)) if validation else 0
        inner = _dealt(rest, parts, seed=seed, name=f"inner {number}") if parts else {}
        chosen = frozenset(s for s, part in inner.items() if part == 0)
        splits.append(
            Split(
                training=frozenset(rest) - chosen,
                validation=chosen,
                test=frozenset(s for s, part in dealt.items() if part == number),
            )
        )
    return tuple(splits)


def require_apart(fitted_on: Sequence[str], tested_on: Sequence[str]) -> None:
    """Stop if a subject is on both sides.

    Args:
        fitted_on: subjects that something was fitted on.
        tested_on: subjects that it is judged by.

    Raises:
        LeakageError: one is.

    Assumes:
        A subject has one name.

    Source:
        Kapoor and Narayanan, Patterns 2023;4:100804 (what such leaks did to published results).
    """
    both = sorted(set(fitted_on).intersection(tested_on))
    if both:
        raise LeakageError(
            Code.SPLIT_LEAKS,
            f"{len(both)} subjects are fitted on and tested on, such as {both[0]}",
            mend="put every subject, with all its visits, into one part",
        )


def _dealt(first: dict[str, str], parts: int, *, seed: int, name: str) -> dict[str, int]:
    """Deal the subjects of every stratum in turn, going on where the last stratum ended."""
    found: dict[str, int] = {}
    place = 0
    for label in sorted(set(first.values())):
        own = sorted(subject for subject, of in first.items() if of == label)
        for n in stream(seed, name, label).permutation(len(own)):
            found[own[int(n)]] = place % parts
            place += 1
    return found


def dealt_labels(labels: Bool[np.ndarray, " n"] | Sequence[bool], *, seed: int) -> np.ndarray:
    """Return labels dealt anew at random: what a control without any signal is fitted on.

    Args:
        labels: (n,) one a subject.
        seed: decides who gets which.

    Assumes:
        One label a subject, so that a subject's visits keep one label.

    Source:
        Permutation tests of classifiers: Ojala and Garriga, J Mach Learn Res 2010;11:1833.

    Example:
        >>> int(dealt_labels([True, False, True], seed=1).sum())
        2
    """
    return np.asarray(labels, bool)[stream(seed, "dealt labels").permutation(len(labels))]
