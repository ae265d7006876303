import numpy as np
import pytest
import torch

from bolus.core import stream
from bolus.errors import InputError, MetadataError, QuantityError, TimingError
from bolus.nets.evidential_fit import EvidentialSettings, evidential_fit
from bolus.nets.evidential_physics import PHYSICAL_MODELS, exchange_table, transit_table
from bolus.quantify.dce_forward import dce_curves
from bolus.quantify.vascular_tables import tissue_curves
from bolus.simulate.curves import ArterialBolus, capillary_concentration

SECONDS = np.arange(40) * 4.0
SHORT = EvidentialSettings(physics_steps=60, steps=60, ramp=10, hidden=16)
LONGER = EvidentialSettings(physics_steps=100, steps=150, ramp=40, hidden=32, learning_rate=1.5e-2)
BOLUS = ArterialBolus(
    dose_mmol_per_kg=0.1, weight_kg=70, cardiac_output_l_per_min=6, haematocrit=0.45,
    arrival_s=20, width_s=10,
)  # fmt: skip


def artery(seconds=SECONDS):
    fine = np.arange(0.0, seconds[-1] + 1, 0.1)
    return np.interp(seconds, fine, BOLUS(fine))


def kinetics(count, seed=1):
    draw = stream(seed, "kinetics")
    return {
        "ktrans": np.exp(draw.uniform(np.log(0.02), np.log(0.3), count)),
        "ve": draw.uniform(10.0, 50.0, count),
        "vp": draw.uniform(1.0, 8.0, count),
        "delay": draw.uniform(0.0, 4.0, count),
    }


def curves(known, noise, seed=1):
    clean = dce_curves("extended_tofts", known, artery(), seconds=SECONDS)
    return clean + noise * stream(seed, "noise").standard_normal(clean.shape)


def tensor(known):
    return torch.from_numpy(np.stack(list(known.values()), axis=1).astype(np.float32))


def test_curves_of_the_table_are_those_of_the_forward_model():
    known = kinetics(60)
    clean = curves(known, 0.0)
    table = exchange_table(artery(), SECONDS, SECONDS)
    found = PHYSICAL_MODELS["extended_tofts"].curves(table, tensor(known)).numpy()
    assert (np.abs(found - clean) < 3e-3 * clean.max(axis=1, keepdims=True)).all()


@pytest.mark.parametrize("shape", [1.0, 3.0, 20.0])
def test_curves_of_dsc_are_those_of_the_simulator_with_an_artery_of_other_times(shape):
    fine, transit, delay = np.arange(0, 120, 0.1), np.array([2.0, 5.0, 12.0]), (0.0, -2.0, 3.0)
    seconds, own = np.arange(50) * 1.7 + 3.3, fine[::10]
    held = capillary_concentration(
        BOLUS(fine), step_s=0.1, mtt_s=transit, family="gamma", shape=shape
    )
    table = transit_table(BOLUS(own), seconds, own)
    known = {"cbv": np.full(3, 4.0), "mtt": transit, "delay": delay, "shape": np.full(3, shape)}
    found = PHYSICAL_MODELS["vascular"].curves(table, tensor(known)).numpy()
    for row, later in enumerate(delay):
        expected = 0.04 * np.interp(seconds - later, fine, held[row])
        np.testing.assert_allclose(found[row], expected, atol=0.01 * expected.max())


def test_curves_of_dsc_between_nodes_are_those_of_the_vascular_model():
    seconds = np.arange(50) * 1.5
    known = {
        "cbv": np.full(4, 3.0), "mtt": np.array([1.3, 3.7, 8.1, 17.0]),
        "delay": np.array([0.4, 1.9, -1.3, 3.1]), "shape": np.array([1.2, 2.3, 5.0, 30.0]),
    }  # fmt: skip
    table = transit_table(artery(seconds), seconds, seconds)
    found = PHYSICAL_MODELS["vascular"].curves(table, tensor(known)).numpy()
    for row, (mtt, delay, shape) in enumerate(
        zip(known["mtt"], known["delay"], known["shape"], strict=True)
    ):
        expected = 0.03 * tissue_curves(
            artery(seconds), seconds, mtt_s=np.array([mtt]), shape=np.array([shape]),
            delay_s=np.array([delay]),
        )[0, 0, 0]  # fmt: skip
        np.testing.assert_allclose(found[row, :-1], expected[:-1], atol=5e-3 * expected.max())


@pytest.mark.parametrize("name", sorted(PHYSICAL_MODELS))
def test_gradients_are_those_of_small_steps_and_soft_units_go_there_and_back(name):
    model = PHYSICAL_MODELS[name]
    table = model.table(artery(), SECONDS, SECONDS)
    soft = (model.column("centre") + 0.3)[None].requires_grad_()
    torch.testing.assert_close(model.soft(model.natural(soft)), soft, rtol=1e-4, atol=1e-4)
    weights = torch.linspace(-1, 1, len(SECONDS))

    def told(values):
        return (model.curves(table, model.natural(values)) * weights).sum()

    values = model.natural(soft).detach()
    torch.testing.assert_close(model.derived(values)[:, : model.free], values[:, : model.free])

    (slope,) = torch.autograd.grad(told(soft), soft)
    for at in range(model.free):
        step = torch.zeros_like(soft)
        step[0, at] = 0.02
        with torch.no_grad():
            expected = (told(soft + step) - told(soft - step)) / 0.04
        assert float(slope[0, at]) == pytest.approx(float(expected), rel=0.05)


