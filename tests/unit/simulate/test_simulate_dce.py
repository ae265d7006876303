"""DCE: arterial curves, the spoiled gradient echo, fresh blood, and a whole scan with its truth."""

import dataclasses

import numpy as np
import pytest

from bolus.errors import MetadataError
from bolus.simulate import (
    QUIET,
    ArterialBolus,
    PatientSettings,
    Physiology,
    PlasmaWashout,
    relaxivities_at,
)
from bolus.simulate.curves import FIRST_PASSES, capillary_concentration
from bolus.simulate.dce import DCE_PROTOCOLS, dce_injection, simulate_dce
from bolus.simulate.dce_signal import blood_rates
from bolus.simulate.kernels import local_concentrations
from bolus.simulate.patient import injected_bolus, phantom_of
from bolus.simulate.scanner import STEP_S
from bolus.simulate.spgr import inflow_magnetisation, pulses_met, spgr_signal

SMALL = dataclasses.replace(
    DCE_PROTOCOLS["spgr_3t"], shape=(64, 64, 12), voxel_mm=(3.4, 3.4, 6.0)
)  # fmt: skip
FINE_S = np.arange(0.0, 240.0, 0.1)
BOLUS = ArterialBolus(
    dose_mmol_per_kg=0.1, weight_kg=70.0, cardiac_output_l_per_min=6.0, haematocrit=0.45,
    arrival_s=18.0, width_s=9.0, shape=3.0, recirculation=0.08, recirculation_delay_s=12.0,
    washout=PlasmaWashout(
        amplitudes_kg_per_l=(14.0, 3.99, 4.78), rates_per_min=(0.6, 0.144, 0.0111)
    ),
)  # fmt: skip


# ---------------------------------------------------------------- arterial curves


def test_the_gamma_variate_without_dispersion_is_the_curve_it_was_before_there_were_others():
    known = {200: 2.921431475838786, 230: 11.668317030589316, 400: 1.3456415883273796}
    curve = BOLUS(np.arange(0, 90, 0.1))

    np.testing.assert_allclose(curve[list(known)], list(known.values()), rtol=1e-10)


@pytest.mark.parametrize("family", FIRST_PASSES)
@pytest.mark.parametrize("shape", [1.5, 3.0, 5.0])
def test_every_first_pass_has_unit_area_and_begins_at_zero(family, shape):
    seconds = np.arange(-20, 200, 0.01)
    density = FIRST_PASSES[family](seconds, width_s=9.0, shape=shape)

    assert density[seconds < -1e-9].max() == 0
    assert density.sum() * 0.01 == pytest.approx(1.0, abs=1e-3)
    assert (seconds[density > density.max() / 2]).size * 0.01 == pytest.approx(9.0, rel=0.10)


def test_the_two_families_share_mean_and_variance_but_not_the_curve():
    seconds = np.arange(0, 200, 0.01)
    moments, curves = {}, {}
    for name, density in FIRST_PASSES.items():
        curves[name] = density(seconds, width_s=9.0, shape=3.0)
        mean = (curves[name] * seconds).sum() * 0.01
        moments[name] = mean, (curves[name] * (seconds - mean) ** 2).sum() * 0.01
    one, other = moments.values()

    assert one[0] == pytest.approx(other[0], rel=0.02)
    assert one[1] == pytest.approx(other[1], rel=0.04)
    assert curves["lagged normal"].max() > 1.03 * curves["gamma variate"].max()


def test_dispersion_keeps_the_area_and_adds_its_time_constant_to_the_mean():
    first = dataclasses.replace(
        BOLUS, recirculation=0.0,
        washout=dataclasses.replace(BOLUS.washout, amplitudes_kg_per_l=(0.0, 0.0, 0.0)),
    )  # fmt: skip
    plain, spread = (dataclasses.replace(first, dispersion_s=d)(FINE_S) for d in (0.0, 4.0))
    mean = [(c * FINE_S).sum() / c.sum() for c in (plain, spread)]

    assert spread.sum() == pytest.approx(plain.sum(), rel=1e-4)
    assert mean[1] - mean[0] == pytest.approx(4.0, abs=0.06)
    assert spread.max() < 0.85 * plain.max()


