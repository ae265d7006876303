"""The fast path: the same physics as the scanner's, labels that are right, numbers that hold."""

import dataclasses

import numpy as np
import pytest

from bolus.errors import MetadataError
from bolus.simulate import phantom
from bolus.simulate.fast import curves_of, draw_patients, simulate_curves
from bolus.simulate.fast_kernels import add_rician
from bolus.simulate.fast_mixture import CurveMixture, draw_parts, take
from bolus.simulate.patient import (
    QUIET,
    PatientSettings,
    Physiology,
    forward_model,
    injected_bolus,
)
from bolus.simulate.phantom import TissueVoxels
from bolus.simulate.protocol import PROTOCOLS
from bolus.simulate.scanner import inject, native_at, tissue_signal, vessel_signal
from bolus.simulate.tissues import HABITAT_LABELS, HABITAT_OF, TISSUE_LABELS, TISSUES

PURE = CurveMixture(mixed=0.0, gain=(1.0, 1.0))


def by_the_scanner(parts, settings):
    """Signals of parts, one tissue after the other, through `scanner.tissue_signal`."""
    injection, model = inject(injected_bolus(settings), settings.protocol), forward_model(settings)
    total = np.zeros((len(parts.share), settings.protocol.frames))
    for number, name in enumerate(TISSUE_LABELS.values()):
        rows = np.flatnonzero((parts.tissue == number) & (parts.share > 0))
        if not len(rows):
            continue
        part = take(parts, rows)
        if number >= len(TISSUES):
            pure = vessel_signal(
                injection, model, delay_s=part.delay_s, venous=number > len(TISSUES)
            )
        else:
            tissue = settings.tissues[name]
            values = dataclasses.asdict(part) | {"voxels": rows}
            values.pop("tissue")
            pure = tissue_signal(
                TissueVoxels(**values),
                injection,
                model,
                native=native_at(tissue.native, settings.protocol.field_strength_t),
                extravascular_per_mmolar_s=tissue.r2s_extravascular
                * model.relaxivities.extravascular_scale,
                vessel_radius_um=tissue.vessel_radius_um,
            )
        total[rows] = part.share[:, None] * pure[0]
    return total


SWITCHES = (
    {},
    {"protocol": PROTOCOLS["no_preload_60"], "vascular_t1_share": 1.0},
    {"protocol": PROTOCOLS["dual_echo"], "residue": "exponential", "t1_leakage": False},
    {"residue": "boxcar", "t2s_leakage": False},
    {"leakage": False, "protocol": dataclasses.replace(PROTOCOLS["no_preload_30"], dummies=3)},
    {
        "protocol": dataclasses.replace(
            PROTOCOLS["preload_60"], repetition_time_s=2.3, frames=40, field_strength_t=1.5
        )
    },
)


@pytest.mark.parametrize("switches", SWITCHES)
@pytest.mark.parametrize("widen", [1.0, 2.0])
def test_curves_equal_those_of_the_scanner_to_one_in_ten_thousand(switches, widen):
    settings = PatientSettings(seed=1, disturbances=QUIET, **switches)
    mixture = dataclasses.replace(PURE, mixed=0.3, widen=widen)
    whose = np.zeros(400, int)

    curves = curves_of([settings], 400, seed=3, mixture=mixture)

    main, second = draw_parts([settings], whose, seed=3, mixture=mixture)
    expected = by_the_scanner(main, settings) + by_the_scanner(second, settings)
    worst = np.abs(curves.signal - expected).max(axis=1) / expected.max(axis=1)
    limit = 3e-4 if settings.residue == "boxcar" else 1e-4  # its table bends more between rows
    assert worst.max() < limit
    assert set(curves.tissue) == set(range(1, 16)) - {13}  # all but the scalp


def test_the_first_curves_do_not_depend_on_how_many_follow():
    few = simulate_curves(300, seed=5, protocol=PROTOCOLS["preload_60"], patients=4)
    many = simulate_curves(900, seed=5, protocol=PROTOCOLS["preload_60"], patients=4)

    np.testing.assert_array_equal(few.signal, many.signal[:300])
    np.testing.assert_array_equal(few.tissue, many.tissue[:300])


def test_another_seed_gives_other_curves():
    one = simulate_curves(50, seed=5, protocol=PROTOCOLS["preload_60"], patients=2)
    two = simulate_curves(50, seed=6, protocol=PROTOCOLS["preload_60"], patients=2)

    assert not np.array_equal(one.signal, two.signal)


def test_noise_of_a_curve_does_not_depend_on_the_chunk_it_is_in():
    whole = np.full((10, 20), 50.0, np.float32)
    halves = whole.copy()
    sigma = np.full(10, 2.0)

    add_rician(whole, sigma, 0, 7)
    add_rician(halves[:4], sigma[:4], 0, 7)
    add_rician(halves[4:], sigma[4:], 4, 7)

    np.testing.assert_array_equal(whole, halves)


