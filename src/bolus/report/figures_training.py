"""Learning curves: every loss over the epochs, and the epoch that was kept."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bolus.report.figures import (
    AMBER,
    BLUE,
    FAINT,
    RED,
    Picture,
    as_picture,
    blank,
    house_style,
)
from bolus.report.training_findings import Epoch
from bolus.report.wording import plural, significant

_WIDE, _ROW = 1160, 215
_ACROSS = 4
_LOG_FROM = 20.0
"""Largest over smallest value from which an axis is logarithmic."""
_PARTS = ("training", "validation")
_COLOURS = dict(zip(_PARTS, (BLUE, RED), strict=True))


def learning_curves(epochs: Sequence[Epoch]) -> Picture:
    """Draw every loss over the epochs, training and validation together where they compare.

    Args:
        epochs: of one training, at least one.
    """
    panels = _panels(epochs)
    best = best_epoch(epochs)
    rows = -(-len(panels) // _ACROSS)
    across = max(2, -(-len(panels) // rows))
    with house_style():
        figure = blank(_WIDE, _ROW * rows)
        for n, names in enumerate(panels):
            axis = figure.add_subplot(rows, across, n + 1)
            _draw(axis, epochs, names)
            axis.axvline(best + 1, color=AMBER, lw=1.0, ls=":", label=f"kept: epoch {best + 1}")
            if n == 0:
                axis.legend(loc="best")
        figure.subplots_adjust(
            left=0.05, right=0.99, bottom=0.2 / rows, top=1 - 0.12 / rows, wspace=0.3, hspace=0.5
        )
        last = epochs[-1].losses["validation_loss"]
        least = min(row.losses["validation_loss"] for row in epochs)
        words = (
            f"Losses over {plural(len(epochs), 'epoch')}; the loss of validation is least in epoch "
            f"{best + 1} ({significant(least)}) and ends at {significant(last)}."
        )
        return as_picture(figure, alt=words, keys=())


def best_epoch(epochs: Sequence[Epoch]) -> int:
    """Return the number of the first epoch with the least loss of validation."""
    return min(epochs, key=lambda row: (row.losses["validation_loss"], row.epoch)).epoch


def _panels(epochs: Sequence[Epoch]) -> list[tuple[str, ...]]:
    """Return names of losses by panel: the loss first; both parts in one if their ranges meet."""
    found: list[tuple[str, ...]] = []
    whole = [
        name
        for name in epochs[0].losses
        if all(name in row.losses for row in epochs) and np.isfinite(_values(epochs, name)).any()
    ]
    kinds = dict.fromkeys(name.partition("_")[2] for name in whole)
    for kind in sorted(kinds, key=lambda kind: kind != "loss"):
        both = tuple(name for part in _PARTS if (name := f"{part}_{kind}") in whole)
        found += [both] if _meet(epochs, both) else [(name,) for name in both]
    return found


def _meet(epochs: Sequence[Epoch], names: tuple[str, ...]) -> bool:
    """Tell whether the ranges of losses overlap, so that one axis shows them all."""
    ranges = [_values(epochs, name) for name in names]
    return bool(max(map(np.nanmin, ranges)) <= min(map(np.nanmax, ranges)))


def _draw(axis: Axes, epochs: Sequence[Epoch], names: tuple[str, ...]) -> None:
    numbers = [row.epoch + 1 for row in epochs]
    parts = []
    lowest, highest = np.inf, 0.0
    for name in names:
        part, _, kind = name.partition("_")
        values = _values(epochs, name)
        lowest = min(lowest, float(np.nanmin(values)))
        highest = max(highest, float(np.nanmax(values)))
        mark = "o" if len(numbers) == 1 else ""
        axis.plot(numbers, values, color=_COLOURS[part], lw=1.5, marker=mark, label=part)
        parts.append(part)
    title = kind.replace("_", " ")
    axis.set_title(title if len(parts) > 1 else f"{title}, {parts[0]}", loc="left")
    axis.set_xlabel("epoch")
    axis.set_xlim(numbers[0] - 0.5, numbers[-1] + 0.5)
    axis.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    axis.grid(axis="y", color=FAINT, alpha=0.25, lw=0.6)
    if lowest > 0 and highest / lowest > _LOG_FROM:
        axis.set_yscale("log")


def _values(epochs: Sequence[Epoch], name: str) -> np.ndarray:
    values = np.array([row.losses[name] for row in epochs], dtype=float)
    return np.where(np.isfinite(values), values, np.nan)
