"""A simulated session to files: raw images as of a scanner, and the truth beside them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

import numpy as np

from bolus import io
from bolus.core import Grid, LabelMap, ParameterMap, PerfusionSeries, SessionKey
from bolus.io.dataset import RawImage, no_scanner_values, raw_manifest, write_raw_image
from bolus.simulate.dce import SimulatedDce
from bolus.simulate.session import SimulatedSession

_METHOD = "truth"
_CLOCK = datetime(1900, 1, 1, 9, 0)
_GRADIENT: Mapping[str, object] = {
    "ScanningSequence": "GR\\IR", "SequenceVariant": "MP", "RepetitionTimeExcitation": 0.007,
    "InversionTime": 1.1, "EchoTime": 0.003, "FlipAngle": 9, "MRAcquisitionType": "3D",
}  # fmt: skip
_SPIN: Mapping[str, object] = {
    "ScanningSequence": "SE", "SequenceVariant": "SK", "RepetitionTime": 5.0, "EchoTime": 0.09,
    "FlipAngle": 90, "MRAcquisitionType": "2D",
}  # fmt: skip
_STRUCTURAL: Mapping[str, tuple[str, Mapping[str, object]]] = MappingProxyType(
    {
        "T1w": ("T1w", _GRADIENT),
        "T1ce": ("ce-gadolinium_T1w", {**_GRADIENT, "ContrastBolusIngredient": "GADOLINIUM"}),
        "T2w": ("T2w", _SPIN),
        "FLAIR": ("FLAIR", {**_SPIN, "ScanningSequence": "SE\\IR", "RepetitionTime": 9.0}),
    }
)
"""Name in the simulator -> ending of the file, and what its sidecar adds; times as simulated."""
_DIFFUSION: Mapping[str, object] = {
    "ScanningSequence": "EP\\SE", "SequenceVariant": "SK", "RepetitionTime": 5.0,
    "EchoTime": 0.08, "FlipAngle": 90, "MRAcquisitionType": "2D", "PhaseEncodingDirection": "j",
    "TotalReadoutTime": 0.05,
}  # fmt: skip
_ANYWHERE: Mapping[str, object] = {
    "NonlinearGradientCorrection": False,
    "DwellTime": 5e-6,
    "PulseSequenceDetails": "simulated from equations; dwell and readout times are nominal",
}
_B_VALUES = (0, 1000)


def acquisition_time(day: int) -> str:
    """Return the day of a visit as BIDS has dates; day 0 is the first of January 1900.

    Example:
        >>> from bolus.workflows.simulated_files import acquisition_time
        >>> acquisition_time(31)
        '1900-02-01T09:00:00'
    """
    return (_CLOCK + timedelta(days=day)).isoformat(timespec="seconds")


def raw_files(key: SessionKey, *, dce: bool) -> io.Manifest:
    """Return what `write_raw` writes; a second echo and flip angles are as the scanner has them.

    Args:
        key: of the session.
        dce: whether a DCE series is simulated.
    """
    images = [("perf", "*dsc"), ("dwi", "dwi"), *(("anat", end) for end, _ in _STRUCTURAL.values())]
    images += [("perf", "dce"), ("anat", "flip-*_VFA"), ("fmap", "TB1map")] if dce else []
    gradients = {f"dwi/{key.prefix}_dwi.{end}" for end in ("bval", "bvec")}
    return raw_manifest(key, images) | io.Manifest(must=gradients)


def tumour_files(key: SessionKey) -> io.Manifest:
    """Return what `write_tumour` writes."""
    return _labels_manifest(io.OutputNames(key=key, space="dsc").segmentation("tumour"))


def truth_files(key: SessionKey, session: SimulatedSession) -> io.Manifest:
    """Return what `write_truth` writes.

    Args:
        key: of the session.
        session: which truths there are.
    """
    names, dynamic = io.OutputNames(key=key, space="dsc"), io.OutputNames(key=key, space="dce")
    stems = [names.map(name, method=_METHOD) for name in session.dsc.truth]
    stems += [names.mask("brain"), names.mask("whitematter")]
    tables = [names.table("artery", description="dsc"), names.table("volumes")]
    tables.append(names.table("motion", description="dsc"))
    if session.dce is not None:
        stems += [dynamic.map(name, method=_METHOD) for name in (*session.dce.truth, "b1")]
        tables.append(dynamic.table("artery", description="dce"))
    files = io.Manifest(must={f"{s}{end}" for s in stems for end in (".nii.gz", ".json")})
    for name in _label_maps(session):
        files |= _labels_manifest(names.segmentation(name))
    return files | io.Manifest(must=tables)


def _labels_manifest(stem: str) -> io.Manifest:
    return io.Manifest(must={f"{stem}{end}" for end in (".nii.gz", ".json", ".tsv")})


def write_raw(output: io.OutputFolder, key: SessionKey, session: SimulatedSession) -> None:
    """Write what the scanner gives into the folder of a session.

    Args:
        output: the open folder of the session.
        key: of the session.
        session: from `simulate_session`.

    Raises:
        ResourceError: the disk is full, or may not be written.
    """
    for image in (*_dsc(session), *_dce(session), *_structural(session)):
        write_raw_image(output, key, image)
    _write_diffusion(output, key, session)


def dce_images(found: SimulatedDce, *, scanner: Mapping[str, object]) -> list[RawImage]:
    """Return a DCE series, its flip-angle images and its B1 map as a scanner stores them.

    Args:
        found: from `simulate_dce`.
        scanner: what every sidecar says of the scanner.
    """
    protocol, grid = found.protocol, found.signal.grid
    known = {**_ANYWHERE, **scanner, "MagneticFieldStrength": protocol.field_strength_t}
    angles = {
        "EchoTime": protocol.echo_time_s,
        "RepetitionTimeExcitation": protocol.repetition_time_s,
        "PulseSequenceType": "SPGR",
        "ScanningSequence": "GR",
        "SequenceVariant": "SP",
        "MRAcquisitionType": "3D",
    }
    images = [_series(found.signal, "dce", known)]
    for number, (angle, values) in enumerate(zip(protocol.vfa_deg, found.vfa, strict=True), 1):
        sidecar = {**known, **angles, "FlipAngle": angle}
        images.append(
            RawImage(
                folder="anat", ending=f"flip-{number}_VFA", values=values, grid=grid,
                sidecar=sidecar,
            )
        )  # fmt: skip
    factor = {**known, **angles, "FlipAngle": protocol.flip_angle_deg, "Units": "arbitrary"}
    images.append(
        RawImage(folder="fmap", ending="TB1map", values=found.b1, grid=grid, sidecar=factor)
    )
    return images


def write_tumour(output: io.OutputFolder, key: SessionKey, session: SimulatedSession) -> None:
    """Write the parts of the tumour, as a reader would give them with the scan.

    Args:
        output: the open folder of the session in the dataset of segmentations.
        key: of the session.
        session: from `simulate_session`.

    Raises:
        ResourceError: the disk is full, or may not be written.
    """
    names = io.OutputNames(key=key, space="dsc")
    io.write_labels(
        output, names.segmentation("tumour"), session.dsc.tumour, sources=[_source(key)]
    )


def _source(key: SessionKey) -> str:
    return f"bids:raw:{key.folder}/perf/{key.prefix}_dsc.nii.gz"


def write_truth(output: io.OutputFolder, key: SessionKey, session: SimulatedSession) -> None:
    """Write maps, labels, arterial curves and motion as they were put in, of one session.

    Args:
        output: the open folder of the session in the truth's dataset.
        key: of the session.
        session: from `simulate_session`.

    Raises:
        ResourceError: the disk is full, or may not be written.
    """
    patient = session.dsc
    names = io.OutputNames(key=key, space="dsc")
    sources = [_source(key)]
    for name, item in patient.truth.items():
        _write_map(output, names.map(name, method=_METHOD), item)
    for name, labels in _label_maps(session).items():
        io.write_labels(output, names.segmentation(name), labels, sources=sources)
    io.write_mask(output, names.mask("brain"), patient.brain, sources=sources)
    io.write_mask(output, names.mask("whitematter"), patient.reference, sources=sources)
    io.write_curve_tsv(output.path(names.table("artery", description="dsc")), patient.aif)
    output.write(names.table("volumes"), _volumes(session))
    output.write(names.table("motion", description="dsc"), _motion(patient.motion, patient.signal))
    if session.dce is not None:
        _write_truth_of_dce(output, key, session.dce)


def _dsc(session: SimulatedSession) -> list[RawImage]:
    patient = session.dsc
    known = _scanner_values(session, session.scanner.dsc.field_strength_t)
    known["PhaseEncodingDirection"] = "j"
    if patient.second_echo is None:
        return [_series(patient.signal, "dsc", known)]
    return [
        _series(patient.signal, "echo-1_dsc", known),
        _series(patient.second_echo, "echo-2_dsc", known),
    ]


def _dce(session: SimulatedSession) -> list[RawImage]:
    if session.dce is None:
        return []
    field = session.dce.protocol.field_strength_t
    return dce_images(session.dce, scanner=_scanner_values(session, field))


def _structural(session: SimulatedSession) -> list[RawImage]:
    grid = session.structural_grid
    known = _scanner_values(session, session.scanner.dsc.field_strength_t)
    return [
        RawImage(
            folder="anat",
            ending=_STRUCTURAL[name][0],
            values=values,
            grid=grid,
            sidecar={**known, **_at_once(grid), **_STRUCTURAL[name][1]},
        )
        for name, values in session.structural.items()
    ]


def _write_diffusion(output: io.OutputFolder, key: SessionKey, session: SimulatedSession) -> None:
    """Write both b-values as one file; the water of the simulator has no direction."""
    found, protocol = session.diffusion, session.scanner.dsc
    grid = session.dsc.signal.grid
    stem = write_raw_image(
        output,
        key,
        RawImage(
            folder="dwi",
            ending="dwi",
            values=np.stack([found.b0, found.b1000], axis=-1),
            grid=grid,
            sidecar={
                **_scanner_values(session, protocol.field_strength_t),
                **_at_once(grid),
                **_DIFFUSION,
            },
        ),
    ).removesuffix(".nii.gz")
    output.write(f"{stem}.bval", " ".join(map(str, _B_VALUES)) + "\n")
    output.write(f"{stem}.bvec", "0 1\n0 0\n0 0\n")


def _series(series: PerfusionSeries, ending: str, known: Mapping[str, object]) -> RawImage:
    """Return a series with every setting of its scan beside it."""
    step_s = series.time.uniform_step_s()
    stated = io.sidecar_values(series.acquisition, frame_step_s=step_s)
    return RawImage(
        folder="perf",
        ending=ending,
        values=series.values,
        grid=series.grid,
        sidecar={**known, **stated},
        frame_step_s=step_s,
    )


def _scanner_values(session: SimulatedSession, field_strength_t: float) -> dict[str, object]:
    scanner = session.scanner
    return {
        **no_scanner_values(),
        **_ANYWHERE,
        "Manufacturer": f"simulated vendor {scanner.vendor}",
        "DeviceSerialNumber": scanner.name,
        "StationName": scanner.name,
        "MagneticFieldStrength": field_strength_t,
    }


def _at_once(grid: Grid) -> dict[str, object]:
    """Return the times of the slices: in the simulator, all are of the same moment."""
    return {"SliceTiming": [0.0] * grid.shape[2]}


def _write_map(output: io.OutputFolder, stem: str, item: ParameterMap) -> None:
    quantity = item.quantity
    _write_plain(output, stem, item.values, item.grid, unit=quantity.unit, name=quantity.name)


def _write_plain(
    output: io.OutputFolder, stem: str, values: np.ndarray, grid: Grid, *, unit: str, name: str
) -> None:
    io.write_volume(
        output.path(f"{stem}.nii.gz"), values, grid, description=f"true {name} [{unit}]"
    )
    output.write(f"{stem}.json", io.json_text({"Description": f"true {name}", "Units": unit}))


def _write_truth_of_dce(output: io.OutputFolder, key: SessionKey, found: SimulatedDce) -> None:
    """Write the truth of the DCE series on its own grid."""
    names = io.OutputNames(key=key, space="dce")
    for name, item in found.truth.items():
        _write_map(output, names.map(name, method=_METHOD), item)
    _write_plain(
        output, names.map("b1", method=_METHOD), found.b1, found.signal.grid,
        unit="ratio", name="flip angle over the nominal one",
    )  # fmt: skip
    io.write_curve_tsv(output.path(names.table("artery", description="dce")), found.aif)


def _label_maps(session: SimulatedSession) -> dict[str, LabelMap]:
    patient = session.dsc
    return {"tumour": patient.tumour, "habitats": patient.habitats, "tissues": patient.tissues}


def _volumes(session: SimulatedSession) -> str:
    """Return the volume of every part of the tumour and every habitat."""
    rows = [
        (kind, name, labels.mask(name).volume_ml)
        for kind, labels in _label_maps(session).items()
        if kind != "tissues"
        for name in labels.names.values()
    ]
    return io.table_text(("kind", "name", "volume_ml"), rows)


def _motion(motion: np.ndarray, series: PerfusionSeries) -> str:
    columns = (
        "time_s", "translation_x_mm", "translation_y_mm", "translation_z_mm",
        "rotation_x_deg", "rotation_y_deg", "rotation_z_deg",
    )  # fmt: skip
    rows = zip(series.time.seconds, motion, strict=True)
    return io.table_text(columns, [tuple(map(float, (t, *p))) for t, p in rows])
