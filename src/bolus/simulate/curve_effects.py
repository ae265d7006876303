"""What a simulated cohort of curves shows of genotype, beside what is published of patients."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bolus.core.exam_curves import CURVE_REGIONS, CurveCohort, CurveExam
from bolus.metrics import auc_with_interval
from bolus.metrics.agreement import Agreement
from bolus.simulate.genotype import WILDTYPE
from bolus.simulate.realism import CurveShape, describe_curve
from bolus.simulate.tissues import TISSUE_LABELS

_WHOLE = CURVE_REGIONS.index("whole")
_ENHANCING = CURVE_REGIONS.index("enhancing")
_NUMBERS = {name: number for number, name in TISSUE_LABELS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectRow:
    """How well one measure tells IDH-wildtype from mutant here, and in patients (least, most).

    `published` is None where nothing is: the difference between genotypes is then ours alone.
    """

    measure: str
    simulated: Agreement
    published: tuple[float, float] | None
    source: str

    @property
    def agrees(self) -> bool:
        """Whether the simulated interval meets the published range; False where there is none."""
        if self.published is None:
            return False
        low, high = self.published
        return self.simulated.low <= high and self.simulated.high >= low


@dataclass(frozen=True, slots=True, kw_only=True)
class KindRow:
    """Exams of one genotype and grade: quartiles (lower, median, upper), and shares (0 to 1).

    `drop` and `recovery` are of the mean curve of the whole tumour, as `describe_curve` has them.
    """

    kind: str
    count: int
    male: float
    enhancing: float
    age_years: tuple[float, float, float]
    ncbv: tuple[float, float, float]
    drop: tuple[float, float, float]
    recovery: tuple[float, float, float]


def cohort_effects(cohort: CurveCohort) -> tuple[EffectRow, ...]:
    """Return how well single measures tell IDH in a simulated cohort, and in patients.

    Age and sex act together by Fisher's linear discriminant, fitted on the same exams: two
    coefficients on hundreds of patients flatter themselves by less than 0.01. The last three
    measures are there to show what else a network can see: shares of tissues as the simulator
    knows them, and the leaked agent as recovery of the whole tumour's curve.

    Args:
        cohort: simulated; exams whose IDH is known count.

    Raises:
        MetadataError: too few exams of a class.

    Source:
        Published ranges: docs/explanation/patients.md.
    """
    exams = [e for e in cohort.labelled("idh").exams if np.isfinite((e.ncbv, e.age_years)).all()]
    wildtype = np.array([exam.labels["idh"] == WILDTYPE for exam in exams], bool)
    clinic = np.array([(exam.age_years, float(exam.sex == "male")) for exam in exams])
    recovery = np.array([_shape(exam).recovery for exam in exams])
    measures = (
        ("nCBV, mean of the solid tumour", np.array([e.ncbv for e in exams]), (0.85, 0.85),
         "by mean CBV, meta-analysis 2022"),
        ("age and sex", _discriminant(clinic, wildtype), (0.76, 0.90),
         "0.76 on TCGA, 0.90 by age in UCSF-PDGM"),
        ("share of necrosis", _share(exams, "necrosis"), None, "set by us"),
        ("share of oedema", _share(exams, "oedema"), None, "set by us"),
        ("recovery of the whole tumour, less is wildtype", -recovery, None, "leakage: set by us"),
    )  # fmt: skip
    return tuple(
        EffectRow(
            measure=name,
            simulated=auc_with_interval(score, wildtype),
            published=published,
            source=source,
        )
        for name, score, published, source in measures
    )


def kinds_of(cohort: CurveCohort) -> tuple[KindRow, ...]:
    """Return what exams of each genotype and grade look like.

    Args:
        cohort: exams whose IDH, 1p/19q and grade are all known count.

    Source:
        Descriptors: `realism.describe_curve`.
    """
    kinds: dict[str, list[CurveExam]] = {}
    for exam in cohort.exams:
        if {"idh", "codeleted", "grade"} <= exam.labels.keys():
            name = exam.labels["idh"]
            if name != WILDTYPE:
                codeleted = exam.labels["codeleted"] == "yes"
                name = "oligodendroglioma" if codeleted else "astrocytoma"
            kinds.setdefault(f"{name}, grade {exam.labels['grade']}", []).append(exam)
    return tuple(_kind(name, kinds[name]) for name in sorted(kinds))


def effects_markdown(effects: Sequence[EffectRow], kinds: Sequence[KindRow]) -> str:
    """Return two Markdown tables, as the documentation prints them.

    Args:
        effects: from `cohort_effects`.
        kinds: from `kinds_of`.

    Example:
        >>> row = EffectRow(measure="nCBV", published=(0.85, 0.85), source="2022",
        ...     simulated=Agreement(value=0.83, low=0.79, high=0.87, count=467))
        >>> print(effects_markdown([row], []).splitlines()[2])
        | nCBV | 0.83 (0.79 to 0.87), n = 467 | 0.85 (2022) | yes |
    """
    lines = ["| IDH by | simulated AUC | patients | agrees |", "|---|---|---|---|"]
    for row in effects:
        found = row.simulated
        there = "nothing published"
        if row.published is not None:
            there = " to ".join(f"{value:.2f}" for value in dict.fromkeys(row.published))
        agrees = "" if row.published is None else ("yes" if row.agrees else "**no**")
        lines.append(
            f"| {row.measure} | {found.value:.2f} ({found.low:.2f} to {found.high:.2f}), "
            f"n = {found.count} | {there} ({row.source}) | {agrees} |"
        )
    lines += [
        "",
        "| genotype | n | age [y] | male | nCBV | enhancing region | drop | recovery |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {k.kind} | {k.count} | {_text(k.age_years, 0)} | {k.male:.0%} | {_text(k.ncbv, 2)} | "
        f"{k.enhancing:.0%} | {_text(k.drop, 2)} | {_text(k.recovery, 2)} |"
        for k in kinds
    ]
    return "\n".join(lines)


def _kind(name: str, exams: Sequence[CurveExam]) -> KindRow:
    shapes = [_shape(exam) for exam in exams]
    return KindRow(
        kind=name,
        count=len(exams),
        male=float(np.mean([exam.sex == "male" for exam in exams])),
        enhancing=float(np.mean([np.isfinite(e.regions[_ENHANCING, 0]) for e in exams])),
        age_years=_quartiles([exam.age_years for exam in exams]),
        ncbv=_quartiles([exam.ncbv for exam in exams]),
        drop=_quartiles([shape.drop for shape in shapes]),
        recovery=_quartiles([shape.recovery for shape in shapes]),
    )


def _shape(exam: CurveExam) -> CurveShape:
    return describe_curve(exam.regions[_WHOLE], step_s=exam.time.uniform_step_s())


def _share(exams: Sequence[CurveExam], tissue: str) -> np.ndarray:
    return np.array([float((exam.tissue == _NUMBERS[tissue]).mean()) for exam in exams])


def _discriminant(values: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Return Fisher's linear discriminant (n,) of columns (n, k), higher for the positive."""
    first, second = values[~positive], values[positive]
    spread = np.cov(first.T) * (len(first) - 1) + np.cov(second.T) * (len(second) - 1)
    way = np.linalg.lstsq(spread, second.mean(axis=0) - first.mean(axis=0), rcond=None)[0]
    return np.asarray(values @ way)


def _quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    low, middle, high = np.nanquantile(values, (0.25, 0.5, 0.75))
    return float(low), float(middle), float(high)


def _text(quartiles: tuple[float, float, float], digits: int) -> str:
    low, middle, high = (f"{value:.{digits}f}" for value in quartiles)
    return f"{middle} ({low} to {high})"
