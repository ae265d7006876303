"""Write docs/reference/dsc_accuracy.md: every deconvolver and the vascular model against truth.

Run: .venv/bin/python benchmarks/dsc_accuracy.py [REFERENCE_FOLDER]
The folder holds harness/data and data/bezier_dsc_dro; by default `shared` beside the checkout.
"""

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
from curves import make
from scipy.io import loadmat

from bolus.quantify.deconvolution import Csvd, Osvd, Ssvd, Tikhonov
from bolus.quantify.vascular import VascularModel
from bolus.workflows.gates_dsc_curves import CurveObject as Case
from bolus.workflows.gates_dsc_curves import measure_curves as measure
from bolus.workflows.gates_dsc_osipi import find_osipi_curves, read_osipi_curves

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "dsc_accuracy.md"
STEP_S = 1.243
ECHO_TIME_S = 0.029
BASELINE = slice(0, 10)
METHODS = {
    "sSVD 20 %": Ssvd(),
    "cSVD 10 %": Csvd(),
    "oSVD 0.055": Osvd(),
    "Tikhonov (GCV)": Tikhonov(),
    "vascular model": VascularModel(),
}


def without_half_frame(case: Case) -> Case:
    """Take off what a sum over frames has more than the integral: half a frame of the AIF."""
    late = np.maximum(case.step_s * np.arange(len(case.aif)) - 20, 0)
    aif = late**3 * np.exp(-late / 1.5)
    extra = case.step_s / 2 * case.cbf[:, None] / 6000 * aif
    return dataclasses.replace(
        case, name=f"{case.name}, half frame taken off", tissue=case.tissue - extra
    )


def _to_rate(signal: np.ndarray) -> np.ndarray:
    start = signal[..., BASELINE].mean(axis=-1, keepdims=True)
    return -np.log(signal / start) / ECHO_TIME_S


def _bezier(folder: Path, file: str, kappa: str, truth: tuple[tuple[float, float], ...]) -> Case:
    """Grey matter in the first half of the rows, white matter in the second; truth per half."""
    volume = np.asarray(nib.load(folder / file).dataobj, float)[:, :, 0]
    aif = np.asarray(nib.load(folder / "aif.nii").dataobj, float).ravel()
    kappa_s = float(loadmat(folder / kappa)["kappa_s"].item())
    kappa_a = float(loadmat(folder / "kappa_a.mat")["kappa_a"].item())
    half = volume.shape[0] // 2
    voxels = half * volume.shape[1]
    cbf, cbv = (np.repeat([pair[i] for pair in truth], voxels) for i in (0, 1))
    return Case(
        name=file,
        tissue=_to_rate(volume.reshape(-1, volume.shape[-1])) / kappa_s,
        aif=_to_rate(aif) / kappa_a,
        step_s=STEP_S,
        cbf=cbf,
        cbv=cbv,
    )


