"""T1, concentration and arterial curves against data whose answer others have published.

Sources: OSIPI DCE-DSC-MRI_CodeCollection (van Houdt et al., Magn Reson Med,
doi:10.1002/mrm.29826), suites T1, SI2Conc and AIF; ROCKETSHIP (real patient p19 with its MATLAB
results; synthetic phantom); QIBA Tofts DRO; SEPAL (real curves). OSIPI's tolerances are wide
checks; the limits here are what was measured, with little room.
"""

import csv
import gzip
import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import dce_reference as compare
import dce_reference_data as sets
import dce_reference_models as theirs

from bolus.core import (
    QUANTITIES,
    SIGNAL,
    Acquisition,
    FitStatus,
    Grid,
    Mask,
    ParameterMap,
    PerfusionSeries,
    Provenance,
    TimeAxis,
)
from bolus.quantify.concentration import concentration_curves, signal_to_concentration
from bolus.quantify.dce_aif import dce_aif_from_region, find_dce_aif
from bolus.quantify.enhancement import find_enhancement
from bolus.quantify.population_aif import georgiou_aif, mcgrath_aif, parker_aif
from bolus.quantify.spgr import SpoiledGradientEcho
from bolus.quantify.t1 import fit_flip_angles

pytestmark = pytest.mark.reference


def rows(reference_data, name):
    csv.field_size_limit(10**7)
    path = reference_data / "harness" / "data" / f"{name}.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8-sig") as file:
        return [{k.strip(): v for k, v in row.items()} for row in csv.DictReader(file)]


def numbers(text):
    return np.array(text.split(), float)


def image(path):
    return np.asanyarray(nib.load(path).dataobj).astype(float)


@pytest.mark.parametrize(
    ("name", "tr_unit_s", "rate", "limit"),
    [
        ("t1_brain_data", 1.0, lambda r: float(r["R1"]), 1e-4),
        ("t1_prostate_data", 1e-3, lambda r: 1000 / float(r["T1 nonlinear"]), 1e-4),
        ("t1_quiba_data", 1.0, lambda r: 1000 * float(r["R1"]), 0.035),
    ],
    ids=["brain", "prostate", "qiba"],
)
def test_t1_of_the_reference_sets(reference_data, name, tr_unit_s, rate, limit):
    """OSIPI allows 5 % + 0.05 1/s. The QIBA set is noisy and its reference is the truth itself."""
    for row in rows(reference_data, name):
        fit = fit_flip_angles(
            numbers(row["s"])[None],
            flip_angles_deg=numbers(row["FA"]),
            repetition_time_s=numbers(row["TR"])[0] * tr_unit_s,
        )
        assert fit.status[0] == FitStatus.OK, row["label"]
        assert fit.r1_per_s[0] == pytest.approx(rate(row), rel=limit), row["label"]


def test_prostate_t1_with_its_b1(reference_data):
    """The same set holds T1 fitted by its authors with B1 in percent."""
    for row in rows(reference_data, "t1_prostate_data"):
        fit = fit_flip_angles(
            numbers(row["s"])[None],
            flip_angles_deg=numbers(row["FA"]),
            repetition_time_s=0.02,
            b1=np.array([float(row["B1"]) / 100]),
        )
        assert fit.t1_s[0] == pytest.approx(float(row["T1 nonlinear B1cor"]) / 1000, rel=1e-3)


def test_concentrations_of_the_reference_set(reference_data):
    for row in rows(reference_data, "SI2Conc_data"):
        result = concentration_curves(
            numbers(row["s"])[None],
            r10_per_s=np.array([1 / float(row["T1base"])]),
            sequence=SpoiledGradientEcho(
                repetition_time_s=float(row["TR"]), flip_angle_deg=float(row["FA"])
            ),
            r1_per_mmolar_s=float(row["r1"]),
            baseline=slice(1, int(row["numbaselinepts"])),
        )
        np.testing.assert_allclose(result.values[0, 1:], numbers(row["conc"])[1:], atol=1e-11)
        assert (result.values < 0).any()  # kept, not clipped


