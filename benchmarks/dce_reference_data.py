"""Curves and published answers of the four DCE reference sets, and an artery between its frames.

The sets lie beside the checkout, see docs/how-to/reference_data.md. All curves are converted by the
package; volumes are fractions here, rates per minute.
"""

from dataclasses import dataclass
from pathlib import Path

import dce_reference_models as theirs
import nibabel as nib
import numpy as np
from scipy.optimize import nnls

from bolus.quantify.concentration import concentration_curves
from bolus.quantify.dce_models import DCE_MODELS
from bolus.quantify.dce_tables import exchange_curves
from bolus.quantify.spgr import SpoiledGradientEcho

P19 = "rocketship_p19/bbb_p19_downsample_x3y3"
FILES = {
    "tofts": "tofts",
    "extended_tofts": "ex_tofts",
    "patlak": "patlak",
    "two_compartment_uptake": "tissue_uptake",
    "two_compartment_exchange": "2cxm",
}
PHANTOM = "rocketship_phantom/sub-08phantom/ses-01"
PHANTOM_STEP_MIN = 0.1 / 60
"""Step of the sum the phantom was made with: a sum of rectangles, see the page."""
QIBA_KTRANS = np.array([0.35, 0.2, 0.1, 0.05, 0.02, 0.01])
QIBA_VE = np.array([0.01, 0.05, 0.1, 0.2, 0.5])


@dataclass(frozen=True, slots=True)
class Patient:
    tissue: np.ndarray
    """Concentrations by the other implementation, (voxels, t) [mM]."""
    seconds: np.ndarray
    measured: np.ndarray
    """Mean plasma curve of the four arterial voxels, baseline of two frames [mM]."""
    fitted: np.ndarray
    """The curve the other implementation used: two exponentials."""
    maps: dict[str, dict[str, np.ndarray]]
    """Published maps by model: parameters, `sse`, `low_` and `high_` of their 95 % intervals."""


def image(path):
    return np.asarray(nib.load(path).dataobj).astype(float).squeeze()


def patient(data: Path) -> Patient:
    folder = data / P19
    tissue = image(folder / "Dyn-1dynamicCt.nii.gz")
    t1_s = image(folder / "processed" / "T1_map_t1_fa_fit_fa10.nii") / 1000
    artery = image(folder / "processed" / "T1_AIF_roi.nii") > 0
    results = folder / "processed" / "results_matlab"
    used = (image(results / "Dyn-1_patlak_fit_sse.nii") != 0) & (np.abs(t1_s - 2.65) < 2.35)
    names = {"ktrans": "Ktrans", "sse": "sse"} | {name: name for name in ("ve", "vp", "fp")}
    for name in ("ktrans", "ve", "vp", "fp"):
        names |= {f"low_{name}": f"{name}_ci_low", f"high_{name}": f"{name}_ci_high"}
    maps = {
        model: {
            key: image(results / f"Dyn-1_{file}_fit_{name}.nii")[used]
            for key, name in names.items()
            if (results / f"Dyn-1_{file}_fit_{name}.nii").exists()
        }
        for model, file in FILES.items()
    }
    measured = concentration_curves(
        image(folder / "Dynamic_t1w.nii")[artery], r10_per_s=1 / t1_s[artery],
        sequence=SpoiledGradientEcho(repetition_time_s=0.00829, flip_angle_deg=15.0),
        r1_per_mmolar_s=3.6, baseline=slice(0, 2),
    ).values.mean(axis=0) / (1 - 0.42)  # fmt: skip
    seconds = 15.84 * np.arange(64)
    fitted = theirs.fitted_artery(measured, seconds / 60, first=2, peak=3)
    return Patient(tissue[used], seconds, measured, fitted, maps)


def ours(model, tissue, artery, seconds, **options):
    """Fit with the package; fractions and per minute."""
    found = DCE_MODELS[model]()(tissue, artery, seconds=seconds, **options)
    p = {name: found[name] / (1 if name == "ktrans" else 100) for name in found.names}
    if "ps" in p:
        p["ktrans"] = p["fp"] * p["ps"] / (p["fp"] + p["ps"])
    return p, found


def qiba(data: Path, *, blood_t1_s=1.44):
    """Return curves (patch, t), artery in plasma, seconds, Ktrans and ve of 30 patches."""
    folder = data / "quantiphyse_qiba_dro"
    flash = SpoiledGradientEcho(repetition_time_s=0.005, flip_angle_deg=30.0)
    values = image(folder / "qiba_67tpts.nii.gz")
    signal = np.stack([values[10 * i + 5, 10 * j + 15] for i in range(5) for j in range(6)])
    options = {"sequence": flash, "r1_per_mmolar_s": 4.5, "baseline": slice(0, 6)}
    tissue = concentration_curves(signal, r10_per_s=np.ones(30), **options).values
    blood = concentration_curves(
        np.loadtxt(folder / "aif_qiba_sig_67tpts.txt")[None],
        r10_per_s=np.array([1 / blood_t1_s]), **options,
    ).values[0]  # fmt: skip
    return (
        tissue,
        blood / 0.55,
        10.0 * np.arange(67),
        np.tile(QIBA_KTRANS, 5),
        np.repeat(QIBA_VE, 6),
    )


