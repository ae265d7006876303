"""A later origin, so that what is known only then predicts only what comes after."""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from bolus.errors import Code, MetadataError
from bolus.survival.target import SurvivalTarget


def landmark(
    target: SurvivalTarget,
    day: float | Float[np.ndarray, " subjects"],
    *,
    clock: Literal["landmark", "origin"] = "landmark",
) -> tuple[SurvivalTarget, Bool[np.ndarray, " subjects"]]:
    """Keep who was still without the event and in follow-up at a landmark, and count from there.

    A change between two visits is known at the second one. Who died or was lost before it cannot
    have the change, and who has it cannot die before it: counted from the first visit, that makes
    the change look protective.

    Args:
        target: days from any origin.
        day: the landmark, one for all or one per subject (the day of the later visit).
        clock: "landmark" counts days from the landmark; "origin" keeps the days and makes the
            landmark the day of entry, for a hazard that depends on the time since the origin.

    Returns:
        The target of those kept, and which rows they are.

    Raises:
        MetadataError: landmarks do not fit the subjects, or nobody is left.

    Assumes:
        All covariates are known at the landmark; the choice of the landmark looks at no outcome.

    Source:
        Anderson et al., J Clin Oncol 1983;1:710-719, doi 10.1200/JCO.1983.1.11.710. van
        Houwelingen, Scand J Stat 2007;34:70-85, doi 10.1111/j.1467-9469.2006.00529.x.

    Example:
        >>> target = SurvivalTarget(subjects=("1", "2"), days=np.array([50.0, 300]),
        ...     event=np.array([True, True]))
        >>> later, kept = landmark(target, 90.0)
        >>> later.subjects, later.days.tolist(), kept.tolist()
        (('2',), [210.0], [False, True])
    """
    at = np.asarray(day, np.float64)
    if at.shape not in ((), target.days.shape) or not (np.isfinite(at).all() and (at >= 0).all()):
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"landmarks of shape {at.shape} for {target.count} subjects, or not days from 0 on",
            mend="give one day for all, or one for each subject",
        )
    at = np.broadcast_to(at, target.days.shape)
    kept = target.days > at
    if not kept.any():
        raise MetadataError(
            Code.OUTCOMES_TOO_FEW,
            f"none of {target.count} subjects was in follow-up after the landmark",
            mend="choose an earlier landmark",
        )
    left = target.select(kept)
    start = np.maximum(left.entry, at[kept])
    origin = at[kept] if clock == "landmark" else np.zeros(left.count)
    later = SurvivalTarget(
        subjects=left.subjects,
        days=left.days - origin,
        event=left.event,
        entry_days=start - origin,
    )
    return later, kept
