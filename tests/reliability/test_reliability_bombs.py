"""Files that hold, or promise, far more than they should: refused in seconds and little memory."""

import time
import tracemalloc

import nifti_cases
import pytest

from bolus.errors import BolusError, Code
from bolus.io import read_curve_tsv, read_image, read_labels, read_mask, read_series, verify
from bolus.workflows.config import read_config

pytestmark = pytest.mark.reliability
HUGE = 1 << 31


def sparse(path):
    """A file of 2 GiB that takes no room on disk."""
    with path.open("wb") as file:
        file.write(b"{")
        file.truncate(HUGE)
    return path


def with_huge_sidecar(folder):
    path = nifti_cases.good(folder, sidecar=None)
    sparse(folder / "dsc.json")
    return path


def members(count):
    def make(folder):
        path = nifti_cases.good(folder)
        with path.open("ab") as file:
            for _ in range(count):
                file.write(nifti_cases.ZERO_MEMBER)
        return path

    return make


def receipt(folder):
    sparse(folder / "receipt.json")
    return folder


BOMBS = {
    "series that unpacks 1000-fold": (nifti_cases.honest_bomb, read_series),
    "zeros behind the image": (nifti_cases.hidden_bomb, read_series),
    "64 gzip members behind the image": (members(64), read_series),
    "mask": (nifti_cases.mask_bomb, lambda path: read_mask(path, name="tumour")),
    "labels": (nifti_cases.mask_bomb, read_labels),
    "map": (nifti_cases.mask_bomb, read_image),
    "sidecar of 2 GiB": (with_huge_sidecar, read_series),
    "table of 2 GiB": (lambda folder: sparse(folder / "aif.tsv"), read_curve_tsv),
    "receipt of 2 GiB": (receipt, verify),
    "settings of 2 GiB": (lambda folder: sparse(folder / "s.toml"), read_config),
}


@pytest.mark.parametrize("name", BOMBS, ids=lambda name: name.replace(" ", "_"))
def test_a_bomb_is_refused_in_two_seconds_and_300_mb(name, tmp_path):
    make, read = BOMBS[name]
    path = make(tmp_path)
    tracemalloc.start()
    began = time.process_time()

    with pytest.raises(BolusError) as caught:
        read(path)

    spent_s = time.process_time() - began
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.code is Code.FILE_BOMB
    assert spent_s < 2
    assert peak < 300e6
