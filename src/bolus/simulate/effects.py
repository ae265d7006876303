"""The one table of what makes patients differ: every number, its unit and where it is from.

The modules that draw patients read their numbers here and hold no copy of them. How causes act
together: `combined` multiplies the reference of a quantity by the factors of all causes that apply;
a factor on a share acts on its odds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One row: `cause` acts on the quantity `on` by `value` [`unit`], after `source`."""

    cause: str
    on: str
    value: float
    unit: str
    source: str


REFERENCE = "reference"
"""The cause of the values of a glioblastoma, from which all others depart."""
PATIENT = "patient"
"""The cause of differences between patients of one genotype: standard deviations."""

_OURS = "set by us"
_HABITATS = "87 patients, released habitat maps of Moon et al., Neuro Oncol 2024, noae227"
_UCSF = "UCSF-PDGM v5, 501 patients, doi 10.7937/tcia.bdgf-8v37"
_SNUH = "440 gliomas, doi 10.5281/zenodo.21350691"
_TUNED = "set by us so that mean tumour CBV tells IDH with an AUC near 0.85"
_GRADE = "set by us; direction of Law et al., AJNR 2003;24:1989"
_CHA = "set by us; direction of Cha et al., AJNR 2005;26:266"
_SHIRAHATA = "set by us; direction of Shirahata et al., Acta Neuropathol 2018;136:153"
_THUST = "set by us; direction of Thust et al., Eur Radiol 2018;28:3779"
_SCORE = "TTP hazard ratios 4.14 and 10.02 of Moon et al. at the caps; per mL and caps set by us"

Row = tuple[str, float, str]


def _rows(cause: str, source: str, *rows: Row) -> tuple[Effect, ...]:
    """Return rows that share a cause and a source."""
    return tuple(
        Effect(cause=cause, on=on, value=value, unit=unit, source=source)
        for on, value, unit in rows
    )


# fmt: off
_PREVALENCE = (
    *_rows("glioma", _SNUH, ("wildtype", 309 / 440, "share")),
    *_rows("mutant", _SNUH, ("codeleted", 70 / 131, "share")),
    *_rows("wildtype", _OURS + "; 24 of 398 at UCSF were of lower grade by histology",
           ("grade 2", 0.01, "share"), ("grade 3", 0.02, "share")),
    *_rows("astrocytoma", "set by us between both cohorts: " + _UCSF + "; " + _SNUH,
           ("grade 2", 0.30, "share"), ("grade 3", 0.30, "share")),
    *_rows("oligodendroglioma", "set by us so that grades match " + _SNUH,
           ("grade 2", 0.42, "share")),
    *_rows("wildtype", "set by us near Brennan et al., Cell 2013;155:462",
           ("CDKN2A deleted", 0.58, "share")),
    *_rows("astrocytoma grade 4", _SHIRAHATA, ("CDKN2A deleted", 0.40, "share")),
    *_rows("oligodendroglioma grade 3", "set by us: rare, Appay et al., Neuro Oncol 2019;21:1519",
           ("CDKN2A deleted", 0.08, "share")),
    *_rows("wildtype", _UCSF + ", 265 of 375", ("MGMT methylated", 0.71, "share")),
    *_rows("astrocytoma", _UCSF + ", 36 of 40", ("MGMT methylated", 0.90, "share")),
    *_rows("oligodendroglioma", _OURS + ": nearly all", ("MGMT methylated", 0.95, "share")),
    *_rows("astrocytoma grade 2", "Park et al., Eur Radiol 2021;31:5289 (sensitivity 42 %)",
           ("T2-FLAIR mismatch", 0.42, "share")),
    *_rows("astrocytoma grade 3", "set by us, below grade 2",
           ("T2-FLAIR mismatch", 0.35, "share")),
)

