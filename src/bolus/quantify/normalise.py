"""Make blood volume comparable between scans: in units of white matter, or of the whole brain."""

import numpy as np
from scipy import ndimage

from bolus.core import QUANTITIES, Mask, MaskVolume, ParameterMap, Step, Volume
from bolus.errors import Code, MetadataError, QuantityError
from bolus.quantify.regions import REFERENCE_ERROR, mean_with_error
from bolus.quantify.tissue_classes import classify

_LEAST_ML, _MOST_ML = 3.0, 30.0
_EDGE_MM = 6.0
"""Cortex and vessels of the surface lie within this distance of the brain's edge."""
_MARGIN_MM = 10.0
"""Oedema and infiltration reach beyond what was drawn."""


def find_white_matter(
    cbv: ParameterMap, baseline_image: Volume, brain: Mask, *, avoid: Mask | None = None
) -> Mask:
    """Find normal-appearing white matter on the perfusion maps themselves.

    White matter is what has low CBV but is no fluid: brain deeper than 6 mm is divided at the
    valley between the two modes of smoothed CBV, and bright baseline signal (CSF) is taken out.
    Of what is left, the inner part is kept (one voxel in plane is peeled off), in components of
    at least 0.3 mL, deepest voxels first up to 30 mL. With `avoid` given, only the other
    hemisphere and only voxels 10 mm away from it are used; hemispheres are told apart at the
    middle of the brain along the left-right axis of the world.

    Args:
        cbv: CBV of any scale [mL/100mL].
        baseline_image: signal before the bolus (x, y, z) [a.u.].
        brain: where to look.
        avoid: tumour and whatever else is not normal.

    Returns:
        3 to 30 mL of white matter, to be shown in the report.

    Raises:
        MetadataError: less than 3 mL was found.
        GeometryError: masks and map lie on different grids.

    Assumes:
        Gradient-echo baseline in which CSF is brighter than tissue; grey matter has clearly more
        blood than white; the head lies roughly straight.

    Source:
        Normal-appearing contralateral white matter as the reference: Boxerman et al.,
        Neuro-Oncology 2020;22:1262, doi 10.1093/neuonc/noaa141. The way of finding it is this
        package's own; measured in docs/science/normalisation.md.

    Example:
        >>> white = np.zeros((40, 40, 12), bool)
        >>> white[8:32, 8:32] = True
        >>> grid = Grid(shape=white.shape, affine=np.diag([2.0, 2, 4, 1]))
        >>> brain = Mask(values=np.ones(white.shape, bool), grid=grid, name="brain")
        >>> blood = np.where(white, 2.0, 5.0) + 0.2 * stream(1, "n").normal(size=white.shape)
        >>> cbv = ParameterMap.from_voxels(blood[brain.values], quantity=QUANTITIES["cbv"],
        ...                                mask=brain, provenance=Provenance())
        >>> found = find_white_matter(cbv, np.where(white, 90.0, 100.0), brain)
        >>> bool(white[found.values].all())
        True
    """
    _require_same_grid(cbv, brain, avoid)
    classes = classify(cbv, baseline_image, brain, avoid=_widened(avoid))
    allowed = _allowed(brain, avoid)
    peeled = ndimage.binary_erosion(classes.white, structure=_in_plane())
    kept = _components(peeled & allowed & np.isfinite(cbv.values), brain, least_ml=0.3)
    kept = _deepest(kept, classes.white, brain, most_ml=_MOST_ML)
    return _enough(kept, brain, classes.white, "white matter")


def find_grey_matter(
    cbv: ParameterMap, baseline_image: Volume, brain: Mask, *, avoid: Mask | None = None
) -> Mask:
    """Find grey matter without large vessels, for the grey-to-white ratio of quality control.

    Above the valley between the two modes of smoothed CBV, below 2.5 times its upper mode, not
    bright as CSF, away from `avoid`. Thin cortex keeps some partial volume: the ratio comes out
    lower than that of pure tissue.

    Args:
        cbv: CBV of any scale [mL/100mL].
        baseline_image: signal before the bolus (x, y, z) [a.u.].
        brain: where to look.
        avoid: tumour and whatever else is not normal.

    Returns:
        At least 3 mL of grey matter.

    Raises:
        MetadataError: less than 3 mL was found.
        GeometryError: masks and map lie on different grids.

    Assumes:
        As `find_white_matter`.

    Source:
        This package's own; measured in docs/science/normalisation.md.

    Example:
        >>> grey = np.zeros((40, 40, 12), bool)
        >>> grey[:20] = True
        >>> grid = Grid(shape=grey.shape, affine=np.diag([2.0, 2, 4, 1]))
        >>> brain = Mask(values=np.ones(grey.shape, bool), grid=grid, name="brain")
        >>> blood = np.where(grey, 5.0, 2.0) + 0.2 * stream(1, "n").normal(size=grey.shape)
        >>> cbv = ParameterMap.from_voxels(blood[brain.values], quantity=QUANTITIES["cbv"],
        ...                                mask=brain, provenance=Provenance())
        >>> found = find_grey_matter(cbv, np.full(grey.shape, 100.0), brain)
        >>> bool(np.mean(grey[found.values]) > 0.95)
        True
    """
    _require_same_grid(cbv, brain, avoid)
    classes = classify(cbv, baseline_image, brain, avoid=_widened(avoid))
    return _enough(classes.grey & np.isfinite(cbv.values), brain, classes.grey, "grey matter")


