"""Codes of quantities, units, regions and statistics: the words that other programs understand."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from bolus.core import Quantity
from bolus.errors import Code as ErrorCode
from bolus.errors import QuantityError

if TYPE_CHECKING:
    from pydicom.sr.coding import Code

OWN_SCHEME = "99BOLUS"
"""Designator of the codes that only bolus defines; 99 marks it as private."""

_UNITS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "a.u.": ("[arb'U]", "arbitrary unit"),
        "1/s": ("/s", "per second"),
        "s": ("s", "second"),
        "mM": ("mmol/L", "millimole per liter"),
        "mL/100mL": ("ml/(100.ml)", "milliliter per 100 milliliter"),
        "mL/min/100mL": ("ml/min/(100.ml)", "milliliter per minute per 100 milliliter"),
        "ratio": ("{ratio}", "ratio"),
        "1": ("1", "no units"),
        "1/min": ("/min", "per minute"),
        "mM s": ("mmol.s/L", "millimole second per liter"),
        "%": ("%", "percent"),
        "mm2/s": ("mm2/s", "square millimeter per second"),
        "mL": ("ml", "milliliter"),
    }
)

_STANDARD: Mapping[str, str] = MappingProxyType(
    {
        "126377": "Tracer Concentration",
        "126391": "Absolute Regional Blood Volume",
        "126398": "Relative Regional Blood Volume",
        "126390": "Absolute Regional Blood Flow",
        "113052": "Mean Transit Time",
        "113084": "Tmax",
        "113069": "Time To Peak",
        "126371": "Bolus Arrival Time",
        "126312": "Ktrans",
        "126313": "kep",
        "126314": "ve",
        "126331": "vp",
        "126321": "IAUC60",
        "113041": "Apparent Diffusion Coefficient",
    }
)

_SHAPE = ("49755003", "SCT", "Morphologically Abnormal Structure")
_ANATOMY = ("91723000", "SCT", "Anatomical Structure")
_CONCEPT = ("309825002", "SCT", "Spatial and Relational Concept")
_REGIONS: Mapping[str, tuple[tuple[str, str, str], tuple[str, str, str]]] = MappingProxyType(
    {
        "brain": (_ANATOMY, ("12738006", "SCT", "Brain")),
        "whitematter": (_ANATOMY, ("68523003", "SCT", "Cerebral White Matter")),
        "normal-appearing white matter": (_ANATOMY, ("68523003", "SCT", "Cerebral White Matter")),
        "leakagereference": (_CONCEPT, ("C94970", "NCIt", "Reference Region")),
        "whole tumour": (_SHAPE, ("108369006", "SCT", "Neoplasm")),
        "tumour": (_SHAPE, ("108369006", "SCT", "Neoplasm")),
        "necrosis": (_SHAPE, ("6574001", "SCT", "Necrosis")),
        "oedema": (_SHAPE, ("79654002", "SCT", "Edema")),
        "edema": (_SHAPE, ("79654002", "SCT", "Edema")),
        "enhancing": (_SHAPE, ("C113842", "NCIt", "Enhancing Lesion")),
        "enhancing tumour": (_SHAPE, ("C113842", "NCIt", "Enhancing Lesion")),
    }
)

_STATISTICS: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "mean": ("373098007", "SCT", "Mean"),
        "median": ("373099004", "SCT", "Median"),
        "mean_std": ("mean_std", OWN_SCHEME, "Standard error of the mean"),
        "low95": ("low95", OWN_SCHEME, "Lower end of the 95 % interval of the mean"),
        "high95": ("high95", OWN_SCHEME, "Upper end of the 95 % interval of the mean"),
        "p05": ("p05", OWN_SCHEME, "5th percentile over the voxels"),
        "p95": ("p95", OWN_SCHEME, "95th percentile over the voxels"),
    }
)
STATISTICS = tuple(_STATISTICS)


def unit_code(unit: str) -> "Code":
    """Return the UCUM code of a unit of the registry.

    Raises:
        QuantityError: the unit has none here.

    Example:
        >>> unit_code("mL/min/100mL").value
        'ml/min/(100.ml)'
    """
    if unit not in _UNITS:
        raise QuantityError(
            ErrorCode.QUANTITY_WRONG,
            f"the unit {unit!r} has no UCUM code here",
            mend="give numbers in a unit of the quantity registry",
        )
    value, meaning = _UNITS[unit]
    return _code(value, "UCUM", meaning)


def quantity_code(quantity: Quantity) -> "Code":
    """Return the DICOM concept of a quantity, or the private one where DICOM has none.

    Example:
        >>> from bolus.core import QUANTITIES
        >>> quantity_code(QUANTITIES["cbf"]).meaning, quantity_code(QUANTITIES["psr"]).value
        ('Absolute Regional Blood Flow', 'psr')
    """
    if quantity.dicom:
        return _code(quantity.dicom, "DCM", _STANDARD[quantity.dicom])
    return own_code(quantity)


def own_code(quantity: Quantity) -> "Code":
    """Return the private code, which tells apart what shares one DICOM concept."""
    return _code(quantity.key, OWN_SCHEME, quantity.name)


def region_codes(name: str) -> tuple["Code", "Code"]:
    """Return category and type of a segment; names without a standard code get a private one."""
    if name in _REGIONS:
        category, kind = _REGIONS[name]
        return _code(*category), _code(*kind)
    value = "".join(c if c.isalnum() else "_" for c in name)[:16] or "region"
    return _code(*_CONCEPT), _code(value, OWN_SCHEME, name)


def statistic_code(name: str) -> "Code":
    """Return the code of one of `STATISTICS`."""
    return _code(*_STATISTICS[name])


def family_code() -> "Code":
    """Return the family of the algorithms of bolus, for which DICOM has no code."""
    return _code("perfusion", OWN_SCHEME, "Analysis of a perfusion series")


def _code(value: str, scheme: str, meaning: str) -> "Code":
    from pydicom.sr.coding import Code

    return Code(value, scheme, meaning[:64])
