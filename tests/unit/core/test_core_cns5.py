from itertools import product

import pytest

from bolus.core import cns5
from bolus.core.cns5 import (
    ASTROCYTOMA,
    GLIOBLASTOMA,
    NOT_CLASSIFIED,
    OLIGODENDROGLIOMA,
    UNKNOWN,
    integrate_markers,
)
from bolus.errors import MetadataError


@pytest.mark.parametrize(
    ("markers", "types", "grades"),
    [
        ({"idh": "mutant", "codeletion": "codeleted", "grade": 2}, (OLIGODENDROGLIOMA,), (2,)),
        ({"idh": "mutant", "codeletion": "codeleted"}, (OLIGODENDROGLIOMA,), (2, 3)),
        ({"idh": "mutant", "codeletion": "intact", "grade": 3, "cdkn2a": "intact"},
         (ASTROCYTOMA,), (3,)),
        ({"idh": "mutant", "codeletion": "intact", "cdkn2a": "deleted"}, (ASTROCYTOMA,), (4,)),
        ({"idh": "wildtype", "grade": 4}, (GLIOBLASTOMA,), (4,)),
        ({"idh": "wildtype", "grade": 2}, (NOT_CLASSIFIED,), (2,)),
        ({"idh": "mutant"}, (OLIGODENDROGLIOMA, ASTROCYTOMA), (2, 3, 4)),
        ({"codeletion": "codeleted"}, (OLIGODENDROGLIOMA,), (2, 3)),
        ({"grade": 4}, (ASTROCYTOMA, GLIOBLASTOMA), (4,)),
        ({}, (OLIGODENDROGLIOMA, ASTROCYTOMA, NOT_CLASSIFIED, GLIOBLASTOMA), (2, 3, 4)),
    ],
)  # fmt: skip
def test_markers_leave_open_what_the_classification_says(markers, types, grades):
    found = integrate_markers(**markers)
    assert found.types == types
    assert found.grades == grades
    assert not found.conflicts


@pytest.mark.parametrize(
    ("markers", "words"),
    [
        ({"idh": "wildtype", "codeletion": "codeleted"}, "without an IDH mutation"),
        ({"idh": "mutant", "codeletion": "codeleted", "grade": 4}, "grade 4, which there is not"),
        ({"codeletion": "codeleted", "grade": 4}, "grade 4, which there is not"),
        ({"idh": "mutant", "codeletion": "intact", "cdkn2a": "deleted", "grade": 2},
         "of grade 4, not 2"),
        ({"codeletion": "codeleted", "cdkn2a": "deleted", "grade": 2}, "with CDKN2A/B deleted"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_in_words(markers, words):
    found = integrate_markers(**markers)
    assert found.types == ()
    assert found.grades == ()
    assert any(words in conflict for conflict in found.conflicts)


def test_nothing_is_impossible_without_a_reason():
    for idh, codeletion, cdkn2a, grade in product(
        (*cns5.IDH, UNKNOWN), (*cns5.CODELETION, UNKNOWN), (*cns5.CDKN2A, UNKNOWN),
        (*cns5.GRADES, None),
    ):  # fmt: skip
        found = integrate_markers(idh=idh, codeletion=codeletion, cdkn2a=cdkn2a, grade=grade)
        assert bool(found.types) != bool(found.conflicts)


def test_knowing_more_never_opens_more():
    for idh, codeletion in product(cns5.IDH, cns5.CODELETION):
        less, more = integrate_markers(idh=idh), integrate_markers(idh=idh, codeletion=codeletion)
        assert set(more.types) <= set(less.types)
        assert set(more.grades) <= set(less.grades)


@pytest.mark.parametrize("markers", [{"idh": "wild"}, {"cdkn2a": "yes"}, {"grade": 1}])
def test_other_words_are_refused(markers):
    with pytest.raises(MetadataError, match="is"):
        integrate_markers(**markers)