_CLINICAL = (
    *_rows("wildtype", "set by us between UCSF (62, 38 y: AUC 0.90) and TCGA (AUC 0.76)",
           ("age mean", 59.5, "y"), ("age SD", 12.5, "y")),
    *_rows("astrocytoma", "set by us as for the wildtype",
           ("age mean", 43.5, "y"), ("age SD", 13.0, "y")),
    *_rows("oligodendroglioma", "set by us; 44 (SD 14) in 13 patients at UCSF",
           ("age mean", 47.0, "y"), ("age SD", 12.5, "y")),
    *_rows("adult", _OURS, ("age least", 18.0, "y"), ("age most", 88.0, "y")),
    *_rows("wildtype", _UCSF, ("male", 0.59, "share")),
    *_rows("mutant", _UCSF, ("male", 0.60, "share")),
    *_rows("wildtype", _UCSF + ", 220 and 127 of 397",
           ("gross total", 0.55, "share"), ("subtotal", 0.32, "share")),
    *_rows("mutant", _UCSF + ", 28 and 71 of 103",
           ("gross total", 0.27, "share"), ("subtotal", 0.69, "share")),
    *_rows("wildtype", _OURS, ("KPS mean", 83.0, "points")),
    *_rows("mutant", _OURS, ("KPS mean", 90.0, "points")),
    *_rows("adult", _OURS, ("KPS SD", 11.0, "points"), ("KPS per decade", -2.0, "points"),
           ("KPS least", 50.0, "points"), ("KPS most", 100.0, "points")),
)

_PERFUSION = (
    *_rows("mutant", _TUNED, ("CBV", 0.79, "factor"), ("hypervascular", 0.30, "odds factor")),
    *_rows("grade 3", _GRADE, ("CBV", 0.92, "factor"), ("hypervascular", 0.55, "odds factor")),
    *_rows("grade 2", _GRADE, ("CBV", 0.84, "factor"), ("hypervascular", 0.20, "odds factor")),
    *_rows("codeleted", _CHA, ("CBV", 1.15, "factor"), ("hypervascular", 2.2, "odds factor")),
    *_rows("CDKN2A deleted", _SHIRAHATA,
           ("CBV", 1.05, "factor"), ("hypervascular", 1.3, "odds factor")),
    *_rows(PATIENT, _TUNED, ("CBV", 0.25, "SD of ln"), ("hypervascular", 0.9, "SD of logit")),
    *_rows(PATIENT, _OURS, ("CBV of the whole brain", 0.10, "SD of ln"),
           ("MTT", 0.10, "SD of ln"), ("Ktrans", 0.80, "SD of ln"), ("ve", 0.20, "SD of ln"),
           ("ADC", 0.10, "SD of ln"), ("vessel radius", 0.10, "SD of ln")),
    *_rows("mutant", _OURS, ("Ktrans", 0.75, "factor")),
    *_rows("grade 3", _OURS + ": about half of grade 3 gliomas enhance visibly",
           ("Ktrans", 0.45, "factor")),
    *_rows("grade 2", _OURS + ": most grade 2 gliomas do not enhance", ("Ktrans", 0.10, "factor")),
    *_rows("codeleted", _OURS, ("Ktrans", 1.2, "factor"), ("vessel radius", 1.1, "factor")),
    *_rows("mutant", _THUST, ("ADC", 1.15, "factor")),
    *_rows("codeleted", _THUST, ("ADC", 0.93, "factor")),
    *_rows("grade 3", _OURS, ("ADC", 1.02, "factor")),
    *_rows("grade 2", _OURS, ("ADC", 1.05, "factor")),
    *_rows("T2-FLAIR mismatch", _OURS + ": bright on T2, dark on FLAIR but for the rim",
           ("T1", 1.5, "factor"), ("T2", 1.8, "factor"), ("T2*", 1.3, "factor"),
           ("ADC", 1.12, "factor")),
)

