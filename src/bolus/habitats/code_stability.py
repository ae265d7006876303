"""How far codes of the same voxels stay the same: other seeds, intervals, lengths, noise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from bolus.errors import Code, QuantityError
from bolus.habitats.accuracy import adjusted_rand
from bolus.habitats.curve_clusters import CurveCoder
from bolus.habitats.perfusion_ratio import ratio_table
from bolus.metrics.agreement import icc_2_1
from bolus.nets.physical_axis import ExamCurves

_RARE_PERCENT = 0.5
Coded = Sequence[np.ndarray]
"""Codes of every exam, an array each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StabilityRow:
    """What a change does to codes of the same voxels.

    `ari` is the mean adjusted Rand index over pairs of codings of all curves together,
    `lowest_ari` that of the worst pair. `ratio_icc` is the median over codes of ICC(2,1) of the
    exams' perfusion habitat ratios, `lowest_icc` that of the worst code, `worst_code` its name;
    codes with less than 0.5 % of the curves are left out.
    """

    method: str
    change: str
    ari: float
    lowest_ari: float
    ratio_icc: float
    lowest_icc: float
    worst_code: str
    exams: int
    curves: int


def compare_codings(
    codings: Sequence[Coded], *, count: int, method: str, change: str
) -> StabilityRow:
    """Compare codings of the same voxels of several exams.

    Args:
        codings: two or more, each with the codes of every exam, voxel by voxel; 0 for none.
        count: how many codes there are.
        method: what made them.
        change: what differs between them.

    Raises:
        QuantityError: the codings are not of the same voxels.

    Assumes:
        Codes are numbered alike in all codings (by drop); the adjusted Rand index needs no such
        thing.

    Source:
        Hubert and Arabie, J Classif 1985;2:193; ICC(2,1): McGraw and Wong, Psychol Methods
        1996;1:30.

    Example:
        >>> one = [np.array([1, 1, 2, 2]), np.array([1, 2, 2, 2]), np.array([1, 1, 1, 2])]
        >>> row = compare_codings([one, one], count=2, method="same", change="nothing")
        >>> row.ari, row.ratio_icc, row.curves
        (1.0, 1.0, 12)
    """
    sizes = {tuple(len(own) for own in coding) for coding in codings}
    if len(codings) < 2 or len(sizes) != 1:
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"{len(codings)} codings of {len(sizes)} sets of voxels cannot be compared",
            mend="give two or more codings of the same voxels",
        )
    flat = [np.concatenate(list(coding)) for coding in codings]
    known = np.all([codes > 0 for codes in flat], axis=0)
    indices = [adjusted_rand(a[known], b[known]) for a, b in combinations(flat, 2)]
    shares = np.mean([np.bincount(c[known], minlength=count + 1)[1:] for c in flat], axis=0)
    tables = np.stack([ratio_table(coding, count=count) for coding in codings], axis=2)
    icc = {
        code: _ratio_icc(tables[:, code])
        for code in np.flatnonzero(100 * shares / known.sum() >= _RARE_PERCENT).tolist()
    }
    worst = min(icc, key=lambda code: icc[code])
    return StabilityRow(
        method=method,
        change=change,
        ari=float(np.mean(indices)),
        lowest_ari=float(min(indices)),
        ratio_icc=float(np.median(list(icc.values()))),
        lowest_icc=float(icc[worst]),
        worst_code=f"H{worst + 1}",
        exams=len(codings[0]),
        curves=int(known.sum()),
    )


def code_stability(
    coders: Sequence[CurveCoder],
    conditions: Mapping[str, Sequence[ExamCurves]],
    *,
    count: int,
    method: str,
) -> tuple[StabilityRow, ...]:
    """Return a row for other seeds, then one for each other way to measure the same voxels.

    Args:
        coders: the same method fitted with several seeds; the first stands for all where the
            measurement changes.
        conditions: exams as they are under the first name, and under each further one the same
            exams measured in another way.
        count: how many codes there are.
        method: the name of it.

    Raises:
        QuantityError: conditions are not of the same voxels.

    Assumes:
        As `compare_codings`.

    Source:
        As `compare_codings`.
    """
    (plain, exams), *changed = conditions.items()
    codings = [[coder(exam).codes for exam in exams] for coder in coders]
    rows = []
    if len(coders) > 1:
        name = f"{len(coders)} seeds, {plain}"
        rows.append(compare_codings(codings, count=count, method=method, change=name))
    for change, other in changed:
        found = [coders[0](exam).codes for exam in other]
        pair = [codings[0], found]
        rows.append(compare_codings(pair, count=count, method=method, change=change))
    return tuple(rows)


def _ratio_icc(ratings: np.ndarray) -> float:
    """Return ICC(2,1) of ratios (exams, codings); equal columns agree fully."""
    same = bool((ratings == ratings[:, :1]).all())
    return 1.0 if same else icc_2_1(ratings).value
