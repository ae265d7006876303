"""Habitats and what became of them to files: labels, memberships, tables."""

from collections.abc import Sequence

import numpy as np

from bolus import io
from bolus.core import Mask
from bolus.habitats import HabitatMap, HabitatModel, HabitatTrack, Interval, VoxelTable
from bolus.habitats.cohort_table import blood_measures
from bolus.habitats.longitudinal import TrackedVisit
from bolus.io.tables import Cell


def habitat_files(names: io.OutputNames, model: HabitatModel) -> io.Manifest:
    """Return what `write_habitats` writes.

    Args:
        names: how files are called.
        model: whose habitats they are.
    """
    labels = names.segmentation("habitats")
    stems = [*(names.probability(name) for name in model.names), names.mask("unusual"), labels]
    files = {f"{stem}{ending}" for stem in stems for ending in (".nii.gz", ".json")}
    return io.Manifest(must={*files, f"{labels}.tsv"})


def write_habitats(
    output: io.OutputFolder,
    names: io.OutputNames,
    found: HabitatMap,
    *,
    sources: Sequence[str],
) -> None:
    """Write labels, one map of membership for each habitat, and which voxels are unusual.

    Args:
        output: the open folder.
        names: how files are called.
        found: of one visit.
        sources: names of the files it was made from.
    """
    io.write_labels(output, names.segmentation("habitats"), found.labels, sources=sources)
    inside = found.mask.values
    for column, name in enumerate(found.names):
        volume = np.zeros(found.mask.grid.shape)
        volume[inside] = found.membership[:, column]
        io.write_probability(
            output, names.probability(name), volume, found.mask.grid, label=name, sources=sources
        )
    unusual = np.zeros(inside.shape, bool)
    unusual[inside] = found.unusual
    mask = Mask(values=unusual, grid=found.mask.grid, name="unlike all that the model has seen")
    io.write_mask(output, names.mask("unusual"), mask, sources=sources)


def habitats_table(table: VoxelTable, found: HabitatMap) -> str:
    """Return volume, share and mean of every feature of each habitat, one a row."""
    counts, expected = found.volumes_ml, found.expected_volumes_ml
    total = sum(counts.values())
    labels = found.labels.values[found.mask.values]
    rows = []
    for number, name in enumerate(found.names, start=1):
        here = labels == number
        means = [
            float(table.column(feature)[here].mean()) if here.any() else None
            for feature in table.features
        ]
        share = counts[name] / total if total else None
        rows.append((name, counts[name], expected[name], share, *means))
    columns = ("habitat", "volume_ml", "expected_ml", "fraction")
    return io.table_text((*columns, *table.features), rows)


def track_tables(track: HabitatTrack) -> dict[str, str]:
    """Return the tables of one patient's habitats through time: name -> text.

    Args:
        track: of one patient.
    """
    return {
        "volumes": _volumes(track),
        "changes": _changes(track),
        "transitions": _transitions(track),
        "sites": _sites(track),
        "totals": _totals(track),
        "missing": io.table_text(
            ("visit", "why"), [(key.prefix, why) for key, why in track.missing]
        ),
    }


TRACK_TABLES = ("volumes", "changes", "transitions", "sites", "totals", "missing", "lesions")
"""All tables of a followed patient: those of `track_tables`, and `lesions_table`."""


def lesions_table(visits: Sequence[TrackedVisit]) -> str:
    """Return what is known of each lesion beside its habitats: blood volume and scanner.

    Args:
        visits: of one patient, with nCBV among their features or without.
    """
    columns = (
        "visit", "day", "scanner", "voxels", "ncbv_mean", "ncbv_p95", "burden", "low_burden",
    )  # fmt: skip
    rows: list[list[Cell]] = []
    for visit in visits:
        table = visit.own_table or visit.table
        start: list[Cell] = [table.key.prefix, visit.day, table.scanner or None, table.count]
        if "ncbv" not in table.features:
            rows.append([*start, None, None, None, None])
            continue
        blood = blood_measures(table.column("ncbv"))
        rows.append([*start, blood.mean, blood.p95, blood.burden, blood.low_burden])
    return io.table_text(columns, rows)


def _volumes(track: HabitatTrack) -> str:
    columns = (
        "visit", "day", "habitat", "volume_ml", "volume_low95_ml", "volume_high95_ml",
        "fraction", "fraction_low95", "fraction_high95", "lesion_ml", "left_out_ml",
    )  # fmt: skip
    rows: list[list[Cell]] = [
        [
            visit.key.prefix, visit.day, name, *_three(visit.volumes_ml[name]),
            *_three(visit.fractions[name]), visit.lesion_ml, visit.left_out_ml,
        ]
        for visit in track.visits
        for name in track.names
    ]  # fmt: skip
    return io.table_text(columns, rows)


def _changes(track: HabitatTrack) -> str:
    columns = (
        "before", "after", "days", "habitat", "change_ml", "change_low95_ml", "change_high95_ml",
        "noise_ml", "beyond_noise",
    )  # fmt: skip
    rows: list[list[Cell]] = [
        [
            change.before.prefix, change.after.prefix, change.days, change.habitat,
            *_three(change.change_ml), change.noise_ml, change.beyond_noise,
        ]
        for change in track.changes
    ]  # fmt: skip
    return io.table_text(columns, rows)


def _transitions(track: HabitatTrack) -> str:
    columns = ("before", "after", "was", "became", "volume_ml", "noise_ml")
    rows: list[list[Cell]] = [
        [
            step.before.prefix, step.after.prefix, was, became, float(step.volumes_ml[i, j]),
            None if step.noise_ml is None else float(step.noise_ml[i, j]),
        ]
        for step in track.transitions
        for i, was in enumerate(step.names)
        for j, became in enumerate(step.names)
    ]  # fmt: skip
    return io.table_text(columns, rows)


def _sites(track: HabitatTrack) -> str:
    columns = (
        "grew_from", "grew_to", "enhanced_at", "habitat", "grown_ml", "new_enhancement_ml",
        "reach_mm", "overlap", "expected", "p_value", "permutations",
    )  # fmt: skip
    rows: list[list[Cell]] = [
        [
            site.grew_from.prefix, site.grew_to.prefix, site.enhanced_at.prefix, site.habitat,
            site.grown_ml, site.new_enhancement_ml, site.reach_mm, site.overlap, site.expected,
            site.p_value, site.permutations,
        ]
        for site in track.sites
    ]  # fmt: skip
    return io.table_text(columns, rows)


def _totals(track: HabitatTrack) -> str:
    rows: list[list[Cell]] = [
        [check.key.prefix, name, check.own_ml[name], check.registered_ml[name]]
        for check in track.checks
        for name in track.names
    ]
    return io.table_text(("visit", "habitat", "own_grid_ml", "first_grid_ml"), rows)


def _three(interval: Interval) -> tuple[float, float, float]:
    return interval.value, interval.lower, interval.upper
