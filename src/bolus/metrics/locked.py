"""A test part is looked at with one question: who was in it, and what was asked, by hash."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bolus.core.exam_curves import CurveCohort, CurveExam
from bolus.errors import Code, LeakageError

Answer = str | int | float | bool | list[str] | list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A look at a test part: `test` names its exams, `question` everything that was asked.

    `patients` has a hash of each patient's name, so that a test part which shares a patient with
    an earlier one is known as such.
    """

    test: str
    question: str
    patients: frozenset[str]


def look_at(test: CurveCohort, development: CurveCohort, *, question: Mapping[str, Answer]) -> Look:
    """Return what is looked at and with which question; nothing is judged yet.

    Args:
        test: the exams of the test part.
        development: what predictors are fitted on: a part of the question.
        question: whatever else decides the result, such as outcome, predictors and seeds.

    Assumes:
        Equal hashes are equal content.

    Source:
        A test set that is used to choose among models no longer tests: Dwork et al., Science
        2015;349:636, doi 10.1126/science.aaa9375.

    Example:
        >>> nobody = CurveCohort(exams=())
        >>> one, other = (look_at(nobody, nobody, question={"seed": n}) for n in (1, 2))
        >>> one.test == other.test, one.question == other.question
        (True, False)
    """
    asked = json.dumps([dict(question), cohort_digest(development)], sort_keys=True)
    return Look(
        test=cohort_digest(test),
        question=hashlib.sha256(asked.encode()).hexdigest(),
        patients=frozenset(
            hashlib.sha256(f"patient {name}".encode()).hexdigest()[:16] for name in test.subjects
        ),
    )


def require_one_look(look: Look, earlier: Iterable[Look]) -> None:
    """Stop if a patient of the test part was looked at before with another question.

    The same question may be asked again: its answer is the same.

    Args:
        look: that is about to be taken.
        earlier: all that were taken.

    Raises:
        LeakageError: somebody looked at one of these patients before, and asked something else.

    Assumes:
        Whoever looks keeps the record of it; a record that is deleted cannot be missed.

    Source:
        As `look_at`.
    """
    for other in earlier:
        shared = len(look.patients & other.patients)
        if shared and (look.test, look.question) != (other.test, other.question):
            same = "with other settings" if look.test == other.test else "in another test part"
            raise LeakageError(
                Code.TEST_LOCKED,
                f"{shared} of {len(look.patients)} test patients were looked at before {same}",
                mend="choose settings on the development part, and test on patients nobody saw",
            )


def cohort_digest(cohort: CurveCohort) -> str:
    """Return the SHA-256 of everything that is known of the exams, in any order.

    Args:
        cohort: its exams.

    Assumes:
        As `look_at`.

    Source:
        FIPS 180-4, doi 10.6028/NIST.FIPS.180-4.
    """
    parts = sorted(_exam_digest(exam) for exam in cohort.exams)
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _exam_digest(exam: CurveExam) -> str:
    digest = hashlib.sha256()
    told = [exam.key.prefix, exam.site, exam.sex, repr(exam.ncbv), repr(exam.age_years)]
    digest.update(json.dumps([*told, sorted(exam.labels.items())]).encode())
    for array in (exam.time.seconds, exam.regions, exam.voxels, exam.reference):
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
