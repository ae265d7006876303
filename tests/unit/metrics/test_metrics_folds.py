"""Folds of subjects: everybody once, nobody twice, all strata in all parts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bolus.errors import LeakageError, MetadataError
from bolus.metrics.folds import dealt_labels, require_apart, subject_folds


@settings(max_examples=40, deadline=None)
@given(st.integers(4, 40), st.integers(2, 4), st.integers(0, 99))
def test_everybody_is_tested_once_and_parts_are_disjoint(count, folds, seed):
    subjects = [f"{n % count:02d}" for n in range(2 * count)]
    splits = subject_folds(subjects, folds=folds, seed=seed)

    assert sorted(s for split in splits for s in split.test) == sorted(set(subjects))
    for split in splits:
        assert split.training | split.validation | split.test == set(subjects)


def test_strata_are_spread_over_folds():
    subjects = [f"{n:02d}" for n in range(40)]
    rare = {f"{n:02d}" for n in range(8)}
    splits = subject_folds(subjects, folds=4, seed=1, strata=[str(s in rare) for s in subjects])

    assert [len(split.test & rare) for split in splits] == [2, 2, 2, 2]
    assert [len(split.test) for split in splits] == [10, 10, 10, 10]


def test_too_few_subjects_are_refused():
    with pytest.raises(MetadataError, match="2 subjects in 3 folds"):
        subject_folds(["a", "b", "a"], folds=3, seed=1)


def test_a_subject_on_both_sides_is_named():
    with pytest.raises(LeakageError, match="such as b"):
        require_apart(["a", "b"], ["b", "c"])


def test_dealt_labels_keep_their_number():
    labels = [True] * 7 + [False] * 20

    assert int(dealt_labels(labels, seed=3).sum()) == 7
    assert dealt_labels(labels, seed=3).tolist() != labels
