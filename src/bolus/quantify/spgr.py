"""The T1-weighted sequences of DCE: exact equations between R1 and signal, both ways.

A spoiled gradient echo in its steady state and a saturation recovery obey one equation,
M/M0 = (1 - E) / (1 - E cos a) with E = exp(-T R1): for the first T is TR and a the flip angle, for
the second T is the recovery time and cos a = 0. It is inverted in closed form.
"""

from dataclasses import dataclass

import numpy as np

from bolus.core import Acquisition
from bolus.errors import Code, MetadataError

_LONGEST_REPETITION_S = 0.5
"""No spoiled steady state is imaged more slowly; 5 (ms) is ten times this."""
_LONGEST_RECOVERY_S = 10.0
_LONGEST_ECHO_S = 0.1
_SMALLEST_ANGLE_DEG = 3.2
"""Below this a dynamic flip angle is one in radians."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoiledGradientEcho:
    """A spoiled gradient echo (FLASH, SPGR, T1-FFE) in its steady state.

    `echo_time_s` is needed only where the T2* effect of the agent is taken into account.

    Raises:
        MetadataError: a time is in milliseconds, the angle in radians, or the echo comes after the
            next pulse.

    Example:
        >>> from bolus.quantify.spgr import SpoiledGradientEcho
        >>> flash = SpoiledGradientEcho(repetition_time_s=0.005, flip_angle_deg=15.0)
        >>> round(float(flash.magnetisation(np.array(1.0))), 4)
        0.1282
    """

    repetition_time_s: float
    flip_angle_deg: float
    echo_time_s: float | None = None

    def __post_init__(self) -> None:
        require_time("the repetition time", self.repetition_time_s, _LONGEST_REPETITION_S)
        angle = self.flip_angle_deg
        if not _SMALLEST_ANGLE_DEG <= angle < 180:
            raise MetadataError(
                Code.METADATA_IMPLAUSIBLE,
                f"the flip angle is {angle:g} degrees, expected {_SMALLEST_ANGLE_DEG:g} to 180",
                mend=f"write {np.degrees(angle):.4g} if it is in radians",
            )
        if self.echo_time_s is not None:
            require_time("the echo time", self.echo_time_s, _LONGEST_ECHO_S)
            if self.echo_time_s >= self.repetition_time_s:
                raise MetadataError(
                    Code.METADATA_IMPLAUSIBLE,
                    f"the echo time ({self.echo_time_s:g} s) is not shorter than the repetition "
                    f"time ({self.repetition_time_s:g} s)",
                    mend="check both; they may have been swapped",
                )

    @classmethod
    def of(cls, acquisition: Acquisition) -> "SpoiledGradientEcho":
        """Return the sequence of a series; its repetition time is that of the excitations.

        Raises:
            MetadataError: the repetition time or the flip angle is missing or cannot be right.
        """
        known = acquisition.echo_time_s is not None
        return cls(
            repetition_time_s=acquisition.require("repetition_time_s"),
            flip_angle_deg=acquisition.require("flip_angle_deg"),
            echo_time_s=acquisition.require("echo_time_s") if known else None,
        )

    @property
    def interval_s(self) -> float:
        """Time over which the magnetisation recovers [s]: TR."""
        return self.repetition_time_s

    def cosine(self, b1: "np.ndarray | float" = 1.0) -> np.ndarray:
        """Return cos a of the angle that is there."""
        return np.asarray(np.cos(np.radians(self.flip_angle_deg) * b1))

    def magnetisation(self, r1_per_s: np.ndarray, b1: "np.ndarray | float" = 1.0) -> np.ndarray:
        """Return M/M0 before a pulse for rates and a factor on the flip angle."""
        decay = np.exp(-self.repetition_time_s * r1_per_s)
        return np.asarray((1 - decay) / (1 - decay * self.cosine(b1)))

    def relaxation_rate(self, held: np.ndarray, b1: "np.ndarray | float" = 1.0) -> np.ndarray:
        """Return R1 [1/s] from M/M0; NaN where no rate gives it (M/M0 of 1 or more)."""
        return _rate(held, self.cosine(b1), self.repetition_time_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaturationRecovery:
    """Saturation, a wait, and a readout whose first echoes make the contrast (centre-out).

    `recovery_time_s` runs from the saturation to the centre of k-space. The flip angle of the
    readout cancels, and so does B1 where the saturation is complete.

    Raises:
        MetadataError: a time is in milliseconds.

    Example:
        >>> from bolus.quantify.spgr import SaturationRecovery
        >>> wait = SaturationRecovery(recovery_time_s=0.1)
        >>> round(float(wait.magnetisation(np.array(1.0))), 4)
        0.0952
    """

    recovery_time_s: float
    echo_time_s: float | None = None

    def __post_init__(self) -> None:
        require_time("the recovery time", self.recovery_time_s, _LONGEST_RECOVERY_S)
        if self.echo_time_s is not None:
            require_time("the echo time", self.echo_time_s, _LONGEST_ECHO_S)

    @property
    def interval_s(self) -> float:
        """Time over which the magnetisation recovers [s]."""
        return self.recovery_time_s

    def cosine(self, b1: "np.ndarray | float" = 1.0) -> np.ndarray:
        """Return 0: nothing is left after the saturation."""
        return np.zeros(np.shape(b1))

    def magnetisation(self, r1_per_s: np.ndarray, b1: "np.ndarray | float" = 1.0) -> np.ndarray:
        """Return M/M0 at the centre of k-space; `b1` has no part in it."""
        return np.asarray(1 - np.exp(-self.recovery_time_s * r1_per_s) + self.cosine(b1))

    def relaxation_rate(self, held: np.ndarray, b1: "np.ndarray | float" = 1.0) -> np.ndarray:
        """Return R1 [1/s] from M/M0; NaN where no rate gives it (M/M0 of 1 or more)."""
        return _rate(held, self.cosine(b1), self.recovery_time_s)


Sequence = SpoiledGradientEcho | SaturationRecovery


def _rate(held: np.ndarray, cosine: np.ndarray, interval_s: float) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        reached = held < 1
    safe = np.where(reached, held, 0.0)
    return np.asarray(
        np.where(reached, np.log((1 - safe * cosine) / (1 - safe)) / interval_s, np.nan)
    )


def require_time(name: str, seconds: float, longest: float) -> None:
    """Refuse a time that is not positive or longer than any scanner's, as one in milliseconds is.

    Args:
        name: what the time is, for the message.
        seconds: the time [s].
        longest: the longest plausible one [s].

    Raises:
        MetadataError: the time is out of range, or not a number.

    Assumes:
        The time was meant in seconds.

    Source:
        Own.

    Example:
        >>> require_time("the repetition time", 0.005, 1.0)
    """
    if 0 < seconds <= longest:
        return
    guess = f", which looks like milliseconds: {seconds / 1000:.4g} s" if seconds > longest else ""
    raise MetadataError(
        Code.METADATA_IMPLAUSIBLE,
        f"{name} is {seconds:g} s{guess} (expected up to {longest:g} s)",
        mend="give it in seconds: 5 ms is 0.005",
    )