_STRUCTURE = (
    *_rows(REFERENCE, _OURS, ("hypervascular", 0.36, "share of the living"),
           ("nonviable", 0.12, "share of the rest"), ("necrosis", 0.18, "share of the mass"),
           ("volume", 32.0, "mL"), ("oedema", 50.0, "mL"), ("infiltration", 4.0, "mm"),
           ("satellites", 0.9, "mean"), ("patch", 7.0, "mm"),
           ("irregularity", 0.28, "1")),
    *_rows("mutant", _OURS, ("necrosis", 0.6, "odds factor"), ("volume", 1.3, "factor"),
           ("oedema", 0.5, "factor"), ("infiltration", 1.25, "factor"),
           ("satellites", 0.3, "factor"), ("patch", 1.3, "factor"),
           ("irregularity", 0.9, "factor")),
    *_rows("codeleted", _OURS, ("infiltration", 0.9, "factor"), ("patch", 0.85, "factor"),
           ("irregularity", 1.15, "factor")),
    *_rows("grade 3", _OURS, ("necrosis", 0.25, "odds factor"), ("nonviable", 0.6, "odds factor"),
           ("oedema", 0.7, "factor"), ("satellites", 0.6, "factor")),
    *_rows("grade 2", _OURS, ("necrosis", 0.06, "odds factor"), ("nonviable", 0.3, "odds factor"),
           ("oedema", 0.3, "factor"), ("satellites", 0.3, "factor")),
    *_rows(PATIENT, _OURS, ("necrosis", 1.0, "SD of logit"), ("nonviable", 0.5, "SD of logit"),
           ("volume", 0.75, "SD of ln"), ("oedema", 0.8, "SD of ln"),
           ("infiltration", 0.25, "SD of ln"), ("patch", 0.2, "SD of ln"),
           ("irregularity", 0.2, "SD of ln")),
    *_rows("preoperative", _OURS + ": what a head can hold", ("volume least", 1.5, "mL"),
           ("volume most", 120.0, "mL"), ("oedema most", 150.0, "mL"),
           ("satellites most", 4.0, "count")),
)

_BODY = (
    *_rows("male", _OURS, ("weight", 80.0, "kg")),
    *_rows("female", _OURS, ("weight", 67.0, "kg")),
    *_rows("male", _OURS + ", normal range", ("haematocrit", 0.45, "fraction")),
    *_rows("female", _OURS + ", normal range", ("haematocrit", 0.40, "fraction")),
    *_rows(PATIENT, _OURS, ("weight", 0.15, "SD of ln"), ("cardiac output", 0.13, "SD of ln"),
           ("haematocrit", 0.03, "SD"), ("bolus width", 0.12, "SD of ln"),
           ("bolus shape", 0.12, "SD of ln"), ("recirculation", 0.2, "SD of ln"),
           ("recirculation delay", 0.1, "SD of ln"), ("dispersion", 0.5, "SD of ln")),
    *_rows(PATIENT, "set by us so that arrival scatters by 2 to 3 s",
           ("transit", 0.3, "SD of ln")),
    *_rows("weight", _OURS, ("cardiac output", 0.5, "exponent")),
    *_rows("age", "set by us at half of 1 %/y of Brandfonbrener et al., Circulation 1955;12:557",
           ("cardiac output", -0.005, "ln per y")),
    *_rows("age", _OURS + ": the mean of the cohort", ("reference for output", 57.0, "y")),
    *_rows("cardiac output", _OURS + ": slower blood comes later and more spread",
           ("transit", -0.8, "exponent"), ("bolus width", -0.6, "exponent")),
    *_rows("body", "set by us so that brains darken most after 22 to 24 s, as in " + _SNUH,
           ("transit", 0.92, "factor")),
    *_rows("body", _OURS, ("dispersion", 0.5, "s"), ("weight least", 42.0, "kg"),
           ("weight most", 140.0, "kg"), ("haematocrit least", 0.30, "fraction"),
           ("haematocrit most", 0.55, "fraction")),
)