def normalise_to_white_matter(item: ParameterMap, white_matter: Mask) -> ParameterMap:
    """Divide a CBV or CBF map by its mean in normal-appearing white matter.

    The mean, not the median: errors of CBV are symmetric around zero, also below it, so the mean
    is without bias and its standard error is plain.

    Args:
        item: CBV [mL/100mL] or CBF [mL/min/100mL].
        white_matter: the reference.

    Returns:
        nCBV or nCBF [ratio]. Its standard error holds that of the voxel and that of the
        reference, which all voxels share; its relative size is kept in the map's history.

    Raises:
        QuantityError: the map is neither CBV nor CBF.
        MetadataError: the reference mean is not positive.
        GeometryError: the mask is empty or on another grid.

    Assumes:
        White matter's blood volume is the same in everyone; errors of voxel and reference are
        independent.

    Source:
        Boxerman et al., Neuro-Oncology 2020;22:1262, doi 10.1093/neuonc/noaa141.

    Example:
        >>> grid = Grid(shape=(2, 1, 1), affine=np.eye(4))
        >>> brain = Mask(values=np.ones((2, 1, 1), bool), grid=grid, name="brain")
        >>> white = Mask(values=np.array([[[True]], [[False]]]), grid=grid, name="white matter")
        >>> cbv = ParameterMap.from_voxels(np.array([2.0, 6.0]), quantity=QUANTITIES["cbv"],
        ...                                mask=brain, provenance=Provenance())
        >>> normalise_to_white_matter(cbv, white).values.ravel().tolist()
        [1.0, 3.0]
    """
    keys = {"cbv": "ncbv", "cbf": "ncbf"}
    if item.quantity.key not in keys:
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"expected a map of CBV or CBF, got {item.quantity.symbol or item.quantity.key}",
            mend="normalise blood volume or blood flow",
        )
    item.grid.require_match(white_matter.require_some().grid, what="the white-matter mask")
    mean, error, _ = mean_with_error(item, white_matter.values)
    if not mean > 0:
        raise MetadataError(
            Code.REFERENCE_NOT_FOUND,
            f"mean {item.quantity.key} in white matter is {mean:.3g}, expected a positive number",
            mend="choose another white-matter mask with --reference-mask",
        )
    relative = error / mean if np.isfinite(error) else 0.0
    std = None
    if item.std is not None:
        std = np.hypot(item.std / mean, item.values / mean * relative)
    step = Step(
        "quantify.normalise_to_white_matter",
        {
            "of": item.quantity.key,
            "reference_mean": mean,
            "reference_voxels": white_matter.count,
            REFERENCE_ERROR: relative,
        },
        source="10.1093/neuonc/noaa141",
    )
    return ParameterMap(
        quantity=QUANTITIES[keys[item.quantity.key]],
        values=item.values / mean,
        status=item.status,
        grid=item.grid,
        provenance=item.provenance.then(step),
        std=std,
    )


def standardise(item: ParameterMap, brain: Mask) -> ParameterMap:
    """Scale CBV so that the brain's own middle is 1: srCBV = CBV / median over the brain.

    Nobody draws or finds a reference, and the median of a whole brain hardly varies between
    repeats. One landmark only, because zero must stay zero and ratios must stay ratios; Bedekar's
    standardisation uses several, learned from a cohort, so its numbers differ from these.

    Args:
        item: CBV [mL/100mL].
        brain: whole brain; a tumour in it moves the median little.

    Returns:
        srCBV [a.u.], 1 in the middle of the brain's distribution.

    Raises:
        QuantityError: the map is not CBV.
        MetadataError: the median is not positive.
        GeometryError: the mask is empty or on another grid.

    Assumes:
        Blood volume of the brain as a whole is normal: a global change is taken away.

    Source:
        After Bedekar et al., Magn Reson Med 2010;64:907-913, doi 10.1002/mrm.22445.

    Example:
        >>> grid = Grid(shape=(3, 1, 1), affine=np.eye(4))
        >>> brain = Mask(values=np.ones((3, 1, 1), bool), grid=grid, name="brain")
        >>> cbv = ParameterMap.from_voxels(np.array([2.0, 4.0, 5.0]), quantity=QUANTITIES["cbv"],
        ...                                mask=brain, provenance=Provenance())
        >>> standardise(cbv, brain).values.ravel().tolist()
        [0.5, 1.0, 1.25]
    """
    if item.quantity.key != "cbv":
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"expected a map of CBV, got {item.quantity.symbol or item.quantity.key}",
            mend="standardise blood volume",
        )
    values = item.inside(brain.require_some())
    middle = float(np.median(values)) if values.size else np.nan
    if not middle > 0:
        raise MetadataError(
            Code.REFERENCE_NOT_FOUND,
            f"median CBV of the brain is {middle:.3g}, expected a positive number",
            mend="check the brain mask",
        )
    step = Step("quantify.standardise", {"median": middle}, source="10.1002/mrm.22445")
    return ParameterMap(
        quantity=QUANTITIES["srcbv"],
        values=item.values / middle,
        status=item.status,
        grid=item.grid,
        provenance=item.provenance.then(step),
        std=None if item.std is None else item.std / middle,
    )