@pytest.mark.parametrize(
    ("name", "unit_s", "aif", "limit"),
    [
        ("ParkerAIF_ref", 60, parker_aif, 1e-12),
        ("ParkerAIF_ref_with_delay", 60, parker_aif, 1e-12),
        ("preclinicalAIF_ref", 1, mcgrath_aif, 1e-12),
        ("preclinicalAIF_ref_delay", 1, mcgrath_aif, 1e-12),
        ("GeorgiouAIF_ref", 60, georgiou_aif, 5e-5),
    ],
)
def test_population_curves_are_those_of_the_reference(reference_data, name, unit_s, aif, limit):
    for row in rows(reference_data, name):
        second = np.array([float(row["time"]) * unit_s])
        value = aif(second, arrival_s=float(row.get("delay") or 0))[0]
        assert value == pytest.approx(float(row["Cb"]), rel=limit, abs=1e-9)


PHANTOM = "rocketship_phantom/sub-08phantom/ses-01"


def test_phantom_t1(reference_data):
    """8,268 voxels without noise: both fits within 0.002 % of the truth."""
    folder = reference_data / "data" / PHANTOM
    files = sorted((folder / "anat").glob("*_VFA.nii.gz"))
    settings = [json.loads(f.with_name(f.name[:-7] + ".json").read_text()) for f in files]
    truth_s = image(folder / "gt" / "sub-01_ses-01_desc-gtT1_T1map.nii.gz") / 1000
    inside = image(folder / "gt" / "sub-01_ses-01_desc-gtTissueClass_mask.nii.gz") > 0
    signal = np.stack([image(f)[inside] for f in files], axis=-1)

    for method in ("linear", "nonlinear"):
        fit = fit_flip_angles(
            signal,
            flip_angles_deg=[s["FlipAngle"] for s in settings],
            repetition_time_s=settings[0]["RepetitionTime"],
            method=method,
        )
        assert not fit.status.any()
        np.testing.assert_allclose(fit.t1_s, truth_s[inside], rtol=2e-5)


def test_phantom_arterial_concentration(reference_data):
    folder = reference_data / "data" / PHANTOM / "gt"
    table = np.loadtxt(folder / "sub-01_ses-01_desc-gtAIF_timeseries.txt")

    result = concentration_curves(
        table[None, :, 3],
        r10_per_s=np.array([1 / 1.472347140]),
        sequence=SpoiledGradientEcho(repetition_time_s=0.008579041, flip_angle_deg=17.021031),
        r1_per_mmolar_s=5.20956093,
        baseline=slice(0, 4),
    )

    np.testing.assert_allclose(result.values[0], table[:, 2], atol=2e-6)


def test_phantom_artery_is_found_among_its_vessels(reference_data):
    folder = reference_data / "data" / PHANTOM
    values = image(folder / "dce" / "sub-01_ses-01_DCE.nii.gz")
    classes = image(folder / "gt" / "sub-01_ses-01_desc-gtTissueClass_mask.nii.gz")
    t1_s = image(folder / "gt" / "sub-01_ses-01_desc-gtT1_T1map.nii.gz") / 1000
    truth = np.loadtxt(folder / "gt" / "sub-01_ses-01_desc-gtAIF_timeseries.txt")[:, 2]
    series, mask, r10 = scan_of(values, classes > 0, t1_s, step_s=33.20773344)
    timing = find_enhancement(series, mask)

    conc, _ = signal_to_concentration(
        series,
        r10=r10,
        sequence=SpoiledGradientEcho(repetition_time_s=0.008579041, flip_angle_deg=17.021031),
        r1_per_mmolar_s=5.20956093,
        baseline=timing.baseline,
    )
    found = find_dce_aif(conc, mask, timing)

    assert timing.baseline == slice(0, 4)
    assert (classes[tuple(found.voxels.T)] == 3).all()
    assert np.corrcoef(found.values, truth)[0, 1] > 0.999


def scan_of(values, inside, t1_s, *, step_s):
    """Return series, mask and R10 map of arrays x y z t."""
    grid = Grid(shape=values.shape[:3], affine=np.diag([2.0, 2.0, 5.0, 1.0]))
    series = PerfusionSeries(
        values=values,
        quantity=SIGNAL,
        grid=grid,
        time=TimeAxis.regular(values.shape[-1], step_s=step_s),
        acquisition=Acquisition(),
        provenance=Provenance(),
    )
    mask = Mask(values=inside, grid=grid, name="brain")
    r10 = ParameterMap.from_voxels(
        1 / t1_s[inside], quantity=QUANTITIES["r10"], mask=mask, provenance=Provenance()
    )
    return series, mask, r10


