"""Hold the cohort that networks train on against published figures; write the page and the figure.

Run: python benchmarks/curve_cohort.py --reference-data DIR [--patients N]

DIR holds `dsc_reference_curves` (docs/how-to/reference_data.md). Writes
docs/explanation/curve_cohort.md and docs/images/curve_cohort.png.
"""

import argparse
import csv
import time
import warnings
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from bolus.core import (
    SIGNAL,
    CurveCohort,
    CurveExam,
    Grid,
    Mask,
    PerfusionSeries,
    Provenance,
)
from bolus.nets.physical_axis import ExamCurves, align_curves
from bolus.quantify import find_bolus
from bolus.simulate import PROTOCOLS, Disturbances, held_out_scanner, simulate_curve_cohort
from bolus.simulate.curve_effects import cohort_effects, effects_markdown, kinds_of
from bolus.simulate.fleet import Scanner
from bolus.simulate.realism import nearest_code

DOCS = Path(__file__).parent.parent / "docs"
SEED = 2026
TAIL = 6
CODES = tuple(f"H{n}" for n in range(1, 9))
GROUPS = ("wildtype", "mutant")
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
NEAR = 0.03
"""A voxel drops as far as a code if it is this near."""
DEEP = 0.15
"""Recovery is told of voxels that fall by at least this; of others it is noise."""


PAGE = """\
# The simulated cohort of curves

What networks are trained and tested on: `simulate_curve_cohort`. Written by
`python benchmarks/curve_cohort.py --patients {patients}`. Everything called simulated is.

## What an exam is

An untreated glioma, scanned once. The patient is one of [these](patients.md); the bolus, the
physics and the noise are those of the [simulator](simulator.md). No head is built. A voxel holds
two tissues:

- **Which.** Tumour voxels are drawn in the volumes that the patient's glioma has: necrosis,
  nonviable, hypo- and hypervascular tissue, oedema, and an infiltrated rim (a shell around a
  ball, three quarters filled; 0.58 to 1.01 in seven grown gliomas).
- **How mixed.** Every voxel is mixed, and the larger part holds three quarters on average: in the
  tumour masks of eight simulated heads, at 1.7 x 1.7 x 6 mm, it holds 0.69 to 0.79. There, normal
  brain fills 0.16 of what is oedema or infiltrated and 0.05 of the mass; so it does here.
- **Regions.** A voxel of the mass enhances if it is brighter than white matter by 10 % on a
  T1-weighted image five minutes after a single dose. The rest of the mass, necrosis included, is
  "nonenhancing"; oedema and infiltrated brain are "oedema". A region under 0.3 mL or four voxels
  is not there.
- **The artery** is the mean of twelve voxels, of which blood fills 0.35 to 0.95.
- **nCBV** is measured as in patients: bolus found, ΔR2*, leakage corrected by
  Boxerman-Schmainda-Weisskoff with normal brain as reference, area over white matter's, mean of
  the mass without necrosis.
- **Missing.** Each part of the tumour, the artery and each label is missing with a probability of
  5 %. nCBV, age and sex never are, so that what they tell is not held back.

Patients are dealt to scanners in turn, whatever they have. Scanners differ in field, times, flip
angle, preload, noise, drift and gain. Simulating takes {spent_ms} ms of one core per patient
(400 voxels).

{scanners}

`held_out_scanner()` is outside every fleet: TR 2.0 s (fleet 1.25 to 1.8), TE 25 ms (28 to 45),
signal-to-noise ratio 40 (50 to 110 at 3 T), 70 degrees.

## What tells IDH

{effects}

On the held-out scanner, other patients:

{held_out}

**Read the last three rows of each table first.** Shares of necrosis and oedema, and how much
leaks, were set by us, and tell IDH about as well as nCBV does. A network that sees all voxels
can use them; a threshold on nCBV cannot. If the network wins here, it shows that it finds what
was put in, not that patients' curves hold it. What a simulated cohort can show: that a network
trains, survives scanners it never saw, is calibrated, does not leak, and gives nothing on permuted
labels. What it cannot show: how well IDH is told in patients.

Grade 3 gliomas enhance in nine of ten exams; in patients, about half do. The presence of an
enhancing region therefore tells grade 2 from the others too well.

## How alike the curves are

With the protocol that the published curves suggest (TR 1.5 s, TE 30 ms, 60 degrees after three
pulses, a preload of 0.05 mmol/kg, SNR 100), voxels of {patients} patients beside 440 (Zenodo
10.5281/zenodo.21350691). Each curve is divided by its own 99.5th percentile.

![drops and habitats, simulated and published](../images/curve_cohort.png)

{quantiles}

Quantiles of the published drops are those of the codes' median curves, weighted with their median
ratios: single voxels are not published, so the tails are unknown.

Recovery of voxels that drop as far as a code does (within 0.03), both genotypes:

{recovery}

Share of the tumour [%] nearest to each published median curve: median over patients (quartiles).

{shares}

On the four scanners of the fleet:

{fleet_shares}

**Matched**: depth of the deepest twentieth; H1 and H2 commoner in the wildtype; H7 the
commonest.

**Not matched**:

- Too little in between. H3 and H4 hold 4 % of simulated wildtype tumours and 28 % of patients';
  H6 holds 32 % against 4 %. Blood volume comes in two levels with a scatter of 20 %; that of
  patients spreads wider.
- H1 is too rare: 0.2 % of simulated wildtype tumours, 2.4 % of patients'.
- H5 and H6 are commoner in patients' mutants than in their wildtype. Here H6 is, H5 is not.
- The nearest published curve is not the published assignment, which was a network's.
- Patients' curves recover less at equal depth: 0.53 and 0.64 in H3 and H4, where simulated voxels
  have 0.81 and 0.83. Those simulated voxels are mostly tumour mixed with tight grey matter; in
  patients tissue of middle depth leaks.

None of this was changed to make a network win or a table agree: the effects of genotype are those
of [patients](patients.md), set before there was a network.
"""


