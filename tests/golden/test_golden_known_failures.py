"""What goes wrong in practice must go wrong here too, before anything corrects it.

A simulator in which the known errors do not appear cannot judge who mends them. Leakage, the
largest of them, is in test_golden_simulated_leakage.py; noise and motion are in the realism tests.
"""

import dataclasses

import numpy as np
import pytest
from scipy import stats
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from bolus.core.randomness import stream
from bolus.quantify.deconvolution import Csvd, Osvd, flow
from bolus.simulate.curves import capillary_concentration, shifted
from bolus.simulate.patient import PatientSettings, forward_model, injected_bolus
from bolus.simulate.phantom import TissueVoxels
from bolus.simulate.profile import draw_profile
from bolus.simulate.protocol import PROTOCOLS
from bolus.simulate.scanner import STEP_S, inject, native_at, tissue_signal, vessel_signal
from bolus.simulate.tissues import TISSUES

STEP_DSC_S = 1.5
FINE_S = np.arange(0, 120, STEP_S)
EVERY = round(STEP_DSC_S / STEP_S)


def arterial():
    return injected_bolus(PatientSettings(seed=1))(FINE_S)


def tissue(mtt_s, *, delay_s=0.0, family="exponential"):
    """Mean capillary concentration on the fine grid, (n, fine)."""
    late = shifted(arterial(), step_s=STEP_S, delay_s=delay_s)
    return capillary_concentration(late, step_s=STEP_S, mtt_s=np.array(mtt_s), family=family)


def auc(score, positive):
    above, below = score[positive], score[~positive]
    return stats.mannwhitneyu(above, below).statistic / (len(above) * len(below))


# Deconvolution


@pytest.mark.parametrize(
    ("method", "least", "most"),
    [(Osvd(), -30, -10), (Csvd(), -55, -25)],
    ids=["oSVD", "cSVD"],
)
def test_truncated_deconvolution_underestimates_flow(method, least, most):
    """Truncation smooths the residue and takes its maximum down; the shorter the transit, the more.

    Wu et al., Magn Reson Med 2003;50:164. Measured here at SNR 50, from a transit of 3 s to one
    of 6 s: oSVD -39 to -20 %, cSVD at its 10 % of the largest singular value -58 to -38 %: the wide
    second pass of the calibrated injection leaves it few values.
    """
    mtt_s = np.array([3.0, 4.0, 5.0, 6.0])
    volume = 0.04
    clean = volume * tissue(mtt_s, delay_s=1.0)[:, ::EVERY]
    noise = stream(1, "test", "svd").standard_normal((60, *clean.shape))
    noisy = clean + noise * clean.max(axis=1, keepdims=True) / 50
    found, _, _, _ = flow(
        noisy.reshape(-1, clean.shape[1]), arterial()[::EVERY], step_s=STEP_DSC_S, method=method
    )
    bias = 100 * (found.reshape(60, -1).mean(axis=0) * mtt_s / volume - 1)

    assert least < bias.mean() < most
    assert (np.diff(bias) > 0).all()
    assert bias[-1] < -10


# The arterial input


def partial_artery(share, dose):
    """CBV by the ratio of areas over its truth, with a voxel that is an artery only in part.

    Returns it with the artery's share of the baseline signal, which is what counts.
    """
    protocol = dataclasses.replace(PROTOCOLS["preload_60"], dose_mmol_per_kg=dose,
                                   preload_mmol_per_kg=0.0, dummies=30)  # fmt: skip
    settings = PatientSettings(seed=1, protocol=protocol)
    injection, model = inject(injected_bolus(settings), protocol), forward_model(settings)
    fluid = TissueVoxels(
        voxels=np.arange(1), share=np.ones(1), cbv=np.zeros(1), mtt_s=np.array([5.0]),
        delay_s=np.zeros(1), ktrans_per_min=np.zeros(1), ve=np.zeros(1),
    )  # fmt: skip
    around = tissue_signal(
        fluid, injection, model, native=native_at(TISSUES["csf"].native, 3.0),
        extravascular_per_mmolar_s=0.0,
    )[0, 0]  # fmt: skip
    blood = vessel_signal(injection, model, delay_s=np.zeros(1), venous=False)[0, 0]

    def area(signal):
        rate = -np.log(signal / signal[8:11].mean()) / protocol.echo_times_s[0]
        return rate[8:].sum()

    held = share * blood[10] / (share * blood[10] + (1 - share) * around[10])
    return area(blood) / area(share * blood + (1 - share) * around), held


@pytest.mark.parametrize("share", [0.8, 0.5, 0.3])
def test_a_shallow_artery_multiplies_blood_volume_and_flow_by_one_over_its_share(share):
    """In the limit of little agent, where the logarithm is linear; flow follows the same factor.

    van Osch et al., Magn Reson Med 2001;45:477.
    """
    factor, held = partial_artery(share, dose=0.1 / 200)

    assert factor == pytest.approx(1 / held, rel=0.02)


