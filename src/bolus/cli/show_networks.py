"""What commands of networks, and of what is done to series, print when they are done."""

from typing import TYPE_CHECKING

from bolus import RESEARCH_USE
from bolus.cli.show import facts

if TYPE_CHECKING:
    from bolus.workflows.enhance import EnhanceOutcome, EnhanceRequest
    from bolus.workflows.evaluate import EvaluateOutcome
    from bolus.workflows.predict import PredictOutcome
    from bolus.workflows.train import TrainOutcome

_SIMULATED_PATIENTS = "Simulated patients: what this is worth in patients is not known."
_SIMULATED = "Trained on simulated curves: what it is worth in patients is not known."


def training(outcome: "TrainOutcome", *, as_json: bool) -> None:
    """Print what was measured, and where weights and report are."""
    card = outcome.card
    values = {
        "weights": str(outcome.weights),
        "report": str(outcome.report),
        "skipped": outcome.skipped,
        "simulated": card.simulated,
        "measured": dict(card.measured),
    }
    lines = ["Already complete: same inputs, settings and version."] * outcome.skipped
    lines += [f"{name:<32} {value:.4g}" for name, value in sorted(card.measured.items())]
    lines += ["", *([_SIMULATED] * card.simulated), RESEARCH_USE]
    lines += [f"Weights  {outcome.weights}", f"Report   {outcome.report}"]
    facts(values, lines, as_json=as_json)


def evaluation(outcome: "EvaluateOutcome", *, simulated: bool, as_json: bool) -> None:
    """Print the area of every predictor on the test part, and where the page is."""
    found = outcome.judgement
    rows = [] if found is None else [(row.name, row.test.auc) for row in found.rows]
    values = {
        "report": str(outcome.report),
        "skipped": found is None,
        "auc": {name: {"value": a.value, "low": a.low, "high": a.high} for name, a in rows},
    }
    lines = ["Already complete: same inputs, settings and version."] * (found is None)
    lines += [f"{name:<28} AUC {a.value:.3f} ({a.low:.3f} to {a.high:.3f})" for name, a in rows]
    lines += ["", *([_SIMULATED_PATIENTS] * simulated), RESEARCH_USE, f"Report  {outcome.report}"]
    facts(values, lines, as_json=as_json)


def prediction(outcome: "PredictOutcome", *, as_json: bool) -> None:
    """Print the number, its interval, and whether the session is like those of the training."""
    found = outcome.facts
    values = {"report": str(outcome.report), "skipped": outcome.skipped, **found}
    probability, lower, upper = (float(str(found[k])) for k in ("probability", "lower", "upper"))
    unlike = "Unlike those of the training: do not use the number."
    lines = ["Already complete: same inputs, settings and version."] * outcome.skipped
    lines += [
        f"P({found['positive']})  {probability:.2f}  ({lower:.2f} to {upper:.2f})",
        unlike if found["is_unlike"] else "Like those of the training.",
        "",
        "No diagnosis: genotype is read from tissue.",
        *([_SIMULATED] * bool(found["trained_on_simulated_curves"])),
        RESEARCH_USE,
        f"Report  {outcome.report}",
    ]
    facts(values, lines, as_json=as_json)


def enhancement(request: "EnhanceRequest", outcome: "EnhanceOutcome", *, as_json: bool) -> None:
    """Print what changed, and where the series and the page are."""
    from bolus.workflows.enhance import enhanced_name

    found = outcome.findings
    image = request.output / f"{enhanced_name(request)}.nii.gz"
    values: dict[str, object] = {
        "series": str(image),
        "report": str(outcome.report),
        "skipped": outcome.skipped,
    }
    lines = ["Already complete: same inputs, settings and version."] * outcome.skipped
    if found is not None:
        before, after = found.change.tsnr
        values |= {"tsnr_before": before, "tsnr_after": after}
        lines.append(f"tSNR before the bolus  {before:.0f} -> {after:.0f}")
        if found.change.shape is not None:
            values["vessel_height_change"] = found.change.shape.peak
            lines.append(f"Height of vessels      {100 * found.change.shape.peak:+.1f} %")
    lines += ["", RESEARCH_USE, f"Series  {image}", f"Report  {outcome.report}"]
    facts(values, lines, as_json=as_json)
