"""Curves of one exam as networks read them: regions, voxels, and what is known of the patient."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from jaxtyping import Float, UInt8

from bolus.core.arrays import read_only
from bolus.core.cohort import SessionKey
from bolus.core.timing import Acquisition, TimeAxis
from bolus.errors import Code, LeakageError, QuantityError

CURVE_REGIONS = ("enhancing", "nonenhancing", "oedema", "whole", "aif")
"""Rows of `CurveExam.regions`: three parts of the tumour, all of it, and the AIF."""
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CurveExam:
    """DSC signal-time curves of one exam.

    `regions` (5, t) are mean signals [a.u.] in the order of `CURVE_REGIONS`, a row of NaN where a
    region is missing. `voxels` (n, t) are signals of single voxels of the whole tumour. `reference`
    (t,) is the mean signal of normal-appearing white matter, NaN where none was found. `site` names
    the scanner. `ncbv` is the mean of the tumour's nCBV map [ratio], NaN if not measured.
    `age_years` is NaN and `sex` "" where unknown. `labels` are outcomes by name, such as
    {"idh": "mutant"}; an unknown one is absent. `tissue` (n,) is the truth of simulated voxels in
    the numbers of `simulate.TISSUE_LABELS`; empty for patients.

    Raises:
        QuantityError: the shapes do not fit each other.
    """

    key: SessionKey
    site: str
    time: TimeAxis
    acquisition: Acquisition
    regions: Float[np.ndarray, "5 t"]
    voxels: Float[np.ndarray, "voxels t"]
    reference: Float[np.ndarray, " t"]
    ncbv: float = float("nan")
    age_years: float = float("nan")
    sex: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    tissue: UInt8[np.ndarray, " voxels"] = field(default_factory=lambda: np.zeros(0, np.uint8))

    def __post_init__(self) -> None:
        frames = len(self.time.seconds)
        shapes = (self.regions.shape, self.voxels.shape[1:], self.reference.shape)
        if shapes != ((len(CURVE_REGIONS), frames), (frames,), (frames,)):
            raise QuantityError(
                Code.QUANTITY_WRONG,
                f"regions, voxels and reference of shapes {shapes} do not fit {frames} times",
                mend="give five mean curves, and voxels by time, on one time axis",
            )
        for name in ("regions", "voxels", "reference", "tissue"):
            object.__setattr__(self, name, read_only(getattr(self, name)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CurveCohort:
    """Exams of many patients, one exam or more each.

    Raises:
        LeakageError: two exams have the same key.
    """

    exams: tuple[CurveExam, ...]

    def __post_init__(self) -> None:
        if len({exam.key for exam in self.exams}) != len(self.exams):
            raise LeakageError(
                Code.SPLIT_LEAKS, "an exam is there twice", mend="give each exam once"
            )

    @property
    def subjects(self) -> tuple[str, ...]:
        """The subject of each exam."""
        return tuple(exam.key.subject for exam in self.exams)

    @property
    def sites(self) -> tuple[str, ...]:
        """The scanner of each exam."""
        return tuple(exam.site for exam in self.exams)

    def of(self, subjects: Sequence[str] | frozenset[str]) -> "CurveCohort":
        """Return the exams of some subjects, in the same order."""
        wanted = frozenset(subjects)
        return CurveCohort(exams=tuple(e for e in self.exams if e.key.subject in wanted))

    def labelled(self, name: str) -> "CurveCohort":
        """Return the exams whose label of this name is known."""
        return CurveCohort(exams=tuple(e for e in self.exams if e.labels.get(name)))
