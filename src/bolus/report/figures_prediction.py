"""A probability with its interval on a line, and the curves it was read from."""

import numpy as np
from matplotlib.axes import Axes

from bolus.core import CURVE_REGIONS
from bolus.report.figures import (
    AMBER,
    BLUE,
    FAINT,
    GREEN,
    INK,
    RED,
    WINDOW,
    Picture,
    as_picture,
    blank,
    house_style,
)
from bolus.report.figures_curves import dress
from bolus.report.prediction_findings import PredictionFindings
from bolus.report.wording import number

REGION_WORDS = {
    "enhancing": "enhancing tumour",
    "nonenhancing": "non-enhancing tumour",
    "oedema": "oedema",
    "whole": "whole tumour",
    "aif": "arterial input",
}
_COLOURS = {"enhancing": RED, "nonenhancing": AMBER, "oedema": BLUE, "whole": INK, "aif": GREEN}
_WIDE = 1160
_FIRST_FRAMES = 5


def probability_line(findings: PredictionFindings) -> Picture:
    """Draw the probability, its interval and every network on a line from 0 to 1."""
    with house_style():
        figure = blank(_WIDE, 112)
        axis = figure.add_axes((0.02, 0.42, 0.96, 0.54))
        axis.set_xlim(-0.005, 1.005)
        axis.set_ylim(-1, 1)
        axis.spines["left"].set_visible(False)
        axis.set_yticks([])
        axis.set_xticks(np.linspace(0, 1, 11))
        axis.set_xticklabels([number(v, 1) for v in np.linspace(0, 1, 11)])
        axis.set_xlabel(f"probability of {findings.positive}", labelpad=2)
        axis.plot((findings.lower, findings.upper), (0, 0), color=BLUE, lw=9, alpha=0.35,
                  solid_capstyle="butt")  # fmt: skip
        axis.plot(findings.members, np.full(len(findings.members), -0.02), "o", color=BLUE, ms=4,
                  mfc="white")  # fmt: skip
        axis.plot(findings.probability, 0, "D", color=INK, ms=8)
        words = (
            f"Probability {number(findings.probability, 2)}, interval "
            f"{number(findings.lower, 2)} to {number(findings.upper, 2)}; "
            f"{len(findings.members)} networks drawn as rings."
        )
        return as_picture(figure, alt=words, keys=())


def region_curves(findings: PredictionFindings) -> Picture:
    """Draw the mean signal of every region over its first frames, and where the networks looked."""
    seconds = findings.time.seconds
    drawn = []
    with house_style():
        figure = blank(_WIDE, 330)
        axis = figure.add_axes((0.052, 0.34, 0.93, 0.62))
        for name, curve in zip(CURVE_REGIONS, findings.exam.regions, strict=True):
            if np.isfinite(curve).all() and curve[:_FIRST_FRAMES].mean() > 0:
                level = curve[:_FIRST_FRAMES].mean()
                axis.plot(seconds, curve / level, color=_COLOURS[name], lw=1.6,
                          label=REGION_WORDS[name])  # fmt: skip
                drawn.append(REGION_WORDS[name])
        dress(axis, "signal over its first frames")
        axis.set_xlabel("")
        axis.set_xlim(float(seconds[0]), float(seconds[-1]))
        axis.legend(loc="lower right", ncols=2)
        _attention(figure.add_axes((0.052, 0.13, 0.93, 0.13), sharex=axis), findings)
        words = f"Mean signal of {', '.join(drawn)}, and below it the attention of the networks."
        return as_picture(figure, alt=words, keys=("signal",))


def _attention(axis: Axes, findings: PredictionFindings) -> None:
    axis.fill_between(findings.attention_s, findings.attention, color=WINDOW, lw=0, step="mid")
    axis.step(findings.attention_s, findings.attention, color=FAINT, lw=1.0, where="mid")
    dress(axis, "attention")
    axis.set_yticks([])
    axis.set_ylim(0, None)
