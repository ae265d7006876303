"""Habitats: learnt on a cohort, named by physiology, the same on every machine and scanner."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from bolus.core import Grid, Mask, SessionKey, stream
from bolus.errors import BolusError, Code
from bolus.habitats import (
    VoxelTable,
    adapt_habitats,
    adjusted_rand,
    assign_habitats,
    centres_of,
    choose_k,
    fit_habitats,
    habitat_accuracy,
    name_centres,
    smooth_membership,
    voxel_table,
)
from bolus.habitats.scaling import draw_equally
from bolus.simulate.habitat_phantom import simulate_habitat_phantom

LESIONS = simulate_habitat_phantom(6, seed=11)
TABLES = [voxel_table(lesion.maps, lesion.lesion, key=lesion.key) for lesion in LESIONS]
MODEL = fit_habitats(TABLES, seed=1, voxels_per_patient=500, simulated=True)


def table(values, subject="01", features=("ncbv", "adc"), session=""):
    grid = Grid(shape=(len(values), 1, 1), affine=np.eye(4))
    return VoxelTable(
        key=SessionKey(subject, session),
        features=features,
        values=np.asarray(values, float),
        std=np.full(np.shape(values), np.nan),
        mask=Mask(values=np.ones(grid.shape, bool), grid=grid, name="lesion"),
    )


def labels(found):
    return found.labels.values[found.mask.values]


def truth(lesions):
    return np.concatenate([lesion.truth.values[lesion.lesion.values] for lesion in lesions])


def adapted(lesions, model=MODEL):
    tables = [voxel_table(lesion.maps, lesion.lesion, key=lesion.key) for lesion in lesions]
    return np.concatenate([labels(assign_habitats(t, adapt_habitats(model, [t]))) for t in tables])


@pytest.mark.parametrize(("gain", "unequal"), [(1.0, False), (1.4, False), (2.0, True)])
def test_habitats_of_unseen_patients_are_found_on_any_scanner(gain, unequal):
    lesions = simulate_habitat_phantom(4, seed=12, gain=gain, unequal=unequal, prefix="new")

    assert adjusted_rand(adapted(lesions), truth(lesions)) >= 0.95


def test_adapting_helps_where_patients_differ():
    lesions = simulate_habitat_phantom(10, seed=13, prefix="new")
    tables = [voxel_table(lesion.maps, lesion.lesion, key=lesion.key) for lesion in lesions]
    as_it_is = np.concatenate([labels(assign_habitats(one, MODEL)) for one in tables])

    assert adjusted_rand(adapted(lesions), truth(lesions)) > 0.01 + adjusted_rand(
        as_it_is, truth(lesions)
    )


def test_a_lesion_without_a_habitat_gets_none_of_it():
    lesion = simulate_habitat_phantom(2, seed=14, prefix="new")[0]
    whole = voxel_table(lesion.maps, lesion.lesion, key=lesion.key)
    there = lesion.truth.values[lesion.lesion.values] != 1
    rows = table(whole.values[there], subject="new001")

    assert np.mean(labels(assign_habitats(rows, adapt_habitats(MODEL, [rows]))) == 1) < 0.01


def test_the_gain_of_a_scanner_changes_no_label():
    first, second = (
        adapted(simulate_habitat_phantom(2, seed=15, gain=gain, prefix="new")) for gain in (1, 2)
    )

    assert (first == second).all()


def test_names_come_in_the_order_of_labels_and_accuracy_is_by_name():
    found = assign_habitats(TABLES[0], MODEL)

    assert dict(found.labels.names) == {1: "hypervascular", 2: "hypovascular", 3: "nonviable"}
    accuracy = habitat_accuracy(found, LESIONS[0].truth)
    assert accuracy.ari > 0.8
    assert min(accuracy.dice.values()) > 0.9
    assert sum(accuracy.volume_error_ml.values()) == pytest.approx(0.0, abs=1e-9)


def test_memberships_are_probabilities():
    found = assign_habitats(TABLES[0], MODEL)

    np.testing.assert_allclose(found.membership.sum(axis=1), 1.0)
    assert found.membership.min() >= 0
    assert (found.membership.argmax(axis=1) + 1 == labels(found)).all()


def test_the_order_of_patients_and_visits_does_not_matter():
    again = fit_habitats(TABLES[::-1], seed=1, voxels_per_patient=500, simulated=True)

    assert again.centres.tobytes() == MODEL.centres.tobytes()
    assert again.within.tobytes() == MODEL.within.tobytes()


def test_a_large_tumour_weighs_no_more_than_a_small_one():
    small, large = stream(1, "a").normal(0, 1, (40, 2)), stream(1, "b").normal(9, 1, (4000, 2))
    drawn = draw_equally([table(small, "01"), table(large, "02")], 100, seed=1)

    assert np.sum(drawn[:, 0] < 4.5) == 100
    assert len(drawn) == 200
    assert len(np.unique(drawn[:100], axis=0)) == 40  # a small lesion gives every voxel


def test_a_patients_draw_does_not_depend_on_the_others():
    alone = draw_equally(TABLES[:1], 50, seed=1)
    together = draw_equally(TABLES[:3], 50, seed=1)

    assert (together[:50] == alone).all()


THREADS = """
import hashlib
from bolus.habitats import *
from bolus.simulate.habitat_phantom import simulate_habitat_phantom
tables = [voxel_table(x.maps, x.lesion, key=x.key) for x in simulate_habitat_phantom(4, seed=1)]
done = hashlib.sha256()
for method in ("mixture", "k-means"):
    model = fit_habitats(tables, seed=1, method=method)
    done.update(model.centres.tobytes() + model.covariances.tobytes())
    done.update(assign_habitats(tables[0], model).membership.tobytes())
