"""A series with less noise, alone and as a step of a session: its files, page and refusals."""

import json

import numpy as np
import pytest
import tiny_codes
import tiny_cohort
import tiny_exam
from tiny_codes import FOLDER, NAME

from bolus import io
from bolus.errors import BolusError, Code
from bolus.metrics.perfusion_bias import BiasGuard
from bolus.workflows.cohort import run_cohort
from bolus.workflows.config import Config, parse_config
from bolus.workflows.enhance import EnhanceRequest, enhance_series

QUICK = parse_config(
    """
    enhance.dsc = "local_pca"
    dsc.flow_method = "osvd"
    dsc.leakage_correction = "none"
    """
)
STEM = "exam_desc-localpca_dsc"


@pytest.fixture(scope="module")
def exam(tmp_path_factory):
    return tiny_exam.write_exam(tmp_path_factory.mktemp("exam"))


@pytest.fixture(scope="module")
def enhanced(exam, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / "enhanced"
    request = EnhanceRequest(series=exam.series, output=output, mask=exam.brain)
    return request, enhance_series(request, Config())


def test_series_sidecar_and_page_are_written(enhanced):
    request, outcome = enhanced

    assert io.verify(request.output) == ()
    assert {path.name for path in request.output.iterdir()} == {
        f"{STEM}.nii.gz", f"{STEM}.json", "report.html", "receipt.json"
    }  # fmt: skip
    page = outcome.report.read_text()
    assert "No network was used" in page
    assert "Marchenko and Pastur" in page
    assert "Research use only" in page
    before, after = outcome.findings.change.tsnr
    assert after > 2 * before


def test_it_is_read_again_as_the_same_series_with_its_history(enhanced):
    request, outcome = enhanced
    again = io.read_series(request.output / f"{STEM}.nii.gz")

    np.testing.assert_array_equal(again.values, outcome.findings.after.values)
    np.testing.assert_allclose(again.time.seconds, outcome.findings.after.time.seconds)
    assert again.acquisition.echo_time_s == outcome.findings.after.acquisition.echo_time_s
    names = [step.function for step in again.provenance.steps]
    assert names == ["preprocess.denoise_local_pca", "io.read_series"]


def test_a_second_run_has_nothing_to_do(enhanced):
    request, _ = enhanced

    assert enhance_series(request, Config()).skipped


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"method": "magic"}, "local_pca"), ({"kind": "asl"}, "dsc or dce")],
)
def test_what_there_is_not_is_refused_before_anything_is_read(exam, tmp_path, changed, said):
    request = EnhanceRequest(series=tmp_path / "none.nii.gz", output=tmp_path / "out", **changed)

    with pytest.raises(BolusError, match=said):
        enhance_series(request, Config())
    assert not (tmp_path / "out").exists()


def test_a_network_says_that_it_is_one_and_what_it_was_not_trained_for(exam, tmp_path):
    request = EnhanceRequest(
        series=exam.series, output=tmp_path / "out", method="frames", mask=exam.brain
    )
    found = enhance_series(request, Config())

    assert found.findings.card.simulated
    assert found.findings.change.tsnr[1] > 2 * found.findings.change.tsnr[0]
    assert "A network changed this series" in found.report.read_text()
    again = io.read_series(request.output / "exam_desc-frames_dsc.nii.gz")
    assert again.provenance.steps[0].function == "nets.enhance_frames"


def test_finer_voxels_are_written_and_shown_beside_straight_lines(exam, tmp_path):
    request = EnhanceRequest(
        series=exam.series, output=tmp_path / "out", method="super_resolution", mask=exam.brain
    )
    found = enhance_series(request, Config())

    again = io.read_series(request.output / "exam_desc-superresolution_dsc.nii.gz")
    before = io.read_series(exam.series)
    assert again.grid.shape == tuple(
        n * k for n, k in zip(before.grid.shape, (2, 2, 1), strict=True)
    )
    assert [step.function for step in again.provenance.steps[:2]] == [
        "preprocess.denoise_local_pca", "nets.refine_series",
    ]  # fmt: skip
    assert "A network changed this series" in found.report.read_text()
    assert found.findings.before.grid.shape == again.grid.shape
    assert "by straight lines between its own" in found.report.read_text()


def test_a_biased_network_is_refused_and_nothing_is_written(exam, tmp_path, monkeypatch):
    guard = BiasGuard(figures={}, reasons=("map is 0.08, at most 0.05 allowed",))
    monkeypatch.setattr("bolus.nets.frame_enhance.bias_guard", lambda _: guard)
    request = EnhanceRequest(
        series=exam.series, output=tmp_path / "out", method="frames", mask=exam.brain
    )

    with pytest.raises(BolusError, match=r"map is 0\.08") as refused:
        enhance_series(request, Config())
    assert refused.value.code is Code.NOT_TRUSTED
    assert not (tmp_path / "out").exists()


def test_a_session_is_quantified_from_its_enhanced_series(tmp_path):
    root = tiny_codes.write_dataset(tmp_path / "data", tmp_path)
    out = root / "derivatives" / "bolus"

    done = {one.step: one for one in run_cohort(root, out, QUICK).sessions}

    assert {name: one.error for name, one in done.items()} == {"enhanced-dsc": None, "dsc": None}
    made = out / FOLDER / "enhanced-dsc" / f"{NAME}_desc-localpca_dsc.nii.gz"
    assert made.is_file()
    assert "Marchenko and Pastur" in done["dsc"].report.read_text()
    assert made.name in io.read_receipt(out / FOLDER / "dsc" / "receipt.json").inputs
    maps = list((out / FOLDER / "dsc" / "perf").glob("*_ncbv.json"))
    steps = json.loads(maps[0].read_text())["Bolus"]["Steps"]
    assert steps[0]["function"] == "preprocess.denoise_local_pca"


def test_where_enhancing_failed_nothing_else_is_quantified_in_its_place(tmp_path, monkeypatch):
    root = tiny_codes.write_dataset(tmp_path / "data", tmp_path)

    def broken(*_):
        raise BolusError(Code.VALUES_INVALID, "it broke", mend="mend it")

    monkeypatch.setattr("bolus.workflows.enhance_methods.ENHANCERS", {"local_pca": broken})
    done = run_cohort(root, root / "derivatives" / "bolus", QUICK).sessions

    assert [one.error.code for one in done] == [Code.VALUES_INVALID, Code.FILE_MISSING]
    assert "enhanced-dsc failed" in done[1].error.mend


def test_the_command_says_what_changed_and_where_things_are(exam, tmp_path):
    words = ("enhance", exam.series, "-o", tmp_path / "out", "--mask", exam.brain, "-q")
    code, printed, _ = tiny_cohort.run("--json", *words)

    assert code == 0
    said = json.loads(printed)
    assert said["tsnr_after"] > said["tsnr_before"]
    assert said["series"].endswith(f"{STEM}.nii.gz")
    code, _, told = tiny_cohort.run("enhance", tmp_path / "no.nii.gz", "-o", tmp_path / "other")
    assert code == 2
    assert "no.nii.gz" in told
    assert not (tmp_path / "other").exists()