def test_at_a_full_dose_a_shallow_artery_is_worse_than_its_share():
    factor, held = partial_artery(0.5, dose=0.1)

    assert factor > 1.1 / held


# The end of the series


def test_a_series_that_ends_too_early_takes_blood_volume_from_slow_and_late_tissue():
    """The areas of tissue and artery are cut at different parts of their courses."""
    aif = arterial()[::EVERY]
    quick, slow = (
        tissue([mtt_s], delay_s=delay_s, family="gamma")[0, ::EVERY]
        for mtt_s, delay_s in ((4.0, 0.5), (9.0, 2.0))
    )
    end = int(np.argmax(aif)) + round(9.0 / STEP_DSC_S)

    def error(curve, last):
        return curve[:last].sum() / aif[:last].sum() - 1

    assert error(slow, None) > -0.08
    assert error(quick, None) > -0.04
    assert error(slow, end) < -0.3
    assert error(quick, end) < error(quick, None) - 0.05


# Normalisation that takes the biology away


VITAL = ("hypervascular", "hypovascular", "nonviable")


def tumour_voxels(profile, voxels=400):
    """nCBV and ADC of voxels of the living tumour, as its shares have it, and what they are."""
    glioma = profile.glioma
    shares = np.array(
        [
            glioma.hypervascular,
            max(0.02, 1 - glioma.necrosis - glioma.hypervascular - glioma.nonviable),
            glioma.nonviable,
        ]
    )
    random = stream(profile.seed, "test", "voxels")
    kind = random.choice(3, size=voxels, p=shares / shares.sum())
    models = [profile.tissues[name] for name in VITAL]
    white = profile.tissues["wm"].cbv
    spread = np.array([m.spread for m in models])[kind]
    ncbv = np.array([m.cbv / white for m in models])[kind]
    adc = np.array([m.adc_mm2_per_s for m in models])[kind]
    ncbv = ncbv * np.exp(spread * random.standard_normal(voxels))
    ncbv = ncbv + 0.1 * random.standard_normal(voxels)
    return np.column_stack([ncbv, adc + 4e-5 * random.standard_normal(voxels)]), kind


@pytest.fixture(scope="module")
def cohort():
    return [draw_profile(7, number) for number in range(200)]


def z_scored(values):
    return (values - values.mean(axis=0)) / values.std(axis=0)


@pytest.mark.parametrize("sign", ["IDH", "grade"])
def test_per_patient_z_scores_erase_what_blood_volume_says(cohort, sign):
    """Level and height of a map are gone; only the shape of its histogram is left.

    Measured: mean nCBV tells IDH with an AUC of 0.88 and grade 4 with 0.88, the 95th percentile of
    z-scores with 0.45 and 0.48. (The share of voxels more than one standard deviation above the
    mean keeps 0.83, because tumours with little hypervascular tissue are skewed.)
    """
    maps = [tumour_voxels(profile)[0][:, 0] for profile in cohort]
    wildtype = np.array([p.genotype.idh == "wildtype" for p in cohort])
    worse = wildtype if sign == "IDH" else np.array([p.genotype.grade == 4 for p in cohort])
    plain = np.array([values.mean() for values in maps])
    level = np.array([z_scored(values).mean().round(9) for values in maps])
    height = np.array([np.quantile(z_scored(values), 0.95) for values in maps])

    assert auc(plain, worse) > 0.8
    assert auc(level, worse) == pytest.approx(0.5, abs=0.02)
    assert auc(height, worse) == pytest.approx(0.5, abs=0.1)


def test_per_patient_z_scores_mix_up_habitats_where_patients_have_them_in_unequal_shares():
    """Pooled k-means on the values finds them; on z-scores of each patient it does not."""
    random = stream(3, "test", "mixtures")
    values, scores, truth = [], [], []
    profile = draw_profile(7, 0)
    profile = dataclasses.replace(profile, tissues=TISSUES)
    for number in range(30):
        shares = random.dirichlet(np.full(3, 0.6))
        glioma = dataclasses.replace(
            profile.glioma, hypervascular=float(shares[0]), nonviable=float(shares[2]), necrosis=0.0
        )
        voxels, kind = tumour_voxels(
            dataclasses.replace(profile, seed=number, glioma=glioma), voxels=200
        )
        values.append(voxels / [1.0, 0.3e-3])
        scores.append((voxels - voxels.mean(axis=0)) / np.maximum(voxels.std(axis=0), 1e-9))
        truth.append(kind)
    truth = np.concatenate(truth)

    def agreement(features):
        found = KMeans(3, n_init=4, random_state=0).fit_predict(np.concatenate(features))
        return adjusted_rand_score(truth, found)

    assert agreement(values) > 0.9  # measured 0.996
    assert agreement(scores) < 0.6  # measured 0.49