done.update(adapt_habitats(fit_habitats(tables, seed=1), tables[:1]).centres.tobytes())
print(done.hexdigest())
"""


@pytest.mark.slow
def test_the_same_bytes_over_one_two_and_four_threads():
    found = set()
    for threads in ("1", "2", "4"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        done = subprocess.run(
            [sys.executable, "-c", THREADS], env=dict.fromkeys(names, threads),
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        found.add(done.stdout)

    assert len(found) == 1


def test_k_means_is_there_as_the_baseline():
    model = fit_habitats(TABLES, seed=1, method="k-means", voxels_per_patient=500)
    found = assign_habitats(TABLES[0], model)

    assert set(np.unique(found.membership)) <= {0.0, 1.0}
    assert model.within is None


def test_unusual_voxels_are_marked_and_impossible_tables_refused():
    values = TABLES[0].values.copy()
    values[0] = (30.0, 3e-4)
    found = assign_habitats(table(values, "02"), MODEL)

    assert found.unusual[0]
    assert found.unusual.mean() < 0.02
    with pytest.raises(BolusError, match="units and lesion") as refused:
        assign_habitats(table(values * (1, 3), "02"), MODEL)
    assert refused.value.code is Code.HABITATS_UNFIT


def test_features_may_come_in_any_order_but_must_be_there():
    swapped = table(TABLES[0].values[:, ::-1], features=("adc", "ncbv"))

    assert (
        labels(assign_habitats(swapped, MODEL)) == labels(assign_habitats(TABLES[0], MODEL))
    ).all()
    with pytest.raises(BolusError, match="there is no adc"):
        assign_habitats(table(TABLES[0].values[:, :1], features=("ncbv",)), MODEL)


def test_more_features_take_part():
    extra = [
        table(
            np.column_stack([one.values, 0.1 * one.values[:, 0] + 0.02]),
            one.key.subject,
            (*one.features, "ktrans"),
        )
        for one in TABLES[:3]
    ]

    assert fit_habitats(extra, seed=1, voxels_per_patient=300).features[-1] == "ktrans"


@pytest.mark.parametrize(
    ("tables", "options", "code"),
    [
        ([], {}, Code.HABITATS_UNFIT),
        ([table(np.ones((9, 2)))], {}, Code.HABITATS_UNFIT),
        ([table(TABLES[0].values[:40])], {"voxels_per_patient": 40}, Code.HABITATS_UNFIT),
        ([TABLES[0], table(TABLES[0].values, "02", ("ncbv", "t10"))], {}, Code.HABITATS_UNFIT),
        (TABLES[:2], {"k": 4}, Code.HABITATS_UNNAMED),
        (TABLES[:2], {"k": 1}, Code.ARGUMENT_INVALID),
        (TABLES[:2], {"method": "slic"}, Code.ARGUMENT_INVALID),
    ],
)
def test_what_cannot_be_fitted_is_refused(tables, options, code):
    with pytest.raises(BolusError) as refused:
        fit_habitats(tables, seed=1, **options)

    assert refused.value.code is code


def test_a_model_of_one_patient_or_of_several_is_not_adapted():
    alone = fit_habitats(TABLES[:1], seed=1)

    with pytest.raises(BolusError, match="1 patients by mixture"):
        adapt_habitats(alone, TABLES[:1])
    with pytest.raises(BolusError, match="voxels of 2 patients"):
        adapt_habitats(MODEL, TABLES[:2])
    with pytest.raises(BolusError, match="cannot be brought together"):
        adapt_habitats(adapt_habitats(MODEL, TABLES[:1]), TABLES[:1])


def test_a_model_refuses_patients_it_was_fitted_on():
    with pytest.raises(BolusError) as refused:
        MODEL.require_unseen(frozenset({TABLES[0].key.subject}))

    assert refused.value.code is Code.SPLIT_LEAKS


CENTRES = np.array([[5.5, 1.0e-3], [1.6, 1.2e-3], [0.7, 1.85e-3]])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_names_follow_physiology_not_numbers(order):
    names = ("hypervascular", "hypovascular", "nonviable")

    assert name_centres(("ncbv", "adc"), CENTRES[list(order)]) == tuple(names[i] for i in order)


@pytest.mark.parametrize(
    ("features", "centres", "said"),
    [
        (("ktrans", "adc"), CENTRES, "no blood volume"),
        (("ncbv", "adc"), np.repeat(CENTRES, 2, axis=0), "6 clusters for 3 names"),
        (("ncbv", "adc"), CENTRES * (1, 2), "steps from what a habitat is like"),
        (("ncbv", "adc"), [[2.6, 1.15e-3], [2.4, 1.12e-3], [0.7, 1.9e-3]], "fit about as well"),
    ],
)
def test_ambiguous_centres_are_refused_with_their_numbers(features, centres, said):
    with pytest.raises(BolusError, match=said) as refused:
        name_centres(features, np.asarray(centres))

    assert refused.value.code is Code.HABITATS_UNNAMED


def test_centres_come_back_in_units():
    centres = centres_of(MODEL)

    assert centres[0] == pytest.approx([5.5, 1.0e-3], rel=0.15)
    assert centres[2] == pytest.approx([0.69, 1.85e-3], rel=0.1)


def test_the_true_number_of_habitats_is_chosen():
    assert choose_k(TABLES, seed=1).k == 3


@pytest.mark.parametrize("k", [2, 4])
def test_another_true_number_is_chosen_too(k):
    centres = np.array([[0.7, 1.9e-3], [5.5, 1.0e-3], [1.6, 1.2e-3], [5.5, 1.7e-3]])[:k]
    tables = []
    for subject in ("01", "02", "03", "04", "05", "06"):
        random = stream(1, "k", subject)
        which = random.integers(k, size=400)
        noise = random.normal(size=(400, 2)) * (0.2, 8e-5)
        blood = np.log(centres[which, 0]) + noise[:, 0]
        tables.append(table(np.c_[np.exp(blood), centres[which, 1] + noise[:, 1]], subject))

    assert choose_k(tables, candidates=(2, 3, 4, 5), seed=1).k == k


def test_neighbours_take_away_lonely_voxels():
    random = stream(1, "lonely")
    noisy = dataclasses.replace(
        TABLES[0], values=TABLES[0].values * np.exp(0.35 * random.normal(size=(TABLES[0].count, 2)))
    )
    alone = assign_habitats(noisy, MODEL)
    smooth = smooth_membership(alone, strength=0.7)
    real = truth(LESIONS[:1])

    assert np.mean(labels(smooth) == real) > np.mean(labels(alone) == real) + 0.02
    np.testing.assert_allclose(smooth.membership.sum(axis=1), 1.0)
    assert labels(smooth_membership(alone, strength=0.0)).tolist() == labels(alone).tolist()
    with pytest.raises(BolusError, match="at least 0"):
        smooth_membership(alone, strength=-1.0)


def test_the_adjusted_rand_index_is_that_of_scikit_learn():
    from sklearn.metrics import adjusted_rand_score

    random = stream(1, "rand")
    first = random.integers(4, size=500)
    second = np.where(random.random(500) < 0.7, first, random.integers(5, size=500))

    assert adjusted_rand(first, second) == pytest.approx(adjusted_rand_score(first, second))
    assert adjusted_rand(first, first) == 1.0
    with pytest.raises(BolusError, match="cannot be compared"):
        adjusted_rand(first, second[1:])
