"""Figures of a cohort's habitats: survival, hazards, ROC, calibration, decisions, the control."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bolus.habitats.analyses import (
    CalibrationCurve,
    DecisionCurves,
    PermutedControl,
    RocRow,
    SurvivalStratum,
    TimeAucRow,
)
from bolus.habitats.track import Interval
from bolus.report.figures import (
    AMBER,
    BLUE,
    FAINT,
    GREEN,
    INK,
    RED,
    Picture,
    as_picture,
    blank,
    house_style,
)
from bolus.report.wording import number, thousands

_COLOURS = (BLUE, AMBER, GREEN, RED, "#7a4fa3", "#6b7682", "#2a9fb5")
_STRATA = (BLUE, AMBER, RED, "#7a4fa3")
_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (3, 3)), (0, (1, 1)))
"""Lines differ in stroke as well as in colour."""
_WIDE, _HALF, _THIRD, _HEIGHT = 1160, 560, 376, 330
_MOST_HAZARD = 20.0
"""Hazard ratios beyond this, or one over it, end in an arrow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestRow:
    """One line of a forest plot; a heading has no ratio."""

    name: str
    per: str = ""
    ratio: Interval | None = None


def kaplan_meier_plot(strata: Sequence[SurvivalStratum], *, outcome: str) -> Picture:
    """Draw the share without the event since the second visit, and the number at risk below.

    Args:
        strata: one curve each, with pointwise 95 % intervals.
        outcome: the event, in words.
    """
    below = 24 + 17 * len(strata)
    height = 300 + below
    with house_style():
        figure = blank(720, height)
        axis = figure.add_axes((0.13, (below + 42) / height, 0.85, 248 / height))
        last = max((float(s.at_risk_days[-1]) for s in strata if len(s.at_risk_days)), default=1.0)
        last = max(last, *(float(s.days[-1]) for s in strata if len(s.days)))
        for place, stratum in enumerate(strata):
            colour = _STRATA[place % len(_STRATA)]
            days = np.concatenate([[0.0], stratum.days])
            axis.step(days, np.concatenate([[1.0], stratum.survival]), where="post", color=colour,
                      lw=1.8, ls=_STYLES[place % len(_STYLES)],
                      label=f"{stratum.name} (n = {stratum.patients})")  # fmt: skip
            axis.fill_between(
                days, np.concatenate([[1.0], stratum.lower]),
                np.concatenate([[1.0], stratum.upper]), step="post", color=colour, alpha=0.12, lw=0,
            )  # fmt: skip
        axis.set_xlim(0, last)
        axis.set_ylim(0, 1.02)
        ticks = strata[0].at_risk_days
        axis.set_xticks(ticks, [f"{t:.0f}" for t in ticks])
        axis.set_xlabel("days since the second visit", labelpad=2)
        axis.set_ylabel(f"share without {outcome}")
        axis.grid(axis="y", color=FAINT, alpha=0.25, lw=0.6)
        axis.legend(loc="upper right")
        _at_risk(figure, axis, strata, height, below)
        words = "; ".join(f"{s.name}: {s.events} events in {s.patients} patients" for s in strata)
        return as_picture(figure, alt=f"Kaplan-Meier curves without {outcome}. {words}.", keys=())


def _at_risk(
    figure: Figure, axis: Axes, strata: Sequence[SurvivalStratum], height: int, below: int
) -> None:
    """Write how many are still followed, under the ticks of the plot."""
    box = axis.get_position()
    low, high = axis.get_xlim()
    figure.text(0.005, (below - 8) / height, "At risk", fontsize=8.5, fontweight="bold")
    for place, stratum in enumerate(strata):
        y = (below - 26 - 17 * place) / height
        figure.text(0.005, y, stratum.name, fontsize=8, color=_STRATA[place % len(_STRATA)])
        for day, count in zip(stratum.at_risk_days, stratum.at_risk, strict=True):
            x = box.x0 + box.width * (float(day) - low) / (high - low)
            figure.text(x, y, thousands(round(float(count))), fontsize=8, ha="center")


