"""`bolus certify`: the gates, what they do when something is broken, and what is written."""

import dataclasses
import gzip
import json

import numpy as np
import pytest

from bolus import RESEARCH_USE, io
from bolus.cli.app import main
from bolus.errors import BolusError, Code
from bolus.report.certificate_findings import Gate, Part
from bolus.simulate import RESIDUES
from bolus.workflows import certify as workflow
from bolus.workflows.gates_dsc_curves import (
    METHODS,
    measure_curves,
    ratio_of_areas,
    residue_part,
    simulated_curves,
)
from bolus.workflows.gates_dsc_leakage import check_leakage, leakage_part
from bolus.workflows.gates_dsc_osipi import find_osipi_curves, osipi_part, read_osipi_curves
from bolus.workflows.gates_request import PROFILES, GateRequest

QUICK = GateRequest(seed=1, profile=PROFILES["quick"])
FEW = dataclasses.replace(QUICK, profile=dataclasses.replace(QUICK.profile, noisy_copies=4))


def command(*words, capsys):
    with pytest.raises(SystemExit) as end:
        main(["certify", *map(str, words)])
    out, err = capsys.readouterr()
    return end.value.code, out, err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--only", "asl"),
            "'asl' is not a chapter; there are dsc, dce, habitats, learning, networks",
        ),
        (("--profile", "slow"), "'slow' is not a profile; there are quick, full"),
        (("--seed", "-1"), "the seed is -1"),
        (("--reference-data", "nowhere"), "holds no dsc_data.csv.gz"),
    ],
)
def test_bad_input_is_one_line_and_exit_2_and_nothing_is_written(words, said, tmp_path, capsys):
    status, out, err = command("-o", tmp_path / "out", *words, capsys=capsys)

    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert list(tmp_path.iterdir()) == []


def stub(value):
    gate = Gate(
        name="error", what="of nothing", object="stub", method="none", value=value, high=1.0,
        unit="%", source="this test",
    )  # fmt: skip
    return {"dsc": ("DSC", lambda request, progress: (Part(title="P", text="t", gates=(gate,)),))}


