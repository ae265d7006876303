"""One image of a public dataset into an open folder: linked or copied, never changed."""

import errno
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bolus.core import Acquisition, LabelMap, SessionKey
from bolus.errors import BolusError, Code, FileError, GeometryError, ResourceError
from bolus.io.access import NIFTI_SUFFIXES, named
from bolus.io.dataset import RawImage, write_raw_image
from bolus.io.datasets import RAW, SEGMENTATION, DatasetImage, Layout
from bolus.io.derivatives import json_text
from bolus.io.dicom_scan import HeaderChild, scan_dicom
from bolus.io.dicom_seg import read_segmentation, segmentation_files
from bolus.io.dicom_series import list_series, read_image_of
from bolus.io.dicom_volume import DicomVolume
from bolus.io.manifest import Manifest
from bolus.io.nifti import read_labels, write_volume
from bolus.io.nifti_guard import HEADER_BYTES, read_header
from bolus.io.sidecar import sidecar_values
from bolus.io.store import OutputFolder
from bolus.io.streams import ImageStream
from bolus.io.tables import Cell, table_text


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageWriter:
    """How images of one dataset are written.

    `acquisition` and `haematocrit` are what the user says of its DSC series; `link` makes hard
    links, not copies.
    """

    layout: Layout
    acquisition: Acquisition
    haematocrit: float | None = None
    link: bool = False

    def write(
        self, output: OutputFolder, image: DatasetImage, *, beside: Sequence[DatasetImage] = ()
    ) -> tuple[str, str]:
        """Write an image with its sidecar into the open folder of its tree.

        Args:
            output: the open folder.
            image: what to write.
            beside: all images of its session; labels of a DICOM SEG go onto the grid of one.

        Returns:
            Its name in the folder and a sentence for the user, either may be empty: an image that
            cannot be used is left out.

        Raises:
            ResourceError: the disk is full, may not be written, or cannot be linked to.
            BolusError: a DICOM series cannot be read.
        """
        if self.layout.of_folders:
            return self._from_dicom(output, image, beside)
        try:
            labels = self._checked(image)
        except ResourceError:
            raise
        except BolusError as error:
            return "", f"{image.source.name} {error.what} and was left out"
        stem = _stem(image.key, image.place.folder, image.place.ending)
        suffix = next(s for s in NIFTI_SUFFIXES if image.source.name.endswith(s))
        _place(image.source, output.path(stem + suffix), link=self.link)
        self._describe(output, image, stem)
        note = _write_names(output, stem, image, labels) if labels is not None else ""
        return stem + suffix, note

    def manifest(self, image: DatasetImage) -> Manifest:
        """Return the files of an image; none of them where it cannot be used."""
        stem = _stem(image.key, image.place.folder, image.place.ending)
        named_values = [".tsv"] if image.place.labels else []
        return Manifest(
            must=(), may={f"{stem}{e}" for e in (*NIFTI_SUFFIXES, ".json", *named_values)}
        )

    def _checked(self, image: DatasetImage) -> LabelMap | None:
        """Return the labels of a segmentation; of anything else only the header is looked at."""
        place = image.place
        with named(image.source), image.source.open("rb") as file:
            header = read_header(ImageStream(image.source, file).read(HEADER_BYTES))
        if place.ending == "dsc" and header.frames == 1:
            raise FileError(
                Code.NOT_A_SERIES, "is one volume and no series", mend="give the raw series"
            )
        if not place.labels:
            return None
        return read_labels(image.source, names=dict(place.labels))

    def _describe(self, output: OutputFolder, image: DatasetImage, stem: str) -> None:
        output.write(f"{stem}.json", json_text(self._values(image)))

    def _values(self, image: DatasetImage) -> Mapping[str, object]:
        origin = f"{self.layout.title} (doi:{self.layout.doi}), {image.source.name}"
        if image.place.tree == RAW:
            values: dict[str, object] = {"Modality": "MR", "Description": f"from {origin}"}
            if image.place.ending == "dsc":
                values |= {"PerfTechnique": "DSC", **sidecar_values(self.acquisition)}
                if self.haematocrit is not None:
                    values["Hematocrit"] = self.haematocrit
            return values
        kind = "labels" if image.place.tree == SEGMENTATION else "map"
        return {"Description": f"{kind} as published: {origin}"}

    def _from_dicom(
        self, output: OutputFolder, image: DatasetImage, beside: Sequence[DatasetImage]
    ) -> tuple[str, str]:
        place = image.place
        if place.tree == SEGMENTATION and (objects := segmentation_files(image.source)):
            if len(objects) > 1:
                raise FileError(
                    Code.DICOM_DUPLICATE, f"holds {len(objects)} segmentations, expected one",
                    mend="keep the one that is to be used", where=image.source.name,
                )  # fmt: skip
            labels, note = _read_seg(objects[0], beside)
            return self._write_labels(output, image, labels, note)
        volume = _read_map(image.source)
        values = volume.values[..., 0]
        if place.tree != SEGMENTATION:
            name = write_raw_image(
                output, image.key,
                RawImage(
                    folder=place.folder, ending=place.ending, values=values, grid=volume.grid,
                    sidecar=self._values(image),
                ),
            )  # fmt: skip
            return name, ""
        inside = (values > 0).astype(np.int16)
        if not inside.any():
            raise GeometryError(
                Code.MASK_EMPTY, "holds no label", mend="take the folder away",
                where=image.source.name,
            )  # fmt: skip
        labels = LabelMap(values=inside, grid=volume.grid, names=dict(place.labels))
        return self._write_labels(output, image, labels, "")

    def _write_labels(
        self, output: OutputFolder, image: DatasetImage, labels: LabelMap, note: str
    ) -> tuple[str, str]:
        stem = _stem(image.key, image.place.folder, image.place.ending)
        write_volume(output.path(f"{stem}.nii.gz"), labels.values, labels.grid,
                     description="labels")  # fmt: skip
        self._describe(output, image, stem)
        _write_names(output, stem, image, labels)
        return f"{stem}.nii.gz", note


