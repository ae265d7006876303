"""The curves every benchmark of the deconvolution runs on: known flow, numpy only.

50,000 voxels x 80 frames at 1.5 s; an AIF with recirculation; exponential, gamma and boxcar
residues; delays of 0 to 4 s; white noise of 1 % of each curve's peak (SNR 100).
"""

from dataclasses import dataclass

import numpy as np

STEP_S = 1.5
FINE_S = 0.05
FLOWS_PER_S = (60 / 6000, 25 / 6000)
MTTS_S = ((3.0, 4.0, 6.0), (5.0, 8.0))
DELAYS_S = (0.0, 1.0, 2.0, 3.0, 4.0)
RESIDUES = {
    "exponential": lambda x: np.exp(-x),
    "gamma": lambda x: np.exp(-3 * x) * (1 + 3 * x + 4.5 * x**2),
    "boxcar": lambda x: (x < 1) * 1.0,
}


@dataclass(frozen=True, slots=True)
class Curves:
    tissue: np.ndarray
    aif: np.ndarray
    seconds: np.ndarray
    flow_per_s: np.ndarray
    delay_s: np.ndarray
    residue: np.ndarray


def _pulse(t, start, scale):
    x = np.maximum(t - start, 0)
    y = x**3 * np.exp(-x / scale)
    return y / y.max()


def make(*, repeats: int = 1, frames: int = 80, snr: float = 100.0, seed: int = 0) -> Curves:
    """Return `repeats` noisy copies of each of the 75 cases."""
    fine = np.arange(0, frames * STEP_S, FINE_S)
    aif = 360 * (_pulse(fine, 12.0, 1.5) + 0.12 * _pulse(fine, 22.0, 4.0))
    size = 2 ** int(np.ceil(np.log2(2 * len(fine))))
    every = round(STEP_S / FINE_S)
    rng = np.random.default_rng(seed)
    tissue, flows, delays, names = [], [], [], []
    for name, shape in RESIDUES.items():
        for delay in DELAYS_S:
            for flow, mtts in zip(FLOWS_PER_S, MTTS_S, strict=True):
                for mtt in mtts:
                    lag = fine - delay
                    r = np.where(lag >= -1e-9, shape(np.maximum(lag, 0) / mtt), 0.0)
                    r[np.argmax(r > 0)] /= 2  # trapezoidal rule at the jump
                    full = np.fft.irfft(np.fft.rfft(aif, size) * np.fft.rfft(r, size), size)
                    clean = flow * FINE_S * full[: len(fine) : every]
                    noise = rng.normal(0, clean.max() / snr, (repeats, frames))
                    tissue.append(clean + noise)
                    flows += [flow] * repeats
                    delays += [delay] * repeats
                    names += [name] * repeats
    return Curves(
        tissue=np.concatenate(tissue),
        aif=aif[::every],
        seconds=STEP_S * np.arange(frames),
        flow_per_s=np.array(flows),
        delay_s=np.array(delays),
        residue=np.array(names),
    )


def many(voxels: int = 50_000) -> Curves:
    """Return `voxels` curves, all of them different."""
    curves = make(repeats=-(-voxels // 75))
    part = slice(0, voxels)
    return Curves(
        tissue=curves.tissue[part],
        aif=curves.aif,
        seconds=curves.seconds,
        flow_per_s=curves.flow_per_s[part],
        delay_s=curves.delay_s[part],
        residue=curves.residue[part],
    )


def bias_percent(curves: Curves, flow_per_s: np.ndarray) -> dict[str, list[float]]:
    """Return the mean error of flow [%] of every residue family, one number a delay."""
    error = 100 * (flow_per_s / curves.flow_per_s - 1)
    return {
        name: [
            float(error[(curves.residue == name) & (curves.delay_s == delay)].mean())
            for delay in DELAYS_S
        ]
        for name in RESIDUES
    }
