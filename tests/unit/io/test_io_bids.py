"""Datasets: what is written is found again, and the official validator has nothing to say."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bolus.core import (
    QUANTITIES,
    SIGNAL,
    Acquisition,
    Grid,
    LabelMap,
    Mask,
    ParameterMap,
    PerfusionSeries,
    Provenance,
    SessionKey,
    Step,
    TimeAxis,
)
from bolus.errors import BolusError, Code
from bolus.io import (
    OutputNames,
    RawSession,
    derivative_files,
    find_sessions,
    open_output,
    read_image,
    read_labels,
    read_series,
    session_key,
    verify,
    write_atomically,
    write_dataset,
    write_labels,
    write_map,
    write_mask,
)

RUN = {"inputs": {}, "config_digest": "c", "version": "1"}
GRID = Grid(
    shape=(8, 7, 3),
    affine=np.array([[-2.0, 0, 0, 10], [0, 2, 0, -12], [0, 0, 5, 3], [0, 0, 0, 1]]),
)
KEY = SessionKey("01", "pre")
TUMOUR = np.zeros(GRID.shape, np.int16)
TUMOUR[2:4, 2:4], TUMOUR[4, 2:4] = 1, 2
LABELS = LabelMap(values=TUMOUR, grid=GRID, names={1: "core", 2: "oedema"})


def series(*, irregular: bool = False) -> PerfusionSeries:
    frames = np.random.default_rng(0).normal(100, 3, (*GRID.shape, 12)).astype(np.float32)
    times = TimeAxis.regular(12, step_s=1.5)
    if irregular:
        times = TimeAxis(seconds=np.cumsum(np.linspace(1, 2, 12)))
    return PerfusionSeries(
        values=frames,
        quantity=SIGNAL,
        grid=GRID,
        time=times,
        acquisition=Acquisition(
            echo_time_s=0.03, repetition_time_s=1.5, flip_angle_deg=60, field_strength_t=3
        ),
        provenance=Provenance(),
    )


def dataset(root: Path, *sessions: RawSession) -> tuple[Path, ...]:
    with open_output(root, **RUN) as output:
        return write_dataset(
            output,
            sessions,
            name="simulated",
            description="Made by a simulator.",
            source="https://nilearn.github.io",
        )


def full_session() -> RawSession:
    return RawSession(
        key=KEY,
        signal=series(),
        anatomy=series().values[..., 0],
        anatomy_grid=GRID,
        tumour=LABELS,
    )


def brain_map() -> ParameterMap:
    mask = Mask(values=TUMOUR > 0, grid=GRID, name="brain")
    return ParameterMap.from_voxels(
        np.linspace(1, 5, mask.count),
        quantity=QUANTITIES["cbv"],
        mask=mask,
        provenance=Provenance().then(Step("quantify.cbv", {"a": 1.5})),
        std=np.full(mask.count, 0.1),
    )


def derivatives(root: Path) -> Path:
    for name, text in derivative_files(
        name="bolus maps", source="https://nilearn.github.io"
    ).items():
        root.mkdir(exist_ok=True)
        write_atomically(root / name, text.encode())
    names, raw = OutputNames(key=KEY), "bids:raw:sub-01/ses-pre/perf/sub-01_ses-pre_dsc.nii.gz"
    with open_output(root / KEY.folder, **RUN) as output:
        write_map(
            output,
            names.map("cbv", method="bidirectional"),
            brain_map(),
            sources=[raw],
            algorithm="area",
            reference="not listed",
            block={"Haematocrit": float("nan")},
        )
        mask = Mask(values=TUMOUR > 0, grid=GRID, name="brain")
        write_mask(output, names.mask("brain"), mask, sources=[raw])
        write_labels(output, names.segmentation("habitats"), LABELS, sources=[raw])
        output.write(names.table("regions"), "region\n")
        output.write("report.html", "<html></html>")
    return root


def validator_issues(root: Path) -> list[tuple[str, str]]:
    program = Path(sys.executable).with_name("bids-validator-deno")
    done = subprocess.run(
        [str(program), "--format", "json", str(root)], capture_output=True, text=True, check=False
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    return [(i["code"], i.get("location", "")) for i in issues]


def test_the_official_validator_finds_nothing_in_what_is_written(tmp_path):
    dataset(tmp_path / "raw", full_session(), RawSession(key=SessionKey("02"), signal=series()))
    derivatives(tmp_path / "maps")

    assert validator_issues(tmp_path / "raw") == []
    assert validator_issues(tmp_path / "raw/derivatives/segmentation") == []
    assert validator_issues(tmp_path / "maps") == []


def test_the_validator_would_find_something(tmp_path):
    dataset(tmp_path / "raw", full_session())
    (tmp_path / "raw/sub-01/ses-pre/anat/sub-02_T1w.nii.gz").write_bytes(b"")

    assert validator_issues(tmp_path / "raw") != []


def test_a_dataset_written_is_found_and_read_the_same(tmp_path):
    paths = dataset(tmp_path / "raw", full_session())

    (found,) = find_sessions(tmp_path / "raw")

    assert found.key == KEY
    assert found.series == paths[0]
    assert found.second_echo is None
    again = read_series(found.series)
    np.testing.assert_array_equal(again.values, series().values)
    np.testing.assert_array_equal(again.time.seconds, series().time.seconds)
    assert again.acquisition.echo_time_s == 0.03
    assert read_image(found.anatomy)[1].distance_mm(GRID) < 1e-4
    tumour = read_labels(found.tumour, grid=again.grid)
    np.testing.assert_array_equal(tumour.values, TUMOUR)
    assert dict(tumour.names) == {1: "core", 2: "oedema"}
    assert verify(tmp_path / "raw") == ()


def test_irregular_times_are_written_as_volume_timing(tmp_path):
    (path,) = dataset(tmp_path / "raw", RawSession(key=KEY, signal=series(irregular=True)))

    np.testing.assert_array_equal(
        read_series(path).time.seconds, series(irregular=True).time.seconds
    )


def test_both_echoes_are_found(tmp_path):
    dataset(tmp_path / "raw", RawSession(key=KEY, signal=series(), second_echo=series()))

    (found,) = find_sessions(tmp_path / "raw")

    assert found.series.name == "sub-01_ses-pre_echo-1_dsc.nii.gz"
    assert found.second_echo.name == "sub-01_ses-pre_echo-2_dsc.nii.gz"


def test_a_map_says_what_it_is(tmp_path):
    folder = derivatives(tmp_path / "maps") / KEY.folder / "perf"
    stem = "sub-01_ses-pre_space-dsc_desc-bidirectional_cbv"

    said = json.loads((folder / f"{stem}.json").read_text())

    assert said["Units"] == "mL/100mL"
    assert said["CaplexCode"] == "Q.PH1.001.b"
    assert said["Sources"][0].endswith("_dsc.nii.gz")
    assert said["Bolus"]["Steps"][0]["function"] == "quantify.cbv"
    assert said["Bolus"]["StatusCounts"]["OK"] == brain_map().counts()["OK"]
    assert said["Bolus"]["Haematocrit"] is None
    np.testing.assert_array_equal(
        read_image(folder / f"{stem}.nii.gz")[0], brain_map().values.astype(np.float32)
    )
    assert len(list(folder.glob("*_cbv.nii.gz"))) == 1
    assert (folder / f"{stem}std.nii.gz").exists()
    assert (folder / f"{stem}status.nii.gz").exists()


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("sub-1/perf/sub-1_dsc.nii.gz", True),
        ("sub-1/ses-a/perf/sub-1_ses-a_dsc.nii", True),
        ("sub-1/func/sub-1_task-rest_cbv.nii.gz", True),
        ("sub-1/ses-a/perf/sub-1_ses-a_perf.nii.gz", True),
        ("sub-1/func/sub-1_task-rest_bold.nii.gz", False),
        ("sub-1/perf/sub-1_dsc.json", False),
    ],
)
def test_the_places_of_a_dsc_series(tmp_path, name, found):
    touch(tmp_path, name)

    if found:
        assert find_sessions(tmp_path)[0].series == tmp_path / name
    else:
        with pytest.raises(BolusError, match="no DSC series"):
            find_sessions(tmp_path)


def test_dsc_is_preferred_and_subjects_can_be_chosen(tmp_path):
    touch(
        tmp_path,
        "sub-2/perf/sub-2_dsc.nii.gz",
        "sub-1/perf/sub-1_perf.nii.gz",
        "sub-1/perf/sub-1_dsc.nii.gz",
    )

    assert [s.key.subject for s in find_sessions(tmp_path)] == ["1", "2"]
    assert find_sessions(tmp_path)[0].series.name == "sub-1_dsc.nii.gz"
    assert [s.key.subject for s in find_sessions(tmp_path, subjects=["sub-2"])] == ["2"]
    with pytest.raises(BolusError, match="no series of sub-9"):
        find_sessions(tmp_path, subjects=["9"])


def test_two_series_of_one_session_are_not_guessed_between(tmp_path):
    touch(tmp_path, "sub-1/perf/sub-1_run-1_dsc.nii.gz", "sub-1/perf/sub-1_run-2_dsc.nii.gz")

    with pytest.raises(BolusError) as caught:
        find_sessions(tmp_path)

    assert caught.value.code is Code.DATASET_INVALID
    chosen = find_sessions(tmp_path, pattern="sub-*/**/*run-2_dsc.nii.gz")
    assert chosen[0].series.name == "sub-1_run-2_dsc.nii.gz"


def test_a_free_pattern_stays_in_the_dataset_and_names_its_subject(tmp_path):
    touch(tmp_path, "scans/sub-7_ep2d.nii.gz", "scans/other.nii.gz")

    assert find_sessions(tmp_path, pattern="scans/sub-*.nii.gz")[0].key == SessionKey("7")
    for pattern, code in (
        ("../*.nii.gz", Code.NAME_UNSAFE),
        ("/tmp/*", Code.NAME_UNSAFE),
        ("scans/other.nii.gz", Code.DATASET_INVALID),
    ):
        with pytest.raises(BolusError) as caught:
            find_sessions(tmp_path, pattern=pattern)
        assert caught.value.code is code


def test_masks_and_curves_are_found_but_not_our_own_outputs(tmp_path):
    start = "sub-1/ses-a"
    touch(
        tmp_path,
        f"{start}/perf/sub-1_ses-a_dsc.nii.gz",
        f"{start}/perf/sub-1_ses-a_aif.tsv",
        f"derivatives/manual/{start}/anat/sub-1_ses-a_space-dsc_label-tumor_mask.nii.gz",
        f"derivatives/manual/{start}/anat/sub-1_ses-a_space-dsc_label-brain_mask.nii.gz",
        f"derivatives/bolus/{start}/anat/sub-1_ses-a_space-dsc_label-brain_mask.nii.gz",
    )

    (found,) = find_sessions(tmp_path)

    assert found.brain.parts[-5] == "manual"
    assert found.tumour.name == "sub-1_ses-a_space-dsc_label-tumor_mask.nii.gz"
    assert found.aif.name == "sub-1_ses-a_aif.tsv"
    shutil.copytree(tmp_path / "derivatives/manual", tmp_path / "derivatives/second")
    with pytest.raises(BolusError, match="2 brain masks"):
        find_sessions(tmp_path)


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        ("sub-01/perf/sub-01_dsc.nii.gz", "sub-01"),
        ("sub-01_ses-2_dsc.nii", "sub-01_ses-2"),
        ("sub-01/sub-02_dsc.nii.gz", None),
        ("scan.nii.gz", None),
    ],
)
def test_a_path_names_its_session_or_none(path, prefix):
    key = session_key(path)

    assert (key.prefix if key else None) == prefix


@pytest.mark.parametrize("method", ["../x", "a_b", "", "a-b", "é"])
def test_labels_of_outputs_are_plain(method):
    with pytest.raises(BolusError) as caught:
        OutputNames(key=KEY).map("cbv", method=method)

    assert caught.value.code is Code.NAME_UNSAFE


@pytest.mark.parametrize("root", ["absent", "file"])
def test_a_dataset_is_a_folder(tmp_path, root):
    (tmp_path / "file").touch()

    with pytest.raises(BolusError) as caught:
        find_sessions(tmp_path / root)

    assert caught.value.code in {Code.FILE_MISSING, Code.PATH_KIND}


def test_dce_and_its_t1_images_are_found_with_or_without_dsc(tmp_path):
    names = ("perf/{}_dce", "anat/{}_flip-10_VFA", "anat/{}_flip-2_VFA", "fmap/{}_TB1map")
    for subject, more in (("sub-1", ("perf/{}_dsc", "anat/{}_T1map")), ("sub-2", ())):
        for name in (*names, *more):
            path = tmp_path / subject / (name.format(subject) + ".nii.gz")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    both, alone = find_sessions(tmp_path)

    assert both.series is not None
    assert both.series.name == "sub-1_dsc.nii.gz"
    assert both.t1_map is not None
    assert both.t1_map.name == "sub-1_T1map.nii.gz"
    assert alone.series is None
    assert alone.t1_map is None
    assert alone.dce is not None
    assert alone.dce.name == "sub-2_dce.nii.gz"
    assert [p.name.split("_")[1] for p in alone.vfa] == ["flip-2", "flip-10"]
    assert alone.b1_map is not None
    assert alone.b1_map.name == "sub-2_TB1map.nii.gz"


def test_two_dce_series_are_not_guessed_between(tmp_path):
    folder = tmp_path / "sub-1" / "perf"
    folder.mkdir(parents=True)
    for run in (1, 2):
        (folder / f"sub-1_run-{run}_dce.nii.gz").touch()
    with pytest.raises(BolusError, match=r"run-1_dce.*run-2_dce"):
        find_sessions(tmp_path)
