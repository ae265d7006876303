"""A dataset through the command line on every executor, and then as a group."""

import json
import os
import shutil

import numpy as np
import pytest
import slurm_node
from tiny_cohort import cut_short, run, tree, write_cohort

from bolus import io
from bolus.errors import Code, ResourceError
from bolus.metrics.outliers import robust_z
from bolus.workflows import session
from bolus.workflows.cohort_plan import plan_cohort
from bolus.workflows.config import Config
from bolus.workflows.execute import Executor, Slurm
from bolus.workflows.memory_plan import BASE_BYTES, SERIES_FACTOR, plan_memory, session_bytes

GIB = 1 << 30
SERIES_BYTES = 4 * 40 * 44 * 6 * 60  # of `tiny_exam`


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("cohort") / "data", 3)


@pytest.fixture(scope="module")
def serial(dataset):
    output = dataset.with_name("serial")
    status, _, told = run("run", dataset, output, "participant")
    assert status == 0, told
    return output, told


@pytest.fixture(scope="module")
def three(dataset):
    return io.find_sessions(dataset)


def test_a_log_has_one_line_a_session(serial):
    _, told = serial
    lines = told.strip().splitlines()

    assert [line.split(" done;")[0] for line in lines] == [
        f"[{n}/3] sub-{n:02d}" for n in (1, 2, 3)
    ]
    assert "0 failed" in lines[-1]
    assert lines[-1].endswith("about 0:00 left")


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["processes", "dask"])
def test_every_executor_writes_the_same_bytes(dataset, serial, tmp_path, executor):
    status, printed, told = run(
        "--json", "run", dataset, tmp_path / "out", "participant", "-q",
        "--executor", executor, "--workers", "2",
    )  # fmt: skip

    assert status == 0, told
    assert tree(tmp_path / "out") == tree(serial[0])
    assert list(json.loads(printed)["steps"]) == [f"sub-{n:02d}/dsc" for n in (1, 2, 3)]


@pytest.mark.slow
def test_a_scheduler_that_runs_already_gives_the_same_bytes(dataset, serial, tmp_path):
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        status, _, told = run(
            "run", os.path.relpath(dataset, tmp_path), "out", "participant", "-q",
            "--executor", "dask", "--scheduler", cluster.scheduler_address, cwd=tmp_path,
        )  # fmt: skip

    assert status == 0, told
    assert set(tree(tmp_path / "out")) == set(tree(serial[0]))


