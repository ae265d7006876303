"""DICOM files sorted into series and images, recognised, and read as core types."""

import hashlib
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bolus.core import SIGNAL, Acquisition, PerfusionSeries, Provenance, Step, TimeAxis
from bolus.errors import BolusError, Code, FileError, QualityWarning
from bolus.io.dicom_contrast import contrast_settings
from bolus.io.dicom_frames import MAGNITUDE, DicomFrame, frames_of, header_frames
from bolus.io.dicom_kind import SeriesFacts, classify
from bolus.io.dicom_scan import DicomFile, DicomFolder, HeaderChild, scan_dicom
from bolus.io.dicom_volume import DicomVolume, read_volume
from bolus.io.plausible import require_plausible

_FLOAT_BYTES = 4
_ENHANCED_WORDS = {"YES": "EP", "GRADIENT": "GR", "SPIN": "SE"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DicomSeries:
    """One series: who it is of (a digest), when, and its images by echo, flip angle and part.

    `number` counts the series of a folder from 1, by patient, date and the scanner's own number.
    `trouble` is why its images cannot be told, if they cannot.
    """

    number: int
    uid: str
    patient: str
    study: str
    date: str
    files: tuple[DicomFile, ...]
    images: tuple[tuple[DicomFrame, ...], ...]
    kind: str
    reason: str
    trouble: BolusError | None = None

    @property
    def label(self) -> str:
        """How messages call it."""
        return f"series {self.number}"

    @property
    def burned_in(self) -> bool:
        """Whether it says that text is burned into its pixels."""
        return any(file.about["burned"] == "YES" for file in self.files)

    def chosen(self, kind: str) -> "DicomSeries":
        """Return the series with the kind that the user says."""
        return replace(self, kind=kind, reason="as you said")


def list_series(folder: DicomFolder) -> tuple[DicomSeries, ...]:
    """Return the series of a folder, recognised, in an order that depends on headers alone.

    Raises:
        FileError: one series claims to be of two patients or two studies.
    """
    groups: dict[str, list[DicomFile]] = {}
    for file in folder.files:
        groups.setdefault(file.whose["series"], []).append(file)
    found = [_series(uid, files) for uid, files in groups.items()]
    first = {s.patient: min(o.date for o in found if o.patient == s.patient) for s in found}
    found.sort(
        key=lambda s: (
            first[s.patient], s.patient, s.date, min(f.whose["number"] for f in s.files), s.uid,
        )
    )  # fmt: skip
    numbered = [replace(series, number=place) for place, series in enumerate(found, start=1)]
    return _with_flip_angles(numbered)


def _series(uid: str, files: Sequence[DicomFile]) -> DicomSeries:
    for key, what in (("patient", "patients"), ("study", "studies")):
        if len({file.whose[key] for file in files}) > 1:
            raise FileError(
                Code.DICOM_IDENTITY,
                f"{len(files)} images of one series say that they are of different {what}",
                mend="export the patients into folders of their own",
                where=files[0].label,
            )
    whose = files[0].whose
    frames, trouble = _frames(files)
    images = _images(frames)
    kind, reason = classify(_facts(files, images))
    return DicomSeries(
        number=0,
        uid=uid,
        patient=hashlib.sha256(whose["patient"].encode()).hexdigest(),
        study=whose["study"],
        date=min(file.whose["date"] for file in files),
        files=tuple(files),
        images=images,
        kind=kind,
        reason=reason,
        trouble=trouble,
    )


def _frames(files: Sequence[DicomFile]) -> tuple[list[DicomFrame], BolusError | None]:
    """Return the frames and, where their pixels cannot be told, why; headers serve all the same."""
    try:
        return [frame for file in files for frame in frames_of(file)], None
    except FileError as error:
        return [frame for file in files for frame in header_frames(file)], error


def _images(frames: Sequence[DicomFrame]) -> tuple[tuple[DicomFrame, ...], ...]:
    """Return the magnitude images by echo and flip angle; derived ones only if there is no other.

    One stray matrix size is kept with the rest, so that it is refused and not split off.
    """
    plain = [f for f in frames if f.part == MAGNITUDE] or list(frames)
    plain = [f for f in plain if not f.derived] or plain
    groups: dict[tuple[object, ...], list[DicomFrame]] = {}
    for frame in plain:
        groups.setdefault(frame.stack()[:2], []).append(frame)
    return tuple(tuple(groups[key]) for key in sorted(groups, key=str))


def _facts(files: Sequence[DicomFile], images: Sequence[Sequence[DicomFrame]]) -> SeriesFacts:
    about = files[0].about
    frames = [frame for image in images for frame in image]
    axes = [f.facts["orientation"] for f in frames if f.facts["orientation"]]
    positions = Counter(tuple(round(x, 1) for x in f.position) for f in images[0] if f.position)
    words = {word for f in frames for word in f.facts["type"]} | set(about["sequence"])
    if about["echo_pulse"]:
        words |= {_ENHANCED_WORDS[w] for w in about["echo_pulse"] if w in _ENHANCED_WORDS}
    first = images[0][0].facts
    return SeriesFacts(
        volumes=max(positions.values(), default=len(images[0])),
        slices=len(positions),
        orientations=len({tuple(round(x, 1) for x in own) for own in axes}),
        echoes_ms=sorted({f.facts["echo_ms"] for f in frames if f.facts["echo_ms"] is not None}),
        repetition_ms=first["repetition_ms"],
        flips_deg=sorted({f.facts["flip_deg"] for f in frames if f.facts["flip_deg"] is not None}),
        inversion_ms=first["inversion_ms"] or None,
        b_values=len({f.facts["b_value"] for f in frames} - {None}),
        words=frozenset(words),
        described=about["described"],
        dimensions=about["dimensions"],
        agent=bool(about["agent"] or about["volume_ml"]),
        colour=files[0].pixels.get("samples", 1) != 1,
    )


def _with_flip_angles(found: Sequence[DicomSeries]) -> tuple[DicomSeries, ...]:
    """Settle which spoiled gradient echoes are one flip angle of several."""
    groups: dict[tuple[object, ...], list[DicomSeries]] = {}
    for series in found:
        if series.kind == "spgr":
            groups.setdefault(_alike(series), []).append(series)
    settled = {}
    for members in groups.values():
        flips = sorted({image[0].facts["flip_deg"] for s in members for image in s.images
                        if image[0].facts["flip_deg"] is not None})  # fmt: skip
        for series in members:
            if len(flips) > 1:
                listed = ", ".join(f"{flip:g}" for flip in flips)
                settled[series.number] = ("vfa", f"flip angles {listed} with all else equal")
            else:
                after = series.files[0].about["agent"]
                settled[series.number] = ("T1ce" if after else "T1w", series.reason)
    return tuple(
        replace(s, kind=settled[s.number][0], reason=settled[s.number][1])
        if s.number in settled else s
        for s in found
    )  # fmt: skip


def _alike(series: DicomSeries) -> tuple[object, ...]:
    frame = series.images[0][0]
    facts = frame.facts
    return (series.study, series.patient, frame.rows, frame.cols, facts["echo_ms"],
            facts["repetition_ms"], len(series.images[0]))  # fmt: skip


def read_image_of(
    series: DicomSeries, image: Sequence[DicomFrame], child: HeaderChild
) -> DicomVolume:
    """Read one image of a series.

    Args:
        series: it belongs to, for messages.
        image: one of `series.images`.
        child: decodes compressed pixels.

    Raises:
        BolusError: as `read_volume`, with the series named; or text is burned into the pixels.
    """
    if series.burned_in:
        raise FileError(
            Code.DICOM_IDENTITY,
            "says that text is burned into its pixels (BurnedInAnnotation)",
            mend=f"leave it out with --series {series.number}=skip",
            where=series.label,
        )
    if series.trouble is not None:
        raise series.trouble
    repetition = image[0].facts["repetition_ms"]
    try:
        return read_volume(
            image, child, repetition_s=None if repetition is None else repetition / 1000
        )
    except BolusError as error:
        named_file = error.where
        error.where = f"{series.label}, {named_file}" if named_file else series.label
        raise


def acquisition_of(
    series: DicomSeries, image: Sequence[DicomFrame], volume: DicomVolume
) -> tuple[Acquisition, tuple[str, ...]]:
    """Return the settings of one image in BIDS units, each with its source, and notes.

    Raises:
        MetadataError: an echo or repetition time cannot be right.
    """
    facts, about = image[0].facts, series.files[0].about
    found: dict[str, float | str] = {}
    for field, key, factor in (
        ("echo_time_s", "echo_ms", 1e-3),
        ("repetition_time_s", "repetition_ms", 1e-3),
        ("flip_angle_deg", "flip_deg", 1.0),
    ):
        if facts[key] is not None and facts[key] > 0:
            found[field] = round(facts[key] * factor, 9)
    if about["field_t"]:
        field_t = about["field_t"]
        # some scanners write gauss; nothing between 20 T and 1000 G exists
        found["field_strength_t"] = field_t if field_t < 20 else field_t / 1e4
    for field, tag in (("echo_time_s", "EchoTime"), ("repetition_time_s", "RepetitionTime")):
        if field in found:
            try:
                require_plausible(field, float(found[field]), key=f"{tag} (in s)")
            except BolusError as error:
                error.where = error.where or series.label
                raise
    contrast, notes = contrast_settings(about)
    sources = dict.fromkeys([*found, *contrast], "dicom")
    if "contrast_dose_mmol_per_kg" in contrast:
        sources["contrast_dose_mmol_per_kg"] = "dicom: volume x molarity of the agent / weight"
    if volume.times is not None:
        sources["time"] = f"dicom: {volume.times.source}"
    acquisition = replace(
        Acquisition(), **found, **contrast, sources=tuple(sources.items()),  # type: ignore[arg-type]
    )  # fmt: skip
    return acquisition, tuple(notes)


def read_dicom_series(
    folder: Path | str,
    *,
    kind: str = "",
    given: Acquisition | None = None,
    before_pixels: Callable[[int], None] | None = None,
) -> PerfusionSeries:
    """Read the only perfusion series of a DICOM folder, as `read_series` reads NIfTI.

    Args:
        folder: with the series, and possibly others that are no perfusion series; or one file.
        kind: "dsc" or "dce"; either if empty.
        given: settings that win over the header.
        before_pixels: told the size of the series as float32 [bytes] once its headers are known;
            may refuse it.

    Returns:
        Signal [a.u.], float32, and the settings the header tells. Of several echoes, the first.

    Raises:
        BolusError: the folder holds no such series, several, or one that cannot be read.

    Assumes:
        Nothing: what the header does not tell is absent.
    """
    listed = list_series(scan_dicom(folder))
    wanted = (kind,) if kind else ("dsc", "dce")
    fitting = [s for s in listed if s.kind in wanted]
    if len(fitting) != 1:
        seen = ", ".join(f"{s.label} {s.kind} ({s.reason})" for s in listed[:6])
        raise FileError(
            Code.DICOM_NOTHING,
            f"holds {len(fitting)} {' or '.join(wanted)} series, expected one: {seen}",
            mend="import it with `bolus import`, which lets you say what each series is",
            where=str(folder),
        )
    series = fitting[0]
    image = series.images[0]
    if len(series.images) > 1:
        warnings.warn(
            QualityWarning(
                f"{series.label} holds {len(series.images)} images (echoes or flip angles) and the "
                "first was read; `bolus import` separates them"
            ),
            stacklevel=2,
        )
    if before_pixels is not None:
        before_pixels(sum(frame.rows * frame.cols for frame in image) * _FLOAT_BYTES)
    with HeaderChild() as child:
        volume = read_image_of(series, image, child)
    acquisition, _ = acquisition_of(series, image, volume)
    assert volume.times is not None
    return PerfusionSeries(
        values=np.asarray(volume.values, np.float32),
        quantity=SIGNAL,
        grid=volume.grid,
        time=TimeAxis(seconds=volume.times.seconds),
        acquisition=merged(acquisition, given),
        provenance=Provenance(
            steps=(Step("io.read_series", dict(acquisition.sources)),),
            inputs=(("dicom", volume_digest(volume)),),
        ),
    )


def merged(found: Acquisition, given: Acquisition | None) -> Acquisition:
    """Return settings of the header with those of the user in front.

    Args:
        found: from the header.
        given: from the user, or `None`.
    """
    if given is None:
        return found
    names = [n for n in Acquisition.__dataclass_fields__ if n != "sources"]
    ours: Mapping[str, object] = {
        n: value for n in names if (value := getattr(given, n)) is not None
    }
    known = {**dict(found.sources), **dict.fromkeys(ours, "user")}
    return replace(found, **ours, sources=tuple(known.items()))  # type: ignore[arg-type]


def volume_digest(volume: DicomVolume) -> str:
    """Return the SHA-256 of values, grid and times, which no renaming of files changes."""
    digest = hashlib.sha256(np.ascontiguousarray(volume.values.T).tobytes())
    digest.update(volume.grid.affine.tobytes())
    if volume.times is not None:
        digest.update(np.asarray(volume.times.seconds, np.float64).tobytes())
    return digest.hexdigest()
