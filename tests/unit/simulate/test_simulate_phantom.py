"""The head on a grid: anatomy, tumour, vessels and truth."""

import numpy as np
import pytest

from bolus.errors import GeometryError, MetadataError
from bolus.simulate.growth import Glioma
from bolus.simulate.head import build_head
from bolus.simulate.phantom import HeadPose, build_phantom, rotation, scan_grid

GRID = scan_grid(shape=(96, 96, 18), voxel_mm=(2.3, 2.3, 6.5), orientation="LAS")


@pytest.fixture(scope="module")
def head():
    return build_head(5, glioma=Glioma(), deformation_mm=4.0)


@pytest.fixture(scope="module")
def phantom(head):
    return build_phantom(head, grid=GRID, pose=HeadPose(), seed=5)


def _ratio(phantom, key):
    grey, white = (phantom.truth[key].inside(phantom.labels.mask(n)).mean() for n in ("gm", "wm"))
    return grey / white


def test_truth_is_a_plausible_brain(phantom):
    """Gate 5: GM:WM CBV 1.8 to 2.8, CBF 1.9 to 3.4, GM MTT 3 to 7 s."""
    mtt_s = phantom.truth["mtt"].inside(phantom.labels.mask("gm")).mean()

    assert 1.8 < _ratio(phantom, "cbv") < 2.8
    assert 1.9 < _ratio(phantom, "cbf") < 3.4
    assert 3 < mtt_s < 7


def test_the_central_volume_theorem_holds_in_every_voxel(phantom):
    cbv, cbf, mtt = (phantom.truth[k].values for k in ("cbv", "cbf", "mtt"))
    some = np.isfinite(cbv)

    np.testing.assert_allclose(cbf[some] * mtt[some] / 60, cbv[some], rtol=1e-6)


def test_normalised_cbv_is_one_in_pure_white_matter(phantom):
    assert phantom.truth["ncbv"].inside(phantom.reference).mean() == pytest.approx(1.0)


def test_the_brain_has_the_size_of_a_brain(phantom):
    # the slab leaves out the lowest part of the cerebellum and temporal lobes
    assert 1100 < phantom.brain.volume_ml < 1900


def test_the_tumour_has_its_parts_with_their_blood_volume(phantom):
    mean = {
        name: phantom.truth["ncbv"].inside(phantom.tumour.mask(name)).mean()
        for name in phantom.tumour.names.values()
        if phantom.tumour.mask(name).count
    }

    assert set(mean) == {
        "necrosis",
        "nonviable",
        "hypovascular",
        "hypervascular",
        "oedema",
        "infiltrated",
    }
    assert mean["necrosis"] < mean["hypovascular"] < mean["hypervascular"]
    assert 1.2 <= mean["hypovascular"] <= 1.8
    assert mean["hypervascular"] > 3.5


def test_only_tumour_and_choroid_leak(phantom):
    healthy = phantom.labels.mask("gm", "wm").without(phantom.tumour.foreground)
    rim = phantom.tumour.mask("hypervascular", "hypovascular")

    assert np.percentile(phantom.truth["ktrans"].inside(healthy), 95) == 0
    assert 0.05 < np.median(phantom.truth["ktrans"].inside(rim)) < 0.3


def test_truth_is_absent_where_large_vessels_are(phantom):
    vessels = phantom.labels.mask("artery", "vein")

    assert vessels.count > 50
    assert phantom.truth["cbv"].inside(vessels).size == 0


def test_another_seed_puts_the_tumour_elsewhere(head):
    other = build_head(6, glioma=Glioma(), deformation_mm=4.0)

    assert other.tumour_centre_mm != head.tumour_centre_mm


def test_a_healthy_head_has_no_tumour():
    head = build_head(5, glioma=None, deformation_mm=4.0)
    phantom = build_phantom(head, grid=GRID, pose=HeadPose(), seed=5)

    assert phantom.tumour.foreground.count == 0


def test_without_partial_volume_every_voxel_is_one_tissue(head):
    pure = build_phantom(head, grid=GRID, pose=HeadPose(), seed=5, partial_volume=False)

    assert {float(s) for t in pure.tissues.values() for s in np.unique(t.share)} == {1.0}


def test_an_oblique_grid_sees_the_same_head(head, phantom):
    grid = scan_grid(shape=GRID.shape, voxel_mm=(2.3, 2.3, 6.5), orientation="oblique")
    oblique = build_phantom(head, grid=grid, pose=HeadPose(), seed=5)

    def centre(which):
        return which.grid.centres_mm(np.argwhere(which.tumour.foreground.values)).mean(axis=0)

    np.testing.assert_allclose(centre(oblique), centre(phantom), atol=3.0)


def test_an_unknown_orientation_is_said():
    with pytest.raises(GeometryError, match="sideways"):
        scan_grid(shape=(4, 4, 4), voxel_mm=(1, 1, 1), orientation="sideways")


def test_a_rotation_is_a_rotation():
    matrix = rotation((10.0, -20.0, 30.0))

    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1.0)


def test_a_tumour_is_not_left_in_a_ventricle():
    lateral_ventricle_mm = (10.0, -10.0, 24.0)
    small = Glioma(volume_ml=1.0, oedema_ml=0.0, centre_mm=lateral_ventricle_mm)
    head = build_head(5, glioma=small, deformation_mm=4.0)
    moved_mm = np.subtract(head.tumour_centre_mm, lateral_ventricle_mm)

    assert 0 < np.linalg.norm(moved_mm) < 15
    mass_ml = 0.008 * sum(
        head.fractions[name].sum()
        for name in ("necrosis", "nonviable", "hypovascular", "hypervascular")
    )
    assert mass_ml == pytest.approx(1.0, rel=0.05)


def test_a_place_outside_the_head_is_refused():
    with pytest.raises(MetadataError, match=r"centre|no brain"):
        build_head(5, glioma=Glioma(centre_mm=(0.0, 0.0, 300.0)), deformation_mm=4.0)


def test_a_tumour_replaces_tissue_and_adds_none(head):
    healthy = build_head(5, glioma=None, deformation_mm=4.0)
    before, after = (sum(which.fractions.values()) for which in (healthy, head))

    np.testing.assert_allclose(after, before, atol=1e-5)