def qiba_training():
    """Return which 9 of the 30 patches teach the artery between its frames."""
    i, j = np.divmod(np.arange(30), 6)
    return ((i + j) % 2 == 0) & (i > 0) & (i < 4)


def phantom(data: Path):
    """Return curves, artery, seconds, tissue class and truth; `summed_vp` is what its sum holds."""
    folder = data / PHANTOM
    classes = image(folder / "gt" / "sub-01_ses-01_desc-gtTissueClass_mask.nii.gz")
    inside = classes > 0

    def truth(name):
        return image(folder / "gt" / f"sub-01_ses-01_desc-gt{name}.nii.gz")[inside]

    tissue = concentration_curves(
        image(folder / "dce" / "sub-01_ses-01_DCE.nii.gz")[inside],
        r10_per_s=1000 / truth("T1_T1map"),
        sequence=SpoiledGradientEcho(repetition_time_s=0.008579041, flip_angle_deg=17.021031),
        r1_per_mmolar_s=5.20956093, baseline=slice(0, 4),
    ).values  # fmt: skip
    table = np.loadtxt(folder / "gt" / "sub-01_ses-01_desc-gtAIF_timeseries.txt")
    p = {name: truth(f"{name.capitalize()}_map") for name in ("ktrans", "ve", "vp", "fp")}
    pulse = p["fp"] * PHANTOM_STEP_MIN
    p["summed_vp"] = pulse / (1 - np.exp(-pulse / p["vp"]))
    return tissue, table[:, 2], 60 * table[:, 1], classes[inside], p


def phantom_training(classes, ktrans):
    """Return every twentieth leaking voxel that teaches the artery between its frames."""
    leaking = np.flatnonzero((classes == 1) & (ktrans > 0.05))[::20]
    return np.isin(np.arange(len(classes)), leaking)


def between_frames(tissue, p, artery, seconds, *, window, step_s, stiffness=1e-2):
    """Find the artery between its frames from curves with known Ktrans, ve and vp.

    The artery is linear between nodes `step_s` apart in `window`, not negative, goes through its
    samples, and is as straight as the curves let it. Returns nodes [s] and values [mM].
    """
    nodes = np.unique(np.r_[seconds, np.arange(window[0], window[1] + 1e-9, step_s)])
    free = np.flatnonzero((nodes > window[0]) & (nodes < window[1]))
    rates, still = p["ktrans"] / p["ve"] / 60, np.zeros(len(tissue))

    def response(values):
        held = exchange_curves(
            values, seconds=seconds, arterial_seconds=nodes, rates_per_s=rates, delays_s=still
        )
        plasma = np.interp(seconds, nodes, values)
        return (held * p["ktrans"][:, None] / 60 + p["vp"][:, None] * plasma).ravel()

    hats = np.eye(len(nodes))[free]
    known = np.interp(nodes, seconds, artery)
    known[free] = 0.0
    columns = np.array([response(hat) for hat in hats]).T
    scale = np.sqrt((columns**2).sum(axis=0).mean())
    sampled = np.isin(nodes[free], seconds)
    bend = stiffness * np.diff(np.eye(len(free)), 2, axis=0)
    left = np.concatenate([columns / scale, np.eye(len(free))[sampled], bend])
    right = np.concatenate([
        (tissue.ravel() - response(known)) / scale,
        np.interp(nodes[free][sampled], seconds, artery), np.zeros(len(bend)),
    ])  # fmt: skip
    known[free], _ = nnls(left, right, maxiter=5000)
    return nodes, known


def sepal(data: Path):
    """Return tissue and plasma curve [mM] and seconds of the region of SEPAL's demonstration."""
    folder = data / "sepal_roi" / "DCE_ROI_data"
    flash = SpoiledGradientEcho(repetition_time_s=0.0034, flip_angle_deg=15.0, echo_time_s=0.0017)

    def curve(name):
        signal, t1_s, b1 = (
            np.load(folder / f"{kind}_{name}.npy") for kind in ("signal", "t1", "k")
        )
        return concentration_curves(
            signal[None], r10_per_s=1 / t1_s[None], sequence=flash, r1_per_mmolar_s=5.0,
            baseline=slice(0, 3), b1=b1[None], r2s_per_mmolar_s=7.1,
        ).values[0]  # fmt: skip

    return curve("tissue"), curve("vif"), 39.6 * (np.arange(32) + 0.5)
