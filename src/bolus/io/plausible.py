"""Which numbers a perfusion protocol can have, and what the usual wrong ones were meant to be.

Ranges are wide: they separate units (s from ms, degrees from radians), not good protocols from bad.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import pi
from types import MappingProxyType

from bolus.core import Acquisition, Assumed
from bolus.errors import Code, MetadataError


@dataclass(frozen=True, slots=True, kw_only=True)
class _Range:
    """Bounds in `unit`, and (factor, name) of the units people mistake for it.

    `usual` bounds what a converted number must be to be offered as a guess.
    """

    low: float
    high: float
    unit: str
    usual: tuple[float, float]
    others: tuple[tuple[float, str], ...] = ()


_TIME = ((1e-3, "milliseconds"), (1e-6, "microseconds"))
_RANGES: Mapping[str, _Range] = MappingProxyType(
    {
        "echo_time_s": _Range(low=5e-4, high=0.2, unit="s", usual=(1e-3, 0.15), others=_TIME),
        "repetition_time_s": _Range(low=1e-3, high=60, unit="s", usual=(2e-3, 20), others=_TIME),
        "excitation_time_s": _Range(low=1e-3, high=0.5, unit="s", usual=(1e-3, 0.5), others=_TIME),
        "frame_step_s": _Range(low=0.1, high=60, unit="s", usual=(0.1, 60), others=_TIME),
        "t10_s": _Range(low=0.05, high=10, unit="s", usual=(0.2, 6), others=_TIME),
        "flip_angle_deg": _Range(
            low=3.2, high=180, unit="degrees", usual=(3.2, 181), others=((180 / pi, "radians"),)
        ),
        "small_flip_angle_deg": _Range(low=0.5, high=180, unit="degrees", usual=(0.5, 180)),
        "field_strength_t": _Range(
            low=0.05,
            high=15,
            unit="T",
            usual=(0.9, 12),
            others=((1e-4, "gauss"), (1e-3, "millitesla"), (1 / 42.577, "MHz")),
        ),
        "contrast_dose_mmol_per_kg": _Range(
            low=0.005, high=0.4, unit="mmol/kg", usual=(0.01, 0.4), others=((1e-3, "umol/kg"),)
        ),
        "preload_dose_mmol_per_kg": _Range(
            low=0, high=0.4, unit="mmol/kg", usual=(0.01, 0.4), others=((1e-3, "umol/kg"),)
        ),
        "injection_rate_ml_per_s": _Range(low=0.1, high=12, unit="mL/s", usual=(0.1, 12)),
        "haematocrit": _Range(
            low=0.1, high=0.7, unit="", usual=(0.1, 0.7), others=((0.01, "a percentage"),)
        ),
    }
)


def require_plausible(field: str, value: float, *, key: str = "") -> float:
    """Return a physical number if it can be what it says.

    Args:
        field: field of `Acquisition`, or "frame_step_s", "excitation_time_s" (the repetition time
            of a spoiled gradient echo), "small_flip_angle_deg" (one of several), "t10_s" or
            "haematocrit".
        value: the number in the unit of the field's name.
        key: how the user calls it, for the message.

    Raises:
        MetadataError: out of range; the message guesses which unit it is in.

    Example:
        >>> from bolus.io.plausible import require_plausible
        >>> require_plausible("echo_time_s", 0.03)
        0.03
    """
    bounds = _RANGES[field]
    if bounds.low <= value <= bounds.high:
        return value
    expected = f"expected {bounds.low:g} to {bounds.high:g} {bounds.unit}".rstrip()
    name = key or field
    for factor, unit in bounds.others:
        meant = value * factor
        if bounds.usual[0] <= meant <= bounds.usual[1]:
            raise MetadataError(
                Code.METADATA_IMPLAUSIBLE,
                f"{name} is {value:g}, which looks like {unit}: {meant:.4g} ({expected})",
                mend=f"write {meant:.4g} if that is meant",
            )
    raise MetadataError(
        Code.METADATA_IMPLAUSIBLE,
        f"{name} is {value:g}, {expected}",
        mend="correct it, or leave it out if it is not known",
    )


def require_plausible_acquisition(acquisition: Acquisition) -> Acquisition:
    """Return settings in which every number, and echo against repetition time, can be right.

    Raises:
        MetadataError: one cannot.
    """
    for field in fields(acquisition):
        value = getattr(acquisition, field.name)
        if field.name in _RANGES and value is not None:
            require_plausible(field.name, number_of(value))
    echo, repetition = acquisition.echo_time_s, acquisition.repetition_time_s
    if echo is not None and repetition is not None and number_of(echo) >= number_of(repetition):
        raise MetadataError(
            Code.METADATA_IMPLAUSIBLE,
            f"the echo time ({number_of(echo):g} s) is not shorter than the repetition time "
            f"({number_of(repetition):g} s)",
            mend="check both; they may have been swapped",
        )
    return acquisition


def number_of(value: float | Assumed) -> float:
    """Return the number, whether it was measured or assumed."""
    return value.value if isinstance(value, Assumed) else float(value)