def test_a_dry_run_says_the_plan_and_writes_nothing(dataset, tmp_path):
    status, printed, told = run(
        "run", dataset, tmp_path / "out", "participant", "--dry-run", "--executor", "dask",
        "--workers", "7", "--slurm-partition", "long", "--slurm-time", "01:30:00",
        "--slurm-extra=--account=lab", cwd=tmp_path,
    )  # fmt: skip

    assert status == 0, told
    for line in (
        "Sessions  3", "#SBATCH -p long", "#SBATCH -t 01:30:00", "#SBATCH --account=lab",
        "#SBATCH --mem=512M", "export OMP_NUM_THREADS=1", "tls://ADDRESS:PORT",
        "Nothing was started or written.",
    ):  # fmt: skip
        assert line in printed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--executor", "threads"], "BOLUS-5004"),
        (["--workers", "0"], "BOLUS-5004"),
        (["--slurm-partition", "long"], "BOLUS-5004"),
        (["--executor", "dask", "--slurm-memory", "lots"], "BOLUS-5004"),
        (["--executor", "dask", "--slurm-memory", "100M"], "BOLUS-6003"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(dataset, tmp_path, words, code):
    status, _, told = run("run", dataset, tmp_path / "out", "participant", *words)

    assert status == 2
    assert len(told.strip().splitlines()) == 1
    assert told.startswith(f"error[{code}]")
    assert list(tmp_path.iterdir()) == []


def test_the_need_of_a_session_is_read_from_its_header(three):
    assert session_bytes(three[0]) == BASE_BYTES + int(SERIES_FACTOR * SERIES_BYTES)


def test_a_header_that_cannot_be_read_does_not_stop_the_plan(three, tmp_path):
    bad = tmp_path / "x.nii.gz"
    shutil.copy(three[0].series, bad)
    bad.write_bytes(bad.read_bytes()[:20])

    assert session_bytes(io.SessionFiles(key=three[0].key, series=bad)) == BASE_BYTES


@pytest.mark.parametrize(
    ("free", "asked", "expected"), [(8 * GIB, 4, 4), (GIB, 4, 2), (int(0.8 * GIB), 4, 1)]
)
def test_workers_are_as_many_as_memory_allows(three, free, asked, expected):
    assert plan_memory(three, workers=asked, available_bytes=free).workers == expected


def test_a_session_that_does_not_fit_is_refused_by_name(three):
    with pytest.raises(ResourceError, match="nothing was computed") as caught:
        plan_memory(three, workers=1, available_bytes=BASE_BYTES)

    assert caught.value.code is Code.MEMORY
    assert caught.value.where == "sub-01"


def test_slurm_is_asked_for_the_memory_of_the_largest_session(dataset):
    plan = plan_cohort(dataset, executor=Executor(kind="dask", workers=50, slurm=Slurm()))

    assert plan.executor.workers == 50
    assert plan.executor.memory_bytes == 512 << 20


@pytest.mark.slurm
@pytest.mark.slow
@pytest.mark.skipif(bool(slurm_node.missing()), reason=slurm_node.missing() or "-")
def test_four_sessions_run_as_jobs_of_a_real_slurm(tmp_path):
    data = write_cohort(tmp_path / "data", 4)
    (tmp_path / "node").mkdir()
    assert run("run", data, tmp_path / "serial", "participant", "-q")[0] == 0
    with slurm_node.slurm_node(tmp_path / "node") as environment:
        status, _, told = run(
            "run", data, tmp_path / "out", "participant", "-q", "--executor", "dask",
            "--workers", "2", "--slurm-partition", slurm_node.PARTITION,
            "--slurm-time", "00:20:00",
            env=environment, cwd=tmp_path / "node", seconds=400,
        )  # fmt: skip
        left = slurm_node.jobs(environment)

    assert status == 0, told
    assert tree(tmp_path / "out") == tree(tmp_path / "serial")
    assert len(list((tmp_path / "node").glob("slurm-*.out"))) == 2
    assert left == []


@pytest.fixture(scope="module")
def group(dataset, serial, tmp_path_factory):
    """Three sessions, of which one is damaged, run and then gathered."""
    base = tmp_path_factory.mktemp("group")
    data, out = base / "data", base / "out"
    shutil.copytree(dataset, data)
    shutil.copytree(serial[0], out)
    cut_short(data / "sub-03" / "perf" / "sub-03_dsc.nii.gz")
    shutil.rmtree(out / "sub-03")
    assert run("run", data, out, "participant", "-q")[0] == 3
    status, printed, told = run("run", data, out, "group")
    assert status == 0, told
    return data, out, printed


def read(path):
    columns, *rows = [line.split("\t") for line in path.read_text().splitlines()]
    return [dict(zip(columns, row, strict=True)) for row in rows]


def test_the_group_has_every_row_of_every_session(group, serial):
    _, out, _ = group
    rows = read(out / "group" / "group_regions.tsv")
    own = read(serial[0] / "sub-02" / "dsc" / "perf" / "sub-02_regions.tsv")
    same = [row for row in rows if row["session"] == "sub-02"]

    assert {row["session"] for row in rows} == {"sub-01", "sub-02"}
    assert [{k: row[k] for k in own[0]} for row in same] == own


def test_the_group_says_who_failed_and_why(group):
    _, out, printed = group
    states = {row["session"]: row for row in read(out / "group" / "group_sessions.tsv")}
    page = (out / "group" / "report.html").read_text()

    assert "Sessions  3 (1 with a step that failed)" in printed
    assert states["sub-03"]["state"] == "failed"
    assert "BOLUS-1003" in states["sub-03"]["reason"]
    assert "BOLUS-1003" in page
    assert 'href="../sub-01/dsc/report.html"' in page or "None beyond" in page


def test_the_group_has_quality_and_protocol_of_every_series(group):
    _, out, _ = group
    quality = read(out / "group" / "group_quality.tsv")
    protocol = read(out / "group" / "group_protocol.tsv")

    assert {row["name"] for row in quality} >= {"temporal signal-to-noise", "warnings"}
    assert {row["echo_time"] for row in protocol} == {"30 ms"}
    assert {row["field_strength"] for row in protocol} == {"3 T"}
    assert {row["contrast_agent"] for row in protocol} == {"not stated"}


def test_the_same_sessions_give_the_same_group(group):
    data, out, _ = group
    before = tree(out / "group")

    assert run("run", data, out, "group")[0] == 0
    assert tree(out / "group") == before
    assert io.verify(out / "group") == ()


def test_a_table_that_was_altered_counts_as_failed(group, tmp_path):
    data, out, _ = group
    copy = tmp_path / "out"
    shutil.copytree(out, copy)
    table = copy / "sub-01" / "dsc" / "perf" / "sub-01_regions.tsv"
    table.write_text(table.read_text().replace("cbv", "cbf"))

    assert run("run", data, copy, "group")[0] == 0
    states = {row["session"]: row for row in read(copy / "group" / "group_sessions.tsv")}
    assert "BOLUS-1011" in states["sub-01"]["reason"]


def test_a_group_of_nothing_is_refused(dataset, tmp_path):
    status, _, told = run("run", dataset, tmp_path / "out", "group")

    assert status == 2
    assert "holds no finished session" in told
    assert list(tmp_path.iterdir()) == []


def test_the_robust_distance_is_that_of_a_normal_distribution():
    values = np.random.default_rng(5).normal(3.0, 2.0, 20_001)
    z = robust_z(values)

    assert np.std(z) == pytest.approx(1.0, abs=0.02)
    assert np.median(z) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("values", [[1, 2, 3, 4], [1, 1, 1, 1, 9], [np.nan] * 6])
def test_nothing_is_said_where_nothing_can_be_said(values):
    assert np.isnan(robust_z(np.array(values, float))).all()


def test_a_bug_met_by_one_session_is_its_row_and_names_no_patient(three, tmp_path, monkeypatch):
    def wrong(_job, _progress):
        raise TypeError("Jane Doe")

    monkeypatch.setattr(session, "_WORK", {"dsc": wrong})
    job = session.SessionJob(files=three[0], out_dir=tmp_path, config=Config())
    outcome = session.run_session(job)

    assert outcome[0].error.code is Code.INTERNAL
    assert "TypeError" in str(outcome[0].error)
    assert "Jane" not in str(outcome[0].error)