def forest_plot(rows: Sequence[ForestRow]) -> Picture | None:
    """Draw hazard ratios with their 95 % intervals on a logarithmic axis, numbers beside them."""
    known = [r.ratio for r in rows if r.ratio is not None]
    ends = [v for r in known for v in (r.lower, r.upper) if np.isfinite(v) and v > 0]
    if not ends:
        return None
    reach = float(np.clip(max(*ends, 1 / min(ends)), 1.5, _MOST_HAZARD))
    height = 24 * len(rows) + 52
    with house_style():
        figure = blank(_WIDE, height)
        axis = figure.add_axes((0.34, 44 / height, 0.45, 1 - 52 / height))
        axis.set_xscale("log")
        axis.axvline(1.0, color=FAINT, lw=0.9)
        for place, row in enumerate(rows):
            _forest_row(figure, axis, place, row, reach, height)
        axis.set_ylim(len(rows) - 0.5, -0.5)
        axis.set_xlim(1 / (1.15 * reach), 1.15 * reach)
        ticks = [t for t in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if 1 / reach <= t <= reach]
        ticks = ticks if len(ticks) > 2 else [round(1 / reach, 2), 1, round(reach, 2)]
        axis.set_xticks(ticks, [f"{t:g}" for t in ticks])
        axis.minorticks_off()
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
        axis.set_xlabel("hazard ratio  (below 1: later, above 1: sooner)", labelpad=2)
        words = "; ".join(
            f"{r.name} {number(r.ratio.value, 2)} ({number(r.ratio.lower, 2)} to "
            f"{number(r.ratio.upper, 2)})"
            for r in rows
            if r.ratio is not None
        )
        return as_picture(figure, alt=f"Forest plot of hazard ratios. {words}.", keys=())


def _forest_row(
    figure: Figure, axis: Axes, place: int, row: ForestRow, reach: float, height: int
) -> None:
    y = 1 - (8 + 24 * (place + 0.5)) / height
    heading = row.ratio is None
    figure.text(0.0 if heading else 0.012, y, row.name, va="center", fontsize=9,
                fontweight="bold" if heading else "normal")  # fmt: skip
    if row.ratio is None:
        return
    figure.text(0.325, y, row.per, va="center", ha="right", fontsize=8, color="#5a6673")
    low, value, high = row.ratio.lower, row.ratio.value, row.ratio.upper
    edge = 1.1 * reach
    axis.plot([max(low, 1 / edge), min(high, edge)], [place, place], color=INK, lw=1.2)
    for beyond, where, mark in ((low < 1 / edge, 1 / edge, "<"), (high > edge, edge, ">")):
        if beyond:
            axis.plot([where], [place], mark, color=INK, ms=4)
    axis.plot([np.clip(value, 1 / edge, edge)], [place], "s", color=BLUE, ms=5.5)
    text = f"{number(value, 2)}  ({number(low, 2)} to {number(high, 2)})"
    figure.text(0.81, y, text, va="center", fontsize=9)


def roc_plot(rocs: Sequence[RocRow]) -> Picture:
    """Draw ROC curves with their areas; the first is the one that matters."""
    with house_style():
        figure = blank(600, _HEIGHT)
        axis = figure.add_axes((0.10, 0.135, 0.47, 0.845))
        axis.plot([0, 1], [0, 1], color=FAINT, lw=0.8, ls=":")
        for place, roc in enumerate(rocs):
            axis.plot(
                roc.false_positives, roc.true_positives, color=_COLOURS[place % len(_COLOURS)],
                lw=2.4 if place == 0 else 1.2, ls=_STYLES[place % len(_STYLES)],
                label=f"{number(roc.auc.value, 2)}  {roc.name}", zorder=3 if place == 0 else 2,
            )  # fmt: skip
        axis.set_xlabel("1 − specificity", labelpad=2)
        axis.set_ylabel("sensitivity")
        axis.set_xlim(-0.01, 1.01)
        axis.set_ylim(-0.01, 1.01)
        axis.grid(color=FAINT, alpha=0.2, lw=0.6)
        axis.legend(
            loc="center left", bbox_to_anchor=(1.02, 0.5), title="area", title_fontsize=8,
            alignment="left", borderaxespad=0,
        )  # fmt: skip
        words = ", ".join(f"{r.name} {number(r.auc.value, 2)}" for r in rocs)
        return as_picture(figure, alt=f"ROC curves; areas: {words}.", keys=())


def calibration_plot(curve: CalibrationCurve, *, what: str) -> Picture:
    """Draw observed against predicted probability, by group of patients.

    Args:
        curve: groups with 95 % intervals.
        what: the event, in words.
    """
    with house_style():
        figure, axis = _square()
        axis.plot([0, 1], [0, 1], color=FAINT, lw=0.8, ls=":", label="perfect")
        known = np.isfinite(curve.observed)
        reach = np.array([curve.observed - curve.lower, curve.upper - curve.observed])[:, known]
        axis.errorbar(
            curve.predicted[known], curve.observed[known], yerr=np.maximum(reach, 0), fmt="o",
            color=BLUE, ecolor=INK, elinewidth=1, capsize=3, ms=6, label="groups of patients",
        )  # fmt: skip
        axis.set_xlim(-0.02, 1.02)
        axis.set_ylim(-0.02, 1.02)
        axis.set_xlabel(f"predicted probability of {what}", labelpad=2)
        axis.set_ylabel("observed")
        axis.legend(loc="upper left")
        words = f"Calibration of {what}; slope {number(curve.slope.value, 2)}."
        return as_picture(figure, alt=words, keys=())


