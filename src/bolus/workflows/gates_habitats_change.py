"""Gate 8, change of habitats: nothing changed and nothing is said to, and growth is found."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, stats

from bolus.core import Mask, SessionKey, stream
from bolus.habitats import HabitatModel, assign_habitats, voxel_table
from bolus.habitats.longitudinal import TrackedVisit, track_habitats
from bolus.habitats.site import SiteVisits, grown_beyond, progression_sites
from bolus.habitats.track import HabitatTrack
from bolus.io.habitat_model import default_model
from bolus.preprocess.alignment import Alignment, resample_map_through, resample_mask_through
from bolus.report.certificate_findings import ErrorRow, ErrorTable, Gate, Part
from bolus.simulate.anatomy import smooth_field
from bolus.simulate.course import Visit, habitat_volumes_ml, plan_visits
from bolus.simulate.fast_maps import MapNoise
from bolus.simulate.habitat_lesion import box_edge, lay_lesion
from bolus.simulate.habitat_rescan import RescannedLesion, rescan_lesion
from bolus.simulate.profile import PatientProfile, draw_profile
from bolus.simulate.tissues import HABITAT_LABELS
from bolus.workflows.gates_request import GOALS, GateRequest
from bolus.workflows.progress import Progress, silent, stage

UNCHANGED_PERCENT = 95.0
FALSE_SITES = 0.06
ALPHA = 0.05
ERROR_MM = 0.5
"""Root mean square of the registration error of a visit, about what `register_visits` leaves."""
GAIN_SPREAD = 0.2
LEAST_ML = 0.3
PATIENTS = {"quick": 60, "full": 200}
LESIONS = {"quick": 60, "full": 200}
"""Of the site analysis."""
_PERMUTATIONS = 199
_GROWTH_STEPS_ML = ((0.0, 0.5), (0.5, 1.0), (1.0, 2.0), (2.0, 5.0), (5.0, np.inf))
_KEYS = tuple(SessionKey("certify", str(n + 1)) for n in range(3))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Followed:
    """One patient with two scans: what was found, and the true change [mL] by habitat."""

    track: HabitatTrack
    true_ml: np.ndarray

    @property
    def beyond(self) -> np.ndarray:
        """Whether each habitat changed beyond its limit."""
        return np.array([change.beyond_noise for change in self.track.changes])

    @property
    def limits_ml(self) -> np.ndarray:
        """Return the printed limit of each habitat."""
        return np.array([change.noise_ml for change in self.track.changes])

    @property
    def lesion_ml(self) -> float:
        """Return the size of the lesion at the first visit."""
        return self.track.visits[0].lesion_ml


def gates(request: GateRequest, progress: Progress = silent) -> tuple[Part, ...]:
    """Measure how often nothing is called a change, and how much growth it takes to be seen.

    Args:
        request: seed and profile.
        progress: told about every stage.
    """
    model = default_model()
    with stage(progress, "Unchanged pairs of visits"):
        unchanged = change_part(request, model)
    with stage(progress, "Sites of progression"):
        sites = site_part(request)
    return unchanged, sites


def change_part(request: GateRequest, model: HabitatModel) -> Part:
    """Return the gates of unchanged pairs and the table of what growth is found.

    Args:
        request: seed and profile.
        model: labels the visits.
    """
    count, seed = PATIENTS[request.profile.name], request.seed
    ways = {
        "volumes on each visit's own grid": list(
            follow(model, count, seed=seed, own=True, changed=False)
        ),
        "volumes after resampling": list(follow(model, count, seed=seed, own=False, changed=False)),
    }
    grown = list(follow(model, count, seed=seed, own=True, changed=True))
    what = (
        f"{count} patients scanned twice without change: new noise, new head position, resampling "
        f"with {ERROR_MM:g} mm of error, other gain, white matter misjudged"
    )
    return Part(
        title="Change of habitats",
        text=(
            "A patient counts as unchanged if no habitat changes by more than its printed limit. "
            "Limits are of little use if they are wide: the tables show them against the lesion, "
            "and how much true growth they let through."
        ),
        gates=tuple(
            Gate(
                name="unchanged patients within the printed limits",
                what=what,
                object="simulated lesions",
                method=name,
                value=100 * float(np.mean([not one.beyond.any() for one in found])),
                unit="%",
                low=UNCHANGED_PERCENT,
                source=f"limits: {GOALS}",
            )
            for name, found in ways.items()
        ),
        tables=(_limit_table(ways, model), _power_table(grown, model)),
    )


def follow(
    model: HabitatModel, count: int, *, seed: int, own: bool, changed: bool, std: bool = True
) -> Iterator[Followed]:
    """Yield patients with two scans, of one visit or of two.

    Args:
        model: labels the visits.
        count: patients.
        seed: decides them.
        own: give each visit's own grid too.
        changed: scan the second visit of the course rather than the first again.
        std: give the standard errors of the maps.
    """
    for profile, first, second in patients(count, seed=seed):
        edge = box_edge(max(first.glioma.volume_ml, second.glioma.volume_ml))
        later = second if changed else first
        gains = np.exp(GAIN_SPREAD * stream(profile.seed, "certify", "gain").standard_normal(2))
        scans = [
            rescan_lesion(
                visit, seed=profile.seed, edge=edge, scan=n, gain=float(gains[n]), noise=MapNoise()
            )
            for n, visit in enumerate((first, later))
        ]
        if not all(scan.lesion.count for scan in scans):
            continue
        tracked = track_visits(scans, model, seed=profile.seed, own=own, std=std)
        truth = [habitat_volumes_ml(visit.glioma) for visit in (first, later)]
        yield Followed(
            track=track_habitats(tracked, model, seed=seed),
            true_ml=np.array([truth[1][name] - truth[0][name] for name in model.names]),
        )


def patients(count: int, *, seed: int) -> Iterator[tuple[PatientProfile, Visit, Visit]]:
    """Yield patients whose lesion after treatment is larger than a few voxels.

    Args:
        count: how many.
        seed: decides them.
    """
    number = found = 0
    while found < count:
        profile = draw_profile(seed, number)
        number += 1
        first, second = plan_visits(profile, visits=2, post_treatment=True)
        if profile.genotype.idh == "wildtype" and first.glioma.volume_ml >= LEAST_ML:
            found += 1
            yield profile, first, second


def track_visits(
    scans: list[RescannedLesion], model: HabitatModel, *, seed: int, own: bool, std: bool = True
) -> list[TrackedVisit]:
    """Bring scans to the first with a registration error, and label them.

    Args:
        scans: of one patient.
        model: labels them.
        seed: of the registration error.
        own: give each visit's own grid too.
        std: give the standard errors of the maps.
    """
    random = stream(seed, "certify", "registration")
    grid, visits = scans[0].lesion.grid, []
    for n, scan in enumerate(scans):
        maps = dict(scan.maps) if std else {
            key: dataclasses.replace(item, std=None) for key, item in scan.maps.items()
        }  # fmt: skip
        native = voxel_table(maps, scan.lesion, key=_KEYS[n], features=model.features)
        table, lesion = native, scan.lesion
        if n > 0:
            wrong = np.eye(4)
            wrong[:3, 3] = random.normal(0.0, ERROR_MM / np.sqrt(3), 3)
            alignment = dataclasses.replace(
                Alignment.of_itself(grid),
                kind="rigid",
                matrix=wrong @ scan.pose @ np.linalg.inv(scans[0].pose),
            )
            maps = {key: resample_map_through(item, alignment, grid) for key, item in maps.items()}
            lesion = resample_mask_through(scan.lesion, alignment, grid)
            table = voxel_table(maps, lesion, key=_KEYS[n], features=model.features)
        visits.append(
            TrackedVisit(
                table=table,
                habitats=assign_habitats(table, model),
                day=90 * n,
                enhancing=lesion,
                error_mm=ERROR_MM if n else 0.0,
                ncbv_reference_error=MapNoise().reference,
                own_table=native if own else None,
                own_habitats=assign_habitats(native, model) if own else None,
            )
        )
    return visits


def _limit_table(ways: dict[str, list[Followed]], model: HabitatModel) -> ErrorTable:
    rows = []
    for name, found in ways.items():
        limits = np.array([100 * one.limits_ml / one.lesion_ml for one in found])
        in_ml = np.median([one.limits_ml for one in found], axis=0)
        size = float(np.median([one.lesion_ml for one in found]))
        rows.append(
            ErrorRow(
                object=f"median limit [% of the lesion, median {size:.1f} mL]",
                method=name,
                errors=tuple(np.median(limits, axis=0).tolist()),
            )
        )
        rows.append(ErrorRow(object="median limit [mL]", method=name, errors=tuple(in_ml.tolist())))
    return ErrorTable(
        title="Printed limits",
        text="What a change has to exceed, by habitat.",
        columns=model.names,
        absolute=model.names,
        rows=tuple(rows),
        what="change that noise alone stays below",
    )


def _power_table(found: list[Followed], model: HabitatModel) -> ErrorTable:
    grown = np.array([one.true_ml for one in found])
    seen = np.array([one.beyond for one in found])
    rows = []
    for low, high in _GROWTH_STEPS_ML:
        chosen = (np.abs(grown) >= low) & (np.abs(grown) < high)
        shares = [
            100 * float(seen[chosen[:, h], h].mean()) if chosen[:, h].any() else float("nan")
            for h in range(len(model.names))
        ]
        counts = ", ".join(str(int(n)) for n in chosen.sum(axis=0))
        name = f"{low:g} to {high:g} mL" if np.isfinite(high) else f"{low:g} mL and more"
        rows.append(ErrorRow(object=name, method=f"{counts} patients", errors=tuple(shares)))
    return ErrorTable(
        title="Changes that are found",
        text=(
            "Share of the true changes between the first two visits of simulated courses that are "
            "beyond the printed limit, by the size of the true change."
        ),
        columns=model.names,
        absolute=model.names,
        rows=tuple(rows),
        what="% of true changes",
    )


def site_part(request: GateRequest) -> Part:
    """Return the gate of sites where there is nothing, and how often true sites are found.

    Args:
        request: seed and profile.
    """
    count = LESIONS[request.profile.name]
    nothing = np.array(list(site_p_values(count, seed=request.seed, related=False)))
    related = np.array(list(site_p_values(count, seed=request.seed, related=True)))
    found = float((nothing < ALPHA).mean()) if nothing.size else float("nan")
    tests = max(1, nothing.size)
    most = float(stats.binom.isf(ALPHA, tests, FALSE_SITES)) / tests
    return Part(
        title="Site of progression",
        text=(
            "Growth of the hypovascular habitat against new enhancement at the next visit. Where "
            "new enhancement comes on other sides, p-values below 0.05 are false; where "
            "the lesion goes on growing as it did, they are found. "
            f"Found there: {100 * float((related < ALPHA).mean()):.0f} % of {related.size}."
        ),
        gates=(
            Gate(
                name="false sites",
                what=(
                    f"p < 0.05 in {tests} lesions whose new enhancement has nothing to do with "
                    f"growth; at most {100 * FALSE_SITES:g} %, with the chance of {tests} tests"
                ),
                object="simulated lesions",
                method=f"{_PERMUTATIONS} turns",
                value=100 * found,
                unit="%",
                high=100 * most,
                source=f"limits: {GOALS}",
            ),
        ),
    )


def site_p_values(count: int, *, seed: int, related: bool) -> Iterator[float]:
    """Yield p-values of sites of hypovascular growth.

    Args:
        count: patients with growth and new enhancement.
        seed: decides them.
        related: let the lesion go on growing where it grew; else new enhancement of the same
            volume comes elsewhere, by another irregular border.
    """
    number = found = 0
    label = next(n for n, name in HABITAT_LABELS.items() if name == "hypovascular")
    while found < count:
        profile = draw_profile(seed, number)
        number += 1
        visits = plan_visits(profile, visits=3, post_treatment=True)
        sizes = [visit.glioma.volume_ml for visit in visits]
        if sizes[0] < LEAST_ML or sizes[2] < 1.1 * sizes[1] or sizes[1] < 1.1 * sizes[0]:
            continue
        edge = box_edge(max(sizes))
        laid = [lay_lesion(v.glioma, v.tissues, seed=profile.seed, edge=edge) for v in visits]
        grid = laid[0].grid
        masks = [Mask(values=one.inside, grid=grid, name="lesion") for one in laid]
        habitat = []
        for one in laid[:2]:
            values = np.zeros(grid.shape, bool)
            values[one.inside] = one.habitat == label
            habitat.append(Mask(values=values, grid=grid, name="hypovascular"))
        new = grown_beyond(masks[2], masks[1], error_mm=0.0)
        if not related:
            new = elsewhere(masks[1], new.count, seed=profile.seed)
        growth = grown_beyond(habitat[1], habitat[0], error_mm=0.0)
        sites = progression_sites(
            {"hypovascular": growth},
            lesion=masks[1],
            new_enhancement=new,
            visits=SiteVisits(grew_from=_KEYS[0], grew_to=_KEYS[1], enhanced_at=_KEYS[2]),
            seed=seed + number,
            permutations=_PERMUTATIONS,
        )
        if sites:
            found += 1
            yield sites[0].p_value


def elsewhere(lesion: Mask, count: int, *, seed: int) -> Mask:
    """Return so many voxels next to a lesion, on sides that another seed prefers.

    Args:
        lesion: they touch.
        count: voxels.
        seed: decides the sides.
    """
    sizes = lesion.grid.voxel_sizes_mm
    away = ndimage.distance_transform_edt(~lesion.values, sampling=sizes)
    field = smooth_field(
        lesion.grid.shape, reach_voxels=4.0, random=stream(seed, "certify", "elsewhere")
    )
    rank = np.where(lesion.values, np.inf, away * np.exp(1.5 * field))
    chosen = np.zeros(lesion.values.size, bool)
    chosen[np.argsort(rank, axis=None)[:count]] = True
    return Mask(
        values=chosen.reshape(lesion.grid.shape) & ~lesion.values,
        grid=lesion.grid,
        name="new enhancement",
    )
