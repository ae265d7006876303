"""The gradient-echo relaxivity rises with vessel radius to a plateau, as random walks find."""

import dataclasses

import numpy as np
import pytest

from bolus.simulate import PatientSettings
from bolus.simulate.patient import forward_model, injected_bolus
from bolus.simulate.phantom import TissueVoxels
from bolus.simulate.scanner import inject, native_at, tissue_signal
from bolus.simulate.tissues import TISSUES
from bolus.simulate.vessel_size import vessel_size_factor

RAD_PER_S_PER_MMOLAR = 136.0
"""2 pi gamma chi B0 at 3 T, with chi = 2.7e-8 (cgs) per mM of gadolinium."""


def test_capillaries_of_5_micrometres_are_the_reference_at_both_fields():
    assert vessel_size_factor(5.0, field_strength_t=3.0) == 1.0
    assert vessel_size_factor(5.0, field_strength_t=1.5) == 1.0


def test_it_rises_and_reaches_a_plateau():
    radius_um = np.array([2.0, 3.0, 5.0, 8.0, 15.0, 30.0, 60.0])
    factor = vessel_size_factor(radius_um, field_strength_t=3.0)
    gain = np.diff(factor)

    assert (gain > 0).all()
    assert factor[-1] / factor[-2] < 1.001
    assert factor[-1] < 1.05
    assert factor[0] < 0.8


def test_a_lower_field_needs_thicker_vessels_to_reach_it():
    assert vessel_size_factor(15.0, field_strength_t=1.5) > vessel_size_factor(
        15.0, field_strength_t=3.0
    )


def _walk_rate(radius_um, *, mmolar, seed, universes=40, spins=100, cylinders=40):
    """R2' [1/s] of water diffusing among random cylinders: Boxerman's experiment, in small."""
    random = np.random.default_rng(seed)
    echo_s, step_s, share, diffusion = 0.030, 3e-4, 0.03, 1000.0
    reach_um = radius_um * np.sqrt(cylinders / share)
    shape = (universes, cylinders, 3)
    axis = random.normal(size=shape)
    axis /= np.linalg.norm(axis, axis=-1, keepdims=True)
    across = np.cross(axis, random.normal(size=shape))
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    point = across * reach_um * np.sqrt(random.random((universes, cylinders, 1)))

    def around(place):
        """Squared distance from every cylinder, and its field there."""
        gap = place[:, :, None, :] - point[:, None]
        along = np.einsum("usck,uck->usc", gap, axis)
        squared = np.einsum("usck,usck->usc", gap, gap) - along**2
        to_field = gap[..., 2] - along * axis[:, None, :, 2]
        sine2 = 1 - axis[:, None, :, 2] ** 2
        bounded = np.maximum(squared, radius_um**2)
        field = radius_um**2 / bounded * (2 * to_field**2 / bounded - sine2)
        return squared.min(axis=-1) > radius_um**2, field.sum(axis=-1)

    place = random.normal(size=(universes, spins, 3))
    place *= (
        0.35
        * reach_um
        * random.random((universes, spins, 1)) ** (1 / 3)
        / np.linalg.norm(place, axis=-1, keepdims=True)
    )
    free, field = around(place)
    phase = np.zeros((universes, spins))
    for _ in range(round(echo_s / step_s)):
        tried = place + np.sqrt(2 * diffusion * step_s) * random.normal(size=place.shape)
        outside, there = around(tried)
        place = np.where(outside[..., None], tried, place)
        field = np.where(outside, there, field)
        phase += RAD_PER_S_PER_MMOLAR * mmolar * field * step_s
    return -np.log(abs(np.exp(1j * phase[free]).mean())) / echo_s


@pytest.mark.slow
def test_random_walks_around_cylinders_agree():
    # one set of walks scatters by 5 %: three make the tolerance mean something
    rate = {
        r: np.mean([_walk_rate(r, mmolar=5.0, seed=seed) for seed in (1, 2, 3)])
        for r in (2.0, 5.0, 15.0)
    }

    for radius_um in (2.0, 15.0):
        expected = vessel_size_factor(radius_um, field_strength_t=3.0)
        assert rate[radius_um] / rate[5.0] == pytest.approx(expected, abs=0.06)


def test_a_tissue_of_thicker_vessels_falls_deeper_by_the_factor():
    settings = PatientSettings(seed=1, vascular_t1_share=0.0)
    one = np.ones(1)
    tissue = TissueVoxels(
        voxels=np.arange(1), share=one, cbv=3 * one, mtt_s=5 * one, delay_s=one,
        ktrans_per_min=0 * one, ve=0 * one,
    )  # fmt: skip
    protocol = dataclasses.replace(settings.protocol, preload_mmol_per_kg=0.0)
    model = dataclasses.replace(forward_model(settings), protocol=protocol)
    injection = inject(injected_bolus(settings), protocol)
    change = {}
    for radius_um in (5.0, 15.0):
        signal = tissue_signal(
            tissue, injection, model, native=native_at(TISSUES["wm"].native, 3.0),
            extravascular_per_mmolar_s=0.0, vessel_radius_um=radius_um,
        )[0, 0]  # fmt: skip
        change[radius_um] = -np.log(signal[15:] / signal[7])

    ratio = change[15.0].sum() / change[5.0].sum()
    assert ratio == pytest.approx(vessel_size_factor(15.0, field_strength_t=3.0), rel=1e-4)
