"""What the commands of `bolus habitats` print when they are done."""

from typing import TYPE_CHECKING

from bolus import RESEARCH_USE
from bolus.cli.show import facts

if TYPE_CHECKING:
    from bolus.workflows.habitat_steps import StepsOutcome
    from bolus.workflows.habitats_fit import FitOutcome
    from bolus.workflows.habitats_score import ScoreOutcome


def model(outcome: "FitOutcome", *, as_json: bool) -> None:
    """Print the centres of the habitats, who is in the model, and where it is."""
    from bolus.habitats.clustering import centres_of

    found = outcome.model
    centres = centres_of(found)
    values = {
        "model": str(outcome.path),
        "skipped": outcome.skipped,
        "patients": sorted(found.fitted_on),
        "left_out": dict(outcome.left_out),
        "supported": outcome.supported,
        "centres": {
            name: dict(zip(found.features, centre.tolist(), strict=True))
            for name, centre in zip(found.names, centres, strict=True)
        },
    }
    lines = ["Already complete: same inputs, settings and version.", ""] * outcome.skipped
    lines += [f"{'habitat':<16} {'share':>6}  " + "  ".join(f"{f:>9}" for f in found.features)]
    lines += [
        f"{name:<16} {weight:6.2f}  " + "  ".join(f"{value:9.3g}" for value in centre)
        for name, weight, centre in zip(found.names, found.weights, centres, strict=True)
    ]
    lines += [f"{name:<24} left out: {why}" for name, why in outcome.left_out]
    lines += [
        "",
        f"Patients  {len(found.fitted_on)}{' (simulated)' if found.simulated else ''}",
        f"Supported {outcome.supported or '-'} habitats by resampled patients"
        + ("" if outcome.supported else ": too few to say"),
        RESEARCH_USE,
        f"Model     {outcome.path}",
    ]
    facts(values, lines, as_json=as_json)


def steps(outcome: "StepsOutcome", what: str, *, as_json: bool) -> None:
    """Print one line a visit or patient."""
    values = {
        step.name: {
            "place": str(step.place) if step.place else None,
            "skipped": step.skipped,
            "left_out": step.left_out,
            "error": str(step.error) if step.error else None,
        }
        for step in outcome.steps
    }
    lines = [f"{step.name:<24} {step.words}" for step in outcome.steps]
    lines += ["", f"{len(outcome.done)} of {len(outcome.steps)} {what} done", RESEARCH_USE]
    lines += [
        f"Report  {step.place}"
        for step in outcome.done
        if step.place is not None and step.place.suffix == ".html"
    ]
    facts({what: values}, lines, as_json=as_json)


def score(outcome: "ScoreOutcome", *, as_json: bool) -> None:
    """Print the main numbers of the cohort and where its report is."""
    values = {
        "report": str(outcome.report),
        "skipped": outcome.skipped,
        "patients": outcome.patients,
        "left_out": dict(outcome.left_out),
        "not_done": dict(outcome.not_done),
        "numbers": dict(outcome.numbers),
    }
    lines = ["Already complete: same inputs, settings and version."] * outcome.skipped
    lines += [f"Patients  {outcome.patients}"]
    lines += [f"{name:<24} left out: {why}" for name, why in outcome.left_out]
    lines += [f"Not done  {name}: {why}" for name, why in outcome.not_done]
    lines += [f"{name:<48} {value}" for name, value in outcome.numbers]
    lines += ["", RESEARCH_USE, f"Report    {outcome.report}"]
    facts(values, lines, as_json=as_json)
