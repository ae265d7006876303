"""The strip on top of the page: five things to know before the numbers are believed.

Limits here ask a reader to look; they never stop a run, change a number or name a disease.
"""

from dataclasses import dataclass

import numpy as np

from bolus.core import Grid, PerfusionSeries, TimeAxis
from bolus.report.exam import Exam
from bolus.report.findings import Bolus, DscFindings, Motion, largest
from bolus.report.protocol import ProtocolItem, Verdict
from bolus.report.wording import number, plural, symbol, thousands

_AIF_SCORE = 0.5
_CONTRAST_TO_NOISE = 10.0
_LOST_PERCENT = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """One tile: what it is about, whether to look, the finding in words, and a reason."""

    name: str
    look: bool
    finding: str
    detail: str = ""
    judged: bool = True
    """False for a mere fact: then there is no verdict."""

    @property
    def word(self) -> str:
        """The verdict as a word, for readers who do not see colours; "" for a mere fact."""
        if not (self.judged or self.look):
            return ""
        return "Look" if self.look else "OK"


def at_a_glance(findings: DscFindings, protocol: tuple[ProtocolItem, ...]) -> tuple[Glance, ...]:
    """Return the tiles of the strip, in the order of the exam."""
    return (
        protocol_tile(protocol, "meet the consensus"),
        bolus_tile(findings.bolus, findings.signal.time),
        _artery(findings),
        motion_tile(findings.motion, findings.motion_skipped, findings.signal, findings.bolus),
        _voxels(findings),
    )


def main_map(findings: DscFindings) -> str:
    """Return the key of the volume map that counts as the main result, or ""."""
    return next((key for key in ("ncbv", "cbv", "srcbv") if key in findings.maps), "")


def protocol_tile(items: tuple[ProtocolItem, ...], words: str) -> Glance:
    """Tell how many items of the protocol are as recommended; `words` says by whom."""
    differs = [_inside_a_line(item.name) for item in items if item.verdict is Verdict.DIFFERS]
    silent = sum(item.verdict is Verdict.NOT_STATED for item in items)
    meets = sum(item.verdict is Verdict.MEETS for item in items)
    detail = f"differs: {', '.join(differs)}" if differs else ""
    if silent:
        detail += f"{'; ' if detail else ''}{silent} not stated"
    return Glance(
        name="Protocol",
        look=bool(differs) or meets < silent,
        finding=f"{meets} of {len(items)} items {words}",
        detail=detail,
    )


def _inside_a_line(name: str) -> str:
    """Return a name as it stands within a sentence: T1 stays T1."""
    return name[:1].lower() + name[1:] if name[1:2].islower() else name


def bolus_tile(bolus: Bolus, time: TimeAxis) -> Glance:
    """Tell when the bolus comes and how well it stands out."""
    ratio = float(bolus.contrast_to_noise)
    return Glance(
        name="Bolus",
        look=not ratio >= _CONTRAST_TO_NOISE,
        finding=f"arrives at {number(float(time.seconds[bolus.arrival]), 0)} s, "
        f"contrast-to-noise {number(ratio, 0)}",
        detail=f"{bolus.baseline.stop - (bolus.baseline.start or 0)} baseline frames",
    )


def _artery(findings: DscFindings) -> Glance:
    aif = findings.aif
    judged = bool(np.isfinite(aif.score))
    score = f"score {number(aif.score, 2)} of 1" if judged else "not scored"
    count = plural(len(aif.voxels), "voxel") if len(aif.voxels) else "a given curve"
    return Glance(
        name="Arterial input",
        look=not judged or aif.score < _AIF_SCORE,
        finding=f"{score}, {count}",
        detail=f"found: {aif.method}",
    )


def motion_tile(
    motion: Motion | None, skipped: str, series: PerfusionSeries, bolus: Bolus | None
) -> Glance:
    """Tell how far the head moved, and whether that is more than a voxel."""
    if motion is None:
        reason = skipped or "no reason given"
        return Glance(name="Motion", look=True, finding="not corrected", detail=reason)
    moved = np.asarray(motion.displacement_mm)
    furthest = largest(moved)
    during = largest(moved[bolus.arrival : bolus.first_pass_end]) if bolus else float("nan")
    known = np.isfinite(furthest)
    return Glance(
        name="Motion",
        look=not furthest <= _smallest_side_mm(series.grid),
        finding=f"corrected, at most {number(furthest, 1)} mm" if known else "not known",
        detail=f"{number(during, 1)} mm during the first pass" if np.isfinite(during) else "",
    )


def _smallest_side_mm(grid: Grid) -> float:
    """Smallest side of a voxel along which there are neighbours: not across a slice."""
    sides = [s for s, n in zip(grid.voxel_sizes_mm, grid.shape, strict=True) if n > 1]
    return min(sides, default=min(grid.voxel_sizes_mm))


def _voxels(findings: DscFindings) -> Glance:
    key = main_map(findings)
    if not key:
        return Glance(name="Voxels", look=True, finding="no blood volume map")
    lost, total = findings.lost_voxels(key)
    percent = 100 * lost / total if total else float("nan")
    odd = {k: implausible_percent(findings, k) for k in ("cbv", "cbf", "mtt") if k in findings.maps}
    worst = max(odd, key=lambda k: odd[k], default="")
    strange = bool(worst) and odd[worst] > _LOST_PERCENT
    return Glance(
        name="Voxels",
        look=not percent <= _LOST_PERCENT or strange,
        finding=f"{thousands(lost)} of {thousands(total)} ({number(percent, 1)} %) without answer",
        detail=f"{number(odd[worst], 0)} % of {symbol(worst)} implausible" if strange else "",
    )


def implausible_percent(findings: Exam, key: str) -> float:
    """Return the share of brain voxels whose answer lies outside the range of tissue [%]."""
    item = findings.maps[key]
    values = item.values[findings.brain.values & np.isfinite(item.values)]
    return 100 * float(np.mean(~item.quantity.is_plausible(values))) if values.size else 0.0