def test_physiology_decides_the_arterial_curve():
    body = Physiology(
        family="lagged normal", dispersion_s=2.0, bolus_shape=2.0, recirculation=0.2,
        recirculation_delay_s=15.0,
    )  # fmt: skip
    bolus = injected_bolus(PatientSettings(seed=1, physiology=body))

    assert (bolus.family, bolus.dispersion_s, bolus.shape) == ("lagged normal", 2.0, 2.0)
    assert (bolus.recirculation, bolus.recirculation_delay_s) == (0.2, 15.0)


@pytest.mark.parametrize("change", [{"family": "boxcar"}, {"dispersion_s": -1.0}])
def test_an_impossible_bolus_is_refused(change):
    with pytest.raises(MetadataError):
        dataclasses.replace(BOLUS, **change)


def test_a_slower_injection_spreads_the_bolus_and_keeps_the_dose():
    settings = PatientSettings(seed=1)
    slow = dataclasses.replace(SMALL, injection_s=15.0)
    fast, late = (dce_injection(settings, p).arterial for p in (SMALL, slow))

    assert late.max() < 0.8 * fast.max()
    # what has come in by the end differs only by the 5 s that the slow one is later
    assert late.sum() == pytest.approx(fast.sum(), rel=0.03)


# ---------------------------------------------------------------- spoiled gradient echo


@pytest.mark.parametrize("flip_deg", [2.0, 15.0, 30.0])
def test_the_steady_state_signal_is_that_of_dcmri(flip_deg):
    dcmri = pytest.importorskip("dcmri")
    r1 = np.linspace(0.25, 30.0, 50)
    ours = spgr_signal(
        r1, 0.0, proton_density=100.0, repetition_time_s=0.005, echo_time_s=0.0,
        flip_angle_deg=flip_deg,
    )  # fmt: skip

    np.testing.assert_allclose(ours, dcmri.signal_ss(100.0, r1, 0.005, flip_deg), rtol=0.005)


@pytest.mark.parametrize("pulses", [5, 20, 100])
def test_fresh_blood_follows_dcmri_s_approach_to_the_steady_state(pulses):
    dcmri = pytest.importorskip("dcmri")
    r1 = np.array([0.6, 5.0, 15.0])
    ours = spgr_signal(
        r1, 0.0, proton_density=1.0, repetition_time_s=0.005, echo_time_s=0.0,
        flip_angle_deg=15.0, pulses=float(pulses),
    )  # fmt: skip
    theirs = dcmri.signal_spgr(1.0, r1, pulses * 0.005, 0.005, 15.0, n0=1)

    np.testing.assert_allclose(ours, theirs, rtol=0.005)


def test_fresh_blood_is_what_pulse_after_pulse_leaves():
    magnetisation, cosine = 1.0, np.cos(np.radians(12.0))
    for _ in range(37):
        magnetisation = 1 - (1 - magnetisation * cosine) * np.exp(-0.005 * 3.0)
    closed = inflow_magnetisation(
        np.array(3.0), pulses=37.0, repetition_time_s=0.005, flip_angle_deg=12.0
    )

    assert float(closed) == pytest.approx(magnetisation, rel=1e-12)


def test_tissue_concentration_is_dcmri_s_extended_tofts_of_the_same_plasma():
    dcmri = pytest.importorskip("dcmri")
    plasma = BOLUS(FINE_S)
    ktrans, ve, vp = 0.15 / 60, 0.30, 0.05
    frames = np.arange(1, 58) * 4.0 / STEP_S
    table = np.stack([plasma, plasma])
    local, leaked = local_concentrations(
        table, np.zeros(1), np.zeros(1), np.array([ktrans]), np.array([ve]), np.zeros(1),
        frames, STEP_S,
    )  # fmt: skip
    ours = vp * local[0] + ve * leaked[0]
    theirs = dcmri.conc_tissue(
        plasma * (1 - 0.45), t=FINE_S, kinetics="HF", H=0.45, vb=vp / (1 - 0.45), vi=ve, PS=ktrans
    )[frames.astype(int)]

    np.testing.assert_allclose(ours, theirs, atol=0.005 * theirs.max())