def decision_plot(curves: DecisionCurves) -> Picture:
    """Draw net benefit against the threshold probability, cut where it is far below zero."""
    with house_style():
        figure, axis = _square()
        own = [name for name in curves.net_benefit if name not in ("all", "none")]
        for place, name in enumerate(own):
            axis.plot(curves.thresholds, curves.net_benefit[name], color=_COLOURS[place], lw=1.9,
                      ls=_STYLES[place], label=name)  # fmt: skip
        for name, style in (("all", ":"), ("none", "-")):
            if name in curves.net_benefit:
                axis.plot(curves.thresholds, curves.net_benefit[name], color=FAINT, lw=1.1,
                          ls=style, label=f"treat {name}")  # fmt: skip
        top = max(float(np.nanmax(v)) for v in curves.net_benefit.values())
        axis.set_ylim(-0.35 * max(top, 0.05), 1.1 * max(top, 0.05))
        axis.set_xlabel("threshold probability", labelpad=2)
        axis.set_ylabel("net benefit")
        axis.legend(loc="upper right")
        words = f"Decision curves of {', '.join(own)} against treating all or none."
        return as_picture(figure, alt=words, keys=())


def time_auc_plot(rows: Sequence[TimeAucRow]) -> Picture | None:
    """Draw the time-dependent area under the ROC curve of every score."""
    if not rows:
        return None
    with house_style():
        figure, axis = _square()
        axis.axhline(0.5, color=FAINT, lw=0.8, ls=":")
        for place, row in enumerate(rows):
            colour = _COLOURS[place % len(_COLOURS)]
            axis.plot(row.days, row.auc, color=colour, ls=_STYLES[place % len(_STYLES)],
                      lw=2.0 if place == 0 else 1.2, marker="o", ms=3.5,
                      label=row.name)  # fmt: skip
            if place == 0:
                axis.fill_between(row.days, row.lower, row.upper, color=colour, alpha=0.13, lw=0)
        axis.set_ylim(min(0.3, *(float(np.nanmin(r.auc)) - 0.25 for r in rows)), 1.02)
        axis.set_xticks(rows[0].days, [f"{d:.0f}" for d in rows[0].days])
        axis.set_xlabel("days since the second visit", labelpad=2)
        axis.set_ylabel("area under the curve")
        axis.legend(loc="lower right", ncols=2, fontsize=7, columnspacing=1.0)
        return as_picture(figure, alt="Time-dependent area under the ROC curve.", keys=())


def control_plot(
    found: Mapping[str, Interval], control: PermutedControl, *, measure: str
) -> Picture:
    """Draw what the analysis found beside what it finds where outcomes were exchanged.

    Args:
        found: the real numbers by name.
        control: what exchanged outcomes gave.
        measure: "AUC" or "C".
    """
    height = 70 + 30 * (len(found) + 1)
    with house_style():
        figure = blank(_HALF, height)
        axis = figure.add_axes((0.30, 40 / height, 0.66, 1 - 48 / height))
        axis.axvline(0.5, color=FAINT, lw=0.8, ls=":")
        half = 1.96 * control.spread
        axis.barh(0, 2 * half, left=control.centre - half, height=0.5, color="#c6ccd3", lw=0)
        axis.plot([control.centre], [0], "|", color=INK, ms=14, mew=2)
        for place, value in enumerate(found.values(), start=1):
            axis.plot([value.lower, value.upper], [place, place], color=INK, lw=1.2)
            axis.plot([value.value], [place], "s", color=BLUE, ms=6)
        axis.set_yticks(range(len(found) + 1), ["outcomes exchanged", *found])
        axis.tick_params(axis="y", length=0)
        axis.set_ylim(len(found) + 0.6, -0.6)
        axis.set_xlim(0.2, 1.0)
        axis.set_xlabel(measure, labelpad=2)
        words = f"{measure} with exchanged outcomes: {number(control.centre, 2)} on average."
        return as_picture(figure, alt=words, keys=())


def _square() -> tuple[Figure, Axes]:
    figure = blank(_THIRD, _HEIGHT)
    axis = figure.add_axes((0.16, 0.135, 0.82, 0.845))
    axis.grid(color=FAINT, alpha=0.2, lw=0.6)
    axis.set_axisbelow(True)
    return figure, axis
