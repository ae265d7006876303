"""The null suite catches the three classical errors, and lets honest work pass."""

import dataclasses

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression

from bolus.core.randomness import stream
from bolus.errors import MetadataError
from bolus.simulate.null import (
    Finding,
    NullResult,
    false_positive_rate,
    finding,
    null_cohort,
    null_cohorts,
    permuted_cohort,
    unchanged_pairs,
)

COHORTS = 200


def _model():
    return LogisticRegression(C=1.0, solver="liblinear", max_iter=200)


def _by_subject(values, subject):
    return np.array([values[subject == s].mean() for s in np.unique(subject)])


def _folds(groups, count=4):
    """Numbers of folds, drawn per group: all rows of one group are in one fold."""
    names, whose = np.unique(groups, return_inverse=True)
    return stream(len(names), "test", "folds").permutation(len(names))[whose] % count


def honest(cohort):
    """Train on half of the subjects; test on the others, one score per subject."""
    test = _folds(cohort.subject, 2) == 1
    model = _model().fit(cohort.features[~test], cohort.labels[~test])
    scores = model.decision_function(cohort.features[test])
    subject, labels = cohort.subject[test], cohort.labels[test]
    return finding(_by_subject(scores, subject), _by_subject(labels, subject))


def honest_folds(cohort):
    """Four folds of subjects; the mean AUC, and the smallest p-value times their number."""
    fold = _folds(cohort.subject)
    claims = []
    for n in range(4):
        test = fold == n
        model = _model().fit(cohort.features[~test], cohort.labels[~test])
        subject = cohort.subject[test]
        labels = _by_subject(cohort.labels[test], subject)
        if 0 < labels.mean() < 1:
            scores = _by_subject(model.decision_function(cohort.features[test]), subject)
            claims.append(finding(scores, labels))
    return Finding(
        auc=float(np.mean([c.auc for c in claims])),
        p_value=min(1.0, len(claims) * min(c.p_value for c in claims)),
    )


def split_by_visit(cohort):
    """The same, but visits of one subject are on both sides."""
    test = stream(3, "test", "rows").random(len(cohort.labels)) < 0.5
    model = _model().fit(cohort.features[~test], cohort.labels[~test])
    return finding(model.decision_function(cohort.features[test]), cohort.labels[test])


def features_chosen_outside_the_fold(cohort):
    """The ten features that go best with all labels, then a cross-validation with them."""
    labels = cohort.labels - cohort.labels.mean()
    best = np.argsort(-np.abs(labels @ cohort.features))[:10]
    return honest(dataclasses.replace(cohort, features=cohort.features[:, best]))


def features_chosen_inside_the_fold(cohort):
    """The same with the labels of the training subjects alone."""
    train = _folds(cohort.subject, 2) == 0
    labels = cohort.labels[train] - cohort.labels[train].mean()
    best = np.argsort(-np.abs(labels @ cohort.features[train]))[:10]
    return honest(dataclasses.replace(cohort, features=cohort.features[:, best]))


def best_cut_point(cohort):
    """One feature, and the cut that parts the labels best, tested on the same subjects."""
    scores = _by_subject(cohort.features[:, 0], cohort.subject)
    labels = _by_subject(cohort.labels, cohort.subject)
    claim = finding(scores, labels)
    cuts = np.quantile(scores, np.arange(0.1, 0.91, 0.05))
    above = scores[:, None] > cuts
    share, both = above.mean(axis=0), (above & (labels[:, None] == 1)).mean(axis=0)
    # chi-squared of a 2 x 2 table is n times the squared correlation of its two marks
    squared = (both - share * labels.mean()) ** 2 / (
        share * (1 - share) * labels.mean() * (1 - labels.mean())
    )
    best = stats.chi2.sf(len(labels) * squared, 1).min()
    return Finding(auc=claim.auc, p_value=float(best))


def run(predictor, count=COHORTS, **shape):
    settings = {"subjects": 60, "visits": 2, "features": 8} | shape
    return false_positive_rate(predictor, null_cohorts(count, seed=11, **settings))


@pytest.mark.parametrize(
    ("predictor", "count"), [(honest, COHORTS), (honest_folds, 80)], ids=["halves", "folds"]
)
def test_an_honest_predictor_finds_nothing(predictor, count):
    result = run(predictor, count)

    assert result.auc == pytest.approx(0.5, abs=0.03)
    assert result.passes


def test_choosing_features_within_the_fold_is_honest():
    result = run(features_chosen_inside_the_fold, features=200)

    assert result.auc == pytest.approx(0.5, abs=0.02)
    assert result.passes


