from dataclasses import replace

import numpy as np
import pytest
import torch

from bolus.errors import QuantityError
from bolus.nets.aif_input import AifCurves
from bolus.nets.aif_spectrogram import FRAMES, IMAGE, from_images, input_images, to_images
from bolus.nets.aif_wgan import RECIPE_WGAN, Critic, GanTask, SpectrogramGan, fit_spectrogram
from bolus.nets.batches import generator, seeded

SHORT = replace(RECIPE_WGAN, epochs=10, batch_size=32, learning_rate=2e-3, patience=10)
FINE_S = np.arange(0.0, 300.0, 0.5)


def pairs(count, *, seed):
    random = np.random.default_rng(seed)
    curves, truth = [], []
    for _ in range(count):
        late = np.maximum(FINE_S - 30.0, 0.0)
        width = random.uniform(4, 8)
        true = 6 * late / width * np.exp(1 - late / width) + 1.5 * (late > 0)
        seconds = np.arange(2.0, 240.0, 4.0)
        curves.append(AifCurves(artery=0.3 * np.interp(seconds, FINE_S, true), seconds=seconds))
        truth.append((true, FINE_S))
    return curves, truth


def test_curves_survive_the_way_to_images_and_back():
    curves = np.abs(np.random.default_rng(1).normal(3, 1, (4, FRAMES)))
    images = to_images(curves)
    assert tuple(images.shape[1:]) == IMAGE
    np.testing.assert_allclose(from_images(images), curves, atol=1e-5)


def test_generator_comes_nearer_to_the_truth():
    fitted = fit_spectrogram(pairs(96, seed=1), pairs(50, seed=2), recipe=SHORT, error_weight=100.0)
    seconds, values = fitted(pairs(1, seed=3)[0][0])
    assert len(seconds) == len(values) == FRAMES
    assert np.isfinite(values).all()
    losses = [row.losses["validation_loss"] for row in fitted.trained.history]
    assert min(losses) < 0.7 * losses[0]


def test_each_part_of_the_loss_moves_one_network_only():
    with seeded(1, "test"):
        gan = SpectrogramGan()
    curves, truth = pairs(8, seed=1)
    image = input_images(curves, plasma_share=0.55)
    wanted = to_images(np.array([np.interp(c.seconds, FINE_S, t) for c, (t, _) in zip(
        curves, truth, strict=True)]))  # fmt: skip
    made = gan(image)
    apart = gan.critic(made.detach(), image).mean() - gan.critic(wanted, image).mean()
    alone = torch.autograd.grad(apart, list(gan.critic.parameters()), retain_graph=True)
    task = GanTask(gan)
    losses = task.training_loss((image, wanted), generator(1, "step"))
    losses["loss"].backward()
    assert all(p.grad is not None for p in gan.parameters())
    assert all(torch.isfinite(g).all() for g in alone)
    again = task.training_loss((image, wanted), generator(1, "step"))
    assert torch.equal(losses["loss"], again["loss"])


def test_score_of_one_curve_does_not_depend_on_the_others():
    with seeded(1, "test"):
        critic = Critic()
    images = torch.randn(6, *IMAGE, generator=generator(1, "image"))
    together, alone = critic(images, images), critic(images[:1], images[:1])
    torch.testing.assert_close(together[:1], alone)


def test_too_few_pairs_are_refused():
    with pytest.raises(QuantityError):
        fit_spectrogram(pairs(3, seed=1), pairs(50, seed=2), recipe=SHORT)
