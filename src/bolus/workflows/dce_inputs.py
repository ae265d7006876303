"""Paths of a DCE exam to core types, with the checks that tell one unit from another."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from bolus import io
from bolus.core import (
    DELTA_R2S,
    Acquisition,
    ArterialInput,
    Grid,
    Mask,
    PerfusionSeries,
    Volume,
)
from bolus.errors import BolusError, Code, MetadataError, QuantityError
from bolus.io.plausible import number_of, require_plausible
from bolus.workflows.config import Config, config_with
from bolus.workflows.dce import DceScan
from bolus.workflows.dce_t10 import FlipAngleImage, NativeT1
from bolus.workflows.dicom_input import is_dicom, read_dynamic
from bolus.workflows.inputs import given_labels, series_name
from bolus.workflows.memory import require_exam_memory
from bolus.workflows.notices import collected

_MOST_T1_S = 20.0
_PLAUSIBLE_B1 = (0.3, 2.0)
_SAME_TIME = 0.01
_OPTIONS = {
    "echo_time_s": ("echo_time_s", "--echo-time"),
    "repetition_time_s": ("excitation_time_s", "--repetition-time (of the excitations)"),
    "frame_time_s": ("frame_step_s", "--frame-time"),
    "flip_angle_deg": ("flip_angle_deg", "--flip-angle"),
    "t10_s": ("t10_s", "--t10"),
}
"""Setting -> its plausible range, and what the command line calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DcePaths:
    """The files of one DCE exam; everything but the series may be absent."""

    series: Path
    t1_map: Path | None = None
    vfa: tuple[Path, ...] = ()
    b1_map: Path | None = None
    aif: Path | None = None
    dsc_aif: Path | None = None
    mask: Path | None = None
    reference_mask: Path | None = None
    tumour: Path | None = None

    def roles(self) -> tuple[tuple[str, Path], ...]:
        """Every file that was named, with what it is, in a fixed order."""
        found: list[tuple[str, Path]] = []
        for field in fields(self):
            value = getattr(self, field.name)
            paths = value if isinstance(value, tuple) else (value,)
            found += [(field.name, path) for path in paths if path is not None]
        return tuple(found)

    def present(self) -> tuple[Path, ...]:
        """Every file that was named, in a fixed order."""
        return tuple(path for _, path in self.roles())


def with_dce_options(config: Config, given: Mapping[str, float | str | None]) -> Config:
    """Return the settings with those of the command line in front of those of the file.

    Args:
        config: of the file.
        given: keys of `DceSettings`; None where the command line says nothing.

    Raises:
        MetadataError: a time, angle or T1 cannot be right (5 is milliseconds).
        ConfigError: a value is not allowed.
    """
    stated = {name: value for name, value in given.items() if value is not None}
    for name, value in stated.items():
        if name in _OPTIONS:
            bounds, option = _OPTIONS[name]
            require_plausible(bounds, float(value), key=option)
    return config_with(config, "dce", stated)


def read_dce_scan(paths: DcePaths, config: Config, *, label: str = "") -> DceScan:
    """Read every file of an exam and check that they belong together.

    Args:
        paths: the files.
        config: its `dce` section wins over the sidecar, and so do field and agent of
            `acquisition`.
        label: what the report calls the exam; the series' file name if empty.

    Raises:
        FileError, GeometryError, TimingError, MetadataError: with the file's name.
        ResourceError: the exam would not fit into memory; nothing was read.
    """
    require_exam_memory(paths.series)
    notices: list[str] = []
    with collected(notices):
        signal = read_dce_series(paths.series, config)
        grid = signal.grid
        scan = DceScan(
            label=label or series_name(paths.series),
            signal=signal,
            native=_native(paths, config, signal),
            brain=_mask(paths.mask, "brain", grid),
            white_matter=_mask(paths.reference_mask, "reference", grid),
            tumour=given_labels(paths.tumour, grid) if paths.tumour else None,
            aif=io.read_curve_tsv(paths.aif) if paths.aif else None,
            dsc_aif=_dsc_curve(paths.dsc_aif) if paths.dsc_aif else None,
            own=True,
        )
    return replace(scan, notices=tuple(notices))  # known once the block has ended


def read_dce_series(path: Path, config: Config) -> PerfusionSeries:
    """Read a DCE series; the settings win over the sidecar.

    Args:
        path: NIfTI or DICOM.
        config: its sections `dce` and `acquisition`.

    Raises:
        BolusError: it cannot be read, or what has no default is missing.
    """
    ours, shared = config.dce, config.acquisition
    for name, (bounds, option) in _OPTIONS.items():
        if (value := getattr(ours, name)) is not None:
            require_plausible(bounds, value, key=option)
    given = Acquisition(
        echo_time_s=ours.echo_time_s,
        repetition_time_s=ours.repetition_time_s,
        flip_angle_deg=ours.flip_angle_deg,
        field_strength_t=shared.field_strength_t,
        contrast_agent=shared.contrast_agent,
    )
    step_s = ours.frame_time_s
    if is_dicom(path):
        series = read_dynamic(path, "dce", given, frame_step_s=step_s)
    else:
        series = io.read_series(path, given=given, frame_step_s=step_s, excited=True)
    lacking = {
        "repetition_time_s": (
            "the repetition time of the excitations is not known",
            'give --repetition-time in seconds, or "RepetitionTimeExcitation" in the sidecar',
        ),
        "flip_angle_deg": (
            "the flip angle is not known",
            'give --flip-angle in degrees, or "FlipAngle" in the sidecar',
        ),
    }
    for name, (what, mend) in lacking.items():
        if getattr(series.acquisition, name) is None:
            raise MetadataError(Code.METADATA_MISSING, what, mend=mend, where=str(path))
    return series


