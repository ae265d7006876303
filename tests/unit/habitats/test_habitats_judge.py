"""Predictors are judged on subjects they never saw, and find nothing where there is nothing."""

import dataclasses

import numpy as np
import pytest

from bolus.core import Acquisition, CurveCohort, CurveExam, SessionKey, TimeAxis, stream
from bolus.errors import LeakageError, MetadataError
from bolus.habitats.judge import Judging, dealt_parts, judge, null_aucs
from bolus.habitats.predictors import (
    BASELINES,
    Outcome,
    Predictor,
    age_and_sex,
    forest,
    ncbv_alone,
    site_only,
)

IDH = Outcome(label="idh", positive="mutant")
QUICK = Judging(folds=3, seeds=(1, 2), permutations=2)


def exam(number, *, prefix="a", effect=1.0, site="s1"):
    random = stream(number, "exam", prefix)
    mutant = bool(random.random() < 0.4)
    return CurveExam(
        key=SessionKey(f"{prefix}{number:03d}"), site=site, time=TimeAxis.regular(5, step_s=1.5),
        acquisition=Acquisition(), regions=np.ones((5, 5)), voxels=np.ones((3, 5)),
        reference=np.ones(5), sex="male" if random.random() < 0.5 else "female",
        ncbv=float(np.exp(0.5 * random.standard_normal() - effect * mutant)),
        age_years=float(60 + 10 * random.standard_normal()),
        labels={"idh": "mutant" if mutant else "wildtype"},
    )  # fmt: skip


def cohort(count, **more):
    return CurveCohort(exams=tuple(
        exam(n, site=f"s{n % 3}", **more) for n in range(count)
    ))  # fmt: skip


DEVELOPMENT, TEST = cohort(90), cohort(60, prefix="b")


def test_what_tells_is_found_and_what_does_not_is_not():
    found = judge([baseline(IDH) for baseline in BASELINES], DEVELOPMENT, TEST, outcome=IDH,
                  how=QUICK)  # fmt: skip
    auc = {row.name: row.test.auc.value for row in found.rows}

    assert auc["nCBV"] > 0.8
    assert auc["age + sex"] < 0.7
    assert found.best_baseline.name in {"nCBV", "age + sex + nCBV"}


def test_every_number_of_the_table_is_there():
    def fit(training, validation, seed):
        return ncbv_alone(IDH).fit(training, validation, seed)

    own = Predictor(name="network", fit=fit, draws=True)
    found = judge([ncbv_alone(IDH), own], DEVELOPMENT, TEST, outcome=IDH, how=QUICK)
    row = found.rows[1]

    assert row.test.auc.low < row.test.auc.value < row.test.auc.high
    assert row.test.pr_auc.low <= row.test.pr_auc.value <= row.test.pr_auc.high
    assert row.test.positives + row.test.negatives == 60
    assert len(row.seed_aucs) == 2
    assert len(row.permuted) == 2
    assert [(c.predictor, c.baseline) for c in found.comparisons] == [("network", "nCBV")]
    assert found.comparisons[0].test.difference == pytest.approx(0.0)


def test_the_threshold_is_of_the_development_part():
    """Shifting the test part's values moves its sensitivity and not the threshold."""
    shifted = CurveCohort(exams=tuple(
        dataclasses.replace(e, ncbv=3 * e.ncbv) for e in TEST.exams
    ))  # fmt: skip
    plain, moved = (
        judge([ncbv_alone(IDH)], DEVELOPMENT, part, outcome=IDH, how=QUICK).rows[0].test
        for part in (TEST, shifted)
    )

    assert moved.threshold == plain.threshold
    assert moved.sensitivity.value < plain.sensitivity.value


def test_a_subject_in_both_parts_stops_the_run():
    planted = CurveCohort(exams=(*TEST.exams, dataclasses.replace(
        TEST.exams[0], key=SessionKey(DEVELOPMENT.exams[3].key.subject, "2")
    )))  # fmt: skip

    with pytest.raises(LeakageError, match="a003"):
        judge([ncbv_alone(IDH)], DEVELOPMENT, planted, outcome=IDH, how=QUICK)


def test_visits_of_a_subject_stay_together():
    twice = CurveCohort(exams=tuple(
        dataclasses.replace(e, key=SessionKey(e.key.subject, visit))
        for e in DEVELOPMENT.exams for visit in ("1", "2")
    ))  # fmt: skip
    met = []

    def fit(training, validation, seed):
        fitted_on = set(training.subjects) | set(validation.subjects)

        def predict(asked):
            met.append(fitted_on & set(asked.subjects))
            return np.linspace(0.1, 0.9, len(asked.exams))

        return predict

    judge([Predictor(name="any", fit=fit)], twice, TEST, outcome=IDH, how=QUICK)

    assert met
    assert not any(met)


def test_a_predictor_never_sees_the_exams_it_is_judged_by():
    """Training gets labels of a fold's other subjects only; a memory of labels is chance."""

    def fit(training, validation, seed):
        known = {e.key: e.labels["idh"] for e in training.exams + validation.exams}
        return lambda asked: np.array([
            {"mutant": 0.9, "wildtype": 0.1}.get(known.get(e.key), 0.5) for e in asked.exams
        ])  # fmt: skip

    row = judge([Predictor(name="memory", fit=fit)], DEVELOPMENT, TEST, outcome=IDH, how=QUICK
                ).rows[0]  # fmt: skip

    assert row.development.auc.value == 0.5
    assert row.test.auc.value == 0.5


@pytest.mark.parametrize("predictor", [
    site_only(IDH), age_and_sex(IDH), ncbv_alone(IDH),
    forest("forest", IDH, lambda training, validation, seed: lambda e: np.array([e.ncbv])),
], ids=lambda p: p.name)  # fmt: skip
def test_dealt_labels_give_one_half(predictor):
    found = null_aucs(predictor, DEVELOPMENT, TEST, outcome=IDH, repeats=30, seed=4)
    false = sum(one.p_value < 0.05 for one in found)

    assert np.mean([one.auc for one in found]) == pytest.approx(0.5, abs=0.05)
    assert false <= 4  # 5 % of 30 and its binomial scatter; the certificate counts many more


def test_an_unknown_label_is_said():
    unknown = CurveCohort(exams=(dataclasses.replace(TEST.exams[0], labels={}),))

    with pytest.raises(MetadataError, match="no label idh"):
        IDH.of(unknown)


def test_what_is_judged_has_no_label_and_no_truth():
    """A predictor that reads the label of the exam it is asked about finds none."""

    def fit(training, validation, seed):
        return lambda asked: np.array([
            {"mutant": 0.9}.get(e.labels.get("idh", ""), 0.1 + len(e.tissue)) for e in asked.exams
        ])  # fmt: skip

    known = CurveCohort(exams=tuple(
        dataclasses.replace(e, tissue=np.ones(3, np.uint8)) for e in TEST.exams
    ))  # fmt: skip
    row = judge([Predictor(name="peek", fit=fit)], DEVELOPMENT, known, outcome=IDH, how=QUICK
                ).rows[0]  # fmt: skip

    assert set(row.test_probability) == {0.1}
    assert row.test.auc.value == row.development.auc.value == 0.5


def test_parts_are_dealt_within_themselves():
    development, test = dealt_parts(DEVELOPMENT, TEST, outcome=IDH, seed=3)

    for dealt, part in ((development, DEVELOPMENT), (test, TEST)):
        assert IDH.of(dealt).sum() == IDH.of(part).sum()
        assert (IDH.of(dealt) != IDH.of(part)).any()
        assert dealt.subjects == part.subjects
