"""Contrast agent, dose and injection as DICOM tells them: known names and numbers, no free text."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

_AGENTS: Mapping[str, tuple[str, float]] = MappingProxyType(
    {
        r"gadobutrol|gadovist|gadavist": ("gadobutrol", 1.0),
        r"gadoter(ate|ic)|dotarem|clariscan|dota\b": ("gadoterate", 0.5),
        r"gadobenate|multihance": ("gadobenate", 0.5),
        r"gadopentetate|magnevist|dtpa\b": ("gadopentetate", 0.5),
        r"gadoteridol|prohance": ("gadoteridol", 0.5),
        r"gadodiamide|omniscan": ("gadodiamide", 0.5),
        r"gadoversetamide|optimark": ("gadoversetamide", 0.5),
        r"gadoxet(ate|ic)|primovist|eovist": ("gadoxetate", 0.25),
        r"gadopiclenol|elucirem|vueway": ("gadopiclenol", 0.5),
        r"ferumoxytol|feraheme|rienso": ("ferumoxytol", 0.54),
    }
)
"""What the tag may hold -> generic name, and mol/L of the solution as it is sold (its label)."""


def known_agent(text: str) -> str | None:
    """Return the generic name of the agent a free text names, or `None`.

    Example:
        >>> from bolus.io.dicom_contrast import known_agent
        >>> known_agent("7.5 ml GADOVIST i.v.")
        'gadobutrol'
    """
    found = _agent(text)
    return found[0] if found else None


def _agent(text: str) -> tuple[str, float] | None:
    hits = {agent for pattern, agent in _AGENTS.items() if re.search(pattern, text.lower())}
    return hits.pop() if len(hits) == 1 else None


def contrast_settings(about: Mapping[str, Any]) -> tuple[dict[str, float | str], list[str]]:
    """Return fields of `Acquisition` that the header tells, and notes.

    The dose is the undiluted volume times the agent's molarity over the weight; it is stated only
    if all three are known.

    Args:
        about: of a `DicomFile`.
    """
    found: dict[str, float | str] = {}
    notes = []
    agent = _agent(about["agent"])
    if agent is not None:
        found["contrast_agent"] = agent[0]
    elif about["agent"]:
        notes.append("a contrast agent is named in words that are not known; state it")
    volume, weight = about["dose_ml"] or about["volume_ml"], about["weight_kg"]
    if agent is not None and volume and weight:
        dose = volume * agent[1] / weight
        if 0.005 <= dose <= 0.4:
            found["contrast_dose_mmol_per_kg"] = round(dose, 4)
        else:
            notes.append(f"the dose computes to {dose:.3g} mmol/kg, which cannot be; state it")
    flow = about["flow_ml_per_s"]
    if flow and 0.1 <= flow <= 12:
        found["injection_rate_ml_per_s"] = flow
    return found, notes
