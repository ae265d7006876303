"""What finer voxels and frames of simulated DSC and DCE series are worth, beside interpolation.

Run: OMP_NUM_THREADS=1 python benchmarks/super_resolution.py [--patients 3] [--time]
Prints the tables of docs/science/super_resolution.md. Scanners, heads and the residue are none of
the training's; the scans of both are compared with the scan at full resolution. Last, time and
memory of 64 x 64 x 20 voxels and 60 frames to 128 x 128 x 20 (--time: only that).
"""

import argparse
import resource
import time
from functools import partial

import numpy as np

from bolus.io.weights import read_weights, shipped_weights
from bolus.workflows import shipped_field as shipped

CASES = (
    (2.0, 60.0, 1), (2.0, 30.0, 1), (2.0, 120.0, 1), (1.5, 60.0, 1), (3.0, 60.0, 1),
    (4.0, 60.0, 1), (1.0, 60.0, 2), (2.0, 60.0, 2),
)  # fmt: skip
"""Times fewer voxels along each axis of a slice, signal-to-noise ratio, each n-th frame."""
HEADS = (
    "finer", "SNR", "frames kept", "way", "frames PSNR [dB]", "SSIM", "CBV PSNR [dB]",
    "its bias [%]", "vessels: height [%]", "width [%]", "recovery [%]", "lesion contrast left [%]",
    "lost", "invented", "DCE frames PSNR [dB]", "Ktrans PSNR [dB]", "its bias in tumours [%]",
    "CPU-s",
)  # fmt: skip


def ways(weights):
    """Return every way from coarse to fine."""
    return {
        **shipped.BASELINES,
        "cubic": partial(shipped.interpolate_series, order=3),
        "denoised, cubic": partial(shipped.denoise_then_interpolate, order=3),
        "network": shipped.field_way(weights),
    }


def cells_of(perfused, leaked, spent):
    """Return the mean figures of one row; lesions are counted."""

    def mean(scores, name):
        return float(np.mean([getattr(score, name) for score in scores]))

    shares = ("map_bias", "aif_peak", "aif_fwhm", "recovery_bias")
    return (
        f"{mean(perfused, 'frames_psnr'):.1f}", f"{mean(perfused, 'frames_ssim'):.3f}",
        f"{mean(perfused, 'map_psnr'):.1f}",
        *(f"{100 * mean(perfused, name):+.1f}" for name in shares),
        f"{100 * mean(perfused, 'contrast'):.0f}",
        *(f"{sum(getattr(score, n) for score in perfused)}" for n in ("lost", "invented")),
        f"{mean(leaked, 'frames_psnr'):.1f}", f"{mean(leaked, 'map_psnr'):.1f}",
        f"{100 * mean(leaked, 'map_bias'):+.1f}", f"{spent:.1f}",
    )  # fmt: skip


def table(weights, patients):
    """Print a row of every case and way."""
    dsc, dce = shipped.dsc_field_tests(patients), shipped.dce_field_tests(patients)
    print("| " + " | ".join(HEADS) + " |")
    print("|---" * len(HEADS) + "|")
    for scale, snr, every in CASES:
        for name, way in ways(weights).items():
            clock = _Clock(way)
            scores = shipped.measured_of(clock, dsc, dce, scale=scale, snr=snr, every=every)
            cells = cells_of(*scores, clock.spent / (len(dsc) + len(dce)))
            kept = "all" if every == 1 else f"1 of {every}"
            row = (f"x{scale:g}", f"{snr:g}", kept, name, *cells)
            print("| " + " | ".join(row) + " |", flush=True)


class _Clock:
    """A way, and the CPU time that it took."""

    def __init__(self, way):
        self.way, self.spent = way, 0.0

    def __call__(self, series, mask, like):
        began = time.process_time()
        found = self.way(series, mask, like)
        self.spent += time.process_time() - began
        return found


def cost(weights):
    """Print seconds and memory of a whole scan."""
    test = shipped.frame_tests(1, seed=shipped.TEST_SEED, shape=(128, 128, 20))[0]
    given = shipped.coarse_scan(
        test.truth, scale=2.0, snr=60.0, level=test.level, seed=test.seed
    )  # fmt: skip
    mask = shipped.coarse_mask(test.brain, given.grid)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    wall, cpu = time.monotonic(), time.process_time()
    found = shipped.field_way(weights)(given, mask, test.truth)
    spent = time.monotonic() - wall, time.process_time() - cpu
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{given.values.shape} to {found.values.shape}: {spent[0]:.1f} s, {spent[1]:.1f} CPU-s, "
          f"{most:.0f} MiB at most ({before:.0f} MiB before it)")  # fmt: skip


def main():
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=shipped.TEST_PATIENTS)
    parser.add_argument("--weights", help="other than those that come with bolus")
    parser.add_argument("--time", action="store_true")
    asked = parser.parse_args()
    weights = read_weights(asked.weights) if asked.weights else shipped_weights("space-time-field")
    if not asked.time:
        table(weights, asked.patients)
    cost(weights)


if __name__ == "__main__":
    main()
