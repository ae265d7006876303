"""The same DCE curves through other packages and through this one: CPU time and errors.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/peer_dce.py [PACKAGE ...]

Prints one JSON line for each package; one that is not installed is named and left out. Packages
that fit one voxel at a time get fewer voxels.
"""

import importlib.metadata
import json
import sys
import time

import numpy as np
from dce_curves import errors_percent, make

HAEMATOCRIT = 0.45


def _bolus(model):
    from bolus.quantify.dce_models import ExtendedTofts, TwoCompartmentExchange

    method = {"extended_tofts": ExtendedTofts, "exchange": TwoCompartmentExchange}[model]()
    return lambda tissue, plasma, seconds: method(tissue, plasma, seconds=seconds)


def _linear(model):
    from bolus.quantify.dce_linear import LinearTofts

    if model != "extended_tofts":
        raise ImportError("no linear exchange model")
    return lambda tissue, plasma, seconds: LinearTofts()(tissue, plasma, seconds=seconds)


def _dcmri(model):
    """Least squares of dcmri's curves by scipy, from one start, as its own training does."""
    import dcmri
    from scipy.optimize import curve_fit

    exchange = model == "exchange"
    kinetics, start = ("2CX", (0.01, 0.001, 0.3, 0.1)) if exchange else ("HF", (0.001, 0.3, 0.1))
    keys = ("Fb", "PS", "vi", "vb") if exchange else ("PS", "vi", "vb")
    plasma_share = 1 - HAEMATOCRIT
    factors = (6000 * plasma_share, 6000, 100, 100 * plasma_share)
    factors = factors if exchange else (60, 100, 100 * plasma_share)

    def run(tissue, plasma, seconds):
        def curve(_, *p):
            given = dict(zip(keys, p, strict=True))
            return dcmri.conc_tissue(
                plasma_share * plasma, t=seconds, kinetics=kinetics, H=HAEMATOCRIT, **given
            )

        found = np.full((len(tissue), len(keys)), np.nan)
        for v, row in enumerate(tissue):
            try:
                found[v], _ = curve_fit(curve, seconds, row, p0=start, bounds=(1e-6, 1.0))
            except RuntimeError:
                continue
        names = ("fp", "ps", "ve", "vp") if exchange else ("ktrans", "ve", "vp")
        return {n: f * found[:, i] for i, (n, f) in enumerate(zip(names, factors, strict=True))}

    return run


def _pbrain(model):
    if model != "extended_tofts":
        raise ImportError("no exchange model")
    from pbrain.models.base import CurveInputs
    from pbrain.models.extended_tofts import ExtendedToftsModel

    def run(tissue, plasma, seconds):
        maps = ExtendedToftsModel().fit(CurveInputs(tissue.T, plasma, seconds)).maps
        factors = {"ktrans": 0.01, "ve": 100, "vp": 100}
        return {name: factor * maps[name] for name, factor in factors.items()}

    return run


PACKAGES = {
    "bolus": ("bolus", _bolus, 20_000),
    "bolus linear": ("bolus", _linear, 20_000),
    "p-brain": ("p-brain", _pbrain, 20_000),
    "dcmri": ("dcmri", _dcmri, 200),
}


def main() -> None:
    for model in ("extended_tofts", "exchange"):
        curves = make(model)
        for name, (distribution, build, voxels) in PACKAGES.items():
            if sys.argv[1:] and name not in sys.argv[1:]:
                continue
            try:
                run = build(model)
                version = importlib.metadata.version(distribution)
            except ImportError as error:
                print(f"skipped {name} ({model}): {error}")
                continue
            tissue = curves.tissue[:voxels]
            run(tissue[:10], curves.plasma, curves.seconds)  # compile and warm up
            times = []
            for _ in range(5 if voxels > 1000 else 1):
                begin = time.process_time()
                found = run(tissue, curves.plasma, curves.seconds)
                times.append(time.process_time() - begin)
            truth = {key: value[:voxels] for key, value in curves.truth.items()}
            print(
                json.dumps(
                    {
                        "name": name,
                        "package": f"{name} {version}",
                        "model": model,
                        "voxels_per_cpu_second": round(voxels / min(times)),
                        "median_and_absolute_error_percent": errors_percent(truth, found),
                    }
                )
            )


if __name__ == "__main__":
    main()
