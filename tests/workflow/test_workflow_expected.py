"""Every step states its files before it begins, and keeps a folder only if it holds just those."""

from pathlib import Path

import pytest
from tiny_dce import write_exam as write_dce
from tiny_exam import write_exam

from bolus import io
from bolus.errors import BolusError, Code
from bolus.workflows import exam as dsc_step
from bolus.workflows.config import Config
from bolus.workflows.dce_exam import run_dce_exam
from bolus.workflows.dce_inputs import DcePaths
from bolus.workflows.exam import run_exam
from bolus.workflows.expected import dce_manifest, dsc_manifest
from bolus.workflows.inputs import DscPaths
from bolus.workflows.outputs import FlatNames

NAMES = FlatNames("exam")
RUN = {"inputs": {}, "config_digest": "", "version": "1"}


def run_dsc(tmp_path, exam, **settings):
    paths = DscPaths(series=exam.series, tumour=exam.tumour, mask=exam.brain)
    config = Config(dsc={"motion_correction": False, **settings})
    run_exam(paths, config, tmp_path / "out", names=NAMES, label="")
    return dsc_manifest(paths, config, NAMES)


def write_stated(folder, manifests, names):
    with io.open_output(folder, **RUN) as output:
        for manifest in manifests:
            output.expect(manifest)
        for name in names:
            output.write(name, "x")


def written(folder: Path) -> set[str]:
    return set(io.read_receipt(folder / "receipt.json").outputs)


def test_what_is_missing_or_too_many_keeps_the_folder_away(tmp_path):
    stated = io.Manifest(must={"a.tsv", "pictures/*.png"}, may={"b.tsv"})

    for files, said in (
        (("pictures/1.png",), "1 not written (a.tsv)"),
        (("a.tsv",), "1 not written (pictures/*.png)"),
        (("a.tsv", "pictures/1.png", "c.tsv"), "1 not asked for (c.tsv)"),
    ):
        with pytest.raises(BolusError, match="files") as caught:
            write_stated(tmp_path / "out", [stated], files)
        assert caught.value.code is Code.OUTPUT_UNEXPECTED
        assert said in caught.value.what
        assert not list(tmp_path.iterdir())

    more = io.Manifest(must={"c.tsv"})
    write_stated(tmp_path / "out", [stated, more], ("a.tsv", "b.tsv", "c.tsv", "pictures/1.png"))
    assert io.verify(tmp_path / "out") == ()


@pytest.mark.parametrize("lost", ["regions.tsv", "ncbvstd.nii.gz", "report.html"])
def test_a_dsc_file_that_vanishes_stops_the_exam(tmp_path, monkeypatch, lost):
    write = dsc_step.write_findings

    def losing(folder, findings, names):
        write(folder, findings, names)
        (gone,) = [p for p in folder.stage.rglob("*") if p.name.endswith(lost)]
        gone.unlink()

    monkeypatch.setattr(dsc_step, "write_findings", losing)

    with pytest.raises(BolusError, match=f"1 not written .*{lost}") as caught:
        run_dsc(tmp_path, write_exam(tmp_path / "in"), flow_method="ssvd")

    assert caught.value.code is Code.OUTPUT_UNEXPECTED
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("flow", "leakage"), [("vascular", "matched"), ("ssvd", "none"), ("osvd", "bsw")]
)
def test_dsc_writes_just_what_was_stated(tmp_path, flow, leakage):
    stated = run_dsc(
        tmp_path, write_exam(tmp_path / "in"), flow_method=flow, leakage_correction=leakage
    )

    assert set(stated.must) <= written(tmp_path / "out") <= {*stated.must, *stated.may}


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"model": "extended_tofts"},
        {"model": "tofts", "delay": "voxel"},
        {"model": "patlak", "t10_s": 1.2},
        {"model": "two_compartment_uptake"},
        {"model": "two_compartment_exchange", "map": True},
        {"model": "best", "aif": "parker"},
        {"model": "extended_tofts", "intervals": "network"},
    ],
    ids=lambda settings: " ".join(map(str, settings.values())),
)
def test_dce_writes_just_what_was_stated(tmp_path, settings):
    exam = write_dce(tmp_path / "in")
    settings = {"motion_correction": False, "relaxivity_per_mmolar_s": 3.7, **settings}
    native = {"t1_map": exam.t1_map} if settings.pop("map", False) else {"vfa": exam.vfa}
    if "t10_s" in settings:
        native = {}
    paths = DcePaths(series=exam.series, tumour=exam.tumour, mask=exam.brain, **native)
    config = Config(dce=settings)

    run_dce_exam(paths, config, tmp_path / "out", names=NAMES, label="")

    stated = dce_manifest(paths, config, NAMES)
    assert set(stated.must) <= written(tmp_path / "out") <= {*stated.must, *stated.may}