def test_noise_is_rician():
    """Gudbjartsson and Patz: Rayleigh's mean without signal, normal with much; no correlation."""
    air = np.zeros((2000, 100), np.float32)
    tissue = np.full((2000, 100), 1000.0, np.float32)
    add_rician(air, np.full(2000, 3.0), 0, 1)
    add_rician(tissue, np.full(2000, 3.0), 0, 2)

    assert air.mean() == pytest.approx(3.0 * np.sqrt(np.pi / 2), rel=0.005)
    assert air.std() == pytest.approx(3.0 * np.sqrt(2 - np.pi / 2), rel=0.01)
    assert tissue.std() == pytest.approx(3.0, rel=0.01)
    rest = tissue - tissue.mean()
    assert abs((rest[:, 1:] * rest[:, :-1]).mean()) < 0.05
    assert abs((rest[1:] * rest[:-1]).mean()) < 0.05


def test_white_matter_has_the_noise_that_its_patient_was_given():
    settings = dataclasses.replace(
        draw_patients(1, seed=1, protocol=PROTOCOLS["preload_60"])[0],
        disturbances=dataclasses.replace(QUIET, snr=40.0),
    )
    curves = curves_of(
        [settings], 4000, seed=2, mixture=dataclasses.replace(PURE, weights={"wm": 1.0})
    )

    early = curves.signal[:, 5]
    assert early.mean() / early.std() == pytest.approx(40.0, rel=0.05)


def test_habitats_follow_from_the_larger_tissue():
    curves = simulate_curves(2000, seed=1, protocol=PROTOCOLS["preload_60"], patients=3)

    names = [TISSUE_LABELS[int(t)] for t in curves.tissue]
    expected = [HABITAT_OF.get(name, "") for name in names]
    assert [HABITAT_LABELS.get(int(h), "") for h in curves.habitat] == expected
    assert curves.share.min() >= 0.5
    assert np.mean(curves.share < 1) == pytest.approx(0.3, abs=0.04)


def test_only_vessels_have_no_truth():
    curves = simulate_curves(2000, seed=1, protocol=PROTOCOLS["preload_60"], patients=3)

    vessel = np.isin(curves.tissue, [14, 15])
    assert vessel.any()
    for values in curves.parameters.values():
        np.testing.assert_array_equal(np.isnan(values), vessel)
    tissue = curves.tissue == 2
    pure = tissue & (curves.share == 1)
    assert np.median(curves.parameters["cbv"][pure]) == pytest.approx(TISSUES["gm"].cbv, rel=0.05)


def test_values_scatter_within_a_tissue_as_in_a_phantom():
    curves = simulate_curves(
        6000, seed=2, protocol=PROTOCOLS["preload_60"], patients=2,
        mixture=dataclasses.replace(PURE, weights={"gm": 1.0}),
    )  # fmt: skip
    grey = TISSUES["gm"]

    of_mtt = np.hypot(phantom._GREY_VARIATION_OF_MTT, phantom._WHITE_NOISE)
    assert np.log(curves.parameters["mtt_s"]).std() == pytest.approx(of_mtt, rel=0.05)
    of_cbv = np.hypot(grey.spread, phantom._WHITE_NOISE)
    assert np.log(curves.parameters["cbv"]).std() == pytest.approx(of_cbv, rel=0.05)
    assert curves.parameters["delay_s"].std() == pytest.approx(phantom._DELAY_SPREAD_S, rel=0.12)


def test_mean_curves_rank_as_perfusion_does():
    """Deepest: hypervascular; then grey, then white matter; least in fluid."""
    quiet = PatientSettings(seed=1, physiology=Physiology(), disturbances=QUIET)
    curves = curves_of([quiet], 1500, seed=4, mixture=PURE)
    drop = 1 - curves.signal.min(axis=1) / curves.signal[:, 5]
    number = {name: n for n, name in TISSUE_LABELS.items()}
    mean = [drop[curves.tissue == number[t]].mean() for t in ("hypervascular", "gm", "wm", "csf")]

    assert mean == sorted(mean, reverse=True)


def test_patients_of_other_lengths_are_refused_together():
    long = dataclasses.replace(PROTOCOLS["preload_60"], frames=80)
    patients = [PatientSettings(seed=1), PatientSettings(seed=1, protocol=long)]

    with pytest.raises(MetadataError, match="2 combinations"):
        curves_of(patients, 10, seed=1)


@pytest.mark.parametrize(
    "wrong", [{"weights": {"bone": 1.0}}, {"weights": {"artery": 1.0}}, {"mixed": 1.5}]
)
def test_a_mixture_that_cannot_be_is_refused(wrong):
    with pytest.raises(MetadataError):
        CurveMixture(**wrong)
