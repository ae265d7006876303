"""The package as the reference harness calls it: times [s], flows [mL/100mL/min].

Run: python ../shared/harness/harness.py --adapter benchmarks/harness_adapter.py
Everything is one call into `bolus.quantify`; only units are converted here.
"""

# ruff: noqa: ARG001 - the harness fixes the arguments

import numpy as np

from bolus.quantify.concentration import concentration_curves
from bolus.quantify.dce_fit import DceFit
from bolus.quantify.dce_models import (
    DceModel,
    ExtendedTofts,
    Patlak,
    Tofts,
    TwoCompartmentExchange,
    TwoCompartmentUptake,
)
from bolus.quantify.deconvolution import Csvd, Deconvolver, Osvd, Ssvd, flow
from bolus.quantify.leakage import Bsw
from bolus.quantify.population_aif import georgiou_aif, mcgrath_aif, parker_aif
from bolus.quantify.spgr import SpoiledGradientEcho
from bolus.quantify.t1 import fit_flip_angles
from bolus.quantify.vascular import VascularModel
from bolus.quantify.vascular_artery import artery_between_samples

PER_100ML = 100.0
PER_MIN_100ML = 6000.0


def dsc(t, tr, aif, C):
    """CBV from the ratio of the areas, CBF by oSVD.

    The vascular model is the better measure of flow, but not of this set: its curves were summed
    frame by frame, which adds half a frame of AIF to every one (see docs/science/cbf.md), and a
    model without that half frame reads it as flow.
    """
    area = np.trapezoid(C, t, axis=1) / np.trapezoid(aif, t)
    return {"cbv": PER_100ML * area, "cbf": osvd(t, tr, aif, C)["cbf"]}


def vascular(t, tr, aif, C):
    fit = VascularModel()(C, aif, seconds=t)
    return {
        "cbf": PER_MIN_100ML * fit.flow_per_s,
        "cbv": PER_100ML * fit.volume,
        "mtt": fit.mtt_s,
    }


def csvd(t, tr, aif, C):
    return _by(Csvd(), tr, aif, C)


def ssvd(t, tr, aif, C):
    return _by(Ssvd(), tr, aif, C)


def osvd(t, tr, aif, C):
    return _by(Osvd(), tr, aif, C)


def bsw(t, tr, aif, C, ref_mask):
    """The harness's bolus begins at 12 s, and every frame before it is baseline."""
    arrival = max(2, int(np.searchsorted(t, 12.0)))
    fit = Bsw()(C, C[ref_mask].mean(axis=0), seconds=t, baseline=slice(0, arrival))
    return {"auc": fit.area, "k2": fit.k2}


def _by(method: Deconvolver, tr, aif, C):
    per_s, delay_s, _, _ = flow(C, aif, step_s=tr, method=method)
    return {"cbf": PER_MIN_100ML * per_s, "tmax": delay_s}


# --- T1, concentration and arterial curves


def t1_vfa(S, fa_deg, tr_s):
    return fit_flip_angles(S, flip_angles_deg=fa_deg, repetition_time_s=tr_s).r1_per_s


def si2conc(S, fa_deg, tr_s, T10_s, r1, nbase):
    """The baseline leaves out the first point, which is not in the steady state."""
    return concentration_curves(
        S,
        r10_per_s=np.full(len(S), 1 / T10_s),
        sequence=SpoiledGradientEcho(repetition_time_s=tr_s, flip_angle_deg=fa_deg),
        r1_per_mmolar_s=r1,
        baseline=slice(1, nbase),
    ).values


def aif_parker(t_s, t0_s):
    return parker_aif(t_s, arrival_s=t0_s)


def aif_georgiou(t_s):
    return georgiou_aif(t_s, arrival_s=0.0)


def aif_preclinical(t_s, t0_s):
    return mcgrath_aif(t_s, arrival_s=t0_s)


# --- models of DCE

DELAYS_S = (-10.0, 10.0)


def tofts(t, ca, C):
    return _kinetics(Tofts(), t, ca, C)


def tofts_delay(t, ca, C):
    return _kinetics(Tofts(delay_range_s=DELAYS_S), t, ca, C)


def etofts(t, ca, C):
    return _kinetics(ExtendedTofts(), t, ca, C)


def etofts_delay(t, ca, C):
    return _kinetics(ExtendedTofts(delay_range_s=DELAYS_S), t, ca, C)


def patlak(t, ca, C):
    return _kinetics(Patlak(), t, ca, C)


def patlak_delay(t, ca, C):
    return _kinetics(Patlak(delay_range_s=DELAYS_S), t, ca, C)


def tcum(t, ca, C):
    return _kinetics(TwoCompartmentUptake(), t, ca, C)


def tcum_delay(t, ca, C):
    return _kinetics(TwoCompartmentUptake(delay_range_s=DELAYS_S), t, ca, C)


def tcxm(t, ca, C):
    """The artery is put between its samples by a spline: these curves have a sharp first pass."""
    fine = np.linspace(t[0], t[-1], 5 * (len(t) - 1) + 1)
    return _named(
        TwoCompartmentExchange()(
            C, artery_between_samples(ca, t, fine), seconds=t, arterial_seconds=fine
        )
    )


def tcxm_delay(t, ca, C):
    return _kinetics(TwoCompartmentExchange(delay_range_s=DELAYS_S), t, ca, C)


def _kinetics(model: DceModel, t, ca, C):
    return _named(model(C, ca, seconds=t))


def _named(fit: DceFit):
    """The harness's names and units: volumes as fractions, PS [1/min], flow [mL/100mL/min]."""
    names = {
        "ktrans": ("Ktrans", 1.0), "ve": ("ve", PER_100ML), "vp": ("vp", PER_100ML),
        "ps": ("ps", PER_100ML), "fp": ("fp", 1.0), "delay": ("delay", 1.0),
    }  # fmt: skip
    found = {}
    for name in fit.names:
        theirs, unit = names[name]
        found[theirs] = fit[name] / unit
        found[f"{theirs}_se"] = fit.std(name) / unit
    if "Ktrans" in found and "ve" not in found:
        found["ps"] = found["Ktrans"]
    return found
