"""The habitat model that comes with bolus: how it was made, and its card."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bolus.core import SessionKey
from bolus.habitats import (
    HabitatModel,
    VoxelTable,
    adapt_habitats,
    adjusted_rand,
    assign_habitats,
    centres_of,
    fit_habitats,
)
from bolus.io.habitat_model import write_habitat_model
from bolus.simulate.habitat_cohort import (
    HabitatPatient,
    LesionVisit,
    scan_before_treatment,
    simulate_habitat_cohort,
)
from bolus.workflows.simulated_habitats import lesion_table

SEED, HELD_OUT_SEED = 20_260, 20_261
PATIENTS, HELD_OUT_PATIENTS = 120, 40
SCANNERS = 6
_VOXELS_PER_PATIENT = 600
_LEAST_VOXELS = 60
_PREFIX = "shipped"
"""Of the subjects' labels: no dataset has them, so the model refuses nobody by mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedAccuracy:
    """How the model does on simulated patients it has not seen, with partial volume.

    `ari` over all voxels, before and after `adapt_habitats`; `share_right` the mean over scans of
    voxels with the right habitat; `bias` the mean error of each habitat's share.
    """

    scans: int
    ari: tuple[float, float]
    share_right: tuple[float, float]
    bias: dict[str, tuple[float, float]]


def fit_shipped_model() -> HabitatModel:
    """Fit the model again, as it was: 120 simulated patients on six scanners, three scans each."""
    tables = [
        table
        for number, patient in enumerate(_cohort(PATIENTS, SEED), start=1)
        for table, _ in _tables(patient, f"{_PREFIX}{number:03d}", SEED)
    ]
    return fit_habitats(tables, seed=1, voxels_per_patient=_VOXELS_PER_PATIENT, simulated=True)


def measure_shipped_model(model: HabitatModel) -> ShippedAccuracy:
    """Compare a model with the truth of 40 other simulated patients, one model a patient.

    Args:
        model: such as `fit_shipped_model` gives.
    """
    truth, found = [], []
    for number, patient in enumerate(_cohort(HELD_OUT_PATIENTS, HELD_OUT_SEED), start=1):
        pairs = _tables(patient, f"other{number:03d}", HELD_OUT_SEED)
        if not pairs:
            continue
        own = adapt_habitats(model, [pairs[0][0]])
        for table, scan in pairs:
            truth.append(scan.habitat)
            found.append([_labels(table, one) for one in (model, own)])
    ways = range(2)
    return ShippedAccuracy(
        scans=len(truth),
        ari=_pair([
            adjusted_rand(np.concatenate(truth), np.concatenate([one[way] for one in found]))
            for way in ways
        ]),
        share_right=_pair([
            np.mean([(one[way] == real).mean() for one, real in zip(found, truth, strict=True)])
            for way in ways
        ]),
        bias={
            name: _pair([
                np.mean([
                    (one[way] == label).mean() - (real == label).mean()
                    for one, real in zip(found, truth, strict=True)
                ])
                for way in ways
            ])
            for label, name in enumerate(model.names, start=1)
        },
    )  # fmt: skip


def write_shipped_model(folder: Path) -> None:
    """Write the model and its card.

    Args:
        folder: `src/bolus/habitats/models` of a checkout.

    Raises:
        ResourceError: it may not be written.
    """
    model = fit_shipped_model()
    write_habitat_model(folder / "default.json", model)
    text = card_text(model, measure_shipped_model(model))
    (folder / "default.md").write_text(text, encoding="utf-8")


def card_text(model: HabitatModel, accuracy: ShippedAccuracy) -> str:
    """Return the model card as Markdown.

    Args:
        model: the one that is shipped.
        accuracy: of `measure_shipped_model`.
    """
    rows = "\n".join(
        f"| {name} | {centre[0]:.2f} | {1e3 * centre[1]:.2f} | {100 * weight:.0f} % "
        f"| {100 * accuracy.bias[name][0]:+.1f} | {100 * accuracy.bias[name][1]:+.1f} |"
        for name, centre, weight in zip(model.names, centres_of(model), model.weights, strict=True)
    )
    return _CARD.format(
        patients=len(model.fitted_on),
        scanners=SCANNERS,
        seed=SEED,
        rows=rows,
        held_out=HELD_OUT_PATIENTS,
        scans=accuracy.scans,
        ari=accuracy.ari,
        right=tuple(100 * share for share in accuracy.share_right),
    )


def _cohort(patients: int, seed: int) -> tuple[HabitatPatient, ...]:
    return simulate_habitat_cohort(patients, seed=seed, scanners=SCANNERS, visits=2)


def _tables(
    patient: HabitatPatient, subject: str, seed: int
) -> list[tuple[VoxelTable, LesionVisit]]:
    """Return the scans of a patient that show enough lesion, under another name."""
    scans = (scan_before_treatment(patient, seed=seed, scanners=SCANNERS), *patient.visits)
    return [
        (replace(table, key=SessionKey(subject, table.key.session)), scan)
        for scan in scans
        if (table := lesion_table(patient, scan)).count >= _LEAST_VOXELS
    ]


def _labels(table: VoxelTable, model: HabitatModel) -> np.ndarray:
    found = assign_habitats(table, model)
    return np.asarray(found.labels.values[found.mask.values])


def _pair(values: list[float]) -> tuple[float, float]:
    return float(values[0]), float(values[1])


_CARD = """\
# Model card: default habitats

Research use only. Not a medical device. Not for diagnosis or treatment decisions.

**No real patient is in this model.** It was fitted on {patients} simulated patients with
IDH-wildtype glioblastoma on {scanners} simulated scanners (seed {seed}), before treatment and at
two visits after chemoradiotherapy. It shows how the software works, and lets a first patient be
looked at. For a study, fit your own model on your own training patients: `bolus habitats fit`.

- Method: mixture of Gaussians with full covariances and patients' own centres
  (docs/science/habitats.md), the same number of voxels of every patient.
- Features: nCBV [ratio] (leakage-corrected, over normal-appearing white matter; as logarithm) and
  ADC [mm2/s].
- Meant for: enhancing lesions of gliomas. Not for oedema, cavities, other tumours, or CBV that is
  not referenced to white matter.
- Made by: `scripts/make_habitat_model`; the file holds its own SHA-256.

| habitat | nCBV (geometric mean) | ADC [1e-3 mm2/s] | share | error of share [points], as it is \
| adapted |
|---|---|---|---|---|---|
{rows}

Measured on {scans} scans of {held_out} other simulated patients, with partial volume and noise,
before and after the centres were adapted to each patient's first scan: adjusted Rand index
{ari[0]:.2f} and {ari[1]:.2f}; voxels with the right habitat {right[0]:.0f} % and {right[1]:.0f} %.
Partial volume limits both: a voxel of two habitats lies between them.

What it cannot know: how real tissue differs from the simulator's, leakage that was not corrected,
vessels in the lesion, misregistration of the two maps.
"""
