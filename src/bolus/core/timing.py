"""When frames were taken, and with what settings."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from bolus.core.arrays import Curve, read_only
from bolus.errors import Code, MetadataError, TimingError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TimeAxis:
    """Times of the frames [s], increasing, any spacing.

    Raises:
        TimingError: fewer than two times, not finite, or not increasing.

    Example:
        >>> TimeAxis.regular(4, step_s=1.5).seconds.tolist()
        [0.0, 1.5, 3.0, 4.5]
    """

    seconds: Curve

    def __post_init__(self) -> None:
        seconds = np.array(self.seconds, dtype=np.float64)
        if seconds.ndim != 1 or len(seconds) < 2 or not np.isfinite(seconds).all():
            raise TimingError(
                Code.TIME_INVALID,
                f"{seconds.size} times, of which {int(np.isfinite(seconds).sum())} are finite; "
                "at least two finite ones are needed",
                mend="give one time per frame, in seconds",
            )
        steps = np.diff(seconds)
        if steps.min() <= 0:
            raise TimingError(
                Code.TIME_INVALID,
                f"times do not increase (frame {int(steps.argmin()) + 1} comes "
                f"{-steps.min():.3g} s before the one in front of it)",
                mend="sort the frames by acquisition time",
            )
        object.__setattr__(self, "seconds", read_only(seconds))

    @classmethod
    def regular(cls, frames: int, *, step_s: float, start_s: float = 0.0) -> "TimeAxis":
        """Return `frames` times `step_s` apart."""
        return cls(seconds=start_s + step_s * np.arange(frames))

    def __len__(self) -> int:
        return len(self.seconds)

    @property
    def duration_s(self) -> float:
        """Time from the first to the last frame [s]."""
        return float(self.seconds[-1] - self.seconds[0])

    @property
    def is_uniform(self) -> bool:
        """Whether all steps agree within 1 % of their median."""
        steps = np.diff(self.seconds)
        return bool(np.ptp(steps) <= 0.01 * np.median(steps))

    def uniform_step_s(self) -> float:
        """Return the sampling interval [s].

        Raises:
            TimingError: intervals differ by more than 1 %.
        """
        steps = np.diff(self.seconds)
        if not self.is_uniform:
            raise TimingError(
                Code.TIME_NOT_UNIFORM,
                f"sampling is not uniform ({steps.min():.3g} to {steps.max():.3g} s); "
                "this method needs a constant interval",
                mend="use preprocess.resample_time() or the vascular model, which takes any times",
            )
        return float(steps.mean())


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """A value that was not measured. Whoever writes one down signs for it.

    Example:
        >>> Assumed(value=0.45, reason="haematocrit not drawn that day", source="doi:...").value
        0.45
    """

    value: float
    reason: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquisition:
    """The settings that physics needs; nothing has a default value, absent is `None`.

    Times in seconds and angles in degrees, as in BIDS; doses in mmol/kg; field in tesla.
    `sources` tells for a field where its value came from ("sidecar", "header", "user").
    """

    echo_time_s: "float | Assumed | None" = None
    repetition_time_s: "float | Assumed | None" = None
    flip_angle_deg: "float | Assumed | None" = None
    field_strength_t: "float | Assumed | None" = None
    contrast_agent: str | None = None
    contrast_dose_mmol_per_kg: "float | Assumed | None" = None
    preload_dose_mmol_per_kg: "float | Assumed | None" = None
    injection_rate_ml_per_s: "float | Assumed | None" = None
    sequence: str | None = None
    sources: tuple[tuple[str, str], ...] = ()

    def require(self, name: str) -> float:
        """Return a number that the method cannot do without.

        Args:
            name: a numeric field, such as "echo_time_s".

        Raises:
            MetadataError: it is not known.
        """
        value = getattr(self, name)
        if value is None:
            raise MetadataError(
                Code.METADATA_MISSING,
                f"{name} is not known, and physics has no default for it",
                mend=_MEND.get(name, f"state {name} in the sidecar"),
            )
        return value.value if isinstance(value, Assumed) else float(value)

    def assumed(self) -> Iterator[tuple[str, Assumed]]:
        """Yield the fields that were assumed, for the report."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Assumed):
                yield field.name, value


_MEND = {
    "echo_time_s": 'give --echo-time in seconds, or "EchoTime" in the JSON sidecar',
    "repetition_time_s": 'give --repetition-time in seconds, or "RepetitionTime" in the sidecar',
    "flip_angle_deg": 'state "FlipAngle" in degrees in the JSON sidecar',
}
