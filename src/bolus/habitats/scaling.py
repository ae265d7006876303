"""Every patient weighs the same, and every feature is of like scale."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from bolus.core import stream
from bolus.errors import Code, QuantityError
from bolus.habitats.model import FeatureScale
from bolus.habitats.table import VoxelTable

LOGGED = {"ncbv": 0.3, "ncbf": 0.3, "ktrans": 0.01}
"""Features whose errors and variation grow with them, and what they are lifted to."""


def common_features(tables: Sequence[VoxelTable]) -> tuple[str, ...]:
    """Return the features that all tables have.

    Args:
        tables: at least one.

    Raises:
        QuantityError: there is no table, or their features differ.

    Assumes:
        Nothing.

    Source:
        Own.
    """
    kinds = sorted({table.features for table in tables})
    if len(kinds) != 1:
        found = "; ".join(", ".join(kind) for kind in kinds) or "no table"
        raise QuantityError(
            Code.HABITATS_UNFIT,
            f"expected one set of features, got {found}",
            mend="build all tables with the same features",
        )
    return kinds[0]


def draw_equally(
    tables: Sequence[VoxelTable], voxels_per_patient: int, *, seed: int
) -> Float[np.ndarray, "voxels features"]:
    """Return the same number of voxels of every patient.

    Args:
        tables: visits; those of one patient are pooled.
        voxels_per_patient: how many of each. A patient with fewer gives each voxel as many times
            as fit, and a draw without replacement of the rest.
        seed: of the draw; a patient's draw does not depend on the other patients.

    Assumes:
        All tables have the same features.

    Source:
        Own.
    """
    pools: dict[str, list[VoxelTable]] = {}
    for table in sorted(tables, key=lambda one: (one.key.subject, one.key.session)):
        pools.setdefault(table.key.subject, []).append(table)
    drawn = []
    for subject, pool in pools.items():
        values = np.concatenate([table.values for table in pool])
        whole, rest = divmod(voxels_per_patient, len(values))
        random = stream(seed, "habitats", "draw", subject)
        chosen = np.sort(random.choice(len(values), rest, replace=False))
        drawn.append(np.concatenate([np.tile(values, (whole, 1)), values[chosen]]))
    return np.concatenate(drawn)


def fit_scales(
    features: tuple[str, ...], values: Float[np.ndarray, "voxels features"]
) -> tuple[FeatureScale, ...]:
    """Return how each feature is made comparable.

    Args:
        features: registry keys of the columns.
        values: in registry units.

    Raises:
        QuantityError: a feature does not vary.

    Assumes:
        Blood volume, blood flow and Ktrans vary in proportion to themselves.

    Source:
        Own; docs/science/habitats.md.
    """
    scales = []
    for name, column in zip(features, values.T, strict=True):
        floor = LOGGED.get(name)
        plain = column if floor is None else np.log(np.maximum(column, floor))
        if not plain.std() > 1e-9 * max(1e-9, float(np.abs(plain).max())):
            raise QuantityError(
                Code.HABITATS_UNFIT,
                f"{name} is {column[0]:.4g} in every voxel",
                mend="check the map, or leave it out",
            )
        scales.append(
            FeatureScale(
                transform="linear" if floor is None else "log",
                centre=float(plain.mean()),
                spread=float(plain.std()),
                floor=floor or 0.0,
            )
        )
    return tuple(scales)


def scaled(
    values: Float[np.ndarray, "voxels features"], scales: tuple[FeatureScale, ...]
) -> Float[np.ndarray, "voxels features"]:
    """Return features as the clustering sees them.

    Args:
        values: in registry units.
        scales: one a column.

    Assumes:
        Nothing.

    Source:
        Own.
    """
    result = np.empty(values.shape)
    for i, scale in enumerate(scales):
        column = values[:, i]
        plain = np.log(np.maximum(column, scale.floor)) if scale.transform == "log" else column
        result[:, i] = (plain - scale.centre) / scale.spread
    return result


def unscaled(
    points: Float[np.ndarray, "points features"], scales: tuple[FeatureScale, ...]
) -> Float[np.ndarray, "points features"]:
    """Return points in registry units again.

    Args:
        points: as the clustering sees them.
        scales: one a column.

    Assumes:
        Nothing.

    Source:
        Own.
    """
    plain = points * [s.spread for s in scales] + [s.centre for s in scales]
    logged = [s.transform == "log" for s in scales]
    return np.where(logged, np.exp(np.where(logged, plain, 0.0)), plain)
