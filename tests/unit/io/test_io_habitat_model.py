"""A habitat model on disk: the same bytes, refused when one is flipped."""

import json

import numpy as np
import pytest

from bolus.errors import BolusError, Code
from bolus.habitats import HABITATS, adapt_habitats, centres_of, fit_habitats, voxel_table
from bolus.io.habitat_model import default_model, read_habitat_model, write_habitat_model
from bolus.simulate.habitat_phantom import simulate_habitat_phantom

TABLES = [
    voxel_table(lesion.maps, lesion.lesion, key=lesion.key)
    for lesion in simulate_habitat_phantom(3, seed=1)
]
MODEL = fit_habitats(TABLES, seed=1, voxels_per_patient=200, simulated=True)


@pytest.mark.parametrize("model", [MODEL, adapt_habitats(MODEL, TABLES[:1])], ids=["fit", "own"])
def test_a_model_comes_back_as_it_was(model, tmp_path):
    write_habitat_model(tmp_path / "model.json", model)
    again = read_habitat_model(tmp_path / "model.json")
    write_habitat_model(tmp_path / "again.json", again)

    for name in ("weights", "centres", "covariances", "limits"):
        assert getattr(again, name).tobytes() == getattr(model, name).tobytes()
    assert (again.within is None) == (model.within is None)
    for name in ("method", "features", "scales", "names", "fitted_on", "simulated", "provenance"):
        assert getattr(again, name) == getattr(model, name)
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "model.json").read_bytes()


def damaged(text, change):
    values = json.loads(text)
    change(values)
    return json.dumps(values)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: v.update(kind="a sidecar"), "is no bolus habitat model"),
        (lambda v: v.update(format=2), "this version reads 1"),
        (lambda v: v["weights"].__setitem__(0, 0.5), "was altered"),
        (lambda v: v["fitted_on"].pop(), "was altered"),
        (lambda v: v.pop("sha256"), "was altered"),
    ],
)
def test_a_damaged_model_is_refused(change, said, tmp_path):
    path = tmp_path / "model.json"
    write_habitat_model(path, MODEL)
    path.write_text(damaged(path.read_text(), change))

    with pytest.raises(BolusError, match=said) as refused:
        read_habitat_model(path)
    assert refused.value.code is Code.MODEL_INVALID
    assert refused.value.where == str(path)


@pytest.mark.parametrize("text", ["", "[]", "\x00\x01", '{"kind": 1}'])
def test_what_is_no_model_is_refused(text, tmp_path):
    (tmp_path / "model.json").write_text(text)

    with pytest.raises(BolusError) as refused:
        read_habitat_model(tmp_path / "model.json")
    assert refused.value.code is Code.MODEL_INVALID


def test_any_flipped_bit_is_refused(tmp_path):
    path = tmp_path / "model.json"
    write_habitat_model(path, MODEL)
    content = bytearray(path.read_bytes())
    for place in np.linspace(0, len(content) - 2, 25).astype(int):
        flipped = bytearray(content)
        flipped[place] ^= 1
        path.write_bytes(flipped)
        if bytes(flipped).split() != bytes(content).split():
            with pytest.raises(BolusError) as refused:
                read_habitat_model(path)
            assert refused.value.code is Code.MODEL_INVALID


def test_the_shipped_model_is_simulated_named_and_refuses_no_real_patient():
    model = default_model()

    assert model.simulated
    assert model.names == HABITATS
    assert model.features == ("ncbv", "adc")
    assert all(subject.startswith("shipped") for subject in model.fitted_on)
    model.require_unseen(frozenset({"01", "0001", "001"}))
    blood, water = centres_of(model).T
    assert blood[0] > blood[1] > blood[2]
    assert water[2] > 1.5e-3 > water[:2].max()


@pytest.mark.slow
def test_the_shipped_model_can_be_made_again():
    from bolus.workflows.shipped_model import fit_shipped_model

    again, shipped = fit_shipped_model(), default_model()

    # the same bytes on the same processor; the last digits differ between processors
    np.testing.assert_allclose(again.centres, shipped.centres, rtol=1e-6, atol=1e-8)
    assert again.fitted_on == shipped.fitted_on
