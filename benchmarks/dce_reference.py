"""Compare DCE parameters with independent implementations and published truth: tables and figure.

Run: python benchmarks/dce_reference.py [DATA] [--figure PNG]

DATA is the folder of reference data, by default ../shared/data beside the checkout.
"""

import argparse
from pathlib import Path

import dce_reference_data as sets
import dce_reference_models as theirs
import numpy as np

from bolus.metrics import bland_altman, concordance, deming
from bolus.quantify.population_aif import parker_aif

HERE = Path(__file__).resolve().parents[1]
UNITS = {"ktrans": "1/min", "ve": "", "vp": "", "fp": "1/min"}


def agreement_row(label, ours, reference):
    """Return one line of numbers; the difference is ours - reference."""
    line = np.polyfit(reference, ours, 1)
    slope, intercept = deming(reference, ours)
    ba = bland_altman(ours, reference)
    ccc = concordance(ours, reference)
    cells = [
        label, str(len(ours)), f"{np.corrcoef(reference, ours)[0, 1]:.4f}", f"{ccc.value:.4f}",
        f"{line[0]:.4f} {line[1]:+.1e}", f"{slope:.4f} {intercept:+.1e}",
        f"{ba.bias:+.1e} ({ba.bias_interval[0]:+.1e} to {ba.bias_interval[1]:+.1e})",
        f"{ba.lower:+.1e} to {ba.upper:+.1e} (± {ba.upper_interval[1] - ba.upper:.0e})",
        f"{100 * np.median(np.abs(ours / reference - 1)):.2f}",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


HEAD = (
    "| | n | r | CCC | OLS slope, intercept | Deming slope, intercept | bias (95 %) "
    "| limits (± 95 %) | median abs. % |\n" + "|---" * 9 + "|"
)


def inside(p, names):
    """Return where every parameter is clear of the other implementation's bounds."""
    clear = np.ones(len(p["ktrans"]), bool)
    for name in names:
        low, high = theirs.LIMITS[name]
        floor = 1e-5 if name == "ktrans" else 1.02 * low
        clear &= np.isfinite(p[name]) & (p[name] > floor) & (p[name] < 0.98 * high)
    return clear


def compared(model, scan):
    """Return parameters by three fits, voxels both call valid, and those that are determined."""
    maps, minutes = scan.maps[model], scan.seconds / 60
    names = [name for name in ("ktrans", "ve", "vp", "fp") if name in maps]
    matched, squares = theirs.fit(model, scan.tissue, scan.fitted, minutes)
    if model == "two_compartment_uptake":
        flow = matched["fp"]
        matched["vp"] = matched["tp"] * flow**2 / np.maximum(flow - matched["ktrans"], 1e-9)
    fits = {
        "measured artery, exact": sets.ours(model, scan.tissue, scan.measured, scan.seconds)[0],
        "their artery, exact": sets.ours(model, scan.tissue, scan.fitted, scan.seconds)[0],
        "their artery, their sum": matched,
    }
    valid = inside(maps, names)
    determined = valid & inside(matched, names)
    for name in names:
        determined &= maps[f"low_{name}"] > 0
    same = np.abs(squares / maps["sse"] - 1) < 1e-3
    return names, fits, valid, determined, same, squares / maps["sse"]


def patient_tables(scan, found):
    for model, (names, fits, valid, determined, same, ratio) in found.items():
        maps = scan.maps[model]
        left = determined & ~same
        print(f"\n### {model}\n")
        print(f"{len(valid)} voxels, {valid.sum()} off the bounds, {determined.sum()} with "
              f"intervals above 0; of these {left.sum()} end in another minimum, where the "
              f"published one leaves more squares in {(ratio[left] < 1).sum()}.\n")  # fmt: skip
        print(HEAD)
        for label, p in fits.items():
            for name in names:
                use = valid & inside(p, names)
                print(agreement_row(f"{label}: {name}", p[name][use], maps[name][use]))
        for name in names:
            use = determined & same
            row = agreement_row(f"same minimum: {name}", fits[label][name][use], maps[name][use])
            print(row)


def discretisation_table(scan):
    """Print the squares their parameters leave, over the squares they published."""
    print("\n### Which sum their parameters belong to\n")
    print("Squares left by the published parameters over those published: median (5th to 95th)\n")
    print("| model | artery | trapezoid | left | right | exact |\n|---|---|---|---|---|---|")
    minutes = scan.seconds / 60
    rules = [lambda *a, r=r: theirs.summed(*a, r) for r in ("trapezoid", "left", "right")]
    for model, maps in scan.maps.items():
        names = [name for name in ("ktrans", "ve", "vp", "fp") if name in maps]
        use = inside(maps, names)
        p = {name: maps[name][use] for name in names}
        if model == "two_compartment_uptake":
            use_flow = np.maximum(p["fp"] - p["ktrans"], 1e-9)
            p["tp"] = np.maximum(p["vp"] * use_flow / p["fp"] ** 2, 1e-6)
        for label, artery in (("measured", scan.measured), ("two exponentials", scan.fitted)):
            cells = []
            for convolve in (*rules, theirs.exact):
                gap = theirs.forward(model, p, artery, minutes, convolve) - scan.tissue[use]
                low, middle, high = np.percentile((gap**2).sum(1) / maps["sse"][use], [5, 50, 95])
                cells.append(f"{middle:.4f} ({low:.3f} to {high:.3f})")
            print(f"| {model} | {label} | " + " | ".join(cells) + " |")


def brute_force(*, sharp, noise=0.008, voxels=400, seed=0):
    """Return errors [%] of both sums on curves made on a grid of 0.02 s, 15.84 s a frame.

    The artery is Parker's (`sharp`), or linear between its frames: then only the sum differs.
    """
    draw = np.random.default_rng(seed)
    fine, every = 0.02, 792
    t = fine * np.arange(64 * every)
    artery = parker_aif(t, arrival_s=31.68) / 0.58
    if not sharp:
        artery = np.interp(t, t[::every], artery[::every])
    truth = {
        "ktrans": np.exp(draw.uniform(np.log(0.005), np.log(0.3), voxels)),
        "ve": draw.uniform(0.05, 0.4, voxels),
        "vp": draw.uniform(0.01, 0.06, voxels),
        "fp": draw.uniform(0.1, 0.6, voxels),
    }
    size = 1 << 17
    spectrum = np.fft.rfft(artery, size)
    errors = {}
    for model in ("tofts", "extended_tofts", "two_compartment_exchange"):
        p = (
            truth
            if model == "two_compartment_exchange"
            else {k: truth[k] for k in theirs.PARAMETERS[model]}
        )
        tissue = np.empty((voxels, 64))
        for start in range(0, voxels, 50):
            part = {k: v[start : start + 50] for k, v in p.items()}
            pulse = np.eye(1, len(t))[0] / (fine / 60)
            kernel = _kernel(model, part, t / 60, pulse)
            full = np.fft.irfft(np.fft.rfft(kernel, size) * spectrum, size)[:, : len(t) : every]
            tissue[start : start + 50] = full * fine / 60
        if model == "extended_tofts":
            tissue += p["vp"][:, None] * artery[::every]
        noisy = tissue + noise * draw.standard_normal(tissue.shape)
        known = artery[::every]
        fits = {
            "exact": sets.ours(model, noisy, known, t[::every])[0],
            "trapezoid": theirs.fit(model, noisy, known, t[::every] / 60)[0],
        }
        errors[model] = {
            label: {
                k: 100 * np.nanmedian(np.abs(q[k] / p[k] - 1)) for k in theirs.PARAMETERS[model]
            }
            for label, q in fits.items()
        }
    return errors


def _kernel(model, p, minutes, pulse):
    """Return the impulse response, its first sample halved as the trapezoidal rule wants."""
    if model == "two_compartment_exchange":
        response = theirs.forward(model, p, pulse, minutes, _impulse)
    else:
        response = p["ktrans"][:, None] * np.exp(-(p["ktrans"] / p["ve"])[:, None] * minutes)
    response[:, 0] /= 2
    return response


def _impulse(rates, _, minutes):
    return np.exp(-rates[:, None] * minutes)


def qiba_errors(data, *, resolved, blood_t1_s=1.44):
    """Return errors [%] of Ktrans and ve (ve, Ktrans) and which patches taught the artery."""
    tissue, artery, seconds, ktrans, ve = sets.qiba(data, blood_t1_s=blood_t1_s)
    options = {}
    train = sets.qiba_training()
    if resolved:
        p = {"ktrans": ktrans[train], "ve": ve[train], "vp": np.zeros(train.sum())}
        nodes, artery = sets.between_frames(
            tissue[train], p, artery, seconds, window=(50.0, 130.0), step_s=1.0
        )
        options["arterial_seconds"] = nodes
    found, _ = sets.ours("tofts", tissue, artery, seconds, **options)
    errors = [100 * (found[k] / t - 1).reshape(5, 6) for k, t in (("ktrans", ktrans), ("ve", ve))]
    return *errors, train.reshape(5, 6)


def phantom_errors(data, *, resolved):
    """Return errors [%] of Ktrans, ve, vp against the sum's vp and the written one, and classes."""
    tissue, artery, seconds, classes, p = sets.phantom(data)
    train = sets.phantom_training(classes, p["ktrans"])
    options = {}
    if resolved:
        known = {
            k: p[n][train] for k, n in (("ktrans", "ktrans"), ("ve", "ve"), ("vp", "summed_vp"))
        }
        window = (seconds[3], seconds[8])
        nodes, artery = sets.between_frames(
            tissue[train], known, artery, seconds, window=window, step_s=2.0
        )
        options["arterial_seconds"] = nodes
    found, _ = sets.ours("extended_tofts", tissue, artery, seconds, **options)
    pairs = {"ktrans": "ktrans", "ve": "ve", "vp": "summed_vp", "vp as written": "vp"}
    errors = {k: 100 * (found[k.split()[0]] / p[n] - 1) for k, n in pairs.items()}
    return errors, classes, p["ktrans"], train


PHANTOM_ROWS = (
    ("muscle and fat", 1, 0.0, 0.05),
    ("muscle and fat", 1, 0.05, 0.2),
    ("muscle and fat", 1, 0.2, 1.0),
    ("brain", 2, 0.001, 0.01),
    ("brain", 2, 0.0001, 0.001),
    ("brain", 2, 0.0, 0.0001),
    ("vessel", 3, 0.0, 0.01),
)


def truth_tables(data):
    for resolved in (False, True):
        print(f"\n### QIBA, errors [%], artery {'resolved' if resolved else 'linear'} in between\n")
        ktrans, ve, train = qiba_errors(data, resolved=resolved)
        print(
            "| ve | "
            + " | ".join(f"Ktrans {k}" for k in sets.QIBA_KTRANS)
            + " |\n"
            + "|---" * 7
            + "|"
        )
        for i, row in enumerate(sets.QIBA_VE):
            cells = [
                f"{a:.1f} / {b:.1f}{'*' if t else ''}"
                for a, b, t in zip(ktrans[i], ve[i], train[i], strict=True)
            ]
            print(f"| {row} | " + " | ".join(cells) + " |")
    print("\nBlood T1 1.4 s instead, linear: Ktrans, ve")
    for table in qiba_errors(data, resolved=False, blood_t1_s=1.4)[:2]:
        print(np.round(table, 1))
    for resolved in (False, True):
        print(f"\n### Phantom, median (5th to 95th) errors [%], {resolved=}\n")
        errors, classes, ktrans, train = phantom_errors(data, resolved=resolved)
        print("| tissue | Ktrans | n | " + " | ".join(errors) + " |\n" + "|---" * 7 + "|")
        for label, number, low, high in PHANTOM_ROWS:
            use = (classes == number) & (ktrans > low) & (ktrans <= high) & ~train
            cells = [
                "{1:.1f} ({0:.1f} to {2:.1f})".format(*np.nanpercentile(e[use], [5, 50, 95]))
                for e in errors.values()
            ]
            print(f"| {label} | {low:g} to {high:g} | {use.sum()} | " + " | ".join(cells) + " |")


def sepal_fit(data):
    """Return Ktrans [1/min] and vp of SEPAL's region as its demonstration fits it."""
    tissue, blood, seconds = sets.sepal(data)
    found, fit = sets.ours(
        "patlak", tissue[None, 7:], blood / (1 - 0.395), seconds[7:], arterial_seconds=seconds
    )
    return found["ktrans"][0], found["vp"][0], fit


def figure(scan, found, path):
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullFormatter

    shown = (("tofts", "ktrans"), ("extended_tofts", "ktrans"), ("extended_tofts", "ve"),
             ("two_compartment_exchange", "fp"))  # fmt: skip
    canvas, axes = plt.subplots(3, 4, figsize=(13, 9.5), layout="constrained")
    titles = {
        "tofts": "Tofts",
        "extended_tofts": "extended Tofts",
        "two_compartment_exchange": "exchange",
    }
    signs = {"ktrans": "Ktrans [1/min]", "ve": "ve", "fp": "Fp [1/min]"}
    for column, (model, name) in enumerate(shown):
        names, fits, valid, determined, same, _ = found[model]
        reference = scan.maps[model][name]
        rows = (("measured artery, exact", valid), ("their artery, their sum", determined & same))
        for row, (label, use) in enumerate(rows):
            mine = fits[label][name]
            ok = use & inside(fits[label], names)
            axis = axes[row, column]
            axis.loglog(reference[ok], mine[ok], ".", ms=2, color="#1f5f8b" if row else "#b3541e")
            ends = np.nanpercentile(np.r_[reference[ok], mine[ok]], [0.2, 99.8])
            axis.plot(ends, ends, color="0.3", lw=0.8)
            span = (ends[0] / 1.2, ends[1] * 1.2)
            how = ("as bolus fits", "as they fit")[row]
            axis.set(
                xlabel=f"published {signs[name]}", ylabel=how, title=f"{titles[model]}, {how}",
                xlim=span, ylim=span,
            )  # fmt: skip
        middle, gap = (mine[ok] + reference[ok]) / 2, 100 * (mine[ok] / reference[ok] - 1)
        ba = bland_altman(gap, np.zeros_like(gap))
        axis = axes[2, column]
        axis.semilogx(middle, gap, ".", ms=2, color="#1f5f8b")
        for level in (ba.bias, ba.lower, ba.upper):
            axis.axhline(level, color="0.3", lw=0.8, ls="-" if level == ba.bias else "--")
        axis.set(xlabel=f"mean {signs[name]}", ylabel="matched - published [%]", ylim=(-12, 12))
        for panel in axes[:, column]:
            panel.xaxis.set_minor_formatter(NullFormatter())
        for panel in axes[:2, column]:
            panel.yaxis.set_minor_formatter(NullFormatter())
        axis.set_title(
            f"bias {ba.bias:+.2f} %, limits {ba.lower:+.1f} to {ba.upper:+.1f} %", fontsize=10
        )
    canvas.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", nargs="?", type=Path, default=HERE.parent / "shared" / "data")
    parser.add_argument(
        "--figure", type=Path, default=HERE / "docs" / "images" / "dce_reference.png"
    )
    given = parser.parse_args()
    scan = sets.patient(given.data)
    discretisation_table(scan)
    found = {model: compared(model, scan) for model in scan.maps}
    patient_tables(scan, found)
    figure(scan, found, given.figure)
    print("\n### Brute force at 15.84 s, median absolute errors [%]\n")
    for sharp in (True, False):
        for model, rows in brute_force(sharp=sharp).items():
            for label, row in rows.items():
                cells = ", ".join(f"{k} {v:.1f}" for k, v in row.items())
                print(f"| {model} | {sharp=} | {label} | {cells} |")
    truth_tables(given.data)
    ktrans, vp, fit = sepal_fit(given.data)
    print(
        f"\nSEPAL: Ktrans {ktrans:.6f} ± {fit.std('ktrans')[0]:.6f}, "
        f"vp {vp:.4f} ± {fit.std('vp')[0] / 100:.4f}"
    )


if __name__ == "__main__":
    main()