def _require_same_grid(cbv: ParameterMap, brain: Mask, avoid: Mask | None) -> None:
    cbv.grid.require_match(brain.require_some().grid, what=f"the {brain.name} mask")
    if avoid is not None:
        cbv.grid.require_match(avoid.grid, what=f"the {avoid.name} mask")


def _in_plane() -> MaskVolume:
    """Return the cross of four neighbours in a slice, the thin direction of DSC being left out."""
    return np.asarray(ndimage.generate_binary_structure(2, 1)[:, :, None])


def _widened(avoid: Mask | None) -> MaskVolume | None:
    if avoid is None or not avoid.count:
        return None
    sizes = avoid.grid.voxel_sizes_mm
    return np.asarray(ndimage.distance_transform_edt(~avoid.values, sampling=sizes) <= _MARGIN_MM)


def _allowed(brain: Mask, avoid: Mask | None) -> MaskVolume:
    """Return deep brain, in the hemisphere without the tumour if there is one."""
    sizes = np.array(brain.grid.voxel_sizes_mm)
    sampling = np.where(sizes > 1.5 * sizes.min(), 1e6, sizes)  # thick slices: depth in plane only
    padded = np.pad(brain.values, 1)
    depth = ndimage.distance_transform_edt(padded, sampling=sampling)[1:-1, 1:-1, 1:-1]
    allowed = np.asarray(depth > _EDGE_MM)
    wide = _widened(avoid)
    if wide is None or avoid is None:
        return allowed
    across = _left_right_mm(brain)
    middle = (across[brain.values].min() + across[brain.values].max()) / 2
    side = np.sign(across[avoid.values].mean() - middle) or 1.0
    return np.asarray(allowed & ~wide & (side * (across - middle) < -_EDGE_MM))


def _left_right_mm(brain: Mask) -> Volume:
    x, y, z = np.indices(brain.grid.shape, sparse=True)
    row = brain.grid.affine[0]
    return np.asarray(row[0] * x + row[1] * y + row[2] * z + row[3])


def _components(values: MaskVolume, brain: Mask, *, least_ml: float) -> MaskVolume:
    labels, count = ndimage.label(values)
    if not count:
        return values
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * brain.grid.voxel_volume_ml
    sizes[0] = 0
    return np.asarray((sizes >= least_ml)[labels])


def _deepest(values: MaskVolume, white: MaskVolume, brain: Mask, *, most_ml: float) -> MaskVolume:
    """Keep the voxels furthest from other tissue; ties in the order of the array."""
    most = int(most_ml / brain.grid.voxel_volume_ml)
    if np.count_nonzero(values) <= most:
        return values
    depth = ndimage.distance_transform_edt(white, sampling=brain.grid.voxel_sizes_mm)
    places = np.flatnonzero(values.ravel())
    order = np.argsort(-depth.ravel()[places], kind="stable")
    kept = np.zeros(values.size, bool)
    kept[places[order[:most]]] = True
    return kept.reshape(values.shape)


def _enough(values: MaskVolume, brain: Mask, tissue: MaskVolume, name: str) -> Mask:
    found = Mask(values=values, grid=brain.grid, name=f"normal-appearing {name}")
    if found.volume_ml < _LEAST_ML:
        share = np.count_nonzero(tissue) * brain.grid.voxel_volume_ml
        raise MetadataError(
            Code.REFERENCE_NOT_FOUND,
            f"{found.volume_ml:.1f} mL of {name} far enough from edges and tumour was found "
            f"({share:.0f} mL of {brain.volume_ml:.0f} mL brain look like it), expected at least "
            f"{_LEAST_ML:g} mL",
            mend="give a white-matter mask with --reference-mask",
        )
    return found
