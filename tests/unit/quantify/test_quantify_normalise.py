"""White matter found on a head whose tissues are known, and what is divided by it."""

import numpy as np
import pytest
from scipy import ndimage

from bolus.core import QUANTITIES, Grid, Mask, ParameterMap, Provenance, stream
from bolus.errors import MetadataError, QuantityError
from bolus.quantify.normalise import (
    find_grey_matter,
    find_white_matter,
    normalise_to_white_matter,
    standardise,
)

SHAPE = (80, 96, 14)
AFFINE = np.array([[-2.0, 0, 0, 79], [0, 2, 0, -95], [0, 0, 5, -30], [0, 0, 0, 1]])
GRID = Grid(shape=SHAPE, affine=AFFINE)
CSF, GREY, WHITE, TUMOUR, VESSEL = 1, 2, 3, 4, 5
CBV = np.array([np.nan, 0.1, 5.0, 2.0, 8.0, 40.0])
LIGHT = np.array([0.0, 160.0, 110.0, 90.0, 130.0, 80.0])


def head(tumour=True):
    """Return tissues of an ellipsoid: cortex around white matter, ventricles, a tumour left."""
    x, y, z = np.indices(SHAPE)
    r = np.sqrt(((x - 39.5) / 36) ** 2 + ((y - 47.5) / 44) ** 2 + ((z - 6.5) / 9) ** 2)
    fold = 0.06 * np.sin(x / 2.5) * np.sin(y / 2.5)
    tissue = np.where(r < 1, GREY, 0)
    tissue[r < 0.78 + fold] = WHITE
    tissue[(r < 0.95) & (np.abs(x - 39.5) < 2)] = GREY
    deep = (((np.abs(x - 39.5) - 12) / 5) ** 2 + ((y - 50) / 7) ** 2 + ((z - 6) / 2) ** 2) < 1
    tissue[deep] = GREY
    tissue[((np.abs(x - 39.5) - 4) / 3) ** 2 + ((y - 47) / 16) ** 2 + ((z - 7) / 2) ** 2 < 1] = CSF
    tissue[(r < 0.95) & (np.hypot(x - 39.5, y - 12) < 2)] = VESSEL
    if tumour:
        tissue[((x - 58) / 8) ** 2 + ((y - 60) / 9) ** 2 + ((z - 7) / 3) ** 2 < 1] = TUMOUR
    return tissue


def measured(tissue, noise=0.5, seed=1):
    """Return CBV map, baseline image and brain mask with partial volume and noise."""
    rng = stream(seed, "head")
    brain = Mask(values=tissue > 0, grid=GRID, name="brain")
    blur = (0.5, 0.5, 0.0)
    blood = ndimage.gaussian_filter(np.nan_to_num(CBV)[tissue], blur)
    light = ndimage.gaussian_filter(LIGHT[tissue], blur) + 2 * rng.normal(size=SHAPE)
    blood = blood * np.exp(0.07 * rng.normal(size=SHAPE)) + noise * rng.normal(size=SHAPE)
    cbv = ParameterMap.from_voxels(
        blood[brain.values], quantity=QUANTITIES["cbv"], mask=brain, provenance=Provenance(),
        std=np.full(brain.count, noise),
    )  # fmt: skip
    return cbv, light, brain


def lesion(tissue):
    return Mask(values=tissue == TUMOUR, grid=GRID, name="tumour")


@pytest.mark.parametrize("noise", [0.1, 0.6, 1.2])
@pytest.mark.parametrize("gain", [1.0, 40.0])
def test_white_matter_is_white_matter(noise, gain):
    tissue = head()
    cbv, light, brain = measured(tissue, noise)
    scaled = ParameterMap.from_voxels(
        gain * cbv.values[brain.values], quantity=cbv.quantity, mask=brain, provenance=Provenance()
    )

    found = find_white_matter(scaled, light, brain, avoid=lesion(tissue))

    assert np.mean(tissue[found.values] == WHITE) >= 0.95
    assert scaled.inside(found).mean() == pytest.approx(gain * 2.0, rel=0.03)
    assert 3 <= found.volume_ml <= 30


def test_white_matter_is_on_the_other_side_of_the_tumour():
    tissue = head()
    cbv, light, brain = measured(tissue)

    found = find_white_matter(cbv, light, brain, avoid=lesion(tissue))

    assert np.argwhere(found.values)[:, 0].max() < 40 < np.argwhere(tissue == TUMOUR)[:, 0].min()


def test_the_other_side_follows_the_world_not_the_array():
    tissue = head()
    cbv, light, brain = measured(tissue)
    found = find_white_matter(cbv, light, brain, avoid=lesion(tissue))

    # the same head stored with its first two axes exchanged
    grid = Grid(shape=(96, 80, 14), affine=AFFINE[:, [1, 0, 2, 3]])
    turned = Mask(values=brain.values.swapaxes(0, 1), grid=grid, name="brain")
    values = cbv.values.swapaxes(0, 1)[turned.values]
    other = ParameterMap.from_voxels(
        values, quantity=cbv.quantity, mask=turned, provenance=Provenance()
    )
    avoid = Mask(values=(tissue == TUMOUR).swapaxes(0, 1), grid=grid, name="tumour")
    again = find_white_matter(other, light.swapaxes(0, 1), turned, avoid=avoid)

    both = np.count_nonzero(again.values.swapaxes(0, 1) & found.values)
    assert both / found.count > 0.9  # ties of depth at the volume limit fall differently


