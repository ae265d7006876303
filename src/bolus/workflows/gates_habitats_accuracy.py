"""Gate 8: habitats of known lesions on scanners that scale blood volume apart."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from bolus.habitats import (
    HABITATS,
    HabitatModel,
    VoxelTable,
    adapt_habitats,
    adjusted_rand,
    assign_habitats,
    choose_k,
    fit_habitats,
    voxel_table,
)
from bolus.io.habitat_model import default_model
from bolus.report.certificate_findings import ErrorRow, ErrorTable, Gate, Part
from bolus.simulate.habitat_phantom import PhantomLesion, simulate_habitat_phantom
from bolus.workflows.gates_request import GOALS, GateRequest

SCENARIOS: Mapping[str, tuple[float, bool, float]] = MappingProxyType(
    {
        "one scanner": (1.0, False, 0.95),
        "gain x 1.4": (1.4, False, 0.95),
        "gain x 2": (2.0, False, 0.95),
        "gain x 2, unequal": (2.0, True, 0.93),
    }
)
"""Gain of the second scanner, whether shares of habitats differ, and the least ARI."""
PATIENTS = 10
OURS = "mixture with differences between patients, adapted"

Labeller = Callable[[Sequence[PhantomLesion], int], np.ndarray]


def accuracy_part(request: GateRequest) -> Part:
    """Measure gate 8 on lesions whose voxels are known, beside other ways of clustering.

    Args:
        request: the seed decides the lesions.
    """
    gates: list[Gate] = []
    errors: dict[str, list[float]] = {name: [] for name in (OURS, *OTHERS)}
    chosen = 0
    for scenario, (gain, unequal, least) in SCENARIOS.items():
        lesions = simulate_habitat_phantom(PATIENTS, seed=request.seed, gain=gain, unequal=unequal)
        others = simulate_habitat_phantom(
            PATIENTS, seed=request.seed + 1, gain=gain, unequal=unequal, prefix="other"
        )
        tables = _tables(lesions)
        model = fit_habitats(tables, seed=request.seed, simulated=True)
        found = _adapted(tables, model)
        gates += _scenario_gates(scenario, least, lesions, found, others, model)
        errors[OURS].append(_points(found, lesions))
        for name, label in OTHERS.items():
            errors[name].append(_points(label(lesions, request.seed), lesions))
        chosen = chosen or choose_k(tables, seed=request.seed).k
    gates.append(
        Gate(
            name="number of habitats",
            what=f"by stability and BIC among 2 to 6, {PATIENTS} patients",
            object="one scanner",
            method="choose_k",
            value=float(chosen),
            low=3.0,
            high=3.0,
            source="the phantom has three",
        )
    )
    return Part(
        title="Habitats of known lesions",
        text=(
            f"Lesions of {PATIENTS} patients, 3072 voxels each, one tissue a voxel. Tissue, its "
            "variation between patients and from place to place, map noise and the error of the "
            "reference are those of the simulator; half of the patients are on a second scanner "
            "that shows more blood volume. Partial volume is not in it: the card of the model "
            "that comes with bolus has numbers with it. The table shows the same for other ways "
            "to cluster; it is no gate."
        ),
        gates=tuple(gates),
        tables=(
            ErrorTable(
                title="Adjusted Rand index less 1",
                text="0 is full agreement, -100 what chance gives.",
                what="in points of 0.01",
                columns=tuple(SCENARIOS),
                rows=tuple(
                    ErrorRow(object=f"{PATIENTS} patients", method=name, errors=tuple(row))
                    for name, row in errors.items()
                ),
            ),
        ),
    )


def _scenario_gates(
    scenario: str,
    least: float,
    lesions: Sequence[PhantomLesion],
    found: np.ndarray,
    others: Sequence[PhantomLesion],
    model: HabitatModel,
) -> list[Gate]:
    unseen = _adapted(_tables(others), model)
    right = float(100 * (found == _truth(lesions)).mean())
    measured = (
        ("adjusted Rand index", "habitats against truth, patients of the fit",
         adjusted_rand(found, _truth(lesions)), least, ""),
        ("adjusted Rand index, other patients", "habitats against truth, patients not in the fit",
         adjusted_rand(unseen, _truth(others)), least, ""),
        ("right name", "voxels that bear the name of their tissue", right, 95.0, "%"),
    )  # fmt: skip
    return [
        Gate(
            name=name, what=what, object=scenario, method=OURS, value=value, low=low,
            unit=unit, source=f"limits: {GOALS}",
        )
        for name, what, value, low, unit in measured
    ]  # fmt: skip


def _pooled_raw(lesions: Sequence[PhantomLesion], seed: int) -> np.ndarray:
    raw = np.concatenate(_raw(lesions))
    return _k_means((raw - raw.min(axis=0)) / np.ptp(raw, axis=0), seed)


def _cohort_scores(lesions: Sequence[PhantomLesion], seed: int) -> np.ndarray:
    return _k_means(_scored(np.concatenate(_raw(lesions))), seed)


def _patient_scores(lesions: Sequence[PhantomLesion], seed: int) -> np.ndarray:
    return _k_means(np.concatenate([_scored(values) for values in _raw(lesions)]), seed)


def _k_means_of_reference(lesions: Sequence[PhantomLesion], seed: int) -> np.ndarray:
    values = np.concatenate([table.values for table in _tables(lesions)])
    return _k_means(_scored(values), seed)


def _plain_mixture(lesions: Sequence[PhantomLesion], seed: int) -> np.ndarray:
    from sklearn.mixture import GaussianMixture

    values = _scored(np.concatenate([table.values for table in _tables(lesions)]))
    fitted = GaussianMixture(len(HABITATS), n_init=4, random_state=seed).fit(values)
    return np.asarray(fitted.predict(values))


def _not_adapted(lesions: Sequence[PhantomLesion], seed: int) -> np.ndarray:
    tables = _tables(lesions)
    return _labels(tables, fit_habitats(tables, seed=seed, simulated=True))


def _shipped(lesions: Sequence[PhantomLesion], _seed: int) -> np.ndarray:
    return _labels(_tables(lesions), default_model())


def _shipped_adapted(lesions: Sequence[PhantomLesion], _seed: int) -> np.ndarray:
    return _adapted(_tables(lesions), default_model())


OTHERS: Mapping[str, Labeller] = MappingProxyType(
    {
        "the same, not adapted": _not_adapted,
        "the model that comes with bolus, adapted": _shipped_adapted,
        "the model that comes with bolus, not adapted": _shipped,
        "mixture (scikit-learn), nCBV": _plain_mixture,
        "k-means, nCBV": _k_means_of_reference,
        "k-means, raw CBV, scaled to its range": _pooled_raw,
        "k-means, raw CBV, z-scores of the cohort": _cohort_scores,
        "k-means, raw CBV, z-scores of each patient": _patient_scores,
    }
)
"""Ways to cluster that others use, and parts of ours; with ADC all of them."""


def _k_means(points: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.cluster import KMeans

    return np.asarray(KMeans(len(HABITATS), n_init=4, random_state=seed).fit_predict(points))


def _scored(values: np.ndarray) -> np.ndarray:
    return np.asarray((values - values.mean(axis=0)) / values.std(axis=0))


def _raw(lesions: Sequence[PhantomLesion]) -> list[np.ndarray]:
    """Return raw CBV and ADC (voxels, 2) of every lesion."""
    return [
        np.stack([lesion.maps[key].values[lesion.lesion.values] for key in ("rcbv", "adc")], axis=1)
        for lesion in lesions
    ]


def _tables(lesions: Sequence[PhantomLesion]) -> list[VoxelTable]:
    return [
        voxel_table(lesion.maps, lesion.lesion, key=lesion.key, scanner=lesion.scanner)
        for lesion in lesions
    ]


def _labels(tables: Sequence[VoxelTable], model: HabitatModel) -> np.ndarray:
    found = [assign_habitats(table, model) for table in tables]
    return np.concatenate([one.labels.values[one.mask.values] for one in found])


def _adapted(tables: Sequence[VoxelTable], model: HabitatModel) -> np.ndarray:
    return np.concatenate([_labels([table], adapt_habitats(model, [table])) for table in tables])


def _truth(lesions: Sequence[PhantomLesion]) -> np.ndarray:
    return np.concatenate([lesion.truth.values[lesion.lesion.values] for lesion in lesions])


def _points(found: np.ndarray, lesions: Sequence[PhantomLesion]) -> float:
    return 100 * (adjusted_rand(found, _truth(lesions)) - 1)