def test_finds_kinetics_and_is_less_sure_where_there_is_more_noise():
    known = kinetics(40)
    both = {name: np.tile(value, 2) for name, value in known.items()}
    noise = np.repeat([0.01, 0.2], 40)[:, None]
    tissue = curves(both, noise)
    found = evidential_fit(tissue, artery(), seconds=SECONDS, seed=1, settings=LONGER)
    off = np.abs(np.log(found["ktrans"] / both["ktrans"]))
    assert np.median(off[:40]) < 0.1
    low, high = found.interval("ktrans")
    held = (low <= both["ktrans"]) & (both["ktrans"] <= high)
    assert 0.75 < held.mean() <= 1.0
    assert np.median((high - low)[40:]) > 1.5 * np.median((high - low)[:40])
    assert 0.5 < np.median(found.residual_std[40:]) / 0.2 < 2.0
    np.testing.assert_allclose(found.std**2, found.aleatoric**2 + found.epistemic**2)
    assert (np.subtract(*found.interval("vp", 0.95)[::-1])
            >= np.subtract(*found.interval("vp", 0.5)[::-1])).all()  # fmt: skip


def test_finds_flow_and_transit_time_of_dsc():
    draw, seconds = stream(2, "dsc"), np.arange(45) * 1.5
    fine = np.arange(0, 80, 0.1)
    transit, flow = draw.uniform(3, 10, 60), draw.uniform(15, 80, 60)
    held = capillary_concentration(BOLUS(fine), step_s=0.1, mtt_s=transit, family="exponential")
    clean = np.stack([np.interp(seconds, fine, h) for h in held]) * (flow * transit / 6000)[:, None]
    tissue = clean + 0.02 * clean.max() * draw.standard_normal(clean.shape)
    found = evidential_fit(
        tissue, artery(seconds), seconds=seconds, seed=1, model="vascular",
        settings=LONGER,
    )  # fmt: skip
    assert found.names == ("cbv", "mtt", "delay", "shape", "cbf")
    assert np.median(np.abs(found["cbf"] / flow - 1)) < 0.15
    assert np.corrcoef(found["mtt"], transit)[0, 1] > 0.8


def test_bytes_depend_on_the_seed_and_not_on_threads():
    tissue, before, found = curves(kinetics(20), 0.03), torch.get_num_threads(), []
    quick = EvidentialSettings(physics_steps=5, steps=10, ramp=2, hidden=8, batch=16)
    try:
        for threads, seed in ((1, 1), (2, 1), (4, 1), (1, 2)):
            torch.set_num_threads(threads)
            fit = evidential_fit(tissue, artery(), seconds=SECONDS, seed=seed, settings=quick)
            found.append(fit.mean.tobytes() + fit.reach.tobytes())
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert len(set(found[:3])) == 1
    assert found[3] != found[0]


def test_the_unit_of_the_curves_does_not_matter():
    tissue = curves(kinetics(20), 0.03)
    quick = EvidentialSettings(physics_steps=10, steps=10, ramp=2, hidden=8)
    one, other = (
        evidential_fit(k * tissue, k * artery(), seconds=SECONDS, seed=1, settings=quick)
        for k in (1.0, 256.0)
    )
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-3)
    np.testing.assert_allclose(256 * one.residual_std, other.residual_std, rtol=1e-3)


def test_voxels_that_cannot_be_used_have_no_answer():
    tissue = curves(kinetics(20), 0.03)
    tissue[3, 5], tissue[7] = np.nan, 0.0
    found = evidential_fit(tissue, artery(), seconds=SECONDS, seed=1, settings=SHORT)
    assert np.flatnonzero(np.isnan(found["ktrans"])).tolist() == [3, 7]
    assert np.flatnonzero(~found.usable).tolist() == [3, 7]
    assert np.isfinite(found.interval("ve")).sum() == 36


def test_what_cannot_be_fitted_is_refused():
    tissue, arterial = curves(kinetics(5), 0.03), artery()
    with pytest.raises(InputError, match="patlak"):
        evidential_fit(tissue, arterial, seconds=SECONDS, seed=1, model="patlak")
    with pytest.raises(TimingError):
        evidential_fit(tissue, arterial, seconds=SECONDS[:-1], seed=1)
    with pytest.raises(TimingError, match="12"):
        evidential_fit(tissue[:, :8], arterial[:8], seconds=SECONDS[:8], seed=1)
    with pytest.raises(QuantityError, match="artery"):
        evidential_fit(tissue, 0 * arterial, seconds=SECONDS, seed=1)
    with pytest.raises(QuantityError, match="curve"):
        evidential_fit(0 * tissue, arterial, seconds=SECONDS, seed=1)
    with pytest.raises(MetadataError):
        EvidentialSettings(broad=1.5)
    found = evidential_fit(tissue, arterial, seconds=SECONDS, seed=1, settings=SHORT)
    with pytest.raises(MetadataError, match="calibrated"):
        found.interval("vp", 0.85)
