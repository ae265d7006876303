"""Published DCE objects of known kinetics: the QIBA Tofts object and the ROCKETSHIP phantom."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bolus.errors import Code, FileError
from bolus.io.access import read_bytes
from bolus.quantify.concentration import concentration_curves
from bolus.quantify.dce_models import DCE_MODELS
from bolus.quantify.dce_tables import exchange_curves
from bolus.quantify.spgr import SpoiledGradientEcho
from bolus.report.certificate_findings import ErrorRow, ErrorTable, Gate, Part
from bolus.workflows.gates_dce_models import LABELS
from bolus.workflows.gates_dsc_osipi import unpacked
from bolus.workflows.gates_request import GOALS, GateRequest

LARGEST_ERROR_PERCENT = 3.0
QIBA_KTRANS = (0.35, 0.2, 0.1, 0.05, 0.02, 0.01)
QIBA_VE = (1.0, 5.0, 10.0, 20.0, 50.0)
QIBA_SERIES = "quantiphyse_qiba_dro/qiba_67tpts.nii.gz"
QIBA_ARTERY = "quantiphyse_qiba_dro/aif_qiba_sig_67tpts.txt"
PHANTOM = "rocketship_phantom/sub-08phantom/ses-01"
PHANTOM_SERIES = f"{PHANTOM}/dce/sub-01_ses-01_DCE.nii.gz"
PHANTOM_ARTERY = f"{PHANTOM}/gt/sub-01_ses-01_desc-gtAIF_timeseries.txt"
_TRUTH = {key: f"{PHANTOM}/gt/sub-01_ses-01_desc-gt{name}.nii.gz" for key, name in (
    ("class", "TissueClass_mask"), ("t1", "T1_T1map"), ("ktrans", "Ktrans_map"),
    ("ve", "Ve_map"), ("vp", "Vp_map"), ("fp", "Fp_map"),
)}  # fmt: skip
FILES = (QIBA_SERIES, QIBA_ARTERY, PHANTOM_SERIES, PHANTOM_ARTERY, *_TRUTH.values())
"""Everything that is read, below the folder `data`."""

_BLOOD_T1_S = 1.44
_PHANTOM_STEP_MIN = 0.1 / 60
"""Step of the sum of rectangles that the phantom was made with."""
_LIMIT_BYTES = 1 << 20
_QIBA, _ROCKETSHIP = "QIBA Tofts object", "ROCKETSHIP phantom"
_SOURCE = {
    _QIBA: f"object: QIBA DCE-MRI, dynamic version 11; limits: {GOALS}",
    _ROCKETSHIP: f"phantom: Barnes et al., BMC Med Imaging 2015;15:19; limits: {GOALS}",
}
_RESOLVED, _PLAIN = "artery found between frames", "artery linear between frames"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Published:
    """Tissue curves (voxels, t) [mM], plasma, and truth; `teaching` voxels find the artery."""

    name: str
    model: str
    tissue: np.ndarray
    plasma: np.ndarray
    seconds: np.ndarray
    truth: Mapping[str, np.ndarray]
    teaching: np.ndarray
    counted: np.ndarray
    """Voxels of the gates and tables."""
    window_s: tuple[float, float]
    step_s: float


def find_published(folder: Path) -> dict[str, Path]:
    """Return the files of both objects by name.

    Args:
        folder: that holds `data`, or that folder itself.

    Raises:
        FileError: one of them is missing.
    """
    places = (folder / "data", folder)
    place = next((p for p in places if (p / QIBA_SERIES).is_file()), places[0])
    for name in FILES:
        if not (place / name).is_file():
            raise FileError(
                Code.FILE_MISSING,
                f"holds no {name}, neither itself nor in data",
                mend="see docs/how-to/reference_data.md, or leave --reference-data out",
                where=str(folder),
            )
    return {name: place / name for name in FILES}


def read_qiba(files: Mapping[str, Path]) -> Published:
    """Read the QIBA object: 30 patches, Tofts, 10 s a frame, T10 1 s, noise-free whole numbers.

    Args:
        files: of `find_published`.

    Raises:
        FileError: a file is damaged or not of this object.
    """
    sequence = SpoiledGradientEcho(repetition_time_s=0.005, flip_angle_deg=30.0)
    values = _values(files[QIBA_SERIES])
    if values.shape != (50, 80, 67):
        raise _not_it(files[QIBA_SERIES], f"{values.shape} values")
    rows, columns = np.divmod(np.arange(30), 6)
    signal = values[10 * rows + 5, 10 * columns + 15]
    artery = _table(files[QIBA_ARTERY], rows=67, columns=1)[:, 0]
    rates = np.append(np.ones(30), 1 / _BLOOD_T1_S)
    conc = concentration_curves(
        np.vstack([signal, artery]), r10_per_s=rates, sequence=sequence, r1_per_mmolar_s=4.5,
        baseline=slice(0, 6),
    ).values  # fmt: skip
    return Published(
        name=_QIBA,
        model="tofts",
        tissue=conc[:30],
        plasma=conc[30] / 0.55,
        seconds=10.0 * np.arange(67),
        truth={
            "ktrans": np.array(QIBA_KTRANS)[columns],
            "ve": np.array(QIBA_VE)[rows],
            "vp": np.zeros(30),
        },
        teaching=((rows + columns) % 2 == 0) & (rows > 0) & (rows < 4),
        counted=np.ones(30, bool),
        window_s=(50.0, 130.0),
        step_s=1.0,
    )


def read_phantom(files: Mapping[str, Path]) -> Published:
    """Read the ROCKETSHIP phantom: muscle and fat whose Ktrans is above 0.05 per minute.

    Its curves are sums of rectangles of 0.1 s, during which plasma empties: vp is compared with
    what such a sum holds, Fp h / (1 - exp(-h Fp / vp)). Every twentieth voxel finds the artery and
    is not counted.

    Args:
        files: of `find_published`.

    Raises:
        FileError: a file is damaged or not of this object.
    """
    truth = {key: _values(files[name]) for key, name in _TRUTH.items()}
    series = _values(files[PHANTOM_SERIES])
    for key, values in truth.items():
        if values.shape != series.shape[:-1]:
            raise _not_it(files[_TRUTH[key]], f"{values.shape} values")
    inside = (truth["class"] == 1) & (truth["ktrans"] > 0.05)
    p = {key: values[inside] for key, values in truth.items()}
    tissue = concentration_curves(
        series[inside], r10_per_s=1000 / p["t1"], r1_per_mmolar_s=5.20956093,
        sequence=SpoiledGradientEcho(repetition_time_s=0.008579041, flip_angle_deg=17.021031),
        baseline=slice(0, 4),
    ).values  # fmt: skip
    artery = _table(files[PHANTOM_ARTERY], rows=series.shape[-1], columns=4)
    seconds = 60 * artery[:, 1]
    pulse = p["fp"] * _PHANTOM_STEP_MIN
    teaching = np.arange(len(tissue)) % 20 == 0
    return Published(
        name=_ROCKETSHIP,
        model="extended_tofts",
        tissue=tissue,
        plasma=artery[:, 2],
        seconds=seconds,
        truth={
            "ktrans": p["ktrans"],
            "ve": 100 * p["ve"],
            "vp": 100 * pulse / (1 - np.exp(-pulse / p["vp"])),
        },
        teaching=teaching,
        counted=~teaching,
        window_s=(seconds[3], seconds[8]),
        step_s=2.0,
    )


def artery_from_tissue(held: Published, *, stiffness: float = 1e-2) -> tuple[np.ndarray, ...]:
    """Find the artery between its frames from curves whose parameters are known.

    The artery is linear between nodes `step_s` apart in `window_s`, not negative, goes through its
    samples, and is as straight as the curves of the teaching voxels let it.

    Args:
        held: the object.
        stiffness: weight of the bends.

    Returns:
        Nodes [s] and values [mM].

    Source:
        Own; docs/science/dce_reference.md. Non-negative least squares: Lawson and Hanson, Solving
        Least Squares Problems, 1974.
    """
    from scipy.optimize import nnls

    low, high = held.window_s
    nodes = np.unique(np.r_[held.seconds, np.arange(low, high + 1e-9, held.step_s)])
    free = np.flatnonzero((nodes > low) & (nodes < high))
    p = {key: values[held.teaching][:, None] for key, values in held.truth.items()}
    tissue = held.tissue[held.teaching]
    rates = (p["ktrans"] / p["ve"] * 100 / 60)[:, 0]

    def response(values: np.ndarray) -> np.ndarray:
        convolved = exchange_curves(
            values, seconds=held.seconds, arterial_seconds=nodes, rates_per_s=rates,
            delays_s=np.zeros(len(tissue)),
        )  # fmt: skip
        plasma = np.interp(held.seconds, nodes, values)
        return np.asarray(convolved * p["ktrans"] / 60 + p["vp"] / 100 * plasma).ravel()

    known = np.interp(nodes, held.seconds, held.plasma)
    known[free] = 0.0
    columns = np.array([response(hat) for hat in np.eye(len(nodes))[free]]).T
    scale = np.sqrt((columns**2).sum(axis=0).mean())
    sampled = np.isin(nodes[free], held.seconds)
    bend = stiffness * np.diff(np.eye(len(free)), 2, axis=0)
    left = np.concatenate([columns / scale, np.eye(len(free))[sampled], bend])
    right = np.concatenate([
        (tissue.ravel() - response(known)) / scale,
        np.interp(nodes[free][sampled], held.seconds, held.plasma), np.zeros(len(bend)),
    ])  # fmt: skip
    known[free], _ = nnls(left, right, maxiter=5000)
    return nodes, known


def published_errors(held: Published, *, resolved: bool) -> dict[str, np.ndarray]:
    """Return errors [%] of the counted voxels; infinite where there is no answer."""
    nodes, plasma = artery_from_tissue(held) if resolved else (held.seconds, held.plasma)
    fit = DCE_MODELS[held.model]()(
        held.tissue, plasma, seconds=held.seconds, arterial_seconds=nodes
    )
    found = {}
    for key in fit.names:
        error = 100 * (fit[key] / held.truth[key] - 1)[held.counted]
        found[key] = np.where(np.isfinite(error), error, np.inf)
    return found


def published_part(request: GateRequest) -> Part:
    """Measure gate 2 for DCE, where the reference data were given.

    Raises:
        FileError: the reference data were given and are not usable.
    """
    text = (
        "QIBA: 30 noise-free patches, 10 s a frame. ROCKETSHIP: muscle and fat, 33 s a frame. The "
        "first pass is over within a frame or two, so that no program can know the artery from "
        "these samples: for the gates it is found between the frames from nine patches and every "
        "twentieth voxel, with their truth. The table has it linear between the frames besides, "
        "which is what a user with these data would have."
    )
    if request.reference is None:
        return Part(title="Published DCE objects", text=text, gates=_gates(None))
    files = find_published(request.reference)
    objects = (read_qiba(files), read_phantom(files))
    errors = {
        (held.name, resolved): published_errors(held, resolved=resolved)
        for held in objects
        for resolved in (True, False)
    }
    found = {held.name: errors[held.name, True] for held in objects}
    return Part(
        title="Published DCE objects", text=text, gates=_gates(found), tables=(_rows(errors),)
    )


def _gates(found: Mapping[str, Mapping[str, np.ndarray]] | None) -> tuple[Gate, ...]:
    """Return the gates; the phantom's shares are those its golden test has."""
    gates = [
        _gate(_QIBA, key, "largest absolute error over 30 patches", high=LARGEST_ERROR_PERCENT,
              value=None if found is None else float(np.abs(found[_QIBA][key]).max()))
        for key in ("ktrans", "ve")
    ]  # fmt: skip
    for key, share in (("ktrans", 98.0), ("ve", 98.0), ("vp", 85.0)):
        errors = None if found is None else np.abs(found[_ROCKETSHIP][key])
        gates.append(
            _gate(
                _ROCKETSHIP, key, "share of held-out voxels within 3 %", low=share,
                value=None if errors is None
                else float(100 * np.mean(errors < LARGEST_ERROR_PERCENT)),
            )
        )  # fmt: skip
    return tuple(gates)


