"""The DCE chapter of `bolus certify`: its gates fail when something is broken."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from bolus.errors import BolusError, Code
from bolus.workflows import gates_dce_chain as chain
from bolus.workflows import gates_dce_intervals as intervals
from bolus.workflows import gates_dce_models as models
from bolus.workflows.certify import run_certify
from bolus.workflows.gates_dce_object import PARAMETERS, regular
from bolus.workflows.gates_dce_published import (
    FILES,
    artery_from_tissue,
    find_published,
    published_errors,
    published_part,
    read_phantom,
    read_qiba,
)
from bolus.workflows.gates_request import PROFILES, GateRequest

QUICK = GateRequest(seed=1, profile=PROFILES["quick"])


@pytest.fixture(scope="module")
def held():
    return models.kinetics("patlak", seed=1)


def test_the_solver_is_the_closed_form_of_patlak(held):
    """Ktrans times the running integral of the artery, plus vp times the artery."""
    from bolus.workflows.gates_dce_object import artery

    seconds, plasma = artery(1)
    area = np.concatenate([[0], np.cumsum((plasma[1:] + plasma[:-1]) / 2) * 0.005])
    expected = held.truth["ktrans"][3] / 60 * area + held.truth["vp"][3] / 100 * plasma

    np.testing.assert_allclose(
        np.interp(held.seconds, seconds, expected), held.curves[3], atol=1e-6 * expected.max()
    )


def test_a_model_with_a_wrong_delay_misses_the_limit(held):
    sampling = models.samplings()[0]
    right = models.fit_object("patlak", held, sampling, seed=1)
    late = dataclasses.replace(held, seconds=held.seconds + 3.0)
    wrong = models.fit_object("patlak", late, sampling, seed=1)

    assert max(models.mean_errors(right, held.truth).values()) < models.LARGEST_ERROR_PERCENT
    assert max(models.mean_errors(wrong, held.truth).values()) > models.LARGEST_ERROR_PERCENT


def test_a_lost_voxel_makes_the_error_infinite():
    fit = {"ktrans": np.array([1.0, np.nan])}

    assert models.mean_errors(fit, {"ktrans": np.ones(2)}) == {"ktrans": np.inf}


def test_intervals_that_are_too_short_leave_the_limits(monkeypatch):
    case = next(one for one in intervals.linear_cases() if one.model == "patlak")
    low, high = intervals.COVERAGE_PERCENT
    right = intervals.coverage(case, seed=1)
    monkeypatch.setattr(intervals, "HALF_WIDTH", 1.6449 / 1.2)
    short = intervals.coverage(case, seed=1)

    assert all(low <= cover <= high for cover, _ in right.values())
    assert all(cover < low for cover, _ in short.values())
    assert intervals.coverage(case, seed=1) == short


def test_every_case_covers_ten_thousand_voxels():
    assert intervals.VOXELS >= 10_000
    assert {case.model for case in intervals.linear_cases()} <= set(PARAMETERS)
    assert regular(3.0)[-1] == 297


def test_without_reference_data_the_published_gates_are_not_run():
    gates = published_part(QUICK).gates

    assert [gate.verdict for gate in gates] == ["not run"] * 5
    assert {gate.note for gate in gates} == {"needs --reference-data"}


def test_a_wrong_folder_is_an_error_and_nothing_is_written(tmp_path):
    with pytest.raises(BolusError, match=r"holds no quantiphyse_qiba_dro") as caught:
        run_certify(tmp_path / "out", seed=1, profile="quick", chapters=["dce"], reference=tmp_path)

    assert caught.value.code is Code.FILE_MISSING
    assert list(tmp_path.iterdir()) == []


@pytest.mark.reliability
@pytest.mark.parametrize("name", [FILES[0], FILES[1]])
def test_a_damaged_file_is_said_with_its_name(name, tmp_path):
    for other in FILES:
        (tmp_path / other).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / other).write_bytes(b"damaged")
    with pytest.raises(BolusError) as caught:
        read_qiba(find_published(tmp_path))

    assert caught.value.code in (Code.FILE_DAMAGED, Code.TABLE_INVALID)


@pytest.mark.reference
def test_the_published_objects_keep_their_gates(reference_data):
    part = published_part(dataclasses.replace(QUICK, reference=reference_data))

    assert [gate.passed for gate in part.gates] == [True] * 5
    # from the samples alone they would not: the artery between the frames is what is missing
    files = find_published(reference_data)
    assert np.abs(published_errors(read_qiba(files), resolved=False)["ktrans"]).max() > 100
    phantom = read_phantom(files)
    nodes, plasma = artery_from_tissue(phantom)
    assert not (phantom.teaching & phantom.counted).any()
    assert plasma.min() >= 0
    assert len(nodes) > len(phantom.seconds)


@pytest.fixture(scope="module")
def tiny():
    profile = dataclasses.replace(
        QUICK.profile, dce_shape=(32, 32, 8), dce_voxel_mm=(6.9, 6.9, 15.0)
    )
    return dataclasses.replace(QUICK, profile=profile)


@pytest.fixture(scope="module")
def pure(tiny):
    return chain.pure_scan(tiny)


def largest(found):
    return max(sizes[1] for region in chain.REGIONS for sizes in found.errors(region).values())


@pytest.mark.slow
def test_the_chain_keeps_three_percent_and_a_wrong_artery_does_not(pure):
    """Measured: 0.5 %."""
    assert largest(chain.quantify_pure(pure)) < chain.LARGEST_ERROR_PERCENT

    half = dataclasses.replace(pure.aif, values=pure.aif.values / 1.1)
    assert largest(chain.quantify_pure(dataclasses.replace(pure, aif=half))) > 8


@pytest.mark.slow
def test_flip_angles_that_are_not_those_of_the_scan_are_found(pure):
    wrong = dataclasses.replace(pure, b1=np.full(pure.b1.shape, 1.1))

    assert largest(chain.quantify_pure(wrong)) > chain.LARGEST_ERROR_PERCENT


@pytest.mark.slow
def test_the_same_scan_twice_gives_the_same_maps(pure):
    first, again = (chain.quantify_scan(pure, aif="parker").maps for _ in range(2))
    key = next(iter(first))
    moved = dataclasses.replace(again[key], values=again[key].values + 1e-9)

    assert chain.largest_difference(first, again) == 0.0
    assert chain.largest_difference(first, again.with_maps(moved)) > 0


@pytest.mark.slow
def test_maps_with_other_voxels_differ_without_bound(pure):
    maps = chain.quantify_pure(pure).found
    lost = maps["ktrans"].values.copy()
    lost[tuple(np.argwhere(np.isfinite(lost))[0])] = np.nan
    fewer = {key: SimpleNamespace(values=maps[key].values) for key in maps}
    fewer["ktrans"] = SimpleNamespace(values=lost)

    assert chain.largest_difference(maps, fewer) == np.inf
