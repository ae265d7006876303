"""What a command prints when it is done: short lines, or one JSON object."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bolus import RESEARCH_USE
from bolus.errors import BolusError

if TYPE_CHECKING:
    from bolus.io import Difference, SessionFiles
    from bolus.report import DceFindings, DscFindings
    from bolus.workflows.cohort import CohortOutcome
    from bolus.workflows.cohort_plan import CohortPlan
    from bolus.workflows.curves import CurvesOutcome
    from bolus.workflows.dce_exam import DceOutcome
    from bolus.workflows.demo import DemoOutcome
    from bolus.workflows.doctor import Check
    from bolus.workflows.exam import ExamOutcome
    from bolus.workflows.group import GroupOutcome
    from bolus.workflows.habitats_score import ScoreOutcome
    from bolus.workflows.simulate import SimulationOutcome

_KEYS = ("ncbv", "cbv", "cbf", "mtt")
_DCE_KEYS = ("ktrans", "ve", "vp", "ps", "fp")


def demo(outcome: "DemoOutcome", *, as_json: bool) -> None:
    """Print where the data, maps and reports are, and how near the truth they came."""
    truth: dict[str, dict[str, object]] = {}
    for row in outcome.checks:
        of_key = truth.setdefault(row.quantity, {})
        of_key[row.region] = {"truth": row.truth, "found": row.found, "unit": row.unit}
    facts = {
        "dataset": str(outcome.dataset),
        "maps": str(outcome.maps),
        "reports": {step: str(path) for step, path in outcome.reports.items()},
        "truth": truth,
    }
    lines = [
        f"Simulated patient  {outcome.dataset}",
        f"Maps               {outcome.maps}",
        "",
        "Mean of what was found against the truth of the simulation",
        f"{'quantity':<8} {'region':<30} {'found':>8} {'true':>8}",
    ]
    lines += [
        f"{row.quantity:<8} {row.region:<30} {_short(row.found):>8} {_short(row.truth):>8}   "
        + (f"{'':>8}" if row.error_percent is None else f"{row.error_percent:+6.1f} %")
        + f"   {row.unit}"
        for row in outcome.checks
    ]
    lines += ["", RESEARCH_USE]
    lines += [f"Report of {step.upper()}  {path}" for step, path in outcome.reports.items()]
    _print(facts, lines, as_json=as_json)


def exam(outcome: "ExamOutcome", *, as_json: bool) -> None:
    """Print the main numbers of one exam and where its report is."""
    facts = {"report": str(outcome.report), "skipped": outcome.skipped}
    if outcome.skipped:
        lines = ["Already complete: same inputs, settings and version."]
    else:
        lines = _numbers(outcome.findings)
    _print(facts, [*lines, "", RESEARCH_USE, f"Report  {outcome.report}"], as_json=as_json)


def dce(outcome: "DceOutcome", *, as_json: bool) -> None:
    """Print the main numbers of one DCE exam and where its report is."""
    facts = {"report": str(outcome.report), "skipped": outcome.skipped}
    if outcome.findings is None:
        lines = ["Already complete: same inputs, settings and version."]
    else:
        lines = _numbers(outcome.findings, _DCE_KEYS)
    _print(facts, [*lines, "", RESEARCH_USE, f"Report  {outcome.report}"], as_json=as_json)


def cohort(outcome: "CohortOutcome", out_dir: Path, *, as_json: bool) -> None:
    """Print one line a step of a session."""
    facts = {
        "output": str(out_dir),
        "steps": {
            f"{s.key.prefix}/{s.step}": {
                "report": str(s.report) if s.report else None,
                "skipped": s.skipped,
                "error": str(s.error) if s.error else None,
            }
            for s in outcome.sessions
        },
    }
    lines = [
        f"{s.key.prefix:<24} {s.step} {s.error or ('complete already' if s.skipped else 'done')}"
        for s in outcome.sessions
    ]
    done = len(outcome.sessions) - len(outcome.failed)
    lines += ["", f"{done} of {len(outcome.sessions)} steps in {out_dir}", RESEARCH_USE]
    _print(facts, lines, as_json=as_json)


def cohort_plan(plan: "CohortPlan", *, as_json: bool) -> None:
    """Print what a run would do."""
    facts = {
        "sessions": [item.key.prefix for item in plan.sessions],
        "executor": plan.executor.kind,
        "workers": plan.memory.workers,
        "need_bytes": plan.memory.need_bytes,
        "available_bytes": plan.memory.available_bytes,
        "job_script": plan.script or None,
    }
    lines = [
        *(
            f"{item.key.prefix:<24} {' '.join(n for n, p in _parts(item) if p is not None)}"
            for item in plan.sessions
        ),
        "",
        f"Sessions  {len(plan.sessions)}",
        f"Executor  {plan.executor.kind}, {plan.memory.words}",
    ]
    if plan.script:
        lines += ["", "Job script of each worker:", "", plan.script.rstrip()]
    _print(facts, [*lines, "", "Nothing was started or written."], as_json=as_json)


def group(
    outcome: "GroupOutcome", habitats: "ScoreOutcome | BolusError | None", *, as_json: bool
) -> None:
    """Print where the group report is, what it counts, and where that of habitats is."""
    facts: dict[str, object] = {
        "report": str(outcome.report),
        "sessions": outcome.sessions,
        "failed": outcome.failed,
        "outliers": outcome.outliers,
    }
    lines = [
        f"Sessions  {outcome.sessions} ({outcome.failed} with a step that failed)",
        f"Outliers  {outcome.outliers}",
        RESEARCH_USE,
        f"Report    {outcome.report}",
    ]
    if isinstance(habitats, BolusError):
        facts["habitats"] = {"report": None, "error": str(habitats)}
        lines.append(f"Habitats  {habitats}")
    elif habitats is not None:
        facts["habitats"] = {"report": str(habitats.report), "patients": habitats.patients}
        lines.append(f"Habitats  {habitats.report}")
    _print(facts, lines, as_json=as_json)


def _parts(item: "SessionFiles") -> "tuple[tuple[str, Path | None], ...]":
    return (("dsc", item.series), ("dce", item.dce))


def curves(outcome: "CurvesOutcome", *, as_json: bool) -> None:
    """Print what the series looks like and where its curves are."""
    facts = {
        "curves": str(outcome.table),
        "report": str(outcome.report),
        "kind": outcome.kind,
        "brain_ml": outcome.brain_ml,
        "largest_displacement_mm": outcome.largest_displacement_mm,
    }
    lines = [
        f"Series   {outcome.kind}",
        f"Brain    {outcome.brain_ml:.0f} mL",
        f"Motion   {outcome.motion_text}",
        f"Curves   {outcome.table}",
        f"Report   {outcome.report}",
        RESEARCH_USE,
    ]
    _print(facts, lines, as_json=as_json)


def simulation(outcome: "SimulationOutcome", *, as_json: bool) -> None:
    """Print how many sessions were simulated, and where they and their truth are."""
    there = sum(outcome.skipped.values())
    facts = {
        "dataset": str(outcome.dataset),
        "truth": str(outcome.truth),
        "patients": outcome.patients,
        "sessions": len(outcome.skipped),
        "simulated": len(outcome.skipped) - there,
        "skipped": there,
    }
    lines = [
        f"Patients  {outcome.patients}",
        f"Sessions  {len(outcome.skipped)}" + (f" ({there} complete already)" if there else ""),
        f"Dataset   {outcome.dataset}",
        f"Truth     {outcome.truth}",
        RESEARCH_USE,
    ]
    _print(facts, lines, as_json=as_json)


def differences(folder: Path, found: Sequence["Difference"], *, as_json: bool) -> None:
    """Print every file that is not as its receipt says."""
    facts = {
        "folder": str(folder),
        "complete": not found,
        "differences": [{"kind": d.kind, "name": d.name} for d in found],
    }
    lines = [f"{d.kind:<8} {d.name}" for d in found] or [f"Complete and unchanged: {folder}"]
    _print(facts, lines, as_json=as_json)


def checks(found: Sequence["Check"], *, as_json: bool) -> None:
    """Print one line a check, with the mend where one is needed."""
    facts = {c.name: {"well": c.well, "found": c.found, "mend": c.mend} for c in found}
    lines = [
        f"{'ok  ' if c.well else 'LOOK'} {c.name:<16} {c.found}"
        + ("" if c.well else f" - {c.mend}")
        for c in found
    ]
    _print(facts, lines, as_json=as_json)


def _numbers(
    findings: "DscFindings | DceFindings | None", keys: Sequence[str] = _KEYS
) -> list[str]:
    """Return the region table a reader wants first."""
    if findings is None:
        return []
    rows = [row for row in findings.regions if row.key in keys]
    if not rows:
        return []
    lines = ["", f"{'region':<34} {'quantity':<8} {'mean':>8}   95 % interval"]
    lines += [
        f"{row.region:<34} {row.key:<8} {_short(row.mean):>8}   "
        f"{_short(row.low95)} to {_short(row.high95)} {row.unit}"
        for row in rows
    ]
    return lines


def _short(value: float) -> str:
    """Return three decimals below 1, two above: a Ktrans of 0.05 has more than one digit."""
    return f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"


def _print(facts: Mapping[str, object], lines: Sequence[str], *, as_json: bool) -> None:
    typer.echo(json.dumps(facts, default=str) if as_json else "\n".join(lines).strip())


def facts(values: Mapping[str, object], lines: Sequence[str], *, as_json: bool) -> None:
    """Print what a command found: its lines, or one JSON object."""
    _print(values, lines, as_json=as_json)
