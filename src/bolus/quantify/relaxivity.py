"""How strongly each agent acts on relaxation: one table, from two measurements, and no default."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from bolus.errors import Code, MetadataError

Medium = Literal["plasma", "blood"]

_FIELD_TOLERANCE_T = 0.15
"""Scanners sold as 3 T have 2.89 to 3 T; relaxivities change by under 1 % over that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxivity:
    """The longitudinal relaxivity [1/s per mM] of one agent at one field at 37 degrees Celsius."""

    agent: str
    field_strength_t: float
    medium: Medium
    r1_per_mmolar_s: float
    source: str


_ROHRER = "10.1097/01.rli.0000184756.66360.d3"
_SHEN = "10.1097/RLI.0000000000000132"

_PLASMA: Mapping[str, Mapping[float, float]] = MappingProxyType(
    {
        "gadopentetate": {1.5: 4.1, 3.0: 3.7},
        "gadobutrol": {1.5: 5.2, 3.0: 5.0},
        "gadoteridol": {1.5: 4.1, 3.0: 3.7},
        "gadobenate": {1.5: 6.3, 3.0: 5.5},
        "gadoterate": {1.5: 3.6, 3.0: 3.5},
        "gadoversetamide": {1.5: 4.7, 3.0: 4.5},
        "gadodiamide": {1.5: 4.3, 3.0: 4.0},
    }
)
"""r1 in plasma at 37 °C: Rohrer 2005."""

_BLOOD: Mapping[str, Mapping[float, float]] = MappingProxyType(
    {
        "gadoterate": {1.5: 3.9, 3.0: 3.4, 7.0: 2.8},
        "gadobutrol": {1.5: 4.6, 3.0: 4.5, 7.0: 4.2},
        "gadopentetate": {1.5: 4.3, 3.0: 3.8, 7.0: 3.1},
        "gadobenate": {1.5: 6.2, 3.0: 5.4, 7.0: 4.7},
        "gadodiamide": {1.5: 4.5, 3.0: 3.9, 7.0: 3.7},
        "gadoversetamide": {1.5: 4.4, 3.0: 4.2, 7.0: 4.3},
        "gadoxetate": {1.5: 7.2, 3.0: 5.5, 7.0: 4.9},
        "gadoteridol": {1.5: 4.4, 3.0: 3.5, 7.0: 3.4},
    }
)
"""r1 in human whole blood at 37 °C: Shen 2015."""

_OTHER_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "magnevist": "gadopentetate",
        "gd-dtpa": "gadopentetate",
        "gadovist": "gadobutrol",
        "gadavist": "gadobutrol",
        "gd-do3a-butrol": "gadobutrol",
        "prohance": "gadoteridol",
        "gd-hp-do3a": "gadoteridol",
        "multihance": "gadobenate",
        "gd-bopta": "gadobenate",
        "dotarem": "gadoterate",
        "clariscan": "gadoterate",
        "gd-dota": "gadoterate",
        "optimark": "gadoversetamide",
        "gd-dtpa-bmea": "gadoversetamide",
        "omniscan": "gadodiamide",
        "gd-dtpa-bma": "gadodiamide",
        "primovist": "gadoxetate",
        "eovist": "gadoxetate",
        "gd-eob-dtpa": "gadoxetate",
    }
)


def relaxivity_of(agent: str, *, field_strength_t: float, medium: Medium) -> Relaxivity:
    """Return the relaxivity r1 of an agent at a field.

    Args:
        agent: generic name (a salt may follow: "gadoterate meglumine"), trade name or chelate;
            case does not matter.
        field_strength_t: of the scanner.
        medium: "plasma" (Rohrer) or "blood" (Shen). Models of tissue use plasma.

    Raises:
        MetadataError: the agent or the field is not in the table; there is no default.

    Assumes:
        Body temperature, and that tissue acts as plasma does. Other measurements differ by up to a
        fifth (gadoterate in plasma at 3 T: 3.5 here, 3.00 in Szomolanyi et al., Invest Radiol
        2019;54:559-564), and every concentration, Ktrans and vp with them unless the arterial curve
        is measured with the same number.

    Source:
        Rohrer et al., Invest Radiol 2005;40:715-724 (plasma). Shen et al., Invest Radiol
        2015;50:330-338 (whole blood).

    Example:
        >>> from bolus.quantify.relaxivity import relaxivity_of
        >>> relaxivity_of("Dotarem", field_strength_t=2.89, medium="plasma").r1_per_mmolar_s
        3.5
    """
    word = (agent.lower().split() or [""])[0]
    name = _OTHER_NAMES.get(word, word)
    tables = _PLASMA if medium == "plasma" else _BLOOD
    if name not in tables:
        raise MetadataError(
            Code.METADATA_IMPLAUSIBLE,
            f"no relaxivity in {medium} is known for {agent!r}; known are "
            f"{', '.join(sorted(tables))}",
            mend="write the generic name, or state the relaxivity [1/s per mM] yourself",
        )
    table = tables[name]
    field = min(table, key=lambda known: abs(known - field_strength_t))
    if not abs(field - field_strength_t) <= _FIELD_TOLERANCE_T:
        raise MetadataError(
            Code.METADATA_IMPLAUSIBLE,
            f"no relaxivity of {name} in {medium} is known at {field_strength_t:g} T; known at "
            f"{', '.join(f'{known:g}' for known in table)} T",
            mend="state the relaxivity [1/s per mM] at this field yourself",
        )
    return Relaxivity(
        agent=name,
        field_strength_t=field,
        medium=medium,
        r1_per_mmolar_s=table[field],
        source=_ROHRER if medium == "plasma" else _SHEN,
    )