_COURSE = (
    *_rows("course", "set by us near 638 to 430 growing lesions of Fu et al. 2022, PMID 35386567",
           ("progression", 0.41, "share"), ("treatment effect", 0.27, "share")),
    *_rows("course", _OURS, ("pseudo-response", 0.05, "share"), ("onset earliest", -20.0, "d"),
           ("onset latest", 40.0, "d")),
    *_rows("gap", _HABITATS, ("median", 81.0, "d"),
           ("SD below", 21.3, "d"), ("SD above", 20.1, "d"),
           ("least", 28.0, "d")),
    *_rows("lesion", _HABITATS, ("volume", 3.0, "mL"), ("volume SD below", 2.7, "SD of ln"),
           ("volume SD above", 1.2, "SD of ln"), ("volume least", 0.1, "mL"),
           ("volume most", 60.0, "mL"), ("no hypervascular", 0.50, "share"),
           ("hypervascular", 0.016, "share"), ("hypervascular SD", 1.65, "SD of ln"),
           ("hypervascular most", 0.6, "share"), ("nonviable", 0.33, "share of the rest"),
           ("nonviable SD", 1.25, "SD of logit")),
    *_rows("nonviable", _OURS, ("radiation", 0.5, "share"), ("necrosis", 0.2, "share")),
    *_rows("gross total", _OURS, ("cavity", 0.95, "share of the mass")),
    *_rows("subtotal", _OURS, ("cavity", 0.65, "share of the mass")),
    *_rows("biopsy", _OURS, ("cavity", 0.0, "share of the mass")),
    *_rows("cavity", _OURS + ": it collapses", ("kept", 0.5, "share")),
    *_rows("any course", _OURS + " with " + _HABITATS, ("drift", -0.16, "ln per 81 d"),
           ("wandering", 0.20, "SD of ln per 81 d")),
    *_rows("progression", "set by us; 49.6 d untreated, Stensjoen et al., Neuro Oncol 2015;17:1402",
           ("doubling", 60.0, "d"), ("doubling SD", 0.45, "SD of ln")),
    *_rows("progression", _OURS + " with " + _HABITATS,
           ("hypervascular emerges", 0.75, "share"), ("hypervascular lag", 20.0, "d"),
           ("hypervascular seed", 0.04, "share of hypovascular"),
           ("hypervascular rate", 1.5, "factor"), ("lesion most", 90.0, "mL")),
    *_rows("treatment effect", _OURS + ": as much growth as progression shows",
           ("rise", 0.9, "ln of lesion at the peak"), ("rise SD", 0.35, "SD of ln"),
           ("peak", 100.0, "d after onset")),
    *_rows("treatment effect", _OURS + ": leaky, watery tissue, differing between patients",
           ("ADC", 1.05, "factor"), ("Ktrans", 1.5, "factor"), ("CBV SD", 0.35, "SD of ln")),
    *_rows("pseudo-response", _OURS + ": antiangiogenic therapy normalises vessels",
           ("Ktrans", 0.25, "factor"), ("CBV", 0.6, "factor"), ("oedema", 0.5, "factor")),
    *_rows("treated", _OURS + ": the margin was resected and irradiated",
           ("infiltration", 0.5, "factor"), ("satellites most", 1.0, "count")),
    *_rows("oedema", _OURS, ("base", 8.0, "mL"), ("per lesion", 1.5, "mL/mL"),
           ("SD", 0.5, "SD of ln")),
    *_rows("drop-out", _OURS, ("per gap", 0.06, "probability"),
           ("per doubling", 0.06, "probability"),
           ("most", 0.5, "probability")),
)