@pytest.fixture(scope="module")
def patient(reference_data):
    """Real brain, 3 T, 15.84 s a frame: signal, T1, regions, and concentration by ROCKETSHIP."""
    folder = reference_data / "data" / "rocketship_p19" / "bbb_p19_downsample_x3y3"
    brain = image(folder / "processed" / "T1_brain_roi.nii").reshape(86, 86, 1) > 0
    artery = image(folder / "processed" / "T1_AIF_roi.nii").reshape(86, 86, 1) > 0
    return {
        "values": image(folder / "Dynamic_t1w.nii").reshape(86, 86, 1, 64),
        "t1_s": image(folder / "processed" / "T1_map_t1_fa_fit_fa10.nii").reshape(86, 86, 1) / 1e3,
        "inside": brain | artery,
        "brain": brain,
        "artery": artery,
        "reference": image(folder / "Dyn-1dynamicCt.nii.gz").reshape(86, 86, 1, 64),
    }


def converted(patient, baseline):
    series, mask, r10 = scan_of(patient["values"], patient["inside"], patient["t1_s"], step_s=15.84)
    conc, status = signal_to_concentration(
        series,
        r10=r10,
        sequence=SpoiledGradientEcho(repetition_time_s=0.00829, flip_angle_deg=15.0),
        r1_per_mmolar_s=3.6,
        baseline=baseline,
    )
    return series, mask, conc, status


def test_patient_concentration_agrees_with_rocketship(patient):
    """Same baseline (its first two frames): 95 % of 181,000 samples within 1e-4 mM.

    Left out are voxels whose T1 is outside 0.3 to 5 s: there the reference holds numbers up to
    51 mM, and the native rate, not the method, decides.
    """
    _, _, conc, status = converted(patient, slice(0, 2))
    usable = patient["brain"] & (np.abs(patient["t1_s"] - 2.65) < 2.35)

    gap = np.abs(conc.values[usable] - patient["reference"][usable])

    assert usable.sum() > 2800
    assert np.count_nonzero(status[usable]) <= 3  # a signal at or above the limit
    assert np.nanpercentile(gap, 50) < 1e-5
    assert np.nanpercentile(gap, 95) < 1.2e-4
    clear = usable & (status == FitStatus.OK)
    slope = np.polyfit(patient["reference"][clear].ravel(), conc.values[clear].ravel(), 1)[0]
    assert slope == pytest.approx(1.0, abs=1e-3)


def test_patient_padding_costs_only_its_voxels(patient):
    assert patient["values"].min() == -32768
    series, _, _, _ = converted(patient, slice(0, 2))
    everywhere = Mask(values=np.ones((86, 86, 1), bool), grid=series.grid, name="all")
    rates = 1 / np.clip(np.nan_to_num(patient["t1_s"], nan=1.0), 0.3, 5)

    result = concentration_curves(
        series.curves(everywhere),
        r10_per_s=rates.ravel(),
        sequence=SpoiledGradientEcho(repetition_time_s=0.00829, flip_angle_deg=15.0),
        r1_per_mmolar_s=3.6,
        baseline=slice(0, 2),
    )

    padded = (patient["values"] == -32768).any(axis=-1).ravel()
    assert padded.any()
    assert (result.status[padded] != FitStatus.OK).all()
    assert np.mean(result.status[patient["brain"].ravel()] == FitStatus.OK) > 0.998


def test_patient_artery_is_the_one_its_reader_drew(patient):
    """The four voxels of the reader are the four best of 2,838."""
    series, mask, _, _ = converted(patient, slice(0, 2))
    timing = find_enhancement(series, mask)
    _, _, conc, _ = converted(patient, timing.baseline)
    region = Mask(values=patient["artery"], grid=series.grid, name="reader")

    found = find_dce_aif(conc, mask, timing)
    drawn = dce_aif_from_region(conc, region, timing)

    assert timing.baseline == slice(0, 3)
    assert {tuple(v) for v in found.voxels[:4]} == {tuple(v) for v in np.argwhere(region.values)}
    assert np.corrcoef(found.values, drawn.values)[0, 1] > 0.99


