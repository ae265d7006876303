"""The page of a series with and without a method: what its template needs."""

import numpy as np

from bolus.report.enhancement_findings import EnhancementFindings
from bolus.report.glance import Glance
from bolus.report.methods import write_methods
from bolus.report.page import render_page
from bolus.report.tables import WideTable, settings_text
from bolus.report.wording import ABSENT, exam_words, number, signed

_TEMPLATE = "enhancement.html.j2"
_LIMIT = 0.05
"""A change of vessels' height or width beyond this is to be looked at; a design target."""
_MEAN_PERCENT = 1.0


def render_enhancement_report(findings: EnhancementFindings) -> str:
    """Return a series with and without a method as one self-contained HTML page.

    The page has no scripts and loads nothing; all pictures are inside it. The same findings give
    the same bytes. All text that came from outside is escaped.

    Args:
        findings: both series and what changed.

    Returns:
        The page as text, to be written as UTF-8.
    """
    return render_page(_TEMPLATE, _context(findings))


def _context(findings: EnhancementFindings) -> dict[str, object]:
    from bolus.report import figures_enhancement  # matplotlib loads only to draw

    return {
        "findings": findings,
        "exam": exam_words(findings.before.grid, findings.before.time),
        "tiles": _tiles(findings),
        "numbers": _numbers(findings),
        "pictures": {
            "rows": figures_enhancement.image_rows(findings),
            "vessels": figures_enhancement.vessel_curves(findings),
        },
        "methods": write_methods(
            findings.provenance,
            version=findings.version,
            aim="A series was changed before it was quantified",
        ),
        "settings": settings_text(findings.settings),
        "digest": findings.provenance.digest(),
    }


_EXPECTED = "change of the first pass; at most 5 % is expected"
_FINER = "more than by straight lines, which make arteries lower"


def _tiles(findings: EnhancementFindings) -> tuple[Glance, ...]:
    before, after = findings.change.tsnr
    shape = findings.change.shape
    mean = findings.change.mean_percent
    tiles = [
        Glance(
            name="Noise",
            look=not after > before,
            finding=f"{number(after / before, 1)} times the tSNR",
            detail=f"{number(before, 0)} became {number(after, 0)}, before the bolus",
        ),
        Glance(
            name="Mean signal",
            look=not abs(mean) <= _MEAN_PERCENT,
            finding=f"{signed(mean, 2)} %",
            detail="of the brain",
        ),
    ]
    peak, fwhm = (np.nan, np.nan) if shape is None else (shape.peak, shape.fwhm)
    for name, value in (("Height of vessels", peak), ("Width of vessels", fwhm)):
        tiles.append(
            Glance(
                name=name,
                look=not (findings.interpolated or abs(value) <= _LIMIT),
                judged=not findings.interpolated,
                finding=_percent(value),
                detail=_FINER if findings.interpolated else _EXPECTED,
            )
        )
    card = findings.card
    tiles.append(
        Glance(
            name="Network",
            look=card is not None,
            judged=card is not None,
            finding="none" if card is None else card.name,
            detail="trained on simulated images" if card is not None and card.simulated else "",
        )
    )
    return tuple(tiles)


def _numbers(findings: EnhancementFindings) -> WideTable:
    """Return every figure, before and after."""
    change = findings.change
    heads = (("Figure", ""), ("as it came", ""), ("after", ""), ("change", ""))
    rows = [_row("temporal signal-to-noise ratio, median", *change.tsnr, digits=1)]
    if findings.sigma is not None:
        inside = findings.sigma[findings.brain.values]
        told = f"{number(float(np.nanmedian(inside)), 2)} a.u."
        rows.append((("noise that was found, median", ""), (told, ""), ("", ""), ("", "")))
    if change.shape is not None:
        top = float(change.vessel_before.max()), float(change.vessel_after.max())
        rows.append(_row("height of vessels", *top, digits=3))
        for name, value in (("width of vessels", change.shape.fwhm),
                            ("area of vessels", change.shape.area)):  # fmt: skip
            rows.append(((name, ""), ("", ""), ("", ""), (_percent(value), "")))
        late = f"{signed(change.shape.time_to_peak_s, 2)} s"
        rows.append((("time to peak of vessels", ""), ("", ""), ("", ""), (late, "")))
    return WideTable(heads=heads, rows=tuple(rows))


def _row(
    name: str, before: float, after: float, *, digits: int
) -> tuple[tuple[str, str], tuple[str, str], tuple[str, str], tuple[str, str]]:
    change = _percent(after / before - 1)
    return (name, ""), (number(before, digits), ""), (number(after, digits), ""), (change, "")


def _percent(share: float) -> str:
    return f"{signed(100 * share, 1)} %" if np.isfinite(share) else ABSENT