def test_without_a_tumour_both_sides_serve():
    tissue = head(tumour=False)
    cbv, light, brain = measured(tissue)

    found = find_white_matter(cbv, light, brain)

    x = np.argwhere(found.values)[:, 0]
    assert x.min() < 35
    assert x.max() > 45
    assert np.mean(tissue[found.values] == WHITE) >= 0.95


def test_a_head_without_white_matter_is_said_with_numbers():
    tissue = head(tumour=False)
    tissue[tissue == WHITE] = CSF
    cbv, light, brain = measured(tissue)

    with pytest.raises(MetadataError, match="expected at least 3 mL"):
        find_white_matter(cbv, light, brain)


def test_a_map_without_blood_is_said():
    tissue = head(tumour=False)
    cbv, light, brain = measured(tissue)
    empty = ParameterMap.from_voxels(
        np.zeros(brain.count), quantity=cbv.quantity, mask=brain, provenance=Provenance()
    )

    with pytest.raises(MetadataError, match="median CBV 0"):
        find_white_matter(empty, light, brain)


def test_grey_matter_is_grey_matter():
    tissue = head()
    cbv, light, brain = measured(tissue)

    found = find_grey_matter(cbv, light, brain, avoid=lesion(tissue))

    assert np.mean(tissue[found.values] == GREY) >= 0.9
    white = find_white_matter(cbv, light, brain, avoid=lesion(tissue))
    ratio = cbv.inside(found).mean() / cbv.inside(white).mean()
    assert ratio == pytest.approx(2.5, rel=0.15)  # partial volume of thin cortex


def test_nan_voxels_are_never_chosen():
    tissue = head()
    cbv, light, brain = measured(tissue)
    values = cbv.values[brain.values]
    values[::7] = np.nan
    gappy = ParameterMap.from_voxels(
        values, quantity=cbv.quantity, mask=brain, provenance=Provenance()
    )

    found = find_white_matter(gappy, light, brain, avoid=lesion(tissue))

    assert np.isfinite(gappy.values[found.values]).all()


def row_of(*values, std=None, key="cbv"):
    grid = Grid(shape=(len(values), 1, 1), affine=np.eye(4))
    everything = Mask(values=np.ones((len(values), 1, 1), bool), grid=grid, name="brain")
    return ParameterMap.from_voxels(
        np.array(values, float), quantity=QUANTITIES[key], mask=everything,
        provenance=Provenance(), std=None if std is None else np.full(len(values), std),
    )  # fmt: skip


def first(count, item):
    values = np.zeros(item.grid.shape, bool)
    values[:count] = True
    return Mask(values=values, grid=item.grid, name="white matter")


def test_normalised_error_holds_voxel_and_reference():
    cbv = row_of(2, 2, 2, 2, 6, std=0.4)

    ncbv = normalise_to_white_matter(cbv, first(4, cbv))

    assert ncbv.values[4, 0, 0] == pytest.approx(3)
    # reference 2 ± 0.4/√4, voxel 6 ± 0.4: √((0.4/2)² + (3 x 0.1)²)
    assert ncbv.std[4, 0, 0] == pytest.approx(np.hypot(0.2, 0.3))
    assert ncbv.quantity.key == "ncbv"


def test_normalisation_cancels_every_gain():
    small, large = row_of(1.5, 2.5, 8), row_of(150, 250, 800)

    np.testing.assert_allclose(
        normalise_to_white_matter(small, first(2, small)).values,
        normalise_to_white_matter(large, first(2, large)).values,
    )


def test_negative_volumes_are_kept():
    cbv = row_of(2, 2, -1)

    assert normalise_to_white_matter(cbv, first(2, cbv)).values[2, 0, 0] == pytest.approx(-0.5)


def test_a_reference_without_blood_is_refused():
    cbv = row_of(-1, 0.5, 8)

    with pytest.raises(MetadataError, match=r"mean cbv in white matter is -0\.25"):
        normalise_to_white_matter(cbv, first(2, cbv))


def test_only_volume_and_flow_are_normalised():
    mtt = row_of(4, 5, key="mtt")

    with pytest.raises(QuantityError):
        normalise_to_white_matter(mtt, first(1, mtt))
    with pytest.raises(QuantityError):
        standardise(mtt, first(1, mtt))


def test_standardised_volume_is_one_in_the_middle_and_keeps_ratios():
    cbv = row_of(1, 2, 4, 5, 12, std=0.2)

    found = standardise(cbv, first(5, cbv))

    assert np.median(found.values) == pytest.approx(1)
    np.testing.assert_allclose(found.values / cbv.values, 0.25)
    np.testing.assert_allclose(found.std, 0.05)
