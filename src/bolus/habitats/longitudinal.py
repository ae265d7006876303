"""Habitats of one patient from visit to visit: volumes, changes beyond noise, transitions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from bolus.core import Assumed, Mask, SessionKey, stream
from bolus.errors import Code, QuantityError
from bolus.habitats.limits import centred, differences, intervals_around, joint_limits
from bolus.habitats.model import HabitatMap, HabitatModel
from bolus.habitats.noise import (
    Lesion,
    VisitNoise,
    measure_noise,
    repeat_volumes,
)
from bolus.habitats.site import SiteVisits, grown_beyond, progression_sites
from bolus.habitats.table import VoxelTable
from bolus.habitats.totals import check_totals, lesion_ml
from bolus.habitats.track import (
    HabitatChange,
    HabitatTrack,
    Interval,
    ProgressionSite,
    Transition,
    VisitVolumes,
)
from bolus.habitats.transitions import find_transition, transition_noise_ml

_WHY = "what lies around was not given; oedema, with a little fluid of a cavity or a ventricle"
_TABLE = "docs/explanation/simulator.md, table of tissues"
SURROUNDINGS: Mapping[str, Assumed] = {
    "ncbv": Assumed(value=0.7, reason=_WHY, source=_TABLE),
    "adc": Assumed(value=1.6e-3, reason=_WHY, source=_TABLE),
}
"""What interpolation mixes into a border, where a visit comes without its own grid."""
_FEWEST_VISITS = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackedVisit:
    """One visit of a patient.

    `table`, `habitats` and `enhancing` lie on the grid of the first visit. `day` counts from the
    first. `error_mm` is how far the registration is likely to be wrong (root mean square); 0 says
    that the visit was measured on this very grid and nothing was interpolated.
    `ncbv_reference_error` is the standard deviation of the logarithm by which white matter, and
    nCBV with it, is misjudged at a visit. `acquired_voxel_ml` is the volume of a voxel as it was
    measured; 0 if the grids of the tables are those of the measurement.

    `own_table` and `own_habitats` are the same lesion on the visit's own grid, before anything was
    resampled. Give both: volumes and changes are then those of the own grid, and their noise is
    smaller than after resampling.
    """

    table: VoxelTable
    habitats: HabitatMap
    day: int
    enhancing: Mask
    error_mm: float
    ncbv_reference_error: float
    acquired_voxel_ml: float = 0.0
    own_table: VoxelTable | None = None
    own_habitats: HabitatMap | None = None

    @property
    def measured(self) -> tuple[VoxelTable, HabitatMap]:
        """The lesion on the grid that its volumes are taken from."""
        if self.own_table is not None and self.own_habitats is not None:
            return self.own_table, self.own_habitats
        return self.table, self.habitats

    @property
    def blurred(self) -> bool:
        """Whether its volumes went through an interpolation."""
        return (self.own_table is None or self.own_habitats is None) and self.error_mm > 0

    @property
    def surroundings(self) -> Float[np.ndarray, " features"]:
        """Features of what lies around the lesion: as assumed, or the lesion's own middle."""
        middle = np.median(self.table.values, axis=0)
        return np.array(
            [
                SURROUNDINGS[name].value if name in SURROUNDINGS else own
                for name, own in zip(self.table.features, middle, strict=True)
            ]
        )


