"""The brain that a patient was born with: the template, smoothly deformed.

Everything is on the 2 mm grid of the template. Where the deformation is v, a stationary field of
velocities, the point x of a patient shows the template at exp(v)(x); exp(v) is invertible because
it is a flow, whatever v is.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from bolus.core.arrays import Affine, read_only
from bolus.core.randomness import stream
from bolus.errors import Code, MetadataError

VOXEL_MM = 2.0
"""Edge of the template's voxels."""
_COARSE = 3
"""The flow is computed on every third voxel: it is smooth over many."""
_REACH_MM = 18.0
"""Standard deviation of the Gaussian that smooths the velocities; set by us."""
_HALVINGS = 6
_MOST_MM = 12.0
"""Up to here the flow was tested to stay invertible on the grid."""
_CALLOSAL = 0.35
"""White matter above this share crosses the midline."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Anatomy:
    """Fields over the template's grid: `t1` [a.u.], shares `grey`, `white`, `falx`, and `inside`.

    `grey` and `white` are probabilities over many people, `inside` is the brain. `falx` is 1 in
    the sheet between the hemispheres that cells do not cross.
    """

    affine: Affine
    t1: np.ndarray
    grey: np.ndarray
    white: np.ndarray
    inside: np.ndarray
    falx: np.ndarray


@lru_cache(maxsize=2)
def deformed_anatomy(seed: int, *, deformation_mm: float) -> Anatomy:
    """Return the anatomy of one patient.

    Args:
        seed: decides the deformation.
        deformation_mm: root mean square of the displacement [mm] within the brain; 0 returns the
            template itself, bit for bit.

    Raises:
        MetadataError: the deformation is negative or larger than 12 mm.

    Source:
        MNI152 ICBM 2009a templates (Fonov et al., NeuroImage 2011;54:313) as shipped in nilearn.

    Example:
        >>> template = deformed_anatomy(1, deformation_mm=0.0)
        >>> template.white.shape
        (99, 117, 95)
    """
    template = _template()
    if deformation_mm == 0:
        return template
    shift = deformation(seed, inside=template.inside, deformation_mm=deformation_mm)
    where = np.indices(template.inside.shape, dtype=np.float32) + shift / np.float32(VOXEL_MM)

    def warped(volume: np.ndarray) -> np.ndarray:
        source = np.asarray(volume, np.float32)
        return read_only(ndimage.map_coordinates(source, where, order=1, mode="nearest"))

    return Anatomy(
        affine=template.affine,
        t1=warped(template.t1),
        grey=warped(template.grey),
        white=warped(template.white),
        inside=read_only(warped(template.inside) > 0.5),
        falx=warped(template.falx),
    )


def deformation(seed: int, *, inside: np.ndarray, deformation_mm: float) -> np.ndarray:
    """Draw a smooth invertible deformation.

    Args:
        seed: decides it.
        inside: bool (x, y, z), the brain on the 2 mm grid.
        deformation_mm: root mean square of the displacement [mm] there.

    Returns:
        Displacement [mm] along the three axes of the grid, (3, x, y, z): the patient's voxel i
        shows what the template holds at i + displacement / 2 mm.

    Raises:
        MetadataError: the deformation is negative or larger than 12 mm.

    Source:
        Scaling and squaring of a stationary velocity (Arsigny et al., MICCAI 2006;4190:924).

    Example:
        >>> shift = deformation(1, inside=np.ones((30, 30, 30), bool), deformation_mm=4.0)
        >>> shift.shape, bool(jacobian(shift).min() > 0)
        ((3, 30, 30, 30), True)
    """
    if not 0 <= deformation_mm <= _MOST_MM:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            f"a deformation of {deformation_mm} mm; expected 0 to {_MOST_MM:g} mm",
            mend="choose a smaller one: heads differ by about 4 mm after an affine match",
        )
    shape = tuple(-(-n // _COARSE) + 1 for n in inside.shape)
    reach = _REACH_MM / (VOXEL_MM * _COARSE)
    velocity = np.stack(
        [
            smooth_field(shape, reach_voxels=reach, random=stream(seed, "anatomy", axis))
            for axis in "xyz"
        ]
    )
    brain = inside[::_COARSE, ::_COARSE, ::_COARSE]
    size = np.float32(deformation_mm / (VOXEL_MM * _COARSE * np.sqrt(3.0)))
    # the flow is a little shorter or longer than its velocity: two corrections meet the RMS
    for _ in range(3):
        flow = _flow(size * velocity)
        within = flow[(slice(None), *(slice(n) for n in brain.shape))][:, brain]
        squared = (within.astype(np.float64) ** 2).sum(axis=0)
        rms = VOXEL_MM * _COARSE * float(np.sqrt(squared.mean()))
        if rms == 0.0:
            break
        size = np.float32(size * deformation_mm / rms)
    fine = [
        ndimage.affine_transform(
            part, np.full(3, 1 / _COARSE), output_shape=inside.shape, order=2, mode="nearest"
        )
        for part in flow
    ]
    return np.asarray(VOXEL_MM * _COARSE * np.stack(fine), np.float32)


def jacobian(displacement: np.ndarray) -> np.ndarray:
    """Return the determinant of the deformation's derivative, the local change of volume.

    Args:
        displacement: [mm] (3, x, y, z) on the 2 mm grid.

    Returns:
        float32 (x, y, z), 1 where nothing is stretched; above 0 nothing is folded.

    Example:
        >>> float(jacobian(np.zeros((3, 4, 4, 4), np.float32)).max())
        1.0
    """
    slopes = np.stack([np.stack(np.gradient(part, np.float32(VOXEL_MM))) for part in displacement])
    (a, b, c), (d, e, f), (g, h, i) = slopes + np.eye(3, dtype=np.float32)[:, :, None, None, None]
    return np.asarray(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g))


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


def _flow(velocity: np.ndarray) -> np.ndarray:
    """Follow the velocity [coarse voxels per unit time] for one unit: exp(v)(x) - x."""
    identity = np.indices(velocity.shape[1:], dtype=np.float32)
    flow = velocity / np.float32(2**_HALVINGS)
    for _ in range(_HALVINGS):
        where = identity + flow
        flow = flow + np.stack(
            [ndimage.map_coordinates(part, where, order=1, mode="nearest") for part in flow]
        )
    return np.asarray(flow, np.float32)


@lru_cache(maxsize=1)
def _template() -> Anatomy:
    """Read the 2 mm templates."""
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
    affine = read_only(np.asarray(t1.affine, np.float64))
    return Anatomy(
        affine=affine,
        t1=read_only(volumes[0]),
        grey=read_only(volumes[1]),
        white=read_only(volumes[2]),
        inside=read_only(volumes[3] > 0.5),
        falx=read_only(_falx(volumes[2], affine)),
    )


def _falx(white: np.ndarray, affine: Affine) -> np.ndarray:
    """Return the sheet between the hemispheres, three voxels thick, above the corpus callosum."""
    middle = round(-affine[0, 3] / affine[0, 0])
    height_mm = affine[2, 3] + affine[2, 2] * np.arange(white.shape[2])
    crossing = white[middle] > _CALLOSAL
    # nothing that lies under crossing white matter belongs to the falx
    above = ~np.logical_or.accumulate(crossing[:, ::-1], axis=1)[:, ::-1]
    sheet = np.zeros(white.shape, np.float32)
    sheet[middle - 1 : middle + 2] = above & (height_mm > -5.0)
    return sheet
