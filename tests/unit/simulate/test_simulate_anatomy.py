"""The patient's anatomy: a smooth, invertible deformation of the template."""

import numpy as np
import pytest

from bolus.errors import MetadataError
from bolus.simulate.anatomy import deformation, deformed_anatomy, jacobian


@pytest.fixture(scope="module")
def template():
    return deformed_anatomy(0, deformation_mm=0.0)


@pytest.fixture(scope="module")
def anatomy():
    return deformed_anatomy(3, deformation_mm=5.0)


def test_without_deformation_every_seed_has_the_template_itself(template):
    other = deformed_anatomy(17, deformation_mm=0.0)

    for name in ("t1", "grey", "white", "inside", "falx"):
        np.testing.assert_array_equal(getattr(other, name), getattr(template, name))


@pytest.mark.parametrize("amount_mm", [2.0, 5.0, 12.0])
def test_a_deformation_never_folds_and_has_the_size_that_was_asked(template, amount_mm):
    shift = deformation(3, inside=template.inside, deformation_mm=amount_mm)
    squared = (shift[:, template.inside].astype(float) ** 2).sum(axis=0)

    assert jacobian(shift).min() > 0.1
    assert np.sqrt(squared.mean()) == pytest.approx(amount_mm, rel=0.02)


def test_the_jacobian_is_the_change_of_volume():
    places = 2.0 * np.indices((6, 7, 8)).astype(np.float32)
    stretched = places * np.array([0.1, -0.2, 0.5], np.float32)[:, None, None, None]

    np.testing.assert_allclose(jacobian(stretched), 1.1 * 0.8 * 1.5, rtol=1e-5)


def test_the_same_seed_is_the_same_patient_and_another_is_not():
    inside = np.ones((48, 48, 48), bool)
    once, again, other = (
        deformation(seed, inside=inside, deformation_mm=4.0) for seed in (1, 1, 2)
    )

    assert once.tobytes() == again.tobytes()
    assert np.sqrt(((once - other) ** 2).sum(axis=0).mean()) > 3.0


def test_a_deformed_brain_is_still_a_brain(template, anatomy):
    size = anatomy.inside.sum() / template.inside.sum()
    matter = anatomy.white.sum() / anatomy.grey.sum()

    assert 0.85 < size < 1.15
    assert matter == pytest.approx(template.white.sum() / template.grey.sum(), rel=0.1)
    assert (anatomy.grey + anatomy.white).max() <= (template.grey + template.white).max() + 1e-5


def test_the_falx_parts_the_hemispheres_but_not_the_corpus_callosum(template):
    middle = int(np.flatnonzero(template.falx.any(axis=(1, 2)))[1])
    callosal = template.white[middle] > 0.5

    assert template.falx[middle][callosal].max() == 0
    assert template.falx[middle, :, 65].min() == 1


@pytest.mark.parametrize("amount_mm", [-1.0, 40.0])
def test_a_deformation_out_of_range_is_refused(amount_mm):
    with pytest.raises(MetadataError, match="deformation"):
        deformed_anatomy(1, deformation_mm=amount_mm)