# ---------------------------------------------------------------- known failures of the AIF


def _blood_measured(plasma, *, echo_time_s, pulses=np.inf):
    """Concentration in plasma [mM] that a textbook conversion finds: steady state, no T2*."""
    relaxivities = relaxivities_at(3.0)
    sequence = {"proton_density": 1.0, "repetition_time_s": 0.005, "flip_angle_deg": 15.0}
    r1, r2s = blood_rates(0.55 * plasma, relaxivities=relaxivities, field_strength_t=3.0)
    r10, r2s0 = blood_rates(np.zeros(1), relaxivities=relaxivities, field_strength_t=3.0)
    seen = {"echo_time_s": echo_time_s, "pulses": pulses, **sequence}
    ratio = spgr_signal(r1, r2s, **seen) / spgr_signal(r10, r2s0, **seen)
    rates = np.linspace(0.1, 200.0, 400_000)
    ideal = spgr_signal(rates, 0.0, echo_time_s=0.0, **sequence)
    ideal /= spgr_signal(r10, 0.0, echo_time_s=0.0, **sequence)
    return (np.interp(ratio, ideal, rates) - r10) / relaxivities.r1 / 0.55


def _arterial(dose_mmol_per_kg):
    return dataclasses.replace(BOLUS, dose_mmol_per_kg=dose_mmol_per_kg)(FINE_S)


def test_a_conversion_that_ignores_nothing_of_weight_finds_the_truth():
    plasma = _arterial(0.1)
    found = _blood_measured(plasma, echo_time_s=1e-6)

    np.testing.assert_allclose(found, plasma, atol=0.01 * plasma.max())


def test_t2s_hides_the_peak_of_the_arterial_curve_the_more_the_later_the_echo():
    plasma = _arterial(0.1)
    lost = {
        te: 1 - _blood_measured(plasma, echo_time_s=te).max() / plasma.max()
        for te in (0.0005, 0.002, 0.004)
    }

    assert lost[0.0005] < lost[0.002] < lost[0.004]
    assert lost[0.002] > 0.10
    # the washout, ten times thinner, keeps its height
    late = _blood_measured(plasma, echo_time_s=0.002)[-1]
    assert late == pytest.approx(plasma[-1], rel=0.06)


def test_a_higher_dose_loses_more_of_its_peak():
    lost = [
        1 - _blood_measured(_arterial(dose), echo_time_s=0.002).max() / _arterial(dose).max()
        for dose in (0.05, 0.1, 0.2)
    ]

    assert lost[0] < lost[1] < lost[2]


def test_inflow_raises_the_baseline_and_hides_enhancement():
    plasma = _arterial(0.1)
    areas = [
        _blood_measured(plasma, echo_time_s=1e-6, pulses=n).sum() / plasma.sum()
        for n in (5.0, 20.0, 60.0, 400.0)
    ]
    baseline = inflow_magnetisation(
        np.array(1 / 1.65), pulses=np.array([5.0, 400.0]), repetition_time_s=0.005,
        flip_angle_deg=15.0,
    )  # fmt: skip

    assert areas == sorted(areas)
    assert areas[0] < 0.10
    assert areas[1] < 0.40
    assert areas[-1] == pytest.approx(1.0, abs=0.02)
    assert baseline[0] > 5 * baseline[1]


def test_blood_meets_more_pulses_the_further_it_is_in_the_slab():
    met = pulses_met(np.array([10.0, 80.0]), speed_mm_per_s=400.0, repetition_time_s=0.005)

    assert met.tolist() == [5.0, 40.0]


