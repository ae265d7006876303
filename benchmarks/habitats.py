"""Habitats beside scikit-learn and HABIT: CPU time and agreement with the truth.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/habitats.py [PYTHON_WITH_HABIT]

Prints JSON lines. HABIT (PyPI: habitat-analysis) has other needs than bolus: give the Python of
another environment in which it is installed, and its mixture and its k-means are run there.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

VOXELS, PATIENTS = 300_000, 10
RUNS = 3

HABIT = """
import json, sys, time
import numpy as np
from importlib import import_module
points = np.load(sys.argv[1])
done = {}
root = "habit.compat.engines.habitat_analysis.clustering"
for name, module, kind in (
    ("k-means", "kmeans_clustering", "KMeansClustering"),
    ("mixture", "gmm_clustering", "GMMClustering"),
):
    cluster = getattr(import_module(f"{root}.{module}"), kind)
    begun = time.process_time()
    fitted = cluster(n_clusters=3, random_state=0)
    fitted.fit(points)
    labels = np.asarray(fitted.predict(points))
    done[name] = {"cpu_s": round(time.process_time() - begun, 2), "labels": labels.tolist()}
print("RESULT" + json.dumps(done))
"""


def tables_of(features):
    """Return 10 lesions with 300,000 voxels in all, and their truth."""
    from bolus.core import Grid, Mask, SessionKey, stream
    from bolus.habitats import VoxelTable, voxel_table
    from bolus.simulate.habitat_phantom import simulate_habitat_phantom

    tables, truth = [], []
    count = VOXELS // PATIENTS
    grid = Grid(shape=(count, 1, 1), affine=np.eye(4))
    whole = Mask(values=np.ones(grid.shape, bool), grid=grid, name="lesion")
    for lesion in simulate_habitat_phantom(PATIENTS, seed=1):
        table = voxel_table(lesion.maps, lesion.lesion, key=lesion.key)
        random = stream(1, "benchmark", lesion.key.subject)
        chosen = random.integers(table.count, size=count)
        values = table.values[chosen] * np.exp(0.02 * random.normal(size=(count, 2)))
        labels = lesion.truth.values[lesion.lesion.values][chosen]
        more = {"ktrans": np.array([0.15, 0.08, 0.05])[labels - 1],
                "ve": np.array([30.0, 25.0, 45.0])[labels - 1]}  # fmt: skip
        noise = np.exp(0.3 * random.normal(size=(2, count)))
        columns = [*values.T, *(item * x for item, x in zip(more.values(), noise, strict=True))]
        keys = ("ncbv", "adc", "ktrans", "ve")[:features]
        tables.append(
            VoxelTable(
                key=SessionKey(lesion.key.subject),
                features=keys,
                values=np.stack(columns[:features], axis=1),
                std=np.full((count, features), np.nan),
                mask=whole,
            )
        )
        truth.append(labels)
    return tables, np.concatenate(truth)


def timed(work):
    """Return the least CPU time of some runs, and what came out."""
    best, result = np.inf, None
    for _ in range(RUNS):
        begun = time.process_time()
        result = work()
        best = min(best, time.process_time() - begun)
    return best, result


def ours(tables):
    from bolus.habitats import adapt_habitats, assign_habitats, fit_habitats

    model = fit_habitats(tables, seed=1)
    found = [assign_habitats(table, adapt_habitats(model, [table])) for table in tables]
    return np.concatenate([one.labels.values[one.mask.values] for one in found])


def fitted_only(tables):
    from bolus.habitats import fit_habitats

    return fit_habitats(tables, seed=1)


def scikit_learn(points):
    from sklearn.mixture import GaussianMixture

    return GaussianMixture(3, random_state=0).fit(points).predict(points)


def habit(python, points):
    """Return labels and CPU times of HABIT's own clusterings, in its environment."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "points.npy"
        np.save(path, points)
        done = subprocess.run(
            [python, "-c", HABIT, str(path)], capture_output=True, text=True, check=False
        )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    if not lines:
        return {"error": done.stderr.strip().splitlines()[-1:]}
    return json.loads(lines[0].removeprefix("RESULT"))


def main():
    from threadpoolctl import threadpool_limits

    from bolus.habitats import adjusted_rand, choose_k

    with threadpool_limits(1):
        for features in (2, 3, 4):
            tables, truth = tables_of(features)
            values = np.concatenate([table.values for table in tables])
            points = (values - values.mean(axis=0)) / values.std(axis=0)
            fit_s, _ = timed(lambda tables=tables: fitted_only(tables))
            whole_s, labels = timed(lambda tables=tables: ours(tables))
            peer_s, theirs = timed(lambda points=points: scikit_learn(points))
            print(json.dumps({
                "voxels": VOXELS, "features": features, "fit_cpu_s": round(fit_s, 2),
                "fit_adapt_assign_cpu_s": round(whole_s, 2), "scikit_learn_cpu_s": round(peer_s, 2),
                "ratio": round(whole_s / peer_s, 2), "ari": round(adjusted_rand(labels, truth), 3),
                "scikit_learn_ari": round(adjusted_rand(theirs, truth), 3),
            }), flush=True)  # fmt: skip
            if features == 2:
                chosen_s, chosen = timed(lambda tables=tables: choose_k(tables, seed=1))
                print(json.dumps({"choose_k_cpu_s": round(chosen_s, 2), "k": chosen.k}), flush=True)
                for python in sys.argv[1:]:
                    print(json.dumps({"habit": marked(habit(python, points), truth)}), flush=True)
        for python in sys.argv[1:]:
            for name, (points, truth) in raw_scenarios():
                found = marked(habit(python, points), truth)
                print(json.dumps({"scenario": name, "habit": found}), flush=True)


def marked(found, truth):
    """Return the agreement of labels with the truth in their place."""
    from bolus.habitats import adjusted_rand

    for name, one in found.items():
        if name != "error":
            one["ari"] = round(adjusted_rand(np.array(one.pop("labels")), truth), 3)
    return found


def raw_scenarios():
    """Yield raw CBV and ADC of the certificate's lesions, scaled to their range, and the truth."""
    from bolus.simulate.habitat_phantom import simulate_habitat_phantom
    from bolus.workflows.gates_habitats_accuracy import SCENARIOS

    for name, (gain, unequal, _) in SCENARIOS.items():
        lesions = simulate_habitat_phantom(PATIENTS, seed=1, gain=gain, unequal=unequal)
        raw = np.concatenate([
            np.stack([one.maps[key].values[one.lesion.values] for key in ("rcbv", "adc")], axis=1)
            for one in lesions
        ])  # fmt: skip
        truth = np.concatenate([one.truth.values[one.lesion.values] for one in lesions])
        yield name, ((raw - raw.min(axis=0)) / np.ptp(raw, axis=0), truth)


if __name__ == "__main__":
    main()
