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

_SHARPEN = 4.0
"""Exponent that turns probabilities over many people into the fractions of one head."""
_CHOROID_MM = ((21.0, -38.0, 12.0), (27.0, -44.0, 2.0), (14.0, -30.0, 16.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Glioma:
    """What the tumour is like. `radius_mm` [mm] to the outer rim of its enhancing part, on average.

    `centre_mm` [MNI mm] is drawn from the deep white matter of one hemisphere if it is None.
    """

    radius_mm: float = 19.0
    necrotic: float = 0.6
    """Radius of the core as a share of the whole."""
    oedema: float = 1.75
    """Reach of the oedema in white matter as a multiple of the radius."""
    irregularity: float = 0.28
    hypervascular: float = 0.45
    """Share of the enhancing part."""
    centre_mm: tuple[float, float, float] | None = None


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
def build_head(seed: int, *, glioma: Glioma | None) -> Head:
    """Build a head with or without a glioma.

    Args:
        seed: decides the tumour's place and shape and the variation within tissues.
        glioma: None for a healthy head.

    Source:
        MNI152 ICBM 2009a templates (Fonov et al., NeuroImage 2011;54:313) as shipped in nilearn.

    Example:
        >>> head = build_head(1, glioma=Glioma())
        >>> float(max(sum(head.fractions.values()).max(), 1.0)) <= 1.0001
        True
    """
    affine, t1, grey, white, inside = _template()
    fractions = _healthy(grey, white, inside)
    fractions["choroid"] = _choroid(affine, fractions)
    centre = None
    if glioma is not None:
        centre = glioma.centre_mm or _tumour_centre(seed, affine, white)
        _grow(fractions, glioma, centre_mm=centre, affine=affine, seed=seed)
    variation = {
        name: smooth_field(t1.shape, reach_voxels=reach, random=stream(seed, "head", name))
        for name, reach in (("cbv", 2.5), ("mtt", 3.0), ("delay", 10.0), ("leakage", 3.0))
    }
    return Head(
        affine=affine,
        fractions={name: read_only(values) for name, values in fractions.items()},
        inside=read_only(inside.astype(np.float32)),
        variation={name: read_only(values) for name, values in variation.items()},
        intensity=_intensity(t1, fractions),
        tumour_centre_mm=centre,
    )


@lru_cache(maxsize=1)
def _template() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Read the 2 mm templates: affine, T1, grey, white (probabilities), brain."""
    from nilearn import datasets

    t1 = datasets.load_mni152_template(resolution=2)
    volumes = [
        np.asarray(image.dataobj, dtype=np.float32)
        for image in (
            t1,
            datasets.load_mni152_gm_template(resolution=2),
            datasets.load_mni152_wm_template(resolution=2),
            datasets.load_mni152_brain_mask(resolution=2),
        )
    ]
    return (
        read_only(np.asarray(t1.affine, np.float64)),
        read_only(volumes[0]),
        read_only(volumes[1]),
        read_only(volumes[2]),
        read_only(volumes[3] > 0.5),
    )


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


def _grow(
    fractions: dict[str, np.ndarray],
    glioma: Glioma,
    *,
    centre_mm: tuple[float, float, float],
    affine: Affine,
    seed: int,
) -> None:
    """Replace brain by core, two kinds of enhancing rim and oedema, with irregular borders."""
    shape = fractions["wm"].shape
    rough = [
        smooth_field(shape, reach_voxels=reach, random=stream(seed, "glioma", name))
        for name, reach in (("border", 4.0), ("core", 3.0), ("kinds", 3.5), ("oedema", 5.0))
    ]
    level = _distance_mm(shape, affine, centre_mm) / glioma.radius_mm
    # a level of 1 is the border; its slope, one border per radius, makes edges about 2 mm wide
    soft = 2.0 / glioma.radius_mm
    mass = _edge(1 - level - glioma.irregularity * rough[0], soft)
    core = _edge(glioma.necrotic - level - 0.7 * glioma.irregularity * rough[1], soft) * mass
    rim = mass - core
    kinds = rough[2]
    cut = np.quantile(kinds[rim > 0.5], 1 - glioma.hypervascular) if (rim > 0.5).any() else 0.0
    rich = _edge(kinds - cut, 0.25)
    along_white = 1.6 * (fractions["wm"] - 0.75)
    swelling = _edge(
        glioma.oedema - level - 1.2 * glioma.irregularity * rough[3] + along_white, 2 * soft
    )
    brain = fractions["gm"] + fractions["wm"] + fractions["csf"]
    soft_tissue = np.clip((0.85 - fractions["csf"]) / 0.3, 0, 1) * np.clip(brain, 0, 1)
    mass_share = mass * soft_tissue * (fractions["gm"] + fractions["wm"] > 0.02)
    oedema = swelling * (1 - mass_share) * fractions["wm"]
    fractions["wm"] = (fractions["wm"] - oedema) * (1 - mass_share)
    fractions["gm"] = fractions["gm"] * (1 - mass_share)
    fractions["csf"] = fractions["csf"] * (1 - mass_share)
    fractions["choroid"] = fractions["choroid"] * (1 - mass_share)
    fractions["oedema"] = oedema * (1 - mass_share)
    held = mass_share / np.maximum(mass, 1e-6)
    fractions["necrosis"] = core * held
    fractions["hypovascular"] = rim * (1 - rich) * held
    fractions["hypervascular"] = rim * rich * held
    for name, values in fractions.items():
        fractions[name] = values.astype(np.float32)


def _edge(level: np.ndarray, softness: float) -> np.ndarray:
    """Return 1 inside, 0 outside, and a straight slope `softness` wide between."""
    return np.clip(level / softness + 0.5, 0, 1)


def smooth_field(
    shape: tuple[int, ...], *, reach_voxels: float, random: np.random.Generator
) -> np.ndarray:
    """Return smooth noise of mean 0 and standard deviation 1.

    Args:
        shape: of the field.
        reach_voxels: standard deviation of the Gaussian that smooths it.
        random: where it comes from.

    Example:
        >>> field = smooth_field((30, 30, 30), reach_voxels=2.0, random=stream(1, "field"))
        >>> round(float(field.std()), 3)
        1.0
    """
    noise = random.standard_normal(shape, dtype=np.float32)
    field = ndimage.gaussian_filter(noise, reach_voxels, truncate=2.5, mode="wrap")
    field -= field.mean()
    return np.asarray(field / field.std(), np.float32)


def _intensity(t1: np.ndarray, fractions: Mapping[str, np.ndarray]) -> np.ndarray:
    """Paint a T1-weighted image after contrast agent: bright rim, dark core, grey oedema."""
    new = {
        "oedema": 0.42, "necrosis": 0.25, "hypovascular": 0.85, "hypervascular": 1.0,
        "choroid": 0.9, "scalp": 0.75,
    }  # fmt: skip
    present = [(fractions[name], shade) for name, shade in new.items() if name in fractions]
    share = sum((fraction for fraction, _ in present), np.zeros_like(t1))
    painted = sum((fraction * shade for fraction, shade in present), np.zeros_like(t1))
    return read_only(np.asarray(np.clip(1 - share, 0, 1) * t1 + painted, np.float32))