# ---------------------------------------------------------------- a whole scan


@pytest.fixture(scope="module")
def settings():
    return PatientSettings(seed=4, disturbances=QUIET)


@pytest.fixture(scope="module")
def clean(settings):
    """No B1, no inflow, no noise, and no R2*: T1 and kinetics alone."""
    pure = dataclasses.replace(
        relaxivities_at(3.0), r2s_vascular=0.0, extravascular_scale=0.0, blood_linear=0.0
    )
    return simulate_dce(
        dataclasses.replace(settings, relaxivities=pure), SMALL, b1=False, inflow=False
    )


def test_the_same_settings_give_the_same_bytes_and_another_scan_gives_others(settings):
    tiny = dataclasses.replace(SMALL, shape=(24, 24, 4), voxel_mm=(9.0, 9.0, 20.0))
    noisy = PatientSettings(seed=4)
    one, two = (simulate_dce(noisy, tiny) for _ in range(2))
    other = simulate_dce(dataclasses.replace(noisy, scan=1), tiny)

    assert one.signal.values.tobytes() == two.signal.values.tobytes()
    assert one.vfa[0].tobytes() == two.vfa[0].tobytes()
    assert other.signal.values.tobytes() != one.signal.values.tobytes()
    assert other.truth["ktrans"].values.tobytes() == one.truth["ktrans"].values.tobytes()


def test_a_tumour_voxel_enhances_as_dcmri_says_it_should(settings, clean):
    """From dose to signal: our chain against dcmri's tissue and steady state, one pure voxel."""
    dcmri = pytest.importorskip("dcmri")
    phantom = phantom_of(settings, clean.signal.grid)
    tissue = phantom.tissues["hypovascular"]
    at = int(np.argmax(tissue.share))
    plasma = capillary_concentration(
        dce_injection(settings, SMALL).arterial, step_s=STEP_S, mtt_s=tissue.mtt_s[at : at + 1],
        family="gamma", shape=3.0,
    )[0]  # fmt: skip
    fine_s = STEP_S * np.arange(len(plasma))
    plasma = np.interp(fine_s - tissue.delay_s[at], fine_s, plasma)
    vb = tissue.cbv[at] / 100
    held = dcmri.conc_tissue(
        plasma * 0.75, t=fine_s, kinetics="HF", H=0.25, vb=vb, vi=tissue.ve[at] / 100,
        PS=tissue.ktrans_per_min[at] / 60,
    )  # fmt: skip
    r10 = 1 / phantom.models["hypovascular"].native[3.0].t1_s
    r1 = r10 + 3.7 * np.interp(SMALL.time.seconds, fine_s, held)
    theirs = dcmri.signal_ss(1.0, r1, 0.005, 15.0) / dcmri.signal_ss(1.0, r10, 0.005, 15.0)
    place = tuple(np.argwhere(phantom.present.values)[tissue.voxels[at]])
    ours = clean.signal.values[place] / clean.signal.values[place][0]

    assert tissue.share[at] > 0.999
    np.testing.assert_allclose(ours, theirs, rtol=0.005)


