"""Figures of an evaluation: areas of all predictors on one axis, and areas by site."""

from collections.abc import Sequence

import numpy as np

from bolus.habitats.judge import Judged
from bolus.metrics.agreement import Agreement
from bolus.report.figures import AMBER, BLUE, FAINT, INK, Picture, as_picture, blank, house_style
from bolus.report.wording import number

_WIDE, _ROW = 1160, 30
_CHANCE = 0.5
_FEWEST_SITES = 2


def area_plot(rows: Sequence[Judged]) -> Picture:
    """Draw the AUC of every predictor with its interval, its seeds, and its control.

    Args:
        rows: of all predictors, on the same patients.
    """
    height = _ROW * len(rows) + 62
    seeds = any(len(row.seed_aucs) > 1 for row in rows)
    control = any(row.permuted for row in rows)
    with house_style():
        figure = blank(_WIDE, height)
        axis = figure.add_axes((0.20, 42 / height, 0.59, 1 - 60 / height))
        axis.axvline(_CHANCE, color=FAINT, lw=0.9, ls=":")
        for place, row in enumerate(rows):
            area, colour = row.test.auc, BLUE if row.baseline else AMBER
            dealt = [claim.auc for claim in row.permuted]
            axis.plot(dealt, np.full(len(dealt), place + 0.26), "x", color=FAINT, ms=4)
            axis.plot([area.low, area.high], [place, place], color=INK, lw=1.3)
            if len(row.seed_aucs) > 1:
                axis.plot(row.seed_aucs, np.full(len(row.seed_aucs), place - 0.26), "|",
                          color=colour, ms=7, mew=1.3)  # fmt: skip
            axis.plot([area.value], [place], "s" if row.baseline else "D", color=colour, ms=6.5)
            y = 1 - (18 + _ROW * (place + 0.5)) / height
            figure.text(0.81, y, _words(area), va="center", fontsize=9)
        axis.set_yticks(range(len(rows)), [row.name for row in rows])
        axis.tick_params(axis="y", length=0)
        axis.set_ylim(len(rows) - 0.5, -0.5)
        axis.set_xlim(_least(rows), 1.01)
        axis.set_xlabel("AUC, test part", labelpad=2)
        axis.spines["left"].set_visible(False)
        notes = ["■ baseline", "◆ network"]
        notes += ["| each seed"] * seeds + ["× labels dealt at random"] * control
        figure.text(0.20, 1 - 12 / height, "    ".join(notes), fontsize=8, color="#5a6673")
        words = "; ".join(f"{row.name} {_words(row.test.auc)}" for row in rows)
        return as_picture(figure, alt=f"Areas under the ROC curve. {words}.", keys=())


def site_plot(rows: Sequence[Judged]) -> Picture | None:
    """Draw the AUC of a few predictors at every site; None where there is only one site.

    Args:
        rows: at most one baseline among them, and one network.
    """
    sites = sorted({site for row in rows for site in row.test.by_site})
    if len(sites) < _FEWEST_SITES:
        return None
    height = 26 * len(sites) * len(rows) + 74
    with house_style():
        figure = blank(_WIDE // 2, height)
        axis = figure.add_axes((0.26, 42 / height, 0.72, 1 - 66 / height))
        axis.axvline(_CHANCE, color=FAINT, lw=0.9, ls=":")
        step = 0.7 / len(rows)
        for nth, row in enumerate(rows):
            colour, mark = (BLUE, "s") if row.baseline else (AMBER, "D")
            for place, site in enumerate(sites):
                if (found := row.test.by_site.get(site)) is None:
                    continue
                y = place + step * (nth - (len(rows) - 1) / 2)
                axis.plot([found.low, found.high], [y, y], color=INK, lw=1.1)
                axis.plot([found.value], [y], mark, color=colour, ms=5.5,
                          label=row.name if place == 0 else None)  # fmt: skip
        axis.set_yticks(range(len(sites)), sites, parse_math=False)
        axis.tick_params(axis="y", length=0)
        axis.set_ylim(len(sites) - 0.5, -0.5)
        axis.set_xlim(_least(rows), 1.01)
        axis.set_xlabel("AUC at the site", labelpad=2)
        axis.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, borderaxespad=0.1)
        words = "; ".join(
            f"{row.name} at {site} {_words(found)}"
            for row in rows
            for site, found in row.test.by_site.items()
        )
        return as_picture(figure, alt=f"Areas by site. {words}.", keys=())


def _words(area: Agreement) -> str:
    return f"{number(area.value, 2)}  ({number(area.low, 2)} to {number(area.high, 2)})"


def _least(rows: Sequence[Judged]) -> float:
    ends = [v for row in rows for v in (row.test.auc.low, *(c.auc for c in row.permuted))]
    ends += [found.low for row in rows for found in row.test.by_site.values()]
    known = [value for value in ends if np.isfinite(value)]
    return float(np.floor(10 * min([0.4, *known])) / 10)