_OUTCOME = (
    *_rows("wildtype", _UCSF + ", Cox", ("death", 4.39, "hazard ratio")),
    *_rows("age", _UCSF + ", Cox", ("death", 1.031, "hazard ratio per y")),
    *_rows("grade 4", _UCSF + ", Cox", ("death", 1.84, "hazard ratio")),
    *_rows("MGMT methylated", _UCSF + ", medians 560 and 446 d", ("death", 0.77, "hazard ratio")),
    *_rows("grade 2", _OURS, ("death", 0.75, "hazard ratio")),
    *_rows("codeleted", _OURS, ("death", 0.5, "hazard ratio")),
    *_rows("CDKN2A deleted", _SHIRAHATA, ("death", 2.0, "hazard ratio, mutant only")),
    *_rows("KPS", _OURS, ("death", 0.975, "hazard ratio per point")),
    *_rows("subtotal", _UCSF + ", medians 465 and 624 d", ("death", 1.40, "hazard ratio")),
    *_rows("biopsy", "set by us below " + _UCSF + ", medians 239 and 624 d",
           ("death", 2.4, "hazard ratio")),
    *_rows("baseline", "set by us with medians of " + _UCSF, ("death shape", 1.25, "Weibull"),
           ("death scale", 3700.0, "d, mutant, grade 3, gross total")),
    *_rows("baseline", _OURS, ("age", 60.0, "y"), ("KPS", 80.0, "points")),
    *_rows("baseline", "set by us with a median of 6.9 months in Stupp et al., NEJM 2005;352:987",
           ("progression shape", 1.15, "Weibull"),
           ("progression scale", 1150.0, "d at the same covariates"),
           ("covariates on progression", 0.8, "factor on ln hazard")),
    *_rows("hypovascular", _SCORE, ("progression", 1.4265, "hazard ratio per mL"),
           ("cap", 4.0, "mL")),
    *_rows("hypervascular", _SCORE, ("progression", 1.5557, "hazard ratio per mL"),
           ("cap", 2.0, "mL")),
    *_rows("habitats", _OURS, ("death", 0.5, "factor on ln hazard")),
    *_rows("patient", _OURS, ("death with progression", 0.6, "correlation of scores")),
    *_rows("follow-up", _OURS + "; 2nd to 98th of censored at UCSF about 0 to 6 y",
           ("least", 100.0, "d"), ("most", 2200.0, "d"), ("loss", 4000.0, "d, mean")),
    *_rows("first post-treatment scan", _OURS + ": 4 weeks, 6 of therapy, 4 more",
           ("after diagnosis", 98.0, "d")),
)
# fmt: on

EFFECTS: tuple[Effect, ...] = (
    *_PREVALENCE, *_CLINICAL, *_PERFUSION, *_STRUCTURE, *_BODY, *_COURSE, *_OUTCOME,
)  # fmt: skip
"""Every row."""

_INDEX: Mapping[tuple[str, str], float] = MappingProxyType(
    {(row.cause, row.on): row.value for row in EFFECTS}
)


def effect(cause: str, on: str) -> float:
    """Return the value of one row.

    Args:
        cause: such as "mutant", "grade 2", "reference", "patient".
        on: the quantity.

    Raises:
        KeyError: no such row.

    Source:
        The row's own, see `EFFECTS` and docs/explanation/patients.md.

    Example:
        >>> effect("wildtype", "death")
        4.39
    """
    return _INDEX[cause, on]


def combined(on: str, causes: Iterable[str]) -> float:
    """Return the product of the factors of all causes that act on a quantity; 1 if none does.

    Args:
        on: the quantity.
        causes: what applies to the patient.

    Source:
        Multiplicative action is our choice: causes act independently on the logarithm.

    Example:
        >>> combined("CBV", ("mutant", "grade 4")) == effect("mutant", "CBV")
        True
        >>> combined("CBV", ("wildtype", "grade 4"))
        1.0
    """
    product = 1.0
    for cause in causes:
        product *= _INDEX.get((cause, on), 1.0)
    return product


def effects_table(rows: Iterable[Effect] = EFFECTS) -> str:
    """Return rows as a Markdown table, as the documentation prints them.

    Args:
        rows: all by default.

    Example:
        >>> print(effects_table(row for row in EFFECTS if row.cause == "KPS").splitlines()[-1])
        | KPS | death | 0.975 | hazard ratio per point | set by us |
    """
    lines = ["| cause | acts on | value | unit | source |", "|---|---|---|---|---|"]
    lines += [f"| {r.cause} | {r.on} | {r.value:.4g} | {r.unit} | {r.source} |" for r in rows]
    return "\n".join(lines)
