"""What local components do to a simulated DSC series whose noise-free truth is known.

Run: OMP_NUM_THREADS=1 python benchmarks/denoising.py [--patients 3]; prints the tables of
docs/science/denoising.md.
"""

import argparse
import dataclasses
import time

import numpy as np
from scipy import ndimage

from bolus.core import PerfusionSeries, stream
from bolus.metrics.image_fidelity import image_fidelity, series_fidelity
from bolus.metrics.perfusion_bias import lesion_test
from bolus.preprocess import denoise_local_pca
from bolus.quantify import find_bolus
from bolus.quantify.aif_shape import aif_bias
from bolus.simulate import PROTOCOLS, QUIET, PatientSettings, simulate_patient
from bolus.simulate.degrade import g_factor, with_rician_noise

SNRS = (15.0, 30.0, 60.0, 120.0)
LESIONS, EDGE, EXTRA = 6, (3, 3, 2), 1.0
"""Small lesions put into white matter, their voxels, and their blood volume over white matter's."""
VESSELS = 20
WHITE = "wm"
HEADS = (
    "SNR", "series", "frames PSNR [dB]", "SSIM", "volume map PSNR [dB]", "its bias [%]",
    "vessels: height [%]", "width [%]", "lesion contrast left [%]", "lost", "invented",
)  # fmt: skip


def with_lesions(series, white, passage, seed):
    """Return a series with small lesions of more blood, and their numbers."""
    room = ndimage.binary_erosion(white, structure=np.ones((5, 5, 3)))
    places = np.argwhere(room)
    random, chosen = stream(seed, "lesions"), []
    for place in random.permutation(places):
        if all(np.abs(place - other).max() >= 9 for other in chosen):
            chosen.append(place)
        if len(chosen) == LESIONS:
            break
    drawn = np.zeros(white.shape, int)
    for number, (x, y, z) in enumerate(chosen, start=1):
        drawn[x : x + EDGE[0], y : y + EDGE[1], z : z + EDGE[2]] = number
    factor = np.exp(-EXTRA * (drawn > 0)[..., None] * passage)
    return dataclasses.replace(series, values=(series.values * factor).astype(np.float32)), drawn


def area(series: PerfusionSeries, bolus) -> np.ndarray:
    """Return the area under -ln(S/S0) from the arrival on: blood volume without a scale."""
    values = np.maximum(np.asarray(series.values, float), 1e-3)
    level = values[..., bolus.baseline].mean(axis=-1, keepdims=True)
    return -np.log(values / level)[..., bolus.arrival :].sum(axis=-1)


def vessel_curve(series, vessels, bolus):
    values = np.maximum(np.asarray(series.values[vessels], float), 1e-3)
    level = values[:, bolus.baseline].mean(axis=1, keepdims=True)
    return -np.log(values / level).mean(axis=0)


def patient_rows(seed):
    """Return figures of one patient: SNR, method -> numbers."""
    protocol = dataclasses.replace(
        PROTOCOLS["preload_60"], shape=(96, 96, 12), voxel_mm=(2.3, 2.3, 10.0)
    )
    patient = simulate_patient(PatientSettings(seed=seed, protocol=protocol, disturbances=QUIET))
    brain = patient.brain
    white = patient.tissues.mask(WHITE).values & ~patient.tumour.foreground.values
    bolus = find_bolus(patient.signal, brain)
    passage = vessel_curve(patient.signal, white, bolus)
    truth, lesions = with_lesions(patient.signal, white, passage, seed)
    level = float(np.median(truth.values[white][:, bolus.baseline]))
    true_area = area(truth, bolus)
    depth = -np.log(np.maximum(truth.values[..., bolus.peak], 1e-3) / level)
    order = np.argsort(-np.where(brain.values, depth, -1).ravel())[:VESSELS]
    vessels = np.zeros(brain.values.size, bool)
    vessels[order] = True
    vessels = vessels.reshape(brain.values.shape)
    true_vessels = vessel_curve(truth, vessels, bolus)
    g = g_factor(brain.values.shape, most=1.8, seed=seed)
    around = ndimage.binary_dilation(lesions > 0, iterations=5) & white | (lesions > 0)
    rows = []
    for snr in SNRS:
        noisy = with_rician_noise(truth, sigma=level / snr, seed=seed, g=g)
        began = time.process_time()
        clean = denoise_local_pca(noisy, brain).series
        spent = time.process_time() - began
        for name, series in (("as it came", noisy), ("local components", clean)):
            found = area(series, bolus)
            frames = series_fidelity(series.values, truth.values, brain.values)
            maps = image_fidelity(found, true_area, brain.values)
            bias = aif_bias(vessel_curve(series, vessels, bolus), true_vessels, series.time.seconds)
            near = lesion_test(found, true_area, lesions, around)
            figures = (
                frames.psnr, frames.ssim, maps.psnr, 100 * maps.bias, 100 * bias.peak,
                100 * bias.fwhm, 100 * near.contrast, near.lost, near.invented, spent,
            )  # fmt: skip
            rows.append(((snr, name), figures))
    return rows, int(brain.count)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=3)
    asked = parser.parse_args()
    table, voxels = {}, []
    for seed in range(71, 71 + asked.patients):
        rows, count = patient_rows(seed)
        voxels.append(count)
        for key, values in rows:
            table.setdefault(key, []).append(values)
    print("| " + " | ".join(HEADS) + " |")
    print("|---" * len(HEADS) + "|")
    for (snr, name), found in table.items():
        mean, total = np.mean(found, axis=0), np.sum(found, axis=0)
        cells = (
            f"{snr:g}", name, f"{mean[0]:.1f}", f"{mean[1]:.3f}", f"{mean[2]:.1f}",
            *(f"{one:+.1f}" for one in mean[3:6]), f"{mean[6]:.0f}",
            *(f"{n:.0f}" for n in total[7:9]),
        )  # fmt: skip
        print("| " + " | ".join(cells) + " |")
    spent = np.mean([values[9] for found in table.values() for values in found])
    print(f"\n{asked.patients} patients, {LESIONS} lesions each; {spent:.1f} CPU-s for "
          f"{np.mean(voxels):.0f} voxels of 60 frames")  # fmt: skip


if __name__ == "__main__":
    main()