def track_habitats(
    visits: Sequence[TrackedVisit],
    model: HabitatModel,
    *,
    resamples: int = 100,
    seed: int,
    confidence: float = 0.95,
    permutations: int = 1000,
) -> HabitatTrack:
    """Follow habitats through the visits of a patient, and say what is beyond noise.

    A second measurement of an unchanged lesion is drawn again and again: other errors of the maps,
    another misjudged white matter, other places of the voxels in the lesion, an outline laid onto
    voxels anew, and where a visit was only given after resampling, its blur. Begun from either
    visit, every pair of such measurements that are like the first and like the second visit is a
    change of nothing. Limits are such that in `confidence` of these pairs all habitats together
    stay below them.

    Args:
        visits: at least two, in the order of their days.
        model: the one that labelled them.
        resamples: repeats of each visit.
        seed: decides them.
        confidence: of limits and intervals.
        permutations: of the site analysis.

    Returns:
        Volumes, changes and transitions between neighbours in time, and sites for every three
        visits. Without growth or new enhancement there are no sites.

    Raises:
        QuantityError: fewer than two visits, or visits of several patients, out of order, of
            other habitats or features.
        GeometryError: visits on different grids.

    Assumes:
        Lesion outlines are right but for their voxels: how a reader would draw them another time
        is not in the noise. A change of shape of the whole brain is not either.

    Source:
        Own; docs/science/habitat_change.md.
    """
    _check(visits, model)
    measured = [_Measured.of(visit) for visit in visits]
    draws = _draw(measured, model, resamples=resamples, seed=seed)
    return HabitatTrack(
        subject=visits[0].table.key.subject,
        names=model.names,
        visits=tuple(
            _volumes(visit, here, draws[n, n], model.names, confidence)
            for n, (visit, here) in enumerate(zip(visits, measured, strict=True))
        ),
        changes=tuple(
            change
            for n in range(len(visits) - 1)
            for change in _changes(visits, measured, draws, n, model.names, confidence)
        ),
        transitions=tuple(
            _transition(before, after, model, seed=seed, confidence=confidence)
            for before, after in pairwise(visits)
        ),
        sites=tuple(
            site
            for first, second, third in zip(visits, visits[1:], visits[2:], strict=False)
            for site in _sites(first, second, third, model.names, seed, permutations)
        ),
        checks=tuple(
            check_totals(visit.own_habitats, visit.habitats, key=visit.table.key)
            for visit in visits
            if visit.own_habitats is not None
        ),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """A visit on the grid that its volumes are taken from."""

    lesion: Lesion
    noise: VisitNoise
    blurred: bool
    surroundings: Float[np.ndarray, " features"]
    least_ml: float

    @classmethod
    def of(cls, visit: TrackedVisit) -> "_Measured":
        table, habitats = visit.measured
        return cls(
            lesion=Lesion.of(table, habitats),
            noise=_noise_of(table, visit),
            blurred=visit.blurred,
            surroundings=visit.surroundings,
            least_ml=max(visit.acquired_voxel_ml, table.mask.grid.voxel_volume_ml),
        )


def _draw(
    measured: Sequence[_Measured],
    model: HabitatModel,
    *,
    resamples: int,
    seed: int,
) -> dict[tuple[int, int], Float[np.ndarray, "repeats habitats"]]:
    """Return repeats of every visit, like itself and like its neighbours in time."""
    draws = {}
    for base, here in enumerate(measured):
        for like in range(max(0, base - 1), min(len(measured), base + 2)):
            there = measured[like]
            blur = there.blurred and not here.blurred
            draws[base, like] = repeat_volumes(
                here.lesion,
                there.noise,
                model=model,
                count=resamples,
                random=stream(seed, "habitats", "repeat", str(base), str(like)),
                surroundings=here.surroundings if blur else None,
            )
    return draws


def _volumes(
    visit: TrackedVisit,
    measured: _Measured,
    repeats: np.ndarray,
    names: tuple[str, ...],
    confidence: float,
) -> VisitVolumes:
    """Return volumes and shares with their intervals."""
    volumes = measured.lesion.volumes_ml()
    whole = max(float(volumes.sum()), 1e-12)
    shares = repeats / np.maximum(repeats.sum(axis=1, keepdims=True), 1e-12)
    most = lesion_ml(measured.lesion.table)
    return VisitVolumes(
        key=visit.table.key,
        day=visit.day,
        volumes_ml=dict(
            zip(names, intervals_around(volumes, repeats, confidence, high=np.inf), strict=True)
        ),
        fractions=dict(
            zip(names, intervals_around(volumes / whole, shares, confidence, high=1.0), strict=True)
        ),
        lesion_ml=most,
        left_out_ml=most - measured.lesion.table.mask.volume_ml,
    )


def _changes(
    visits: Sequence[TrackedVisit],
    measured: Sequence[_Measured],
    draws: Mapping[tuple[int, int], np.ndarray],
    n: int,
    names: tuple[str, ...],
    confidence: float,
) -> list[HabitatChange]:
    """Return the change of every habitat from visit n to the next, and its noise."""
    before, after = measured[n], measured[n + 1]
    change = after.lesion.volumes_ml() - before.lesion.volumes_ml()
    least = max(before.least_ml, after.least_ml)
    nothing = np.concatenate(
        [differences(draws[base, n], draws[base, n + 1]) for base in (n, n + 1)]
    )
    limits = np.maximum(joint_limits(np.abs(nothing), confidence), least)
    scatter = differences(centred(draws[n, n]), centred(draws[n + 1, n + 1]))
    tail = (1 - confidence) / 2
    low, high = np.quantile(scatter, (tail, 1 - tail), axis=0)
    return [
        HabitatChange(
            before=visits[n].table.key,
            after=visits[n + 1].table.key,
            days=visits[n + 1].day - visits[n].day,
            habitat=name,
            change_ml=Interval(
                float(change[h]), float(change[h] - high[h]), float(change[h] - low[h])
            ),
            noise_ml=float(limits[h]),
        )
        for h, name in enumerate(names)
    ]


def _transition(
    before: TrackedVisit,
    after: TrackedVisit,
    model: HabitatModel,
    *,
    seed: int,
    confidence: float,
) -> Transition:
    """Return what became of every voxel on the first grid, and what nothing would look like."""
    lesion = Lesion.of(before.table, before.habitats)
    blur = after.error_mm > 0 and not before.error_mm > 0
    names = (before.table.key.session, after.table.key.session)
    noise_ml = transition_noise_ml(
        lesion,
        (_noise_of(before.table, before), _noise_of(after.table, after)),
        model=model,
        error_mm=float(np.hypot(before.error_mm, after.error_mm)),
        surroundings=before.surroundings if blur else None,
        confidence=confidence,
        random=stream(seed, "habitats", "transition", *names),
    )
    return find_transition(before.habitats, after.habitats, noise_ml=noise_ml)


def _sites(
    first: TrackedVisit,
    second: TrackedVisit,
    third: TrackedVisit,
    names: tuple[str, ...],
    seed: int,
    permutations: int,
) -> tuple[ProgressionSite, ...]:
    """Ask of every habitat whether it grew where the third visit newly enhances."""
    early = float(np.hypot(first.error_mm, second.error_mm))
    late = float(np.hypot(second.error_mm, third.error_mm))
    growth = {
        name: grown_beyond(
            second.habitats.labels.mask(name), first.habitats.labels.mask(name), error_mm=early
        )
        for name in names
    }
    new = grown_beyond(third.enhancing, second.enhancing, error_mm=late)
    lesion = second.enhancing if second.enhancing.count else second.table.mask
    return progression_sites(
        growth,
        lesion=lesion,
        new_enhancement=Mask(values=new.values, grid=new.grid, name="new enhancement"),
        visits=SiteVisits(
            grew_from=first.table.key, grew_to=second.table.key, enhanced_at=third.table.key
        ),
        seed=seed,
        permutations=permutations,
    )


def _noise_of(table: VoxelTable, visit: TrackedVisit) -> VisitNoise:
    return measure_noise(
        table,
        reference_error=visit.ncbv_reference_error,
        acquired_voxel_ml=visit.acquired_voxel_ml,
    )


def _check(visits: Sequence[TrackedVisit], model: HabitatModel) -> None:
    """Refuse visits that cannot be followed."""
    if len(visits) < _FEWEST_VISITS:
        raise QuantityError(
            Code.VISITS_TOO_FEW,
            f"{len(visits)} visits can be used and a change needs two",
            mend="bring another visit with maps and a lesion",
        )
    grid = visits[0].table.mask.grid
    for visit in visits:
        for place in (visit.table.mask.grid, visit.habitats.labels.grid, visit.enhancing.grid):
            grid.require_match(place, what=f"visit {_named(visit.table.key)}")
    days = [visit.day for visit in visits]
    if any(later <= earlier for earlier, later in pairwise(days)):
        raise _unfit(
            f"the days of the visits are {days}", mend="give visits in order of their days"
        )
    if len({visit.table.key.subject for visit in visits}) > 1:
        raise _unfit("the visits are of several patients", mend="follow one patient at a time")
    if any(visit.habitats.names != model.names for visit in visits):
        raise _unfit(
            "the visits were labelled with other habitats than the model has",
            mend="assign all visits with one model",
        )
    if len({visit.table.features for visit in visits}) > 1:
        raise _unfit(
            "the visits have different features", mend="build the tables with the same features"
        )


def _named(key: SessionKey) -> str:
    return key.session or key.subject


def _unfit(message: str, *, mend: str) -> QuantityError:
    return QuantityError(Code.QUANTITY_WRONG, message, mend=mend)