@pytest.mark.parametrize(("value", "status"), [(0.5, 0), (1.5, 1), (None, 0)])
def test_the_exit_code_is_1_when_a_gate_falls_short(value, status, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(workflow, "CHAPTERS", stub(value))
    code, out, err = command("-o", tmp_path / "out", "--json", capsys=capsys)
    said = json.loads(out)

    assert (code, err) == (status, "")
    assert (
        said["gates"][0] | {"name": "error", "value": value, "goal": "<= 1 %"} == said["gates"][0]
    )
    assert said["gates"][0]["passed"] is {0.5: True, 1.5: False, None: None}[value]
    # what fell short is on record, complete
    assert io.verify(tmp_path / "out") == ()
    record = json.loads((tmp_path / "out" / "certificate.json").read_text())
    assert record["gates"] == said["gates"]


def test_the_table_marks_what_fell_short(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(workflow, "CHAPTERS", stub(1.5))
    _, out, _ = command("-o", tmp_path / "out", capsys=capsys)

    assert "SHORT  error" in out
    assert "0 passed, 1 short, 0 not run" in out
    assert RESEARCH_USE in out


def test_the_date_is_that_of_source_date_epoch(tmp_path, monkeypatch):
    monkeypatch.setattr(workflow, "CHAPTERS", stub(0.5))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    for name in ("a", "b"):
        workflow.run_certify(tmp_path / name, seed=1, profile="quick")
    a, b = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("a", "b"))

    assert a == b
    assert b"1970-01-01 00:00 UTC" in a["certificate.html"]


def test_simulated_curves_are_the_convolution_of_artery_and_residue():
    """By plain sums on a grid of 0.1 s, an implementation of its own."""
    from bolus.simulate import PatientSettings
    from bolus.simulate.patient import injected_bolus

    curves = simulated_curves(family="exponential", delay_s=2.0, snr=np.inf, copies=1, seed=1)
    fine = np.arange(900) * 0.1
    plasma = injected_bolus(PatientSettings(seed=1))(fine - 0.0)
    late = np.interp(fine - 2.0, fine, plasma, left=0.0)
    expected = 60 / 6000 * 0.1 * np.convolve(late, np.exp(-(fine + 0.05) / 3.0))[:900]

    np.testing.assert_allclose(curves.tissue[0], expected[::15], atol=0.02 * expected.max())
    assert curves.cbf[0] == 60
    assert curves.cbv[0] == pytest.approx(3.0)


def test_noise_has_the_stated_signal_to_noise_and_its_own_seed():
    def noisy(seed):
        return simulated_curves(family="gamma", delay_s=0.0, snr=100.0, copies=50, seed=seed)

    clean = simulated_curves(family="gamma", delay_s=0.0, snr=np.inf, copies=50, seed=1)
    share = (noisy(1).tissue - clean.tissue) / clean.tissue.max(axis=1, keepdims=True)

    assert share.std() == pytest.approx(0.01, rel=0.03)
    np.testing.assert_array_equal(noisy(1).tissue, noisy(1).tissue)
    assert (noisy(1).tissue != noisy(2).tissue).any()


@pytest.fixture(scope="module")
def residues():
    return residue_part(FEW)


def test_truncated_deconvolution_underestimates_the_flow_of_steep_residues(residues):
    """Ostergaard 1996 and Wu 2003: the maximum of a smoothed exponential is too low."""
    rows = {(row.object, row.method): row.errors for row in residues.tables[0].rows}

    assert set(rows) == {(f"{f} residue", m) for f in RESIDUES for m in METHODS}
    assert max(rows["exponential residue", "csvd"]) < -20
    assert max(rows["exponential residue", "osvd"]) < -5
    # block-circulant matrices know no delay, the causal one does
    assert np.ptp(rows["exponential residue", "csvd"]) < 1 < np.ptp(rows["gamma residue", "ssvd"])
    assert np.abs(rows["exponential residue", "vascular"]).max() < 2


@pytest.mark.slow
def test_the_same_seed_gives_the_same_tables(residues):
    assert residue_part(FEW) == residues
    assert residue_part(dataclasses.replace(FEW, seed=2)) != residues


def test_leakage_gates_are_red_when_the_correction_does_nothing(monkeypatch):
    from bolus.workflows import gates_dsc_leakage

    def broken(protocol, *, seed):
        check = check_leakage(protocol, seed=seed)
        raw = check.areas["uncorrected"]
        return dataclasses.replace(check, areas=dict.fromkeys(check.areas, raw))

    monkeypatch.setattr(gates_dsc_leakage, "check_leakage", broken)
    gates = leakage_part(QUICK).gates

    assert {g.passed for g in gates if g.name == "correction mends it"} == {False}


def test_leakage_gates_are_red_when_the_correction_moves_tight_voxels(monkeypatch):
    from bolus.workflows import gates_dsc_leakage

    def broken(protocol, *, seed):
        check = check_leakage(protocol, seed=seed)
        tilt = np.linspace(1, 1.05, len(check.truth.ncbv))
        areas = {n: a if n == "uncorrected" else a * tilt for n, a in check.areas.items()}
        return dataclasses.replace(check, areas=areas)

    monkeypatch.setattr(gates_dsc_leakage, "check_leakage", broken)
    gates = leakage_part(QUICK).gates

    assert {g.passed for g in gates if g.name == "leak-free CBV stays"} == {False}


def test_without_reference_data_gate_two_is_listed_as_not_run():
    gates = osipi_part(QUICK).gates

    assert {gate.verdict for gate in gates} == {"not run"}
    assert len(gates) == 6


@pytest.mark.reference
def test_the_published_curves_keep_gate_two(reference_data):
    curves = read_osipi_curves(find_osipi_curves(reference_data))
    part = osipi_part(dataclasses.replace(QUICK, reference=reference_data))

    assert curves.tissue.shape == (14, 161)
    assert curves.step_s == 1.243
    assert [gate.passed for gate in part.gates] == [True] * 6
    # the folder itself may be named as well
    assert find_osipi_curves(reference_data / "harness" / "data").is_file()
    np.testing.assert_array_equal(
        measure_curves(curves, METHODS["osvd"])[1], ratio_of_areas(curves)
    )


@pytest.mark.reliability
@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"label,C_tis\n", Code.FILE_DAMAGED),
        (gzip.compress(b"label,C_tis\nx,1 2\n")[:-9], Code.FILE_DAMAGED),
        (gzip.compress(b"label,C_tis\nx,1 2\n"), Code.TABLE_INVALID),
        (gzip.compress(b"C_tis,C_aif,cbv,cbf,tr\n1 2,1 2,4,x,1\n"), Code.TABLE_INVALID),
        (gzip.compress(b"C_tis,C_aif,cbv,cbf,tr\n1 2,1 2 3,4,9,1\n"), Code.TABLE_INVALID),
        (gzip.compress(b"\xff\xfe\x00"), Code.TABLE_INVALID),
        (gzip.compress(bytes(65 << 20)), Code.FILE_BOMB),
    ],
    ids=["not packed", "cut short", "columns", "no number", "frames", "not text", "bomb"],
)
def test_a_bad_file_of_curves_is_said_with_its_name(content, code, tmp_path):
    (tmp_path / "dsc_data.csv.gz").write_bytes(content)
    with pytest.raises(BolusError) as caught:
        read_osipi_curves(find_osipi_curves(tmp_path))

    assert caught.value.code is code
    assert "dsc_data.csv.gz" in str(caught.value)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """The whole quick profile, as CI runs it."""
    output = tmp_path_factory.mktemp("certify") / "out"
    return output, workflow.run_certify(output, seed=1, profile="quick").certificate


@pytest.mark.slow
def test_the_quick_profile_passes_every_gate_it_runs(quick):
    _, certificate = quick
    short = [(g.name, g.object, g.method, g.value) for g in certificate.gates if g.passed is False]

    assert short == []
    assert certificate.count("passed") >= 21
    assert certificate.count("not run") == 11  # 6 of DSC, 5 of DCE


@pytest.mark.slow
def test_the_quick_profile_leaves_a_complete_certificate(quick):
    output, certificate = quick
    page = (output / "certificate.html").read_text(encoding="utf-8")
    record = json.loads((output / "certificate.json").read_text(encoding="utf-8"))

    assert io.verify(output) == ()
    assert RESEARCH_USE in page
    assert record["use"] == RESEARCH_USE
    assert len(record["gates"]) == len(certificate.gates)
    assert {e["method"] for e in record["errors"]} >= {*METHODS, "uncorrected", "matched", "bsw"}
    for part in certificate.chapters[0].parts:
        assert part.title in page
