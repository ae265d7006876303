"""A head in template space: real anatomy, a glioma grown into it, and smooth variation.

Everything here is a field over millimetres of the MNI template; `phantom` samples it onto the grid
of a scan, however the head lies in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from bolus.core.arrays import Affine, read_only
from bolus.core.randomness import stream
from bolus.simulate.anatomy import Anatomy, deformed_anatomy, smooth_field
from bolus.simulate.growth import Glioma, Ground, grow

_SHARPEN = 4.0
"""Exponent that turns probabilities over many people into the fractions of one head."""
_SNAP_MM = 15.0
_CHOROID_MM = ((21.0, -38.0, 12.0), (27.0, -44.0, 2.0), (14.0, -30.0, 16.0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Head:
    """Volume fractions of tissues and fields of variation over one affine (template voxels to mm).

    `fractions` by tissue name sum to at most 1 (air and bone hold nothing). `variation` has mean
    0 and standard deviation 1: "cbv", "mtt", "delay", "leakage". `inside` is the brain, 0 to 1;
    `intensity` a T1-weighted picture after contrast agent.
    """

    affine: Affine
    fractions: Mapping[str, np.ndarray]
    inside: np.ndarray
    variation: Mapping[str, np.ndarray]
    intensity: np.ndarray
    tumour_centre_mm: tuple[float, float, float] | None


@lru_cache(maxsize=2)
def build_head(seed: int, *, glioma: Glioma | None, deformation_mm: float) -> Head:
    """Build a head with or without a glioma.

    The glioma replaces tissue; it does not push it aside, and the midline stays where it is.
    Visits of one patient are the same seed and deformation with another glioma.

    Args:
        seed: decides the anatomy, the tumour's place and shape, and the variation within tissues.
        glioma: None for a healthy head.
        deformation_mm: by how much the anatomy departs from the template [mm, root mean square].

    Raises:
        MetadataError: the deformation is too large, or the glioma does not fit into the brain.

    Source:
        Anatomy: `anatomy`. Growth: `growth`.

    Example:
        >>> head = build_head(1, glioma=Glioma(), deformation_mm=4.0)
        >>> float(max(sum(head.fractions.values()).max(), 1.0)) <= 1.0001
        True
    """
    anatomy = deformed_anatomy(seed, deformation_mm=deformation_mm)
    healthy, ground = _healthy_head(anatomy)
    fractions, centre = dict(healthy), None
    if glioma is not None:
        wanted = glioma.centre_mm or _tumour_centre(seed, anatomy.affine, ground.white)
        centre = _in_tissue(wanted, ground)
        parts = grow(glioma, seed=seed, ground=ground, centre_mm=centre)
        fractions = _replaced(fractions, parts)
    return Head(
        affine=anatomy.affine,
        fractions=fractions,
        inside=read_only(anatomy.inside.astype(np.float32)),
        variation=_variation(seed, anatomy.t1.shape),
        intensity=_intensity(anatomy.t1, fractions),
        tumour_centre_mm=centre,
    )


@lru_cache(maxsize=2)
def _healthy_head(anatomy: Anatomy) -> tuple[Mapping[str, np.ndarray], Ground]:
    """Return fractions without a tumour, and the ground that one would grow into."""
    fractions = _healthy(anatomy.grey, anatomy.white, anatomy.inside)
    fractions["choroid"] = _choroid(anatomy.affine, fractions)
    fluid = np.maximum(fractions["csf"] + fractions["choroid"], anatomy.falx)
    kept = {name: read_only(values) for name, values in fractions.items()}
    ground = Ground(
        affine=anatomy.affine, grey=kept["gm"], white=kept["wm"], fluid=read_only(fluid)
    )
    return kept, ground


@lru_cache(maxsize=2)
def _variation(seed: int, shape: tuple[int, int, int]) -> Mapping[str, np.ndarray]:
    """Draw the fields by which values vary within tissues."""
    return {
        name: read_only(smooth_field(shape, reach_voxels=reach, random=stream(seed, "head", name)))
        for name, reach in (("cbv", 2.5), ("mtt", 3.0), ("delay", 10.0), ("leakage", 3.0))
    }


def _replaced(
    fractions: Mapping[str, np.ndarray], parts: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Put the parts of a tumour in the place of the brain."""
    brain = ("csf", "gm", "wm", "choroid")
    given = np.zeros_like(fractions["wm"])
    for values in parts.values():
        given += values
    left = dict(fractions)
    # oedema takes white matter alone, the margin white and grey, the rest everything
    for names, takers in ((("wm",), ("oedema",)), (("wm", "gm"), ("infiltrated",)), (brain, ())):
        asked = sum((parts[name] for name in takers), np.zeros_like(given)) if takers else given
        there = sum((left[name] for name in names), np.zeros_like(given))
        taken = np.minimum(asked, there)
        kept = 1 - taken / np.maximum(there, 1e-6)
        for name in names:
            left[name] = left[name] * kept
        given = given - taken
    return {
        name: read_only(np.asarray(values, np.float32))
        for name, values in (left | dict(parts)).items()
    }