def _gate(
    name: str, key: str, what: str, *, value: float | None, low: float = -np.inf,
    high: float = np.inf,
) -> Gate:  # fmt: skip
    return Gate(
        name=f"{LABELS[key]}, published",
        what=f"{LABELS[key]}: {what}",
        object=name,
        method=_RESOLVED,
        value=value,
        unit="%",
        low=low,
        high=high,
        source=_SOURCE[name],
        note="needs --reference-data" if value is None else "",
    )


def _rows(errors: Mapping[tuple[str, bool], Mapping[str, np.ndarray]]) -> ErrorTable:
    words = ("median", "median abs.", "95th abs.")
    columns = tuple(f"{LABELS[key]} {word}" for key in ("ktrans", "ve", "vp") for word in words)
    return ErrorTable(
        title="Published objects by artery",
        text="Signed median, and median and 95th percentile of absolute errors.",
        columns=columns,
        absolute=tuple(column for column in columns if "abs" in column),
        rows=tuple(
            ErrorRow(
                object=name,
                method=_RESOLVED if resolved else _PLAIN,
                errors=tuple(
                    value for key in ("ktrans", "ve", "vp") for value in _three(found.get(key))
                ),
            )
            for (name, resolved), found in errors.items()
        ),
    )


def _three(errors: np.ndarray | None) -> tuple[float, float, float]:
    if errors is None:
        return np.nan, np.nan, np.nan
    sizes = np.abs(errors)
    return float(np.median(errors)), float(np.median(sizes)), float(np.percentile(sizes, 95))