def test_qiba_arterial_curve(reference_data):
    """Flip angle 30 degrees, TR 5 ms, r1 4.5; one file is in blood, one in plasma (Hct 0.45).

    The signal was made with a blood T1 of 1.44 s (its description; M0 50000 gives 632 before the
    agent), but the published concentrations were computed with 1.4 s: with 1.44 s they would be 3
    to 5 % lower.
    """
    folder = reference_data / "data" / "quantiphyse_qiba_dro"
    signal = np.loadtxt(folder / "aif_qiba_sig_67tpts.txt")

    result = concentration_curves(
        signal[None],
        r10_per_s=np.array([1 / 1.4]),
        sequence=SpoiledGradientEcho(repetition_time_s=0.005, flip_angle_deg=30.0),
        r1_per_mmolar_s=4.5,
        baseline=slice(0, 6),
    )

    blood = np.loadtxt(folder / "aif_qiba_conc_nohct_67tpts.txt")
    plasma = np.loadtxt(folder / "aif_qiba_conc_hct_67tpts.txt")
    np.testing.assert_allclose(plasma, blood / 0.55, atol=2e-6)
    np.testing.assert_allclose(result.values[0], blood, atol=1e-5)


def test_sepal_curves_return_to_their_signal(reference_data):
    """Real tissue and sinus curves with T2* effect and B1: the forward equation gives them back."""
    folder = reference_data / "data" / "sepal_roi" / "DCE_ROI_data"
    flash = SpoiledGradientEcho(repetition_time_s=0.0034, flip_angle_deg=15.0, echo_time_s=0.0017)
    for name in ("tissue", "vif"):
        signal = np.load(folder / f"signal_{name}.npy")
        rate = 1 / np.load(folder / f"t1_{name}.npy")
        factor = np.load(folder / f"k_{name}.npy")
        result = concentration_curves(
            signal[None], r10_per_s=rate[None], sequence=flash, r1_per_mmolar_s=5.0,
            baseline=slice(0, 3), b1=factor[None], r2s_per_mmolar_s=7.1,
        )  # fmt: skip
        conc = result.values[0]
        again = flash.magnetisation(rate + 5.0 * conc, factor) * np.exp(-0.0017 * 7.1 * conc)
        again *= signal[:3].mean() / flash.magnetisation(rate, factor)
        np.testing.assert_allclose(again, signal, rtol=1e-9)
        assert result.status[0] == FitStatus.OK
    assert 0.5 < conc.max() < 2.0  # the sinus, 39.6 s a frame


@pytest.fixture(scope="module")
def published(reference_data):
    return sets.patient(reference_data / "data")


def test_published_parameters_belong_to_a_trapezoid_on_two_exponentials(published):
    """The squares they leave under that sum are the published ones; under others they are not."""
    minutes = published.seconds / 60
    for model, maps in published.maps.items():
        names = [name for name in ("ktrans", "ve", "vp", "fp") if name in maps]
        use = compare.inside(maps, names)
        p = {name: maps[name][use] for name in names}
        if model == "two_compartment_uptake":
            p["tp"] = p["vp"] * np.maximum(p["fp"] - p["ktrans"], 1e-9) / p["fp"] ** 2
            p["tp"] = np.maximum(p["tp"], 1e-6)

        def spread(artery, convolve, model=model, maps=maps, use=use, p=p):
            curves = theirs.forward(model, p, artery, minutes, convolve)
            squares = ((curves - published.tissue[use]) ** 2).sum(axis=1)
            return np.percentile(np.abs(squares / maps["sse"][use] - 1), 90)

        assert use.sum() > 1300
        assert spread(published.fitted, theirs.summed) < 1e-3
        assert spread(published.measured, theirs.summed) > 0.005


def test_patlak_agrees_with_the_published_maps(published):
    """Linear and without an exponential: with their artery 1.000, with the measured one 0.999."""
    maps = published.maps["patlak"]
    use = compare.inside(maps, ["ktrans", "vp"])
    for artery, correlation, within in (
        (published.fitted, 0.99999, 1e-3),
        (published.measured, 0.999, 0.02),
    ):
        found, _ = sets.ours("patlak", published.tissue[use], artery, published.seconds)
        for name in ("ktrans", "vp"):
            assert np.corrcoef(found[name], maps[name][use])[0, 1] > correlation
            assert np.median(np.abs(found[name] / maps[name][use] - 1)) < within
    assert use.sum() > 2400


