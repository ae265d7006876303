"""Numbers of the maps of one exam, kept in the repository: a change needs words in the changelog.

`python tests/reliability/golden_maps.py "what changed"` writes them anew; the sentence must also
stand in a fragment of `changelog.d` or in `CHANGELOG.md`.
"""

import json
import sys
from pathlib import Path

import numpy as np
from reliability_run import finished

from bolus import io

KEPT = Path(__file__).with_name("golden_maps.json")
ROOT = Path(__file__).parents[2]


def statistics() -> dict[str, dict[str, float]]:
    """Return sums that any change of a map moves: count, mean, spread, and a weighted mean."""
    folder, _ = finished()
    found = {}
    for path in sorted(folder.rglob("*_desc-*.nii.gz")):
        values, _ = io.read_image(path)
        finite = np.isfinite(values)
        inside = values[finite].astype(np.float64)
        place = np.cos(np.flatnonzero(finite))
        key = path.name.removesuffix(".nii.gz").split("_")[-1]
        found[key] = {
            "voxels": int(inside.size),
            "mean": float(inside.mean()) if inside.size else 0.0,
            "spread": float(inside.std()) if inside.size else 0.0,
            "weighted": float((inside * place).sum() / max(np.abs(inside).sum(), 1e-30)),
        }
    return found


def changelog() -> str:
    """Return the changelog and its fragments as one line."""
    parts = [ROOT / "CHANGELOG.md", *sorted((ROOT / "changelog.d").glob("*.md"))]
    return " ".join(" ".join(p.read_text().split()) for p in parts if p.exists())


if __name__ == "__main__":
    reason = " ".join(sys.argv[1:])
    if not reason or reason not in changelog():
        sys.exit("give the sentence of the changelog that says why the maps change")
    KEPT.write_text(json.dumps({"reason": reason, "maps": statistics()}, indent=1) + "\n")
