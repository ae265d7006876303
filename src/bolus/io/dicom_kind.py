"""What a DICOM series is, judged by its physics first and its name second, with the reason."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

KINDS = ("dsc", "dce", "vfa", "T1w", "T1ce", "T2w", "FLAIR", "dwi", "skip")
MANY = 6
"""Fewer volumes than this are no perfusion series."""
_COMPUTED = re.compile(
    r"\b(rapid|mip|mpr|minip|cbv|cbf|mtt|ttp|tmax|adc|fa map|trace|colou?r|subtract\w*|"
    r"ktrans|pbp|gbp|perf_?map|moco)\b|projection"
)
_LOCALISER = re.compile(r"\b(loc|localis\w*|localiz\w*|scout|survey|plan)\b|localizer")
_DIFFUSION = re.compile(r"\b(dwi|dti|diff\w*|dki|hardi)\b")
_RESTING = re.compile(r"\b(bold|rest\w*|fmri|task|asl|pcasl|pasl)\b")
_AFTER_CONTRAST = re.compile(r"\b(gd|gad|post|ce|km|contrast|c\+)\b|\+c\b|gado|t1ce|t1gd")


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesFacts:
    """What classification looks at. Times in ms, angles in degrees, as the header has them.

    `words` are coded terms of image type and sequence in upper case; `described` is free text in
    lower case that goes nowhere else.
    """

    volumes: int
    slices: int
    orientations: int
    echoes_ms: Sequence[float]
    repetition_ms: float | None
    flips_deg: Sequence[float]
    inversion_ms: float | None
    b_values: int
    words: frozenset[str]
    described: str
    dimensions: str
    agent: bool
    colour: bool


def classify(facts: SeriesFacts) -> tuple[str, str]:
    """Return the kind of a series, and why.

    "spgr" is a short-echo spoiled gradient echo of one volume; whether it is one flip angle of
    several or a T1-weighted image, only its neighbours tell.

    Args:
        facts: of the series.
    """
    text = facts.described.replace("_", " ").replace("-", " ")
    set_aside = _set_aside(facts, text)
    if set_aside:
        return "skip", set_aside
    if facts.b_values > 1 or "DIFFUSION" in facts.words or _DIFFUSION.search(text):
        return "dwi", f"{facts.b_values or 'unknown'} b-values"
    if facts.volumes >= MANY:
        return _dynamic(facts, text)
    if facts.volumes > 1:
        return "skip", f"{facts.volumes} volumes: too few for a perfusion series"
    return _single(facts, text)


def _set_aside(facts: SeriesFacts, text: str) -> str:
    """Return why a series is no scan to quantify, or an empty text."""
    if facts.colour:
        return "colour picture"
    turned = facts.orientations > 1 and facts.volumes < MANY
    if "LOCALIZER" in facts.words or turned or _LOCALISER.search(text):
        return "localiser"
    if "DERIVED" in facts.words or _COMPUTED.search(text) or "PROJECTION IMAGE" in facts.words:
        return "computed from other images"
    return "" if facts.echoes_ms else "no echo time"


def _dynamic(facts: SeriesFacts, text: str) -> tuple[str, str]:
    """Judge a series of many volumes."""
    echo = max(facts.echoes_ms)
    seen = f"{facts.volumes} volumes, echo time {echo:g} ms"
    if _RESTING.search(text):
        return "skip", f"{seen}, named like functional or labelled-blood imaging"
    if echo > 10 and facts.words & {"EP", "GR"} and "SE" not in facts.words:
        return "dsc", f"{seen}, {'echo-planar' if 'EP' in facts.words else 'gradient echo'}"
    if echo > 10 and re.search(r"dsc|perf|pwi|dynamic", text):
        return "dsc", f"{seen}, named like perfusion"
    if echo <= 10 and "SE" not in facts.words:
        return "dce", f"{seen}, short-echo gradient echo"
    return "skip", f"{seen}: neither DSC nor DCE by its physics"


def _single(facts: SeriesFacts, text: str) -> tuple[str, str]:
    """Judge a series of one volume."""
    echo, repetition = facts.echoes_ms[0], facts.repetition_ms or 0.0
    inverted = facts.inversion_ms is not None
    seen = f"echo time {echo:g} ms"
    gradient = "GR" in facts.words and "SE" not in facts.words
    if echo > 60 and "EP" not in facts.words:
        if inverted and (facts.inversion_ms or 0) > 1400:
            return "FLAIR", f"{seen}, inversion time {facts.inversion_ms:g} ms"
        return "T2w", seen
    if facts.slices >= 3 and "EP" not in facts.words:
        if gradient and echo < 10 and repetition < 30 and not inverted:
            return "spgr", seen
        if echo <= 25 and (inverted or repetition < 3500):
            return _contrast_kind(facts, text, seen)
    return "skip", (
        f"one volume of {facts.slices} slices, {seen}, repetition time {repetition:g} ms: "
        "not recognised"
    )


def _contrast_kind(facts: SeriesFacts, text: str, seen: str) -> tuple[str, str]:
    """Tell T1-weighted images before from those after contrast agent."""
    if facts.agent or _AFTER_CONTRAST.search(text):
        return "T1ce", f"{seen}, after contrast agent"
    return "T1w", seen
