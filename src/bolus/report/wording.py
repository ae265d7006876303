"""How numbers become words: the same rounding on every line of a report."""

import math

import numpy as np

from bolus.core import QUANTITIES, Grid, TimeAxis

_UNITS = {
    "mL/100mL": "mL/100 mL",
    "mL/min/100mL": "mL/min/100 mL",
    "ratio": "",
    "1": "",
    "mm2/s": "mm²/s",
}
_DECIMALS = {
    "mL/100mL": 2,
    "mL/min/100mL": 1,
    "ratio": 2,
    "a.u.": 2,
    "s": 2,
    "1/s": 4,
    "%": 1,
    "1": 2,
}
_DECIMALS_BY_KEY = {"ph": 1, "delta_r2s": 1, "ttp": 1, "bat": 1, "k2": 4, "adc": 6}
ABSENT = "–"


def number(value: float, decimals: int = 2) -> str:
    """Return a number with fixed decimals, a true minus sign, and a dash for no answer.

    Example:
        >>> number(-0.5, 1), number(float("nan"))
        ('−0.5', '–')
    """
    if not math.isfinite(value):
        return ABSENT
    text = f"{value:.{decimals}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("-", "−")


def signed(value: float, decimals: int) -> str:
    """Return a number with its sign, plus too; nothing before a zero.

    Example:
        >>> signed(17.04, 1), signed(-3.0, 1), signed(0.01, 1)
        ('+17.0', '−3.0', '0.0')
    """
    text = number(value, decimals)
    return f"+{text}" if round(value, decimals) > 0 else text


def tick(value: float, step: float) -> str:
    """Return a number of an axis with as many decimals as its step needs."""
    decimals = next((d for d in range(7) if abs(round(step, d) - step) < 1e-9 + 1e-6 * step), 6)
    return number(value, decimals)


def significant(value: float, digits: int = 3) -> str:
    """Return a number with so many significant digits and no exponent in the common range.

    Example:
        >>> significant(0.0123456), significant(1234.6)
        ('0.0123', '1235')
    """
    if not math.isfinite(value):
        return ABSENT
    if value == 0:
        return "0"
    order = math.floor(math.log10(abs(value)))
    if not -5 <= order <= 6:
        return f"{value:.{digits - 1}e}".replace("-", "−")
    return number(value, max(digits - 1 - order, 0))


def p_words(value: float) -> str:
    r"""Return a p-value as papers print it: two digits, never 0, never broken over lines.

    Example:
        >>> p_words(0.0312), p_words(0.00002), p_words(0.4)
        ('0.031', '<\xa00.001', '0.40')
    """
    if not math.isfinite(value):
        return ABSENT
    if value < 0.001:
        return "<\u00a00.001"
    return number(value, 3 if value < 0.1 else 2)


def of_quantity(value: float, key: str) -> str:
    """Return a number with the decimals that its quantity is read with.

    Example:
        >>> of_quantity(2.345, "ncbv"), of_quantity(0.00346, "k2"), of_quantity(52.0, "cbf")
        ('2.35', '0.0035', '52.0')
    """
    decimals = _DECIMALS_BY_KEY.get(key, _DECIMALS.get(QUANTITIES[key].unit, 3))
    return number(value, decimals)


def unit_text(unit: str) -> str:
    """Return a unit as it is printed; nothing for a ratio."""
    return _UNITS.get(unit, unit)


def symbol(key: str) -> str:
    """Return the short name of a quantity of the registry."""
    return QUANTITIES[key].symbol or QUANTITIES[key].name


def symbol_with_unit(key: str) -> str:
    """Return the short name and the unit in brackets.

    Example:
        >>> symbol_with_unit("cbf"), symbol_with_unit("ncbv")
        ('CBF [mL/min/100 mL]', 'nCBV [ratio]')
    """
    unit = QUANTITIES[key].unit
    return f"{symbol(key)} [{unit_text(unit) or 'ratio'}]"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun, with a thin space between thousands.

    Example:
        >>> plural(1, "voxel"), plural(0, "voxel")
        ('1 voxel', '0 voxels')
    """
    return f"{thousands(count)} {noun}{'' if count == 1 else 's'}"


def thousands(count: int) -> str:
    """Return a whole number with thin spaces between thousands."""
    return f"{count:,}".replace(",", "\u202f")


def exam_words(grid: Grid, time: TimeAxis) -> str:
    """Say in one line what was scanned."""
    return (
        f"{shape_words(grid)} voxels of {size_words(grid)}, {len(time)} frames {step_words(time)}"
    )


def shape_words(grid: Grid) -> str:
    """Return the number of voxels along each axis."""
    return " × ".join(map(str, grid.shape))


def size_words(grid: Grid) -> str:
    """Return the sides of a voxel; an absurdly thin one is shown as it is, not as 0.0."""
    sides = (number(s, 1) if s >= 0.1 else significant(s, 1) for s in grid.voxel_sizes_mm)
    return f"{' × '.join(sides)} mm"


def step_words(time: TimeAxis) -> str:
    """Return the time between frames.

    Example:
        >>> step_words(TimeAxis.regular(9, step_s=1.5))
        '1.50 s apart'
    """
    step_s = float(np.median(np.diff(time.seconds)))
    return f"{'' if time.is_uniform else 'about '}{number(step_s, 2)} s apart"


def interval_words(time: TimeAxis) -> str:
    """Return the sampling interval, or the range and median of an irregular one.

    Example:
        >>> interval_words(TimeAxis(seconds=[0.0, 1.0, 2.0, 5.0]))
        'irregular: 1.00 to 3.00 s, median 1.00 s'
    """
    steps = np.diff(time.seconds)
    middle = f"{number(float(np.median(steps)), 2)} s"
    if time.is_uniform:
        return middle
    low, high = number(float(steps.min()), 2), number(float(steps.max()), 2)
    return f"irregular: {low} to {high} s, median {middle}"
