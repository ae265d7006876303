"""What the frame enhancer does to simulated DSC series, beside local components and nothing.

Run: OMP_NUM_THREADS=1 python benchmarks/frame_enhancer.py [--patients 6]; prints the table of
docs/science/frame_enhancer.md. Scanners, heads and the residue are none of the training's.
"""

import argparse
import time

import numpy as np

from bolus.io.weights import read_weights, shipped_weights
from bolus.nets.frame_enhance import enhance_frames, tune_frames
from bolus.preprocess.local_pca import denoise_local_pca
from bolus.workflows import shipped_frames as shipped

HEADS = (
    "SNR", "series", "frames PSNR [dB]", "SSIM", "map PSNR [dB]", "its bias [%]",
    "vessels: height [%]", "width [%]", "recovery [%]", "lesion contrast left [%]", "lost",
    "invented", "CPU-s",
)  # fmt: skip


def ways(noisy, brain, weights, *, tuned):
    """Return the series of every method, and the CPU time of each."""
    found = {"as it came": (noisy, 0.0)}
    todo = {
        "local components": lambda: denoise_local_pca(noisy, brain).series,
        "network": lambda: enhance_frames(noisy, brain, weights, biased=True).series,
    }
    if tuned:
        todo["network, tuned"] = lambda: (
            enhance_frames(noisy, brain, tune_frames(noisy, brain, weights)[0], biased=True).series
        )
    for name, way in todo.items():
        began = time.process_time()
        found[name] = (way(), time.process_time() - began)
    return found


def cells_of(scores, spent):
    """Return the mean figures of one row; lesions are counted."""

    def mean(name):
        return float(np.mean([getattr(score, name) for score in scores]))

    shares = ("map_bias", "aif_peak", "aif_fwhm", "recovery_bias")
    return (
        f"{mean('frames_psnr'):.1f}", f"{mean('frames_ssim'):.3f}", f"{mean('map_psnr'):.1f}",
        *(f"{100 * mean(name):+.1f}" for name in shares), f"{100 * mean('contrast'):.0f}",
        *(f"{sum(getattr(score, n) for score in scores)}" for n in ("lost", "invented")),
        f"{np.mean(spent):.1f}",
    )  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=shipped.TEST_PATIENTS)
    parser.add_argument("--seed", type=int, default=shipped.TEST_SEED)
    parser.add_argument("--weights", help="other than those that come with bolus")
    parser.add_argument("--tuned", action="store_true", help="tune on each series too")
    asked = parser.parse_args()
    weights = read_weights(asked.weights) if asked.weights else shipped_weights("frame-enhancer")
    table = {}
    for test in shipped.frame_tests(asked.patients, seed=asked.seed):
        for snr in (15.0, *shipped.SNRS):
            noisy = shipped.noisy_scan(test, snr)
            for name, (series, spent) in ways(
                noisy, test.brain, weights, tuned=asked.tuned
            ).items():
                row = table.setdefault((snr, name), ([], []))
                row[0].append(shipped.score_frames(test, series))
                row[1].append(spent)
    print("| " + " | ".join(HEADS) + " |")
    print("|---" * len(HEADS) + "|")
    for (snr, name), (scores, spent) in sorted(table.items(), key=lambda item: item[0][0]):
        print("| " + " | ".join((f"{snr:g}", name, *cells_of(scores, spent))) + " |")


if __name__ == "__main__":
    main()
