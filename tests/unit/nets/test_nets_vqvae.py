import numpy as np
import pytest
import torch

from bolus.errors import MetadataError
from bolus.nets.batches import generator
from bolus.nets.curve_augment import held_places, resampled_by
from bolus.nets.curve_medians import curve_medians
from bolus.nets.physical_axis import AXIS, align_curves
from bolus.nets.vqvae import (
    CodeSettings,
    CodesTask,
    CurveVqvae,
    errors_of_states,
    neighbouring_states,
    perplexity,
    start_network,
)
from tests.unit.nets.code_example import depth_curves


def started(settings=None, *, seed=1):
    settings = settings or CodeSettings()
    values = align_curves(depth_curves(600, seed=1)[0]).values
    centres = curve_medians(values, settings.states, seed=seed)
    network = start_network(settings, values, centres, seed=seed)
    network.scale.fill_(0.01)
    return network, torch.from_numpy(np.array(values)), torch.from_numpy(centres)


@pytest.mark.parametrize(("positions", "codes"), [(3, 2), (2, 3), (1, 8), (2, 8)])
def test_neighbours_in_the_list_of_states_differ_by_one_code(positions, codes):
    states = neighbouring_states(CodeSettings(positions=positions, codes_each=codes))
    assert len({tuple(state) for state in states.tolist()}) == codes**positions
    assert ((states[1:] - states[:-1]).abs().sum(1) == 1).all()


def test_settings_that_no_network_can_have_are_refused():
    for bad in ({"positions": 7}, {"codes_each": 1}, {"hidden": 0}, {"positions": 0}):
        with pytest.raises(MetadataError):
            CodeSettings(**bad)


def test_errors_leave_out_what_was_not_measured():
    random = generator(1, "errors")
    values, curves = torch.rand(40, 60, generator=random), torch.rand(8, 60, generator=random)
    measured = (torch.rand(40, 60, generator=random) > 0.3).float()
    plain = ((values[:, None] - curves).abs() * measured[:, None]).sum(2)
    torch.testing.assert_close(
        errors_of_states(values, measured, curves), plain / measured.sum(1, keepdim=True)
    )
    spoilt = torch.where(measured > 0, values, 7.0)
    torch.testing.assert_close(
        errors_of_states(spoilt, measured, curves), errors_of_states(values, measured, curves)
    )


def test_the_network_starts_at_the_medians_and_gives_each_curve_the_nearest():
    network, values, centres = started()
    whole = torch.ones_like(values)
    assert (network.curves() - centres).abs().max() < 0.02
    number, latent, curves = network(values, whole)
    best = errors_of_states(values, whole, network.curves()).argmin(1)
    assert (number == best).float().mean() > 0.99
    assert latent.shape == (len(values), 6)
    torch.testing.assert_close(curves, network.curves()[network.rank.argsort()][number])


def test_the_start_depends_on_the_seed_alone():
    torch.manual_seed(3)
    one = started(seed=5)[0].state_dict()
    torch.manual_seed(4)
    other = started(seed=5)[0].state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.equal(started(seed=6)[0].encoder[0].weight, one["encoder.0.weight"])


def test_a_code_that_no_curve_has_is_moved_to_curves_that_fit_badly():
    network, values, _ = started()
    with torch.no_grad():
        network.codebooks[1, 0] = 500.0
    task = CodesTask(network)
    task.training_loss((values, torch.ones_like(values)), generator(1, "step"))
    task.after_epoch(0, generator(1, "epoch"))
    assert network.codebooks[1, 0].abs().max() < 100
    kept = network.codebooks.detach().clone()
    for _ in range(2):
        task.training_loss((values, torch.ones_like(values)), generator(1, "step"))
    assert torch.equal(network.codebooks, kept)


def test_losses_are_scalars_with_gradients_and_names():
    network, values, _ = started()
    task = CodesTask(network)
    losses = task.training_loss((values, torch.ones_like(values)), generator(1, "step"))
    assert set(losses) == {"loss", "expected_error", "nearest", "commitment"}
    losses["loss"].backward()
    assert all(p.grad is not None for p in network.parameters())
    checked = task.validation_loss((values, torch.ones_like(values)))
    assert 1 < checked["perplexity"] <= 8


def test_perplexity_counts_codes_in_use():
    assert float(perplexity(torch.full((8,), 1 / 8))) == pytest.approx(8)
    assert float(perplexity(torch.tensor([1.0, 0, 0, 0]))) == pytest.approx(1)


@pytest.mark.parametrize(("interval_s", "frames"), [(1.0, 30), (2.0, 60), (3.0, 30)])
def test_another_protocol_shows_what_it_would_have_measured(interval_s, frames):
    exam, number = depth_curves(80, seed=3, noise=0.0, arrival_s=16.8)
    other, same = depth_curves(
        80, seed=3, noise=0.0, interval_s=interval_s, frames=frames, arrival_s=9.0
    )
    assert (number == same).all()
    aligned = align_curves(other)
    values = torch.from_numpy(np.array(align_curves(exam).values))
    found, seen = resampled_by(interval_s=interval_s, frames=frames, before_s=9.0).apply(
        values, torch.ones_like(values)
    )
    ends = int(aligned.measured.sum()) - int(seen[0].sum())
    assert abs(ends) * AXIS.step_s <= interval_s
    truth = aligned.values[:, held_places(aligned.measured)]
    assert float((found - torch.from_numpy(truth)).abs().mean()) < 0.01


def test_a_network_is_built_from_its_settings_alone():
    settings = CodeSettings(positions=2, codes_each=3, dimension=1, hidden=8)
    network = CurveVqvae(settings)
    number, latent, curves = network(torch.ones(5, 60), torch.ones(5, 60))
    assert number.shape == (5,)
    assert latent.shape == (5, 2)
    assert curves.shape == (5, 60)
