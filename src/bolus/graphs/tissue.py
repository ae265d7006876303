"""What a graph is made of: maps and structural images of a tumour, voxel by voxel."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int32

from bolus.core import Grid, LabelMap, MapSet, Mask
from bolus.core.arrays import Volume
from bolus.errors import Code, GeometryError, MetadataError
from bolus.graphs.neighbours import box_of
from bolus.graphs.supervoxels import scale_channels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tissue:
    """Voxels of a tumour in its box; rows are voxels with a code, in C order.

    `shown` is what nodes tell: structural images as `scale_channels` gives them, then maps in
    their own units (`names`). `scaled` is the same with maps scaled too, for comparing; its first
    `structural` columns are the images.
    """

    codes: Int32[np.ndarray, "a b c"]
    inside: Bool[np.ndarray, "a b c"]
    grid: Grid
    corner: tuple[int, int, int]
    names: tuple[str, ...]
    shown: Float[np.ndarray, "voxels f"]
    scaled: Float[np.ndarray, "voxels f"]
    structural: int

    @property
    def cut_on(self) -> Float[np.ndarray, "voxels c"]:
        """What supervoxels are cut on: the structural images, the maps where there are none."""
        return self.scaled[:, : self.structural or None]


def gather_tissue(
    codes: LabelMap,
    *,
    maps: MapSet,
    structure: Mapping[str, Volume],
    reference: Mask | None = None,
) -> Tissue:
    """Crop codes, maps and images to the box of the tumour, and scale them.

    Args:
        codes: 0 outside the tumour.
        maps: on the grid of the codes.
        structure: images by name, on the same grid, in any unit.
        reference: tissue in which images have median 0 and spread 1; None takes the tumour.

    Raises:
        GeometryError: nothing has a code, or something lies on another grid.
        MetadataError: there is neither a map nor an image.

    Assumes:
        As `scale_channels`.

    Source:
        As `scale_channels`.

    Example:
        >>> from bolus.simulate.habitat_phantom import simulate_habitat_phantom
        >>> lesion = simulate_habitat_phantom(1, seed=1)[0]
        >>> gather_tissue(lesion.truth, maps=lesion.maps, structure={}).shown.shape
        (3072, 3)
    """
    _require(codes, maps, structure, reference)
    box = box_of(codes.foreground.values)
    corner = (box[0].start, box[1].start, box[2].start)
    inner = np.asarray(codes.values[box]).astype(np.int32)
    inside = inner > 0
    tissue = codes.values > 0 if reference is None else reference.values
    images = _rows([image[box][inside] for image in structure.values()], inside)
    around = _rows([image[tissue] for image in structure.values()], tissue)
    values = _rows([maps[name].values[box][inside] for name in maps], inside)
    images = scale_channels(images, around)
    return Tissue(
        codes=inner,
        inside=inside,
        grid=_begun_at(codes.grid, corner, inner.shape),
        corner=corner,
        names=(*structure, *maps),
        shown=np.concatenate([images, values], axis=1),
        scaled=np.concatenate([images, scale_channels(values, values)], axis=1),
        structural=len(structure),
    )


def _rows(columns: list[np.ndarray], of: np.ndarray) -> Float[np.ndarray, "voxels c"]:
    if not columns:
        return np.zeros((int(np.count_nonzero(of)), 0))
    return np.stack(columns, axis=1).astype(np.float64)


def _require(
    codes: LabelMap, maps: MapSet, structure: Mapping[str, Volume], reference: Mask | None
) -> None:
    codes.foreground.require_some()
    if not maps and not structure:
        raise MetadataError(
            Code.ARGUMENT_INVALID,
            "a graph of neither maps nor structural images",
            mend="give at least one map or image",
        )
    for name in maps:
        codes.grid.require_match(maps[name].grid, what=f"the {name} map")
    for name, image in structure.items():
        if image.shape != codes.grid.shape:
            raise GeometryError(
                Code.GRID_MISMATCH,
                f"the image {name} has {image.shape} voxels where the codes have "
                f"{codes.grid.shape}",
                mend="resample it onto the grid of the codes",
            )
    if reference is not None:
        codes.grid.require_match(reference.grid, what=f"the {reference.name} mask")
        reference.require_some()


def _begun_at(grid: Grid, corner: tuple[int, int, int], shape: tuple[int, ...]) -> Grid:
    """Return the part of a grid that begins at a voxel."""
    affine = np.array(grid.affine)
    affine[:3, 3] = grid.centres_mm(np.array(corner))
    x, y, z = shape
    return Grid(shape=(x, y, z), affine=affine)
