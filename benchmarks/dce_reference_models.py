"""How an independent implementation (ROCKETSHIP) evaluates its models, rebuilt from its maps.

The models are summed by the trapezoidal rule over the frames, with the exponential sampled at the
frames too, on an arterial curve that is a fitted ramp and two exponentials. Numpy and scipy only;
nothing of this is in the package.
"""

import numpy as np
from scipy.optimize import least_squares

LIMITS = {
    "ktrans": (1e-7, 2.0),
    "ve": (0.02, 1.0),
    "vp": (0.001, 1.0),
    "fp": (0.001, 100.0),
    "tp": (1e-4, 1e6),
}
STARTS = {
    "ktrans": (2e-4, 0.01, 0.1),
    "ve": (0.2, 0.04),
    "vp": (0.02,),
    "fp": (0.2,),
    "tp": (0.05, 0.5),
}
PARAMETERS = {
    "tofts": ("ktrans", "ve"),
    "extended_tofts": ("ktrans", "ve", "vp"),
    "patlak": ("ktrans", "vp"),
    "two_compartment_uptake": ("ktrans", "fp", "tp"),
    "two_compartment_exchange": ("ktrans", "ve", "vp", "fp"),
}


def fitted_artery(measured, minutes, *, first, peak):
    """Return zero up to frame `first`, then two exponentials from frame `peak`, fitted after it."""
    since = minutes - minutes[peak]
    late = since > 0

    def curve(p):
        return p[0] * np.exp(-p[2] * since) + p[1] * np.exp(-p[3] * since)

    top = measured.max()
    best = least_squares(
        lambda p: (curve(p) - measured)[late],
        [top / 2, top / 2, 1.0, 0.1],
        bounds=([0] * 4, [2 * top, 2 * top, 5, 5]),
        xtol=1e-14, ftol=1e-14, gtol=1e-14,
    ).x  # fmt: skip
    ramp = best[:2].sum() * (minutes - minutes[first]) / (minutes[peak] - minutes[first])
    return np.where(minutes < minutes[peak], np.maximum(ramp, 0.0), curve(best))


def summed(rates, artery, minutes, rule="trapezoid"):
    """Return Σ artery(t_j) exp(-rate (t_i - t_j)) step, by a rule: trapezoid, left or right."""
    step = minutes[1] - minutes[0]
    decay = np.exp(-np.asarray(rates) * step)
    old, new = {"trapezoid": (0.5, 0.5), "left": (1, 0), "right": (0, 1)}[rule]
    result = np.zeros((len(decay), len(minutes)))
    for i in range(1, len(minutes)):
        result[:, i] = decay * (result[:, i - 1] + step * old * artery[i - 1])
        result[:, i] += step * new * artery[i]
    return result


def exact(rates, artery, minutes):
    """Return the same with the artery linear between its frames, integrated exactly."""
    step = minutes[1] - minutes[0]
    x = np.maximum(np.asarray(rates) * step, 1e-6)
    decay = np.exp(-x)
    of_new = step * (x - 1 + decay) / x**2
    of_old = step * (1 - decay * (1 + x)) / x**2
    result = np.zeros((len(x), len(minutes)))
    for i in range(1, len(minutes)):
        result[:, i] = decay * result[:, i - 1] + of_old * artery[i - 1] + of_new * artery[i]
    return result


def forward(model, p, artery, minutes, convolve=summed):
    """Return concentrations (voxels, t) [mM]; `p` holds fractions and rates per minute."""
    leak = p["ktrans"][:, None]
    zero = np.zeros(len(leak))
    if model == "patlak":
        return leak * convolve(zero, artery, minutes) + p["vp"][:, None] * artery
    if model in ("tofts", "extended_tofts"):
        curve = leak * convolve(p["ktrans"] / p["ve"], artery, minutes)
        return curve + p["vp"][:, None] * artery if "vp" in p else curve
    flow = p["fp"]
    if model == "two_compartment_uptake":
        washed = convolve(1 / p["tp"], artery, minutes)
        return leak * convolve(zero, artery, minutes) + (flow[:, None] - leak) * washed
    ps = p["ktrans"] * flow / np.maximum(flow - p["ktrans"], 1e-9)
    out, back = (flow + ps) / p["vp"], ps / p["ve"]
    root = np.sqrt(np.maximum((out + back) ** 2 - 4 * back * flow / p["vp"], 1e-20))
    fast, slow = (out + back + root) / 2, (out + back - root) / 2
    share = ((fast - flow / p["vp"]) / root)[:, None]
    mixed = (1 - share) * convolve(fast, artery, minutes)
    return flow[:, None] * (mixed + share * convolve(slow, artery, minutes))


def fit(model, tissue, artery, minutes, convolve=summed, steps=120):
    """Fit every voxel within `LIMITS` by Levenberg-Marquardt on logarithms, from several starts."""
    names = PARAMETERS[model]
    low, high = (np.log([LIMITS[n][k] for n in names]) for k in (0, 1))
    starts = np.stack(np.meshgrid(*(STARTS[n] for n in names)), axis=-1).reshape(-1, len(names))
    best = np.full(len(tissue), np.inf)
    found = np.zeros((len(tissue), len(names)))
    for start in starts:
        at, left = _descend(
            model, tissue, artery, minutes, convolve, (np.log(start), low, high), steps
        )
        better = left < best
        best[better], found[better] = left[better], at[better]
    return dict(zip(names, np.exp(found).T, strict=True)), best


def _descend(model, tissue, artery, minutes, convolve, box, steps):
    names = PARAMETERS[model]
    start, low, high = box

    def residual(at):
        p = dict(zip(names, np.exp(at).T, strict=True))
        return forward(model, p, artery, minutes, convolve) - tissue

    at = np.tile(np.clip(start, low, high), (len(tissue), 1))
    gap = residual(at)
    left, damp = (gap**2).sum(axis=1), np.full(len(tissue), 1e-2)
    for _ in range(steps):
        slopes = np.stack([(residual(at + h) - gap) / 1e-5 for h in 1e-5 * np.eye(len(names))], 1)
        pull = np.einsum("vpt,vt->vp", slopes, gap)
        square = np.einsum("vpt,vqt->vpq", slopes, slopes)
        stuck = ((at <= low) & (pull > 0)) | ((at >= high) & (pull < 0))
        pull = np.where(stuck, 0.0, pull)
        square = np.where(stuck[:, :, None] | stuck[:, None, :], 0.0, square)
        ridge = np.einsum("vpp->vp", square) * damp[:, None] + 1e-12
        square = (
            square + ridge[:, :, None] * np.eye(len(names)) + stuck[:, :, None] * np.eye(len(names))
        )
        step = np.linalg.solve(square, pull[:, :, None])[:, :, 0]
        trial = np.clip(at - np.clip(step, -2, 2), low, high)
        new = residual(trial)
        after = (new**2).sum(axis=1)
        good = after < left
        at[good], gap[good], left[good] = trial[good], new[good], after[good]
        damp = np.clip(np.where(good, damp / 4, damp * 5), 1e-9, 1e9)
    return at, left