def _r10_of(scan, flip_factor):
    """Native R1 from the flip-angle images by a straight line through S/sin over S/tan."""
    angles = np.radians(np.array(scan.protocol.vfa_deg)) * flip_factor[..., None]
    signal = np.stack(scan.vfa, axis=-1).astype(np.float64)
    y, x = signal / np.sin(angles), signal / np.tan(angles)
    x0, y0 = x - x.mean(axis=-1, keepdims=True), y - y.mean(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = (x0 * y0).sum(axis=-1) / (x0**2).sum(axis=-1)
        return -np.log(slope) / scan.protocol.repetition_time_s


def test_flip_angle_images_give_back_native_r1_only_when_b1_is_known(settings):
    scan = simulate_dce(settings, SMALL)
    white = scan.reference.values
    true = scan.truth["r10"].values[white]
    known = _r10_of(scan, scan.b1)[white]
    ignored = _r10_of(scan, np.ones(scan.b1.shape))[white]

    np.testing.assert_allclose(known, true, rtol=0.02)
    assert np.abs(ignored / true - 1).max() > 0.15
    # a slope over apparent angles scales R1 by the square of the factor
    np.testing.assert_allclose(ignored, true / scan.b1[white] ** 2, rtol=0.04)


def test_b1_is_smooth_and_within_15_percent(settings):
    field = simulate_dce(settings, SMALL).b1

    assert 0.85 <= field.min() < 0.95
    assert 1.05 < field.max() <= 1.15
    assert max(np.abs(np.diff(field, axis=a)).max() for a in range(3)) < 0.06


def test_the_area_of_an_arterial_voxel_grows_with_its_share_of_artery(clean):
    """Partial volume: a voxel half full of artery shows about half of its enhancement."""
    gain = (clean.signal.values - clean.signal.values[..., :1]).sum(axis=-1)
    share = clean.artery
    chosen = (share > 0.15) & ~clean.tissues.mask("vein").values
    full = gain[chosen & (share > 0.8)].mean() / share[chosen & (share > 0.8)].mean()

    assert chosen.sum() > 30
    assert np.corrcoef(share[chosen], gain[chosen])[0, 1] > 0.95
    half = chosen & (share > 0.4) & (share < 0.6)
    assert gain[half].mean() / full == pytest.approx(share[half].mean(), rel=0.25)


def test_inflow_makes_arteries_bright_before_the_agent_and_dull_after(settings, clean):
    fresh = simulate_dce(settings, SMALL, b1=False)
    still = simulate_dce(settings, SMALL, b1=False, inflow=False)
    mostly = fresh.artery > 0.6
    first = [scan.signal.values[mostly][:, 0].mean() for scan in (fresh, still)]
    gain = [
        (s.signal.values[mostly].max(axis=1) / s.signal.values[mostly][:, 0]).mean()
        for s in (fresh, still)
    ]

    assert first[0] > 2 * first[1]
    assert gain[0] < 0.6 * gain[1]


def test_white_matter_has_the_noise_that_was_asked_for(settings):
    noise = dataclasses.replace(QUIET, snr=40.0)
    scan = simulate_dce(dataclasses.replace(settings, disturbances=noise), SMALL, b1=False)
    before = scan.signal.curves(scan.reference)[:, :6]

    assert before.mean() / before.std(axis=1, ddof=1).mean() == pytest.approx(40, rel=0.08)


def test_the_true_aif_is_plasma_in_the_middle_of_every_frame(settings, clean):
    fine = dce_injection(settings, SMALL).arterial

    assert clean.aif.quantity.key == "conc"
    assert clean.aif.time.seconds[0] == 2.0
    np.testing.assert_allclose(clean.aif.values, fine[20 :: int(4.0 / STEP_S)][:60], atol=1e-9)


def test_truth_leaves_out_large_vessels_and_holds_plausible_numbers(clean):
    truth = clean.truth
    white = truth["r10"].inside(clean.reference)
    vessel = clean.artery > 0.05

    assert sorted(truth) == ["ktrans", "r10", "ve", "vp"]
    assert np.isnan(truth["vp"].values[vessel]).all()
    assert white.mean() == pytest.approx(1 / 0.83, rel=0.01)
    assert truth["vp"].inside(clean.reference).mean() == pytest.approx(1.9 * 0.75, rel=0.1)
    assert truth["ktrans"].inside(clean.tumour.mask("hypervascular")).mean() > 0.05


@pytest.mark.parametrize("change", [{"echo_time_s": 0.006}, {"frame_s": 0.0}, {"frames": 1}])
def test_an_impossible_protocol_is_refused(change):
    with pytest.raises(MetadataError):
        dataclasses.replace(SMALL, **change)