def _healthy(grey: np.ndarray, white: np.ndarray, inside: np.ndarray) -> dict[str, np.ndarray]:
    """Turn probabilities into fractions, and wrap the brain in CSF, bone (nothing) and scalp."""
    fluid = np.where(inside, np.maximum(1 - grey - white, 0), 0)
    powers = [np.where(inside, p, 0) ** _SHARPEN for p in (grey, white, fluid)]
    total = np.maximum(sum(powers), 1e-6)
    outside_mm = 2.0 * ndimage.distance_transform_edt(~inside)
    subarachnoid = _between(outside_mm, 0.5, 3.0)
    scalp = _between(outside_mm, 10.0, 16.0)
    gm, wm, csf = (np.where(inside, p / total, 0).astype(np.float32) for p in powers)
    return {
        "csf": np.where(inside, csf, subarachnoid).astype(np.float32),
        "gm": gm,
        "wm": wm,
        "scalp": np.where(inside, 0, scalp).astype(np.float32),
    }


def _between(distance_mm: np.ndarray, low_mm: float, high_mm: float) -> np.ndarray:
    """Return the share of a 2 mm voxel that lies between two distances."""
    return np.clip((distance_mm - low_mm) / 2 + 0.5, 0, 1) * np.clip(
        (high_mm - distance_mm) / 2 + 0.5, 0, 1
    )


def _distance_mm(
    shape: tuple[int, ...], affine: Affine, centre_mm: tuple[float, float, float]
) -> np.ndarray:
    """Return the distance [mm] of every template voxel from a point; the axes are orthogonal."""
    squared: np.ndarray = np.zeros((1, 1, 1), np.float32)
    for axis in range(3):
        line = affine[axis, axis] * np.arange(shape[axis]) + affine[axis, 3] - centre_mm[axis]
        squared = squared + np.expand_dims(
            line.astype(np.float32) ** 2, axis=[a for a in range(3) if a != axis]
        )
    return np.asarray(np.sqrt(squared))


def _choroid(affine: Affine, fractions: dict[str, np.ndarray]) -> np.ndarray:
    """Put choroid plexus into the fluid of the lateral ventricles, and take that fluid away."""
    fluid = fractions["csf"]
    plexus = np.zeros_like(fluid)
    for side in (-1, 1):
        for x, y, z in _CHOROID_MM:
            distance = _distance_mm(fluid.shape, affine, (side * x, y, z))
            plexus = np.maximum(plexus, np.clip((4.5 - distance) / 2 + 0.5, 0, 1))
    held = np.asarray(0.8 * plexus * fluid, np.float32)
    fractions["csf"] = fluid - held
    return held


def _tumour_centre(seed: int, affine: Affine, white: np.ndarray) -> tuple[float, float, float]:
    """Draw a place in the deep white matter of one hemisphere."""
    deep = ndimage.uniform_filter(white, 7) > 0.55
    places = np.argwhere(deep) @ affine[:3, :3].T + affine[:3, 3]
    x, y, z = places.T
    likely = (np.abs(x) > 22) & (np.abs(x) < 42) & (y > -62) & (y < 42) & (z > 8) & (z < 42)
    place = stream(seed, "glioma", "centre").choice(places[likely])
    return float(place[0]), float(place[1]), float(place[2])


def _in_tissue(centre_mm: tuple[float, float, float], ground: Ground) -> tuple[float, float, float]:
    """Move a place that the deformation left in fluid to the closest tissue within 15 mm."""
    steps_mm = ground.affine[:3, :3].diagonal()
    centre = np.round((centre_mm - ground.affine[:3, 3]) / steps_mm).astype(int)
    if (centre < 0).any() or (centre >= ground.white.shape).any():
        return centre_mm
    if (ground.grey + ground.white)[tuple(centre)] > 0.5:
        return centre_mm
    low = np.maximum(centre - 8, 0)
    near = tuple(slice(a, b) for a, b in zip(low, centre + 9, strict=True))
    places = np.argwhere((ground.grey + ground.white)[near] > 0.5) + low
    away_mm = np.linalg.norm((places - centre) * steps_mm, axis=1)
    if not len(places) or away_mm.min() > _SNAP_MM:
        return centre_mm
    x, y, z = ground.affine[:3, 3] + steps_mm * places[away_mm.argmin()]
    return float(x), float(y), float(z)


def _intensity(t1: np.ndarray, fractions: Mapping[str, np.ndarray]) -> np.ndarray:
    """Paint a T1-weighted image after contrast agent: bright rim, dark core, grey oedema."""
    new = {
        "oedema": 0.42, "infiltrated": 0.48, "necrosis": 0.25, "nonviable": 0.65,
        "hypovascular": 0.85, "hypervascular": 1.0, "radiation": 0.8, "cavity": 0.15,
        "choroid": 0.9, "scalp": 0.75,
    }  # fmt: skip
    present = [(fractions[name], shade) for name, shade in new.items() if name in fractions]
    share = sum((fraction for fraction, _ in present), np.zeros_like(t1))
    painted = sum((fraction * shade for fraction, shade in present), np.zeros_like(t1))
    return read_only(np.asarray(np.clip(1 - share, 0, 1) * t1 + painted, np.float32))
