"""The page of an evaluation, as a reader and a browser see it."""

import dataclasses

import numpy as np
import pytest
from page_reader import HOSTILE, Page, loads_nothing

from bolus import RESEARCH_USE
from bolus.core import Acquisition, CurveCohort, CurveExam, SessionKey, TimeAxis, stream
from bolus.habitats.classifier_curves import calibration_groups, decision_curves, roc_row
from bolus.habitats.judge import Judging, judge
from bolus.habitats.predictors import Outcome, Predictor, age_and_sex, ncbv_alone, site_only
from bolus.report.learning import comparison_table, learning_tiles, render_learning, site_table
from bolus.report.learning_findings import LearningFindings, main_row

IDH = Outcome(label="idh", positive="mutant")
HOW = Judging(folds=3, seeds=(1, 2), permutations=2)


def cohort(count, prefix, sites=("s1", "s2")):
    random = stream(7, "learning page", prefix)
    exams = []
    for n in range(count):
        mutant = bool(random.random() < 0.4)
        exams.append(CurveExam(
            key=SessionKey(f"{prefix}{n:03d}"), site=sites[n % len(sites)], sex="female",
            time=TimeAxis.regular(4, step_s=1.5), acquisition=Acquisition(),
            regions=np.ones((5, 4)), voxels=np.ones((2, 4)), reference=np.ones(4),
            ncbv=float(np.exp(0.4 * random.standard_normal() - mutant)),
            age_years=float(60 - 12 * mutant + 10 * random.standard_normal()),
            labels={"idh": "mutant" if mutant else "wildtype"},
        ))  # fmt: skip
    return CurveCohort(exams=tuple(exams))


def network(outcome):
    def fit(training, validation, seed):
        good, other = (make(outcome).fit(training, validation, seed)
                       for make in (ncbv_alone, age_and_sex))  # fmt: skip
        share = 0.5 + 0.1 * seed
        return lambda asked: share * good(asked) + (1 - share) * other(asked)

    return Predictor(name="sequence, example", fit=fit, draws=True)


def findings(*, sites=("s1", "s2"), own=True, **changes):
    test = cohort(60, "b", sites)
    made = [site_only(IDH), age_and_sex(IDH), ncbv_alone(IDH), *([network(IDH)] * own)]
    found = judge(made, cohort(80, "a", sites), test, outcome=IDH, how=HOW)
    truth, main = IDH.of(test), main_row(found)
    values = {
        "label": "idh mutant", "version": "0", "created": "2026-01-01", "judgement": found,
        "how": HOW, "source": "Made up.", "simulated": True, "permuted": False,
        "rocs": tuple(roc_row(r.name, r.test_probability, truth) for r in found.rows),
        "calibration": calibration_groups(main.test_probability, truth),
        "decision": decision_curves({main.name: main.test_probability}, truth),
        "look": "0123456789abcdef",
    }  # fmt: skip
    return LearningFindings(**{**values, **changes})


@pytest.fixture(scope="module")
def example():
    return findings()


@pytest.fixture(scope="module")
def page(example):
    return render_learning(example)


def test_the_page_is_whole_and_loads_nothing(page):
    read = Page(page)

    assert read.open == []
    loads_nothing(page, read)
    assert read.words.count(RESEARCH_USE) == 3
    for image in [a for tag, a in read.tags if tag == "img"]:
        assert len(image["alt"] or "") > 20


def test_the_same_findings_give_the_same_bytes(example, page):
    assert render_learning(example) == page


@pytest.mark.parametrize("said", [
    "Simulated patients", "IDH mutant", "sequence, example", "Against the baselines", "Holm",
    "Seeds", "labels dealt at random", "0123456789abcdef", "fixed before",
])  # fmt: skip
def test_the_page_says(page, said):
    assert said in Page(page).words


def test_the_network_is_what_the_page_is_about(example):
    assert example.main.name == "sequence, example"
    assert [tile.name for tile in learning_tiles(example)] == [
        "Patients", "Best baseline", "Predictor", "Calibration", "Control",
    ]  # fmt: skip
    assert [row[1][0] for row in comparison_table(example.judgement).rows] == [
        "site only", "age + sex", "nCBV",
    ]  # fmt: skip


def test_few_patients_and_few_controls_are_to_be_looked_at(example):
    look = {tile.name: tile.look for tile in learning_tiles(example)}

    assert look["Patients"]
    assert look["Control"]


def test_patients_are_not_called_simulated_and_a_control_is_called_one(example):
    words = Page(render_learning(dataclasses.replace(example, simulated=False))).words
    control = Page(render_learning(dataclasses.replace(example, permuted=True))).words

    assert "Simulated patients" not in words
    assert "Every number below is that of chance" in control


def test_baselines_alone_make_a_page():
    alone = findings(own=False)

    assert alone.main is alone.judgement.best_baseline
    assert "Against the baselines" not in render_learning(alone)


def test_text_from_outside_never_becomes_markup():
    text = render_learning(findings(sites=(HOSTILE, "$a_{$"), label=HOSTILE, source=HOSTILE))

    assert HOSTILE not in text
    assert Page(text).open == []


def test_every_site_has_a_column(example):
    assert [head for head, _ in site_table(example.judgement).heads] == ["Predictor", "s1", "s2"]
