"""A test part answers one question; another one is refused, also by a part that overlaps."""

import dataclasses

import numpy as np
import pytest

from bolus.core import Acquisition, CurveCohort, CurveExam, SessionKey, TimeAxis
from bolus.errors import Code, LeakageError
from bolus.metrics.locked import cohort_digest, look_at, require_one_look


def exam(name, **changes):
    return dataclasses.replace(
        CurveExam(
            key=SessionKey(name), site="s1", time=TimeAxis.regular(5, step_s=1.5),
            acquisition=Acquisition(), regions=np.ones((5, 5)), voxels=np.ones((3, 5)),
            reference=np.ones(5), ncbv=1.0, labels={"idh": "mutant"},
        ),
        **changes,
    )  # fmt: skip


def cohort(*names):
    return CurveCohort(exams=tuple(exam(name) for name in names))


FITTED, TEST = cohort("a", "b"), cohort("c", "d")
LOOK = look_at(TEST, FITTED, question={"outcome": "idh", "seeds": [1, 2]})


def test_the_first_look_and_the_same_look_again_are_allowed():
    require_one_look(LOOK, [])
    require_one_look(look_at(TEST, FITTED, question={"seeds": [1, 2], "outcome": "idh"}), [LOOK])


@pytest.mark.parametrize("other", [
    look_at(TEST, FITTED, question={"outcome": "idh", "seeds": [1, 3]}),
    look_at(TEST, cohort("a"), question={"outcome": "idh", "seeds": [1, 2]}),
    look_at(cohort("d", "e"), FITTED, question={"outcome": "idh", "seeds": [1, 2]}),
], ids=["other seeds", "other development part", "one patient shared"])  # fmt: skip
def test_another_question_to_a_patient_is_refused(other):
    with pytest.raises(LeakageError, match="looked at before") as caught:
        require_one_look(other, [LOOK])

    assert caught.value.code is Code.TEST_LOCKED


def test_patients_whom_nobody_saw_are_free():
    require_one_look(look_at(cohort("e"), FITTED, question={"seeds": [7]}), [LOOK])


@pytest.mark.parametrize("changes", [
    {"labels": {"idh": "wildtype"}}, {"ncbv": 1.1}, {"site": "s2"}, {"regions": np.zeros((5, 5))},
    {"voxels": np.ones((4, 5))},
], ids=str)  # fmt: skip
def test_the_digest_knows_every_part_of_an_exam(changes):
    assert cohort_digest(CurveCohort(exams=(exam("a", **changes),))) != cohort_digest(cohort("a"))


def test_the_order_of_exams_does_not_matter():
    assert cohort_digest(cohort("a", "b")) == cohort_digest(cohort("b", "a"))