def bezier(reference: Path) -> Iterator[tuple[str, Case]]:
    """Yield the Bezier object: four pairs of flows with one residue, three residues of one flow."""
    folder = reference / "data" / "bezier_dsc_dro" / "varying_cbf"
    name = "St_disp_0_exponential_lvl_high_delay_0_lvl_high_cbf_gw_{}_{}.nii"
    for cbf in (10, 30, 50, 70):
        truth = ((cbf, 4.0), (cbf / 2, 2.0))
        case = _bezier(folder, name.format(cbf, cbf // 2), "kappa_s_lam100.mat", truth)
        yield f"boxcar-like, CBF {cbf} and {cbf // 2}", case
    folder = reference / "data" / "bezier_dsc_dro" / "varying_residue_function"
    name = "St_disp_0_exponential_lvl_high_delay_0_lvl_high_resfunc_gamma_dist_lambda_{}_cbf_20.nii"
    for shape, family in ((1, "exponential"), (5, "gamma, shape 5"), (100, "boxcar-like")):
        kappa = f"kappa_s_lam{shape}.mat"
        yield f"{family}, CBF 20", _bezier(folder, name.format(shape), kappa, ((20.0, 4.0),) * 2)


def own() -> Iterator[tuple[str, Case]]:
    """Yield our own curves: SNR 100, delays 0 to 4 s, MTT 3 to 8 s, recirculation."""
    curves = make(repeats=40)
    # The areas need the volume; the curves' cases repeat in this order (see curves.py).
    mtt = np.tile(np.repeat([3.0, 4.0, 6.0, 5.0, 8.0], 40), 15)
    for family in np.unique(curves.residue):
        part = curves.residue == family
        yield (
            str(family),
            Case(
                name=str(family),
                tissue=curves.tissue[part],
                aif=curves.aif,
                step_s=1.5,
                cbf=6000 * curves.flow_per_s[part],
                cbv=100 * (curves.flow_per_s * mtt)[part],
            ),
        )


def averaged(case: Case, size: int = 64) -> Case:
    """Average curves of the same truth, `size` at a time, to see bias without noise."""

    def mean(values: np.ndarray) -> np.ndarray:
        return values.reshape(-1, size, *values.shape[1:]).mean(axis=1)

    return Case(
        name=case.name,
        tissue=mean(case.tissue),
        aif=case.aif,
        step_s=case.step_s,
        cbf=mean(case.cbf),
        cbv=mean(case.cbv),
    )


def errors(measured: np.ndarray, truth: np.ndarray) -> str:
    error = 100 * (measured / truth - 1)
    good = error[np.isfinite(error)]
    return f"{np.median(good):+.1f} | {np.median(np.abs(good)):.1f} | {np.abs(good).max():.1f}"


COLUMNS = ("bias %", "abs. %", "max. %")
HEAD = (
    "| {} | method | "
    + " | ".join(f"{q} {c}" for q in ("CBF", "CBV") for c in COLUMNS)
    + " | lost |\n"
    + "|---" * 9
    + "|\n"
)


def table(label: str, cases: Iterator[tuple[str, Case]]) -> str:
    """Return a Markdown table with one row per case and method."""
    text = HEAD.format(label)
    for name, case in cases:
        for method, settings in METHODS.items():
            cbf, cbv = measure(case, settings)
            lost = int(np.count_nonzero(~np.isfinite(cbf)))
            text += f"| {name} | {method} | {errors(cbf, case.cbf)} | {errors(cbv, case.cbv)} "
            text += f"| {lost} of {len(cbf)} |\n"
    return text


def page(reference: Path) -> str:
    """Return the whole page."""
    curves = read_osipi_curves(find_osipi_curves(reference))
    both = [("as published", curves), ("half frame taken off", without_half_frame(curves))]
    return f"""# Accuracy of CBF and CBV on curves with known truth

Written by `benchmarks/dsc_accuracy.py`; every number is computed there. *Bias* is the median error,
*abs.* the median absolute error and *max.* the largest absolute error. CBV of the SVD methods is
the ratio of the areas under tissue and artery. *Lost* voxels have no answer (a status says why).
What the numbers mean is told in [CBF](../science/cbf.md).

## OSIPI DSC curves

14 curves, exponential residues, CBV 2 and 4 mL/100mL, CBF 5 to 70 mL/100mL/min, no delay, CNR 200,
TR 1.243 s (OSIPI DCE-DSC-MRI_CodeCollection). The gate is a median absolute error of at most 10 %
for CBF and 11 % for CBV, and largest ones of 35 % and 20 %.

The simulator summed over frames, which adds half a frame of the AIF times the flow to every tissue
curve. The second half of the table has that taken off with the true flow, which nobody knows of a
patient: it shows what the methods do with curves that are integrals.

{table("curves", iter(both))}
## Bezier object, voxel by voxel

Chakwizira et al., MAGMA 2022, doi:10.1007/s10334-021-00995-0: gradient-echo signal of SNR 20, TE
29 ms, TR 1.243 s, a noisy AIF, no delay; calibrated with the constants that come with it. These too
are sums over frames. The truth was checked against the mean signal of each half. The areas run over
all 161 frames, so the noise of the ten baseline frames, shared by all, is most of their scatter.

{table("object", bezier(reference))}
## Bezier object, means of 64 voxels

{table("object", ((name, averaged(case)) for name, case in bezier(reference)))}
## Our own curves

1.5 s, 80 frames, SNR 100, delays of 0 to 4 s, recirculation, MTT of 3 to 8 s; exact integrals
(`benchmarks/curves.py`).

{table("residue", own())}"""


def main() -> None:
    reference = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared"
    if not (reference / "harness").is_dir():
        print(f"skipped: no reference data in {reference}")
        return
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(reference), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