@pytest.mark.parametrize("model", ["tofts", "extended_tofts"])
def test_matched_fit_gives_the_published_maps(published, model):
    """Their sum, their artery, their bounds: r and slope 1.00 wherever both reach one minimum."""
    maps = published.maps[model]
    some = slice(None, None, 4)
    names = [name for name in ("ktrans", "ve", "vp") if name in maps]
    found, squares = theirs.fit(
        model, published.tissue[some], published.fitted, published.seconds / 60
    )
    reference = {name: values[some] for name, values in maps.items()}
    use = compare.inside(reference, names) & compare.inside(found, names)
    for name in names:
        use &= reference[f"low_{name}"] > 0
    same = np.abs(squares / reference["sse"] - 1) < 1e-3
    other = use & ~same

    assert (use & same).sum() > 300
    assert (squares[other] < reference["sse"][other]).all()  # theirs stopped earlier
    for name in names:
        x, y = reference[name][use & same], found[name][use & same]
        assert np.corrcoef(x, y)[0, 1] > 0.999
        assert np.polyfit(x, y, 1)[0] == pytest.approx(1.0, abs=0.01)
        assert np.median(np.abs(y / x - 1)) < 2e-3


def test_padding_of_any_kind_changes_no_bit_inside(patient):
    answers = []
    for padding in (-32768.0, np.nan, np.inf, 0.0):
        values = patient["values"].copy()
        values[~patient["inside"]] = padding
        series, mask, conc, _ = converted({**patient, "values": values}, slice(0, 2))
        artery = Mask(values=patient["artery"], grid=series.grid, name="reader")
        timing = find_enhancement(series, mask)
        plasma = dce_aif_from_region(conc, artery, timing).values / 0.58
        seconds = series.time.seconds
        found, fit = sets.ours("extended_tofts", conc.curves(mask), plasma, seconds)
        answers.append((conc.values[mask.values], found["ktrans"], found["ve"], fit.status))
    for other in answers[1:]:
        for first, second in zip(answers[0], other, strict=True):
            np.testing.assert_array_equal(first, second)


def test_qiba_truth_within_three_percent(reference_data):
    """30 patches, the artery resolved between its 10 s frames by 9 of them: all within 3 %.

    With the artery linear between frames the bolus is missed: only slow washout is right then.
    """
    ktrans, ve, train = compare.qiba_errors(reference_data / "data", resolved=True)
    assert np.abs(ktrans).max() < 1.5
    assert np.abs(ve).max() < 1.0
    assert np.abs(ktrans[1:][~train[1:]]).max() < 0.3
    linear, linear_ve, _ = compare.qiba_errors(reference_data / "data", resolved=False)
    slow = np.outer(1 / sets.QIBA_VE, sets.QIBA_KTRANS) < 0.3  # kep [1/min]
    assert np.nanmax(np.abs(linear[slow])) < 4.0
    assert np.nanmax(linear) > 100
    assert np.median(np.abs(linear_ve[np.isfinite(linear_ve)])) < 1.5


def test_phantom_truth_within_three_percent(reference_data):
    """33 s a frame; vp against what the phantom's own sum of 0.1 s rectangles made of it."""
    errors, classes, ktrans, train = compare.phantom_errors(reference_data / "data", resolved=True)
    leaking = (classes == 1) & (ktrans > 0.05) & ~train
    assert leaking.sum() > 3000
    for name, share in (("ktrans", 0.98), ("ve", 0.98), ("vp", 0.85)):
        assert np.abs(np.median(errors[name][leaking])) < 0.5
        assert np.mean(np.abs(errors[name][leaking]) < 3) > share
    linear, _, _, _ = compare.phantom_errors(reference_data / "data", resolved=False)
    brain = (classes == 2) & (ktrans > 0.001)
    assert np.abs(np.nanmedian(linear["ktrans"][brain])) < 1.5
    assert np.abs(np.nanmedian(linear["vp"][brain])) < 1.0
    assert np.nanmedian(linear["vp as written"][brain]) > 50


def test_sepal_patlak_is_that_of_its_demonstration(reference_data):
    """Published: vp 0.0139 and PS 0.000187 per minute (0.0138 and 0.000188 by another code)."""
    ktrans, vp, _ = compare.sepal_fit(reference_data / "data")
    assert round(vp, 4) == 0.0139
    assert round(ktrans, 6) == 0.000187
