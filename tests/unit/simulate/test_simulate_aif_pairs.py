import numpy as np
import pytest

from bolus.errors import MetadataError
from bolus.simulate.aif_pairs import draw_aif_scanners, simulate_aif_pairs

FLEET = draw_aif_scanners(6, seed=3)


@pytest.fixture(scope="module")
def pairs():
    return simulate_aif_pairs(12, seed=1, scanners=FLEET)


def test_scanners_differ_and_the_first_ones_do_not_depend_on_their_number():
    assert draw_aif_scanners(2, seed=3) == FLEET[:2]
    assert len({s.protocol.frame_s for s in FLEET}) == 6
    assert {s.assumes_t1 for s in FLEET} == {True, False}
    for scanner in FLEET:
        assert 1.5 <= scanner.protocol.frame_s <= 8.0
        assert 150 < scanner.protocol.frames * scanner.protocol.frame_s <= 360


def test_same_seed_gives_the_same_bytes_and_the_first_patients(pairs):
    again = simulate_aif_pairs(3, seed=1, scanners=FLEET)
    for one, two in zip(again, pairs, strict=False):
        assert one.artery.tobytes() == two.artery.tobytes()
        assert one.subject == two.subject
    other = simulate_aif_pairs(1, seed=2, scanners=FLEET)[0]
    assert other.artery.tobytes() != pairs[0].artery.tobytes()


def test_picks_differ_and_are_lower_than_the_truth_and_the_vein_is_nearer(pairs):
    areas = []
    for pair in pairs:
        blood = (1 - pair.haematocrit) * np.interp(pair.seconds, pair.fine_s, pair.plasma)
        assert not np.array_equal(pair.artery[0], pair.artery[1])
        areas.append([c.sum() / blood.sum() for c in (pair.artery[0], pair.vein[0])])
    artery, vein = np.median(areas, axis=0)
    assert artery < 0.8
    assert abs(vein - 1) < abs(artery - 1)


def test_truth_goes_on_after_the_scan_and_differs_between_patients(pairs):
    late = [np.interp(300.0, p.fine_s, p.plasma) / p.protocol.dose_mmol_per_kg for p in pairs]
    assert min(late) > 3
    assert np.std(np.log(late)) > 0.05
    for pair in pairs:
        assert pair.fine_s[-1] >= pair.seconds[-1]
        assert not pair.plasma[pair.fine_s < pair.protocol.injection_start_s].any()


def test_tissue_leaks_as_its_truth_says():
    pair = simulate_aif_pairs(1, seed=4, scanners=FLEET, voxels=8)[0]
    tissue = pair.tissue
    assert tissue.tumour.shape == (8, pair.protocol.frames)
    assert (tissue.ktrans_per_min > 0).all()
    late = tissue.tumour[:, -5:].mean(axis=1)
    assert late.mean() > 2 * tissue.normal[-5:].mean()


def test_bolus_and_residue_can_be_others():
    usual, other = (
        simulate_aif_pairs(1, seed=4, scanners=FLEET, family=f)[0]
        for f in ("gamma variate", "lagged normal")
    )
    assert not np.allclose(usual.plasma, other.plasma, atol=0.05)


@pytest.mark.parametrize(
    "wrong",
    [{"family": "square"}, {"residue": "square"}, {"patients": 0}, {"scanners": ()}],
)
def test_what_does_not_exist_is_refused(wrong):
    chosen = {"patients": 1, "seed": 1, "scanners": FLEET} | wrong
    with pytest.raises(MetadataError):
        simulate_aif_pairs(chosen.pop("patients"), **chosen)
