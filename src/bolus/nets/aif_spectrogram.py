"""Arterial curves as small images: a short-time Fourier transform, and back."""

import numpy as np
import torch
from jaxtyping import Float
from scipy.signal import istft, stft

from bolus.nets.aif_input import AifCurves

FRAMES, STEP_S, BEFORE_S = 60, 4.0, 24.0
"""Samples of a curve, their spacing, and how long before the half rise they begin."""
IMAGE = (2, 8, 10)
"""Real and imaginary part, frequencies, windows."""
_WINDOW, _OVERLAP, _PADDED = 14, 7, 63


def sampled(
    values: Float[np.ndarray, " t"], seconds: Float[np.ndarray, " t"], *, rise_s: float
) -> Float[np.ndarray, " 60"]:
    """Return a curve [mM] at 60 times, 4 s apart; outside of what is known its ends go on.

    Args:
        values: concentration [mM].
        seconds: times [s].
        rise_s: when the measured curve is half risen.

    Source:
        Sampling and padding by the last value: Choi et al., Radiology 2020;297:178.

    Example:
        >>> sampled(np.ones(3), np.arange(3.0), rise_s=1.0).shape
        (60,)
    """
    return np.asarray(np.interp(sample_times(rise_s), seconds, values))


def sample_times(rise_s: float) -> Float[np.ndarray, " 60"]:
    """Return the times [s] of `sampled`."""
    return rise_s - BEFORE_S + STEP_S * np.arange(FRAMES)


def to_images(curves: Float[np.ndarray, "n 60"]) -> torch.Tensor:
    """Return images (n, 2, 8, 10) float32 of curves [mM].

    Args:
        curves: of `sampled`.

    Source:
        Window of 14 samples, 7 shared, after padding to 63: Choi et al., as above.

    Example:
        >>> tuple(to_images(np.ones((3, 60))).shape)
        (3, 2, 8, 10)
    """
    padded = np.pad(curves, ((0, 0), (0, _PADDED - FRAMES)), mode="edge")
    _, _, found = stft(padded, nperseg=_WINDOW, noverlap=_OVERLAP)
    both = np.stack([found.real, found.imag], axis=1).astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(both))


def from_images(images: torch.Tensor) -> Float[np.ndarray, "n 60"]:
    """Return curves [mM] of images; nothing is negative.

    Args:
        images: of `to_images`, or what a network makes of them.

    Example:
        >>> bool(np.allclose(from_images(to_images(np.ones((1, 60)))), 1, atol=1e-5))
        True
    """
    both = images.detach().numpy().astype(np.float64)
    _, curves = istft(both[:, 0] + 1j * both[:, 1], nperseg=_WINDOW, noverlap=_OVERLAP)
    return np.asarray(np.maximum(curves[:, :FRAMES], 0.0))


def input_images(curves: list[AifCurves], *, plasma_share: float) -> torch.Tensor:
    """Return images of measured arterial curves, taken from blood to plasma.

    Args:
        curves: measured.
        plasma_share: 1 minus the haematocrit that is assumed.
    """
    rows = [sampled(c.artery / plasma_share, c.seconds, rise_s=c.rise_s) for c in curves]
    return to_images(np.array(rows))
