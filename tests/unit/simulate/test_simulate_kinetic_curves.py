from dataclasses import replace

import numpy as np
import pytest

from bolus.errors import MetadataError
from bolus.quantify.dce_models import ExtendedTofts
from bolus.simulate.kinetic_curves import ARTERIES, RESIDUES, KineticRanges, simulate_kinetic_curves

CLEAN = KineticRanges(
    snr=(1e4, 1e4), interval_s=(1.5, 1.6), duration_s=(300.0, 310.0), residue="extended_tofts"
)


def test_a_fit_finds_the_kinetics_that_were_drawn():
    exam = simulate_kinetic_curves(1, seed=1, voxels=60, ranges=CLEAN)[0]
    fit = ExtendedTofts(delay_range_s=(-2.0, 8.0))(exam.tissue, exam.arterial, seconds=exam.seconds)
    for name, limit in (("ktrans", 0.003), ("vp", 0.15), ("delay", 0.2)):
        assert np.nanmedian(np.abs(fit[name] - exam.truth[name])) < limit


def test_the_same_seed_gives_the_same_bytes_whatever_the_count():
    one, other = (simulate_kinetic_curves(n, seed=3, voxels=10)[0] for n in (1, 2))
    assert one.tissue.tobytes() == other.tissue.tobytes()
    assert one.tissue.tobytes() != simulate_kinetic_curves(1, seed=4, voxels=10)[0].tissue.tobytes()


@pytest.mark.parametrize("residue", [r for r in RESIDUES if r != "extended_tofts"])
def test_residues_keep_the_amount_of_agent_and_differ_in_shape(residue):
    """Late in the scan slow exchange makes all residues alike; early ones are not."""
    given = replace(CLEAN, ktrans=(0.02, 0.05), vp=(3.0, 9.0), artery="published")
    tofts, other = (
        simulate_kinetic_curves(1, seed=2, voxels=200, ranges=replace(given, residue=name))[0]
        for name in ("extended_tofts", residue)
    )
    early = np.abs(tofts.tissue - other.tissue).max(axis=1)
    late = np.abs(tofts.tissue[:, -5:].mean(axis=1) - other.tissue[:, -5:].mean(axis=1))
    assert np.median(early) > (0.02 if residue != "either" else 0.005)
    assert np.median(late / tofts.tissue[:, -5:].mean(axis=1)) < 0.1


def test_a_wrong_t10_scales_curves_and_spikes_break_them():
    right, wrong, broken = (
        simulate_kinetic_curves(1, seed=5, voxels=50, ranges=replace(CLEAN, **change))[0]
        for change in ({}, {"t10_error": (2.0, 2.0)}, {"spikes": 0.2})
    )
    ratio = np.median(wrong.tissue[:, -20:], axis=1) / np.median(right.tissue[:, -20:], axis=1)
    assert 0.3 < np.median(ratio) < 0.7
    assert np.abs(np.diff(broken.tissue)).max() > 3 * np.abs(np.diff(right.tissue)).max()


def test_noise_is_that_of_the_signal():
    quiet, loud = (
        simulate_kinetic_curves(1, seed=6, voxels=50, ranges=replace(CLEAN, snr=(x, x)))[0]
        for x in (100.0, 10.0)
    )
    before = quiet.seconds < 10
    ratio = loud.tissue[:, before].std() / quiet.tissue[:, before].std()
    assert ratio == pytest.approx(10, rel=0.25)


@pytest.mark.parametrize(
    "change", [{"artery": "x"}, {"residue": "x"}, {"snr": (5.0, 2.0)}, {"spikes": 1.0}]
)
def test_ranges_that_cannot_be_are_refused(change):
    with pytest.raises(MetadataError):
        KineticRanges(**change)


@pytest.mark.parametrize("artery", ARTERIES)
def test_every_artery_rises_after_the_first_frames_and_falls_again(artery):
    given = replace(CLEAN, artery=artery, arrival_s=(20.0, 20.0))
    for exam in simulate_kinetic_curves(5, seed=8, voxels=2, ranges=given):
        assert not exam.arterial[exam.seconds < 19].any()
        assert exam.arterial[-1] < 0.7 * exam.arterial.max()
        assert exam.arterial[-1] > 0


def test_no_exams_are_refused():
    with pytest.raises(MetadataError):
        simulate_kinetic_curves(0, seed=1)