def _values(path: Path) -> np.ndarray:
    """Return an image without axes of length 1.

    Not by `bolus.io`: the phantom states micrometres as millimetres, which that refuses as it has
    to; places play no part here.
    """
    import nibabel as nib

    try:
        content = unpacked(path)
        return np.asarray(nib.Nifti1Image.from_bytes(content).dataobj, float).squeeze()
    except (ValueError, nib.filebasedimages.ImageFileError) as why:
        raise _not_it(path, type(why).__name__) from None


def _table(path: Path, *, rows: int, columns: int) -> np.ndarray:
    try:
        text = read_bytes(path, limit=_LIMIT_BYTES).decode("utf-8")
        table = np.loadtxt(io.StringIO(text), ndmin=2)
    except ValueError as failure:
        raise _not_it(path, type(failure).__name__) from None
    if table.shape == (1, rows * columns):
        table = table.reshape(rows, columns)
    if table.shape != (rows, columns) or not np.isfinite(table).all():
        raise _not_it(path, f"{table.shape} instead of {(rows, columns)} numbers")
    return table


def _not_it(path: Path, why: str) -> FileError:
    return FileError(
        Code.TABLE_INVALID,
        f"is not the file that was published ({why})",
        mend="take the file over as published; see docs/how-to/reference_data.md",
        where=str(path),
    )
