"""What molecular markers make of a diffuse glioma of adults (WHO CNS5), with what is not known.

Reads as the classification does: first IDH, then 1p/19q, then what decides the grade.
"""

from dataclasses import dataclass
from itertools import product

from bolus.errors import Code, MetadataError

UNKNOWN = "unknown"
IDH = ("mutant", "wildtype")
CODELETION = ("codeleted", "intact")
CDKN2A = ("deleted", "intact")
GRADES = (2, 3, 4)
OLIGODENDROGLIOMA = "oligodendroglioma, IDH-mutant and 1p/19q-codeleted"
ASTROCYTOMA = "astrocytoma, IDH-mutant"
GLIOBLASTOMA = "glioblastoma, IDH-wildtype"
NOT_CLASSIFIED = "diffuse glioma, IDH-wildtype, not elsewhere classified"
_ALLOWED = {"IDH": IDH, "1p/19q": CODELETION, "CDKN2A/B": CDKN2A}


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegratedType:
    """The types and grades that markers leave open, and what in them cannot be, in words.

    One type and one grade are a diagnosis; none, with a conflict, is an error in one of the tests
    or predictions. A grade by molecule is not the whole of a grade: histology decides the rest.
    """

    types: tuple[str, ...]
    grades: tuple[int, ...]
    conflicts: tuple[str, ...]


def integrate_markers(
    *,
    idh: str = UNKNOWN,
    codeletion: str = UNKNOWN,
    cdkn2a: str = UNKNOWN,
    grade: int | None = None,
) -> IntegratedType:
    """Return what an adult-type diffuse glioma can be.

    Args:
        idh: "mutant", "wildtype" or "unknown".
        codeletion: of 1p and 19q: "codeleted", "intact" or "unknown".
        cdkn2a: homozygous deletion of CDKN2A and/or B: "deleted", "intact" or "unknown".
        grade: 2, 3 or 4 by histology or prediction; None where it is not known.

    Raises:
        MetadataError: a value is none of these.

    Assumes:
        An adult, and a diffuse glioma. A wildtype of grade 2 or 3 is not classified here: TERT,
        EGFR and chromosomes 7 and 10, which would make it a glioblastoma, are not among the
        markers. An oligodendroglioma with CDKN2A/B deleted is taken as grade 3.

    Source:
        Louis et al., Neuro Oncol 2021;23:1231 (WHO CNS5); CDKN2A/B: Brat et al., Acta Neuropathol
        2020;139:603 (cIMPACT-NOW update 5).

    Example:
        >>> integrate_markers(idh="mutant", codeletion="codeleted").types
        ('oligodendroglioma, IDH-mutant and 1p/19q-codeleted',)
        >>> integrate_markers(idh="wildtype", codeletion="codeleted").conflicts
        ('1p/19q codeletion without an IDH mutation',)
    """
    given = {"IDH": idh, "1p/19q": codeletion, "CDKN2A/B": cdkn2a}
    for name, value in given.items():
        if value not in (*_ALLOWED[name], UNKNOWN):
            _refuse(f"{name} is '{value[:40]}'", " or ".join((*_ALLOWED[name], UNKNOWN)))
    if grade is not None and grade not in GRADES:
        _refuse(f"the grade is {grade}", "2, 3 or 4, or none")
    open_ = [
        (kind, own)
        for i, c, d, own in product(
            _of(idh, IDH), _of(codeletion, CODELETION), _of(cdkn2a, CDKN2A),
            GRADES if grade is None else (grade,),
        )
        if (kind := _type(i, c, d, own)) is not None
    ]  # fmt: skip
    return IntegratedType(
        types=tuple(dict.fromkeys(kind for kind, _ in open_)),
        grades=tuple(sorted({own for _, own in open_})),
        conflicts=() if open_ else _conflicts(idh, codeletion, cdkn2a, grade),
    )


def _of(value: str, known: tuple[str, ...]) -> tuple[str, ...]:
    return known if value == UNKNOWN else (value,)


def _type(idh: str, codeletion: str, cdkn2a: str, grade: int) -> str | None:
    """Return the type of markers that are all known; None where there is none."""
    if idh == "wildtype":
        if codeletion == "codeleted":
            return None
        return GLIOBLASTOMA if grade == max(GRADES) else NOT_CLASSIFIED
    deleted = cdkn2a == "deleted"
    if codeletion == "codeleted":
        return OLIGODENDROGLIOMA if grade == 3 or (grade == 2 and not deleted) else None
    return None if deleted and grade < max(GRADES) else ASTROCYTOMA


def _conflicts(idh: str, codeletion: str, cdkn2a: str, grade: int | None) -> tuple[str, ...]:
    """Say why nothing is left."""
    found = []
    deleted = cdkn2a == "deleted"
    if codeletion == "codeleted":
        if idh == "wildtype":
            found.append("1p/19q codeletion without an IDH mutation")
        if grade == max(GRADES):
            found.append("an oligodendroglioma of grade 4, which there is not")
        if deleted and grade == min(GRADES):
            found.append("an oligodendroglioma of grade 2 with CDKN2A/B deleted")
    elif deleted and idh == "mutant" and grade is not None and grade < max(GRADES):
        found.append(f"an IDH-mutant astrocytoma with CDKN2A/B deleted is of grade 4, not {grade}")
    return tuple(found)


def _refuse(what: str, expected: str) -> None:
    raise MetadataError(Code.ARGUMENT_INVALID, what, mend=f"give {expected}")
