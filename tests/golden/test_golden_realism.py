"""The simulated cohort beside the published curves of 440 patients, as on the committed page."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import realism

pytestmark = [pytest.mark.slow, pytest.mark.reference]


@pytest.fixture(scope="module")
def data(reference_data):
    folder = reference_data / "data"
    if not (folder / "dsc_reference_curves").is_dir():
        pytest.skip("dsc_reference_curves absent: see docs/how-to/reference_data.md")
    return folder


def test_curves_of_normal_tissue_and_tumour_lie_within_the_published_quartiles(data):
    simulated, _ = realism.cohort(40, data)
    rows = realism.shape_rows(simulated, realism.published_curves(data))
    outside = {(row["curve"], row["key"]) for row in rows if not row["inside"]}

    assert len(rows) >= 40
    assert outside <= set(realism.EXPLAINED)


def test_blood_volume_tells_idh_as_in_patients():
    assert 0.80 <= realism.idh_auc() <= 0.90


def test_lesions_after_treatment_have_the_published_composition():
    shares, volumes = realism.lesion_shares()
    medians = {name: float(sorted(values)[len(values) // 2]) for name, values in shares.items()}

    assert 0.5 <= sorted(volumes)[len(volumes) // 2] <= 9.1
    assert medians["hypervascular"] < 2
    assert 41 <= medians["hypovascular"] <= 79
    assert 13 <= medians["nonviable"] <= 56
