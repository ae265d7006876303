"""The same bytes whatever the threads, the language, the time zone and the order of options."""

import os
import subprocess
import sys

import exam_cases
import pytest
from reliability_run import count, tree

pytestmark = pytest.mark.reliability
ALL = {
    "two threads": {"NUMBA_NUM_THREADS": "2", "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"},
    "four threads": {"OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4", "MKL_NUM_THREADS": "4"},
    "German": {"LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"},
    "Tokyo": {"TZ": "Asia/Tokyo"},
    "other hashes": {"PYTHONHASHSEED": "7"},
    "options turned round": {},
    "everything": {
        "OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4", "LC_ALL": "en_US.utf8",
        "TZ": "America/St_Johns", "PYTHONHASHSEED": "12",
    },
}  # fmt: skip
SOME = list(ALL)[-count(len(ALL), 1) :]


def result(folder, files, settings, changed, *, turned=False):
    options = [["--tumour", files.tumour], ["--mask", files.brain], ["--config", settings], ["-q"]]
    words = [word for option in (options[::-1] if turned else options) for word in option]
    done = subprocess.run(
        [sys.executable, "-m", "bolus", "dsc", files.series, *words, "-o", folder / "out"],
        env={
            **os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
            "SOURCE_DATE_EPOCH": "0", **changed,
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return tree(folder / "out")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    files = exam_cases.write(folder / "in")
    settings = folder / "s.toml"
    settings.write_text("[dsc]\nflow_method = 'ssvd'\n")
    return files, settings, result(folder, files, settings, {})


@pytest.mark.parametrize("name", SOME, ids=lambda name: name.replace(" ", "_"))
def test_nothing_around_the_program_changes_a_byte(plain, tmp_path, name):
    files, settings, expected = plain

    assert result(tmp_path, files, settings, ALL[name], turned="turned" in name) == expected