def published(folder: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the median curves (8, 60), and ratios (8, 3) [%] of each IDH group."""
    curves, ratios = defaultdict(list), defaultdict(list)
    with (folder / "dsc_reference_curves" / "habitats_H1_H8.csv").open(newline="") as text:
        for row in csv.DictReader(text):
            curves[row["habitat"]].append(float(row["median"]))
    path = folder / "dsc_reference_curves" / "habitat_ratio_by_subgroup.csv"
    with path.open(newline="") as text:
        for row in csv.DictReader(text):
            if row["endpoint"] == "IDH mutation":
                group = row["subgroup"].removeprefix("IDH-")
                ratios[group].append([float(row[k]) for k in ("q1_pct", "median_pct", "q3_pct")])
    return np.array([curves[n] for n in CODES]), {g: np.array(ratios[g]) for g in GROUPS}


def published_scanner() -> Scanner:
    """Return the protocol that the published curves suggest, half the preload, SNR 100."""
    return replace(
        held_out_scanner(),
        name="as published",
        dsc=replace(PROTOCOLS["reference_cohort"], preload_mmol_per_kg=0.05),
        disturbances=Disturbances(snr=100.0),
    )


def measured(exam: CurveExam, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return shares of the nearest codes (8,) [%], and drop and recovery of every voxel."""
    grid = Grid(shape=(1, len(exam.voxels), 1), affine=np.eye(4))
    series = PerfusionSeries(
        values=exam.voxels[None, :, None], quantity=SIGNAL, grid=grid, time=exam.time,
        acquisition=exam.acquisition, provenance=Provenance(),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bolus = find_bolus(series, Mask(values=np.ones(grid.shape, bool), grid=grid, name="tumour"))
    step_s = exam.time.uniform_step_s()
    aligned = align_curves(
        ExamCurves(
            signal=exam.voxels, interval_s=step_s, arrival_s=bolus.arrival * step_s,
            start_s=bolus.steady * step_s,
        )
    )  # fmt: skip
    there = aligned.measured
    nearest = nearest_code(aligned.values[:, there], codes[:, there])
    scaled = exam.voxels[:, bolus.steady :]
    scaled = scaled / np.quantile(scaled, 0.995, axis=1, keepdims=True)
    base = np.median(scaled[:, : bolus.baseline_frames], axis=1)
    lowest = scaled[:, bolus.baseline_frames :].min(axis=1)
    recovery = (scaled[:, -TAIL:].mean(axis=1) - lowest) / (base - lowest)
    return 100 * np.bincount(nearest, minlength=8) / len(nearest), base - lowest, recovery


def by_group(cohort: CurveCohort, codes: np.ndarray) -> dict[str, list[tuple[np.ndarray, ...]]]:
    """Measure every exam whose IDH is known."""
    found: dict[str, list[tuple[np.ndarray, ...]]] = {group: [] for group in GROUPS}
    for exam in cohort.labelled("idh").exams:
        found[exam.labels["idh"]].append(measured(exam, codes))
    return found


def depth_of(codes: np.ndarray) -> np.ndarray:
    """Return the drop of published median curves, from their baseline to their minimum."""
    return np.median(codes[:, 4:9], axis=1) - codes[:, 9:].min(axis=1)


def published_quantiles(codes: np.ndarray, ratios: np.ndarray) -> np.ndarray:
    """Return quantiles of the drop if every voxel of a code had the drop of its median curve."""
    order = np.argsort(depth_of(codes))
    share = np.cumsum(ratios[order, 1]) / ratios[:, 1].sum()
    return depth_of(codes)[order][np.searchsorted(share, LEVELS)]


def shares_table(found: dict, ratios: dict[str, np.ndarray]) -> str:
    """Return the shares of the nearest published codes beside the published ones."""
    lines = ["| IDH | | " + " | ".join(CODES) + " |", "|---|---|" + "---|" * len(CODES)]
    for group in GROUPS:
        low, middle, high = np.quantile([row[0] for row in found[group]], (0.25, 0.5, 0.75), axis=0)
        ours = " | ".join(f"{m:.1f} ({a:.1f} to {b:.1f})" for a, m, b in zip(low, middle, high,
                          strict=True))  # fmt: skip
        theirs = " | ".join(f"{m:.1f} ({a:.1f} to {b:.1f})" for a, m, b in ratios[group])
        lines += [f"| {group} | simulated, n = {len(found[group])} | {ours} |",
                  f"| | published | {theirs} |"]  # fmt: skip
    return "\n".join(lines)


def quantiles_table(found: dict, codes: np.ndarray, ratios: dict[str, np.ndarray]) -> str:
    """Return quantiles of drop and recovery over voxels."""
    heads = " | ".join(f"{100 * level:.0f} %" for level in LEVELS)
    lines = [f"| | {heads} |", "|---|" + "---|" * len(LEVELS)]
    for group in GROUPS:
        drop = np.concatenate([row[1] for row in found[group]])
        recovery = np.concatenate([row[2] for row in found[group]])[drop > DEEP]
        theirs = published_quantiles(codes, ratios[group])
        for name, values in (
            (f"drop, {group}, simulated", np.quantile(drop, LEVELS)),
            (f"drop, {group}, published (of code medians)", theirs),
            (f"recovery of voxels that drop by {DEEP}, {group}, simulated",
             np.quantile(recovery, LEVELS)),
        ):  # fmt: skip
            lines.append(f"| {name} | " + " | ".join(f"{v:.2f}" for v in values) + " |")
    return "\n".join(lines)


def recovery_table(found: dict, codes: np.ndarray) -> str:
    """Return the recovery of voxels that drop as far as each published median curve does."""
    rows = [row for group in GROUPS for row in found[group]]
    drop, recovery = (np.concatenate([row[n] for row in rows]) for n in (1, 2))
    heads = CODES[:7]
    depths = depth_of(codes)[:7]
    back = (codes[:7, -TAIL:].mean(axis=1) - codes[:7, 9:].min(axis=1)) / depths
    like = [recovery[np.abs(drop - depth) < NEAR] for depth in depths]
    return "\n".join(
        (
            "| | " + " | ".join(heads) + " |",
            "|---|" + "---|" * len(heads),
            "| drop, published | " + " | ".join(f"{d:.2f}" for d in depths) + " |",
            "| recovery, published | " + " | ".join(f"{b:.2f}" for b in back) + " |",
            "| recovery of simulated voxels, median (quartiles) | "
            + " | ".join(
                f"{m:.2f} ({a:.2f} to {b:.2f})"
                for a, m, b in (np.quantile(v, (0.25, 0.5, 0.75)) for v in like)
            )
            + " |",
        )
    )


def draw(path: Path, found: dict, codes: np.ndarray, ratios: dict[str, np.ndarray]) -> None:
    """Draw how deep voxels fall, and the shares of codes, simulated beside published."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.4))
    colours = {"wildtype": "#b2182b", "mutant": "#2166ac"}
    for group in GROUPS:
        drop = np.sort(np.concatenate([row[1] for row in found[group]]))
        deeper = 100 * (1 - np.arange(len(drop)) / len(drop))
        axes[0].semilogy(drop, deeper, color=colours[group], label=f"{group}, simulated")
        order = np.argsort(depth_of(codes))[::-1]
        held = np.cumsum(ratios[group][order, 1]) / ratios[group][:, 1].sum() * 100
        axes[0].semilogy(depth_of(codes)[order], held, "o--", color=colours[group], markersize=4,
                         label=f"{group}, published codes")  # fmt: skip
    axes[0].set(xlim=(0, 0.9), ylim=(0.1, 110), xlabel="drop of the signal [share of its top]",
                ylabel="voxels that drop more [%]")  # fmt: skip
    axes[0].legend(fontsize=7, frameon=False)
    for axis, group in zip(axes[1:], GROUPS, strict=True):
        ours = np.quantile([row[0] for row in found[group]], (0.25, 0.5, 0.75), axis=0).T
        for shift, rows, colour, name in (
            (-0.17, ours, colours[group], "simulated"), (0.17, ratios[group], "0.45", "published")
        ):  # fmt: skip
            error = np.abs(rows[:, [0, 2]] - rows[:, [1]]).T
            axis.errorbar(np.arange(8) + shift, rows[:, 1], error, fmt="o", color=colour,
                          markersize=4, label=name)  # fmt: skip
        axis.set(xticks=range(8), xticklabels=CODES, ylim=(0, 80), title=f"IDH-{group}",
                 ylabel="share of the tumour [%]")  # fmt: skip
        axis.legend(fontsize=7, frameon=False)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    plt.close(figure)


def scanners_table(cohort: CurveCohort) -> str:
    """Return one row for every scanner."""
    lines = ["| scanner | exams | field [T] | TR [s] | TE [ms] | flip angle | frames | preload |",
             "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for site in sorted(set(cohort.sites)):
        exams = [e for e in cohort.exams if e.site == site]
        a = exams[0].acquisition
        lines.append(
            f"| {site} | {len(exams)} | {a.field_strength_t} | {a.repetition_time_s:.2f} | "
            f"{1000 * a.echo_time_s:.0f} | {a.flip_angle_deg:.0f}° | {len(exams[0].time)} | "
            f"{a.preload_dose_mmol_per_kg or 'none'} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference-data", type=Path, required=True)
    parser.add_argument("--patients", type=int, default=500)
    given = parser.parse_args()
    codes, ratios = published(given.reference_data)
    simulate_curve_cohort(2, seed=0)  # compile first
    start = time.process_time()
    fleet = simulate_curve_cohort(given.patients, seed=SEED)
    spent_ms = 1000 * (time.process_time() - start) / given.patients
    held_out = simulate_curve_cohort(given.patients, seed=SEED + 1, scanners=[held_out_scanner()])
    alike = by_group(
        simulate_curve_cohort(given.patients, seed=SEED, scanners=[published_scanner()]), codes
    )
    draw(DOCS / "images" / "curve_cohort.png", alike, codes, ratios)
    text = PAGE.format(
        patients=given.patients,
        spent_ms=f"{spent_ms:.0f}",
        scanners=scanners_table(CurveCohort(exams=(*fleet.exams, *held_out.exams))),
        effects=effects_markdown(cohort_effects(fleet), kinds_of(fleet)),
        held_out=effects_markdown(cohort_effects(held_out), ()).split("\n\n")[0],
        shares=shares_table(alike, ratios),
        fleet_shares=shares_table(by_group(fleet, codes), ratios),
        quantiles=quantiles_table(alike, codes, ratios),
        recovery=recovery_table(alike, codes),
    )
    (DOCS / "explanation" / "curve_cohort.md").write_text(text)


if __name__ == "__main__":
    main()
