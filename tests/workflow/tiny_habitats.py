"""A dataset of two patients with two visits each, small enough to be followed in seconds."""

from pathlib import Path

import numpy as np
from scipy import ndimage

from bolus import io
from bolus.core import QUANTITIES, Grid, LabelMap, Mask, ParameterMap, Provenance, SessionKey, Step
from bolus.core.randomness import stream
from bolus.quantify.regions import REFERENCE_ERROR

SHAPE = (32, 36, 8)
AFFINE = np.diag([5.0, 5, 8, 1])
AFFINE[:3, 3] = -80, -90, -30
GRID = Grid(shape=SHAPE, affine=AFFINE)
ZONES = {"hypovascular": (1.5, 1.2e-3), "nonviable": (0.6, 1.9e-3)}
REST = (0.9, 0.8e-3)
SUBJECTS = ("01", "02")
NAMES = {1: "necrosis", 2: "enhancing tumour", 3: "oedema"}


def keys() -> list[SessionKey]:
    return [SessionKey(subject, visit) for subject in SUBJECTS for visit in ("a", "b")]


def distance(point: tuple[float, float, float]) -> np.ndarray:
    """Return millimetres from a voxel."""
    axes = np.meshgrid(*map(np.arange, SHAPE), indexing="ij")
    away = np.stack(axes, axis=-1) - np.array(point)
    return np.asarray(np.linalg.norm(away * GRID.voxel_sizes_mm, axis=-1))


def zones(visit: str) -> dict[str, np.ndarray]:
    """Return where each habitat is: at the second visit the hypovascular one has grown."""
    core, rim = distance((10, 20, 4)), 17.0 if visit == "a" else 23.0
    return {"nonviable": core <= 9, "hypovascular": (core > 9) & (core <= rim)}


def write(root: Path) -> Path:
    """Write the dataset and what `bolus run` would have left; return the folder of results."""
    out = root / "derivatives" / "bolus"
    for key in keys():
        _write_raw(root, key)
        _write_labels(root, key)
        _write_maps(out, key)
    for subject in SUBJECTS:
        table = root / f"sub-{subject}" / f"sub-{subject}_sessions.tsv"
        days = [5, 95] if subject == "02" else [-4, 86]  # the second one was treated before
        io.write_table(
            table, ("session_id", "day", "days_since_surgery"),
            [("ses-a", 5, days[0]), ("ses-b", 95, days[1])],
        )  # fmt: skip
    io.write_table(
        root / "participants.tsv", ("participant_id", "age", "kps", "extent", "mgmt_methylated"),
        [(f"sub-{s}", 50, 80, "subtotal", "true") for s in SUBJECTS],
    )  # fmt: skip
    io.write_table(
        root / "outcomes.tsv", ("participant_id", "progression_days", "progressed"),
        [(f"sub-{s}", 200, "true") for s in SUBJECTS],
    )  # fmt: skip
    return out


def head() -> np.ndarray:
    return distance((16, 18, 3.5)) < 70


def values(column: int, visit: str) -> np.ndarray:
    """Return nCBV (0) or ADC (1) with a little noise."""
    found = np.full(SHAPE, REST[column])
    for name, where in zones(visit).items():
        found[where] = ZONES[name][column]
    noise = stream(column, "tiny", visit).normal(0, 0.03, SHAPE)
    return found * (1 + noise)


def _write_raw(root: Path, key: SessionKey) -> None:
    start = f"{key.folder}/{{}}/{key.prefix}_{{}}.nii.gz"
    texture = ndimage.gaussian_filter(stream(int(key.subject), "texture").normal(0, 1, SHAPE), 1.2)
    anatomy = np.where(head(), 600 + 900 * texture, 0.0)
    anatomy += stream(3, "noise", key.session).normal(0, 4, SHAPE)
    b0 = np.where(head(), 800.0, 0.0)
    images = {
        ("perf", "dsc"): np.ones((4, 4, 2, 3)),
        ("anat", "T1w"): np.maximum(anatomy, 0),
        ("dwi", "dwi"): np.stack([b0, b0 * np.exp(-1000 * values(1, key.session))], axis=-1),
    }
    for (folder, ending), volume in images.items():
        path = root / start.format(folder, ending)
        path.parent.mkdir(parents=True, exist_ok=True)
        grid = GRID if volume.shape[:3] == SHAPE else Grid(shape=(4, 4, 2), affine=AFFINE)
        io.write_volume(path, volume.astype(np.float32), grid)
    (root / key.folder / "dwi" / f"{key.prefix}_dwi.bval").write_text("0 1000\n")


def _write_labels(root: Path, key: SessionKey) -> None:
    where = zones(key.session)
    labels = np.zeros(SHAPE, np.int16)
    labels[distance((10, 20, 4)) <= 30] = 3
    labels[where["hypovascular"] | where["nonviable"]] = 2
    names = io.OutputNames(key=key, folder="")
    folder = root / "derivatives" / "drawn" / key.folder
    with io.open_output(folder, inputs={}, config_digest="", version="0") as output:
        made = LabelMap(values=labels, grid=GRID, names=NAMES)
        io.write_labels(output, names.segmentation("tumour"), made, sources=["x"])


def _write_maps(out: Path, key: SessionKey) -> None:
    for name, text in io.derivative_files(name="maps").items():
        io.write_atomically(out / name, text.encode())
    brain = Mask(values=head(), grid=GRID, name="brain")
    step = Step("quantify.normalise_to_white_matter", {REFERENCE_ERROR: 0.02}, "10.1093/x")
    made = ParameterMap.from_voxels(
        values(0, key.session)[brain.values], quantity=QUANTITIES["ncbv"], mask=brain,
        provenance=Provenance(steps=(step,)), std=np.full(brain.count, 0.05),
    )  # fmt: skip
    names = io.OutputNames(key=key)
    folder = out / key.folder / "dsc"
    with io.open_output(folder, inputs={}, config_digest="", version="0") as output:
        io.write_map(
            output, names.map("ncbv", method="matched"), made, sources=["x"], algorithm="a",
            reference="r",
        )  # fmt: skip
        io.write_mask(output, names.mask("brain"), brain, sources=["x"])
