"""Who was followed from when until when, and whether the event came."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer

from bolus.core.arrays import read_only
from bolus.core.randomness import stream
from bolus.errors import Code, MetadataError

Scores = Float[np.ndarray, " subjects"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SurvivalTarget:
    """Time to one kind of event, right censored and, where subjects came late, left truncated.

    Row i is `subjects[i]`, who was under observation after `entry_days[i]` until `days[i]`, when
    the event came (`event[i]`) or observation ended without it. Days count from an origin that is
    the same for all, such as surgery. Without `entry_days` all were seen from day 0.

    Raises:
        MetadataError: lengths differ, a subject is there twice, a day is not finite, or does not
            come after the entry, or an entry is negative.

    Assumes:
        Why observation began or ended tells nothing about the hazard beyond the covariates.

    Source:
        Klein and Moeschberger, Survival Analysis, 2nd ed., Springer 2003, chapters 3 and 4.

    Example:
        >>> target = SurvivalTarget(subjects=("01", "02", "03"), days=np.array([90.0, 200, 400]),
        ...     event=np.array([True, False, True]))
        >>> target.count, target.events, target.entry_days.tolist()
        (3, 2, [0.0, 0.0, 0.0])
    """

    subjects: tuple[str, ...]
    days: Float[np.ndarray, " subjects"]
    event: Bool[np.ndarray, " subjects"]
    entry_days: Float[np.ndarray, " subjects"] | None = None

    def __post_init__(self) -> None:
        days = np.asarray(self.days, np.float64)
        event = np.asarray(self.event)
        entry = np.zeros(days.shape) if self.entry_days is None else self.entry_days
        entry = np.asarray(entry, np.float64)
        _require_shapes(self.subjects, days, event, entry)
        _require_days(self.subjects, days, entry)
        object.__setattr__(self, "days", read_only(days))
        object.__setattr__(self, "event", read_only(event.astype(bool)))
        object.__setattr__(self, "entry_days", read_only(entry))

    @property
    def count(self) -> int:
        """Number of subjects."""
        return len(self.subjects)

    @property
    def events(self) -> int:
        """Number of events."""
        return int(np.count_nonzero(self.event))

    @property
    def entry(self) -> Float[np.ndarray, " subjects"]:
        """Days of entry, zeros where all were seen from the origin."""
        return np.zeros(self.count) if self.entry_days is None else self.entry_days

    def select(self, kept: Bool[np.ndarray, " subjects"]) -> "SurvivalTarget":
        """Return the target of some of the subjects, in the same order.

        Raises:
            MetadataError: there is not one choice per subject, or nobody is chosen.
        """
        if np.shape(kept) != self.days.shape:
            raise MetadataError(
                Code.ARGUMENT_INVALID,
                f"{np.shape(kept)} choices for {self.count} subjects",
                mend="give True or False for every subject",
            )
        return SurvivalTarget(
            subjects=tuple(np.array(self.subjects, dtype=object)[kept]),
            days=self.days[kept],
            event=self.event[kept],
            entry_days=self.entry[kept],
        )

    def permuted(self, *, seed: int) -> "SurvivalTarget":
        """Return the same outcomes dealt to other subjects at random: a null experiment.

        Entry, last day and event of one subject stay together.
        """
        order = stream(seed, "survival", "permuted").permutation(self.count)
        return SurvivalTarget(
            subjects=self.subjects,
            days=self.days[order],
            event=self.event[order],
            entry_days=self.entry[order],
        )


def require_scores(score: Scores, target: SurvivalTarget) -> Scores:
    """Return a score as finite numbers, one per subject of the target.

    Raises:
        MetadataError: another number of values, or one that is not finite.

    Assumes:
        Row i of the score and of the target are the same subject; no identity is checked.

    Source:
        A check; no publication.
    """
    values = np.asarray(score, np.float64)
    if values.shape != (target.count,) or not np.isfinite(values).all():
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"a score of shape {values.shape} with {int((~np.isfinite(values)).sum())} values "
            f"that are not finite, for {target.count} subjects",
            mend="give one finite number per subject; leave out subjects without one",
        )
    return values


def require_events(target: SurvivalTarget, least: int, *, purpose: str) -> None:
    """Refuse an analysis that has too few events to say anything.

    Raises:
        MetadataError: fewer than `least` events, code OUTCOMES_TOO_FEW.

    Assumes:
        Nothing.

    Source:
        A check; no publication.
    """
    if target.events < least:
        raise MetadataError(
            Code.OUTCOMES_TOO_FEW,
            f"{target.events} events in {target.count} subjects; {purpose} needs at least {least}",
            mend="add subjects, or wait for longer follow-up",
        )


def _require_shapes(
    subjects: Sequence[str],
    days: Float[np.ndarray, "..."],
    event: Bool[np.ndarray, "..."] | Integer[np.ndarray, "..."],
    entry: Float[np.ndarray, "..."],
) -> None:
    expected = (len(subjects),)
    if not subjects or {days.shape, event.shape, entry.shape} != {expected}:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"days {days.shape}, event {event.shape} and entry {entry.shape} for "
            f"{len(subjects)} subjects",
            mend="give one value of each per subject",
        )
    if len(set(subjects)) < len(subjects):
        twice = next(s for s in subjects if list(subjects).count(s) > 1)
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"subject {twice!r} is there more than once",
            mend="give one outcome per subject",
        )
    if not np.isin(event, (0, 1)).all():
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            "an event is neither 0 nor 1",
            mend="give 1 where the event was seen and 0 where follow-up ended without it",
        )


def _require_days(
    subjects: Sequence[str],
    days: Float[np.ndarray, " subjects"],
    entry: Float[np.ndarray, " subjects"],
) -> None:
    wrong = ~(np.isfinite(days) & np.isfinite(entry) & (entry >= 0) & (days > entry))
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"{int(wrong.sum())} subjects have no time under observation; the first is "
            f"{subjects[first]!r} from day {entry[first]:g} to day {days[first]:g}",
            mend="leave them out, or correct their days: 0 <= entry < last day",
        )