def _native(paths: DcePaths, config: Config, signal: PerfusionSeries) -> NativeT1:
    stated = (paths.t1_map is not None, bool(paths.vfa), config.dce.t10_s is not None)
    if not any(stated):
        raise MetadataError(
            Code.METADATA_MISSING,
            "T1 before the agent is not known, and concentration needs it",
            mend="give --t1-map (in s), --vfa (once for each flip-angle image), or --t10 (one "
            "value in s for all voxels, shown as assumed)",
            where=str(paths.series),
        )
    if sum(stated) > 1:
        raise MetadataError(
            Code.METADATA_CONFLICT,
            "T1 was given in more than one way",
            mend="give one of --t1-map, --vfa and --t10",
            where=str(paths.series),
        )
    files = [p for p in (paths.t1_map, *paths.vfa, paths.b1_map) if p is not None]
    try:
        return NativeT1(
            t1_s=_t1_map(paths.t1_map, signal.grid) if paths.t1_map else None,
            images=_flip_angle_images(paths.vfa, signal.grid),
            t10_s=config.dce.t10_s,
            b1=_b1_map(paths.b1_map, signal.grid) if paths.b1_map else None,
            inputs=tuple((path.name, io.file_digest(path)) for path in files),
        )
    except BolusError as error:
        raise error.at(files[0] if files else paths.series) from None


def _image(path: Path, grid: Grid, what: str) -> Volume:
    values, own = io.read_image(path)
    try:
        grid.require_match(own, what=what)
    except BolusError as error:
        raise error.at(path) from None
    return values


def _middle(values: Volume, path: Path, what: str) -> float:
    inside = values[np.isfinite(values) & (values > 0)]
    if not inside.size:
        raise MetadataError(
            Code.METADATA_IMPLAUSIBLE,
            f"{what} holds no positive value",
            mend="check that this is the right image",
            where=str(path),
        )
    return float(np.median(inside))


def _t1_map(path: Path, grid: Grid) -> Volume:
    values = _image(path, grid, "the T1 map")
    middle = _middle(values, path, "the T1 map")
    if middle > _MOST_T1_S:
        raise MetadataError(
            Code.METADATA_IMPLAUSIBLE,
            f"the T1 map has a median of {middle:.4g}, which looks like milliseconds: "
            f"{middle / 1000:.4g} s (expected up to {_MOST_T1_S:g} s)",
            mend="divide the map by 1000 and give it in seconds",
            where=str(path),
        )
    return values


def _b1_map(path: Path, grid: Grid) -> Volume:
    values = _image(path, grid, "the B1 map")
    middle = _middle(values, path, "the B1 map")
    if not _PLAUSIBLE_B1[0] <= middle <= _PLAUSIBLE_B1[1]:
        share = middle / 100
        guess = (
            f", which looks like percent: {share:.3g}"
            if _PLAUSIBLE_B1[0] <= share <= _PLAUSIBLE_B1[1]
            else ""
        )
        raise MetadataError(
            Code.METADATA_IMPLAUSIBLE,
            f"the B1 map has a median of {middle:.4g}{guess} (expected a factor near 1)",
            mend="give the actual over the nominal flip angle",
            where=str(path),
        )
    return values


def _flip_angle_images(paths: tuple[Path, ...], grid: Grid) -> tuple[FlipAngleImage, ...]:
    found = [_flip_angle_image(path, grid) for path in paths]
    for path, image in zip(paths, found, strict=True):
        first = found[0].repetition_time_s
        if abs(image.repetition_time_s - first) > _SAME_TIME * first:
            raise MetadataError(
                Code.METADATA_CONFLICT,
                f"its repetition time is {image.repetition_time_s:g} s where that of "
                f"{paths[0].name} is {first:g} s",
                mend="give flip-angle images of one repetition time",
                where=str(path),
            )
    return tuple(found)


def _flip_angle_image(path: Path, grid: Grid) -> FlipAngleImage:
    values = _image(path, grid, "the flip-angle image")
    beside = io.find_sidecar(path)
    known = (
        io.read_sidecar(beside, one_of_several_angles=True).acquisition if beside else Acquisition()
    )
    angle, repetition = known.flip_angle_deg, known.repetition_time_s
    if angle is None or repetition is None:
        lacking = '"FlipAngle"' if angle is None else '"RepetitionTimeExcitation"'
        raise MetadataError(
            Code.METADATA_MISSING,
            f"its sidecar does not say {lacking}",
            mend="put a JSON sidecar with FlipAngle and RepetitionTimeExcitation beside each image",
            where=str(path),
        )
    try:
        require_plausible("excitation_time_s", number_of(repetition), key="the repetition time")
    except BolusError as error:
        raise error.at(beside or path) from None
    return FlipAngleImage(
        values=values,
        flip_angle_deg=number_of(angle),
        repetition_time_s=number_of(repetition),
    )


def _dsc_curve(path: Path) -> ArterialInput:
    curve = io.read_curve_tsv(path)
    if curve.quantity.key != DELTA_R2S.key:
        raise QuantityError(
            Code.QUANTITY_WRONG,
            f"the curve is {curve.quantity.symbol} [{curve.quantity.unit}] where "
            f"{DELTA_R2S.symbol} [{DELTA_R2S.unit}] of a DSC scan is needed",
            mend="give the *_aif.tsv of bolus dsc, or use --aif for a curve of this scan",
            where=str(path),
        )
    return curve


def _mask(path: Path | None, name: str, grid: Grid) -> Mask | None:
    return io.read_mask(path, name=name, grid=grid) if path is not None else None