def tree_folder(image: DatasetImage) -> str:
    """Return where the folder of an image's session lies in the dataset.

    Example:
        >>> from bolus.io.datasets import Place
        >>> place = Place(folder="perf", ending="cbv", tree="published")
        >>> tree_folder(DatasetImage(key=SessionKey("A1"), subject_id="A-1", session_id="",
        ...                          source=Path("a.nii"), place=place))
        'derivatives/published/sub-A1'
    """
    tree = image.place.tree
    return f"derivatives/{tree}/{image.key.folder}" if tree else image.key.folder


def _stem(key: SessionKey, folder: str, ending: str) -> str:
    return f"{folder}/{key.prefix}_{ending}"


def _place(source: Path, target: Path, *, link: bool) -> None:
    if not link:
        with named(target):
            shutil.copyfile(source, target)
        return
    try:
        os.link(source, target)
    except OSError as failure:
        if failure.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
            with named(target):
                raise
        raise ResourceError(
            Code.IO_FAULT,
            "cannot be linked to: it lies on another disk, or the disk has no hard links",
            mend="leave --link away, then files are copied",
            where=str(source),
        ) from failure


def _write_names(output: OutputFolder, stem: str, image: DatasetImage, labels: LabelMap) -> str:
    """Write the names of labels and say which values the dataset's description does not name."""
    rows: list[list[Cell]] = [[number, labels.names[number]] for number in sorted(labels.names)]
    output.write(f"{stem}.tsv", table_text(["index", "name"], rows))
    unknown = sorted(set(labels.names) - set(image.place.labels))
    if not unknown:
        return ""
    listed = ", ".join(map(str, unknown))
    return f"{image.source.name} holds labels that its description does not name: {listed}"


def _read_seg(path: Path, beside: Sequence[DatasetImage]) -> tuple[LabelMap, str]:
    """Return the labels of a DICOM SEG on the grid of the anatomy after the agent, or of any."""
    plain = [i for i in beside if i.place.tree == RAW]
    first = min(plain, key=lambda i: "ce-gadolinium" not in i.place.ending, default=None)
    if first is None:
        return read_segmentation(path), "a DICOM SEG has the grid of its own frames: no image there"
    labels = read_segmentation(path, _read_map(first.source).grid)
    return labels, f"a DICOM SEG was brought onto the grid of the {first.place.ending} of its visit"


def _read_map(folder: Path) -> DicomVolume:
    listed = list_series(scan_dicom(folder))
    if len(listed) != 1 or len(listed[0].images) != 1:
        raise FileError(
            Code.DICOM_NOTHING,
            f"holds {len(listed)} series, expected one with one image",
            mend="keep the folders as they were downloaded",
            where=folder.name,
        )
    with HeaderChild() as child:
        volume = read_image_of(listed[0], listed[0].images[0], child)
    if volume.values.shape[3] != 1:
        raise FileError(
            Code.NOT_A_SERIES, "is a series where one volume is expected",
            mend="keep the folders as they were downloaded", where=folder.name,
        )  # fmt: skip
    return volume