def test_splitting_by_visit_is_caught():
    result = run(split_by_visit, visits=3, features=60)

    assert result.auc > 0.75  # measured 0.84
    assert result.false_positives > 0.9  # measured 1.0
    assert not result.passes


def test_choosing_features_outside_the_fold_is_caught():
    result = run(features_chosen_outside_the_fold, features=200)

    assert result.auc > 0.75  # measured 0.82
    assert result.false_positives > 0.8  # measured 0.94
    assert not result.passes


def test_the_best_cut_point_is_caught_although_its_auc_is_fair():
    result = run(best_cut_point, visits=1)

    assert result.auc == pytest.approx(0.5, abs=0.02)
    assert result.false_positives > 0.15  # measured 0.22: 17 cuts, one feature
    assert not result.passes


def test_a_share_of_findings_within_chance_of_the_allowed_one_passes():
    def fair(share):
        return NullResult(auc=0.5, auc_spread=0.07, false_positives=share, cohorts=200)

    assert fair(0.06).passes
    assert fair(0.085).passes  # 17 of 200 come by chance in 9 % of runs
    assert not fair(0.12).passes
    assert not dataclasses.replace(fair(0.05), auc=0.56).passes


def test_a_subject_looks_alike_at_all_visits_and_has_one_label():
    cohort = null_cohort(3, subjects=200, visits=2, features=5, within=0.3)

    first, second = (cohort.features[cohort.visit == v] for v in (0, 1))
    assert np.corrcoef(first.ravel(), second.ravel())[0, 1] == pytest.approx(1 / 1.09, abs=0.02)
    np.testing.assert_array_equal(
        cohort.labels[cohort.visit == 0], cohort.labels[cohort.visit == 1]
    )
    assert cohort.labels.mean() == 0.5


def test_exchanged_labels_stay_with_subjects_and_keep_their_number():
    subject = np.repeat(["c", "a", "d", "b", "e", "f"], [1, 3, 2, 2, 1, 4])
    labels = np.repeat([0, 1, 0, 1, 1, 0], [1, 3, 2, 2, 1, 4])
    features = np.arange(13.0)[:, None]

    seen = set()
    for seed in range(20):
        cohort = permuted_cohort(features, labels, subject, seed=seed)
        per_subject = [set(cohort.labels[subject == s]) for s in np.unique(subject)]
        assert all(len(values) == 1 for values in per_subject)
        assert sum(values == {1} for values in per_subject) == 3
        np.testing.assert_array_equal(cohort.visit[subject == "a"], [0, 1, 2])
        np.testing.assert_array_equal(cohort.features, features)
        seen.add(tuple(cohort.labels))
    assert len(seen) > 5


def test_exchanging_labels_takes_a_real_effect_away():
    cohort = null_cohort(5, subjects=80, visits=2, features=4)
    real = cohort.features + 2.0 * cohort.labels[:, None]
    clear = honest(dataclasses.replace(cohort, features=real))
    result = false_positive_rate(
        honest,
        (permuted_cohort(real, cohort.labels, cohort.subject, seed=n) for n in range(COHORTS)),
    )

    assert clear.auc > 0.9
    assert result.auc == pytest.approx(0.5, abs=0.03)
    assert result.passes


def test_labels_that_differ_within_a_subject_are_refused():
    with pytest.raises(MetadataError, match="within"):
        permuted_cohort(np.zeros((2, 1)), np.array([0, 1]), np.array([5, 5]), seed=1)


def test_unchanged_pairs_differ_by_their_noise_and_gain_alone():
    pairs = unchanged_pairs(
        5, seed=1, voxels=4000, ncbv_noise=0.2, adc_noise_mm2_per_s=5e-5, gain_spread=0.0
    )

    for pair in pairs:
        change = pair.after - pair.before
        expected = np.sqrt(2) * np.array([0.2, 5e-5])
        np.testing.assert_allclose(change.std(axis=0), expected, rtol=0.05)
        assert (np.abs(change.mean(axis=0)) < 4 * expected / np.sqrt(4000)).all()
    shares = [np.bincount(p.habitat, minlength=6)[1:] / 4000 for p in pairs]
    assert np.ptp(shares, axis=0).max() > 0.2  # every tumour has its own mixture


def test_the_p_value_of_a_finding_is_uniform_without_signal():
    random = stream(1, "test", "uniform")
    labels = np.repeat([0, 1], 30)
    p = [finding(random.standard_normal(60), labels).p_value for _ in range(500)]

    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_one_label_alone_and_no_cohorts_are_refused():
    with pytest.raises(MetadataError, match="both"):
        finding(np.arange(3.0), np.ones(3))
    with pytest.raises(MetadataError, match="no cohorts"):
        false_positive_rate(honest, [])
