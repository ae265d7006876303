"""All pictures of the two habitat reports, in one place."""

from collections.abc import Sequence

from bolus.habitats.analyses import HazardRow, RecurrenceAnalysis, SurvivalAnalysis
from bolus.report import figures_habitats, figures_habitats_change
from bolus.report import figures_habitats_cohort as plots
from bolus.report.figures_habitats_cohort import ForestRow
from bolus.report.habitats_findings import HabitatCohortFindings, HabitatPatientFindings
from bolus.report.habitats_patients_table import covariate_name


def draw_patient(findings: HabitatPatientFindings) -> dict[str, object]:
    """Return every picture of a patient's page under the name that the template knows."""
    return {
        "where": figures_habitats.where_row(findings),
        "timelines": figures_habitats.timelines(findings),
        "legend": figures_habitats.habitat_legend(findings),
        "volumes": figures_habitats_change.volume_chart(findings),
        "diagram": figures_habitats_change.transition_diagram(findings),
        "model": figures_habitats_change.model_plane(findings.model),
    }


def draw_cohort(findings: HabitatCohortFindings) -> dict[str, object]:
    """Return every picture of a cohort's page; None for an analysis that was not done."""
    survival, recurrence = findings.survival, findings.recurrence
    return {
        "survival": None if survival is None else _survival(survival),
        "recurrence": None if recurrence is None else _recurrence(recurrence),
    }


def _survival(found: SurvivalAnalysis) -> dict[str, object]:
    control = found.permuted
    within = f"{found.outcome} within {found.horizon_days:.0f} days"
    return {
        "curves": plots.kaplan_meier_plot(found.strata, outcome=found.outcome)
        if found.strata
        else None,
        "forest": plots.forest_plot(forest_rows(found)),
        "time_auc": plots.time_auc_plot(found.time_auc),
        "calibration": plots.calibration_plot(found.calibration, what=within),
        "decision": plots.decision_plot(found.decision),
        "control": plots.control_plot(
            {row.name: row.harrell for row in found.concordance[:1]}, control, measure="C"
        )
        if control is not None and control.runs
        else None,
    }


def forest_rows(found: SurvivalAnalysis) -> tuple[ForestRow, ...]:
    """Return hazards per standard deviation and those of the rule, under their headings."""
    per_sd = [row for row in found.hazards if row.per.startswith("1 SD")]
    groups: tuple[tuple[str, Sequence[HazardRow]], ...] = (
        ("Habitats and clinic together", [row for row in per_sd if row.adjusted]),
        ("Habitats alone", [row for row in per_sd if not row.adjusted]),
        ("Rule, adjusted for the clinic", found.rule_hazards),
    )
    rows: list[ForestRow] = []
    for heading, own in groups:
        if own:
            rows.append(ForestRow(name=heading))
            rows += [
                ForestRow(name=covariate_name(row.name), per=row.per, ratio=row.ratio)
                for row in own
            ]
    return tuple(rows)


def _recurrence(found: RecurrenceAnalysis) -> dict[str, object]:
    return {
        "roc": plots.roc_plot(found.rocs),
        "calibration": plots.calibration_plot(found.calibration, what="recurrence"),
        "decision": plots.decision_plot(found.decision),
        "control": plots.control_plot(
            {row.name: row.auc for row in found.rocs}, found.permuted, measure="AUC"
        )
        if found.permuted.runs
        else None,
    }
