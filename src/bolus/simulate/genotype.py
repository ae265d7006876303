"""What a glioma is by the WHO classification of 2021, and how often each kind comes."""

from dataclasses import dataclass

from bolus.core.cns5 import GRADES, IntegratedType, integrate_markers
from bolus.core.randomness import stream
from bolus.errors import Code, MetadataError
from bolus.simulate.effects import effect

MUTANT = "mutant"
WILDTYPE = "wildtype"


@dataclass(frozen=True, slots=True, kw_only=True)
class Genotype:
    """Markers of one glioma; combinations that the classification excludes are refused.

    `idh` is "mutant" or "wildtype", `codeleted` of 1p/19q, `grade` 2, 3 or 4, `cdkn2a_deleted`
    the homozygous deletion of CDKN2A/B, `mgmt_methylated` the promoter.

    Raises:
        MetadataError: the markers contradict each other.

    Source:
        Louis et al., Neuro Oncol 2021;23:1231.

    Example:
        >>> Genotype(idh="mutant", codeleted=True, grade=2, cdkn2a_deleted=False,
        ...          mgmt_methylated=True).diagnosis
        'oligodendroglioma, IDH-mutant and 1p/19q-codeleted'
    """

    idh: str
    codeleted: bool
    grade: int
    cdkn2a_deleted: bool
    mgmt_methylated: bool

    def __post_init__(self) -> None:
        if said := _contradiction(self):
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"this genotype cannot be: {said}",
                mend="change one of the markers (Louis et al., Neuro Oncol 2021;23:1231)",
            )

    @property
    def kind(self) -> str:
        """Return "wildtype", "astrocytoma" or "oligodendroglioma"."""
        if self.idh == WILDTYPE:
            return WILDTYPE
        return "oligodendroglioma" if self.codeleted else "astrocytoma"

    @property
    def diagnosis(self) -> str:
        """Return the name in the classification; a wildtype below grade 4 has none of its own."""
        return _classified(self).types[0]

    @property
    def causes(self) -> tuple[str, ...]:
        """Return the causes by which this genotype acts in `effects.EFFECTS`."""
        flags = (
            ("codeleted", self.codeleted),
            ("CDKN2A deleted", self.cdkn2a_deleted and self.idh == MUTANT),
        )
        return (self.idh, f"grade {self.grade}", *(name for name, held in flags if held))


def _classified(genotype: Genotype) -> IntegratedType:
    return integrate_markers(
        idh=genotype.idh,
        codeletion="codeleted" if genotype.codeleted else "intact",
        cdkn2a="deleted" if genotype.cdkn2a_deleted else "intact",
        grade=genotype.grade,
    )


def _contradiction(genotype: Genotype) -> str:
    """Return what contradicts the classification, or is not simulated, or nothing."""
    if genotype.idh not in (MUTANT, WILDTYPE):
        return f"IDH {genotype.idh!r} is not mutant or wildtype"
    if genotype.grade not in GRADES:
        return f"grade {genotype.grade} is not 2, 3 or 4"
    if said := _classified(genotype).conflicts:
        return said[0]
    if genotype.idh == WILDTYPE and genotype.cdkn2a_deleted and genotype.grade < 4:
        return "a wildtype glioma below grade 4 with CDKN2A deletion is not simulated"
    return ""


def draw_genotype(seed: int) -> Genotype:
    """Draw the genotype of one patient from a mixed cohort.

    IDH first, then 1p/19q given IDH, grade given both, CDKN2A given grade, MGMT given kind.

    Args:
        seed: of the patient.

    Returns:
        A genotype that the classification allows.

    Source:
        Rows of `effects.EFFECTS`; 440 gliomas (doi 10.5281/zenodo.21350691) and UCSF-PDGM.

    Example:
        >>> drawn = [draw_genotype(n) for n in range(300)]
        >>> 180 < sum(one.idh == "wildtype" for one in drawn) < 240
        True
    """
    idh, codeletion, step, deletion, promoter = stream(seed, "genotype").random(5)
    wildtype = idh < effect("glioma", WILDTYPE)
    codeleted = not wildtype and codeletion < effect(MUTANT, "codeleted")
    kind = WILDTYPE if wildtype else "oligodendroglioma" if codeleted else "astrocytoma"
    grade = _grade(kind, step)
    if kind == WILDTYPE:
        likely = effect(WILDTYPE, "CDKN2A deleted") if grade == 4 else 0.0
    elif (kind, grade) in (("astrocytoma", 4), ("oligodendroglioma", 3)):
        likely = effect(f"{kind} grade {grade}", "CDKN2A deleted")
    else:
        likely = 0.0
    return Genotype(
        idh=WILDTYPE if wildtype else MUTANT,
        codeleted=bool(codeleted),
        grade=grade,
        cdkn2a_deleted=bool(deletion < likely),
        mgmt_methylated=bool(promoter < effect(kind, "MGMT methylated")),
    )


def _grade(kind: str, step: float) -> int:
    """Return the grade at a place between 0 and 1 of the distribution of one kind."""
    lowest = effect(kind, "grade 2")
    if step < lowest:
        return 2
    if kind == "oligodendroglioma" or step < lowest + effect(kind, "grade 3"):
        return 3
    return 4
