"""CPU time of survival statistics beside lifelines and scikit-survival, where they are installed.

Run: OMP_NUM_THREADS=1 python benchmarks/survival.py

CPU seconds (user + system), best of five, 500 patients with about 300 events;
docs/science/survival.md shows the table. A C-index with 200 resamples is to take at most 0.25.
"""

import time
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from bolus.metrics import delong_test
from bolus.survival import (
    SurvivalTarget,
    concordance_interval,
    fit_cox,
    kaplan_meier,
    optimism_corrected_c,
    time_dependent_auc,
)

PATIENTS, RESAMPLES, ROUNDS, GOAL = 500, 200, 5, 0.25
NAMES = tuple(f"x{i}" for i in range(6))


def cohort() -> tuple[np.ndarray, SurvivalTarget]:
    random = np.random.default_rng(1)
    table = random.normal(size=(PATIENTS, len(NAMES)))
    event = random.exponential(400 * np.exp(-0.7 * table[:, 0]))
    end = random.uniform(100, 1200, PATIENTS)
    target = SurvivalTarget(
        subjects=tuple(map(str, range(PATIENTS))),
        days=np.ceil(np.minimum(event, end)),
        event=event <= end,
    )
    return table, target


def cpu_seconds(work: Callable[[], Any]) -> float:
    found = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return min(found)


def peer(name: str) -> Any | None:
    """Return another library, or None where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return import_module(name)
    except ImportError:
        return None


def resampled(one: Callable[[np.ndarray], Any]) -> Callable[[], None]:
    """Return the loop a user of another library writes: draw patients, call it, 200 times."""
    random = np.random.default_rng(1)
    drawn = random.integers(0, PATIENTS, (RESAMPLES, PATIENTS))

    def work() -> None:
        for rows in drawn:
            one(rows)

    return work


def peers_of_concordance(score: np.ndarray, target: SurvivalTarget) -> dict[str, float]:
    found = {}
    if lifelines := peer("lifelines.utils"):
        found["lifelines"] = cpu_seconds(resampled(
            lambda r: lifelines.concordance_index(target.days[r], -score[r], target.event[r])
        ))  # fmt: skip
    if scikit := peer("sksurv.metrics"):
        found["scikit-survival"] = cpu_seconds(resampled(
            lambda r: scikit.concordance_index_censored(target.event[r], target.days[r], score[r])
        ))  # fmt: skip
    return found


def peers_of_uno(score: np.ndarray, target: SurvivalTarget) -> dict[str, float]:
    scikit, util = peer("sksurv.metrics"), peer("sksurv.util")
    if not (scikit and util):
        return {}
    known = util.Surv.from_arrays(target.event, target.days)
    last = float(target.days[target.event].max())

    def one(rows: np.ndarray) -> None:
        scikit.concordance_index_ipcw(known, known[rows], score[rows], tau=last - 1)

    return {"scikit-survival": cpu_seconds(resampled(one))}


def main() -> None:
    table, target = cohort()
    score = table[:, 0]
    days = np.array([200.0, 400.0, 600.0])
    late = np.random.default_rng(2).normal(size=(2, 100_000)) + np.arange(100_000) % 2
    label = np.arange(100_000) % 2 == 1
    kaplan_meier(target)  # the import of lifelines is not part of the time
    rows: dict[str, tuple[Callable[[], Any], dict[str, float]]] = {
        f"Harrell's C, {RESAMPLES} resamples": (
            lambda: concordance_interval(score, target, resamples=RESAMPLES, seed=1),
            peers_of_concordance(score, target),
        ),
        f"Uno's C, {RESAMPLES} resamples": (
            lambda: concordance_interval(score, target, kind="uno", resamples=RESAMPLES, seed=1),
            peers_of_uno(score, target),
        ),
        f"AUC at 3 days, {RESAMPLES} resamples": (
            lambda: time_dependent_auc(score, target, days, resamples=RESAMPLES),
            {},
        ),
        f"Cox of {len(NAMES)} covariates": (
            lambda: fit_cox(table, NAMES, target, solver="newton"),
            {"lifelines": cpu_seconds(lambda: fit_cox(table, NAMES, target))},
        ),
        f"C corrected for optimism, {RESAMPLES} fits": (
            lambda: optimism_corrected_c(table, NAMES, target, resamples=RESAMPLES, seed=1),
            {},
        ),
        "DeLong of 100,000 subjects": (lambda: delong_test(late[0], late[1], label), {}),
    }
    print("| work | CPU-s | lifelines | scikit-survival |\n|---|---|---|---|")
    for name, (work, peers) in rows.items():
        ours = cpu_seconds(work)
        goal = "" if "Harrell" not in name else (" (goal 0.25)" if ours <= GOAL else " (MISSED)")
        others = [
            f"{peers[p]:.3f}" if p in peers else "-" for p in ("lifelines", "scikit-survival")
        ]
        print(f"| {name} | {ours:.3f}{goal} | {' | '.join(others)} |")


if __name__ == "__main__":
    main()
