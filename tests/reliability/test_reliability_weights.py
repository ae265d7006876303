"""Weights of networks: one flipped bit anywhere is refused, and so is everything that is none."""

import json
import os

import numpy as np
import pytest

from bolus.core import ModelCard, ProtocolRange, Weights
from bolus.errors import BolusError
from bolus.io.weights import read_weights, write_weights

FLIPS = 60 if os.environ.get("BOLUS_RELIABILITY") == "full" else 12


@pytest.fixture
def files(tmp_path):
    card = ModelCard(
        name="tiny", kind="dense", settings={"width": 3, "mode": "a"}, trained_on="nothing",
        simulated=True, protocol=ProtocolRange(limits={"interval_s": (1.0, 3.0)}), limits="all",
        version="0", fitted_on=frozenset({"01"}), measured={"auc": 0.5},
    )  # fmt: skip
    tensors = {"b": np.arange(4, dtype=np.int64), "w": np.linspace(0, 1, 12, dtype=np.float32)}
    return write_weights(tmp_path, Weights(tensors=tensors, card=card))


def test_what_is_written_is_read(files):
    found = read_weights(files[1])

    assert found.card.fitted_on == {"01"}
    assert found.card.protocol.limits == {"interval_s": (1.0, 3.0)}
    assert found.tensors["w"].tobytes() == np.linspace(0, 1, 12, dtype=np.float32).tobytes()
    assert found.digest() == read_weights(files[0]).digest()


def test_the_same_weights_give_the_same_bytes(files, tmp_path):
    again = write_weights(tmp_path / "again", read_weights(files[0]))

    assert [one.read_bytes() for one in again] == [one.read_bytes() for one in files]


def test_the_page_for_people_says_what_they_must_know(files):
    text = files[2].read_text()

    assert "simulated curves" in text
    assert "Research use only" in text
    assert read_weights(files[0]).digest() in text


@pytest.mark.parametrize("number", range(FLIPS))
@pytest.mark.parametrize("which", [0, 1])
def test_one_flipped_bit_is_refused(files, which, number):
    content = bytearray(files[which].read_bytes())
    whole = bytes(content)
    place = number * (len(content) - 1) // (FLIPS - 1)
    content[place] ^= 1 << (number % 8)
    files[which].write_bytes(bytes(content))
    if which == 1 and _same(bytes(content), whole):
        pytest.skip("a space between values: the card says the same")

    with pytest.raises(BolusError) as refused:
        read_weights(files[0])
    assert refused.value.code.name in {"WEIGHTS_INVALID", "FILE_MISSING"}


def _same(one, other):
    """A bit that only changes the layout of the text changes nothing."""
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


@pytest.mark.parametrize("content", [b"", b"\x80\x04\x95", b"PK\x03\x04", b"{}", b"[1]"],
                         ids=["empty", "pickle", "zip", "object", "list"])  # fmt: skip
@pytest.mark.parametrize("which", [0, 1])
def test_other_files_are_refused(files, which, content):
    files[which].write_bytes(content)

    with pytest.raises(BolusError, match=r"BOLUS-8008|network|written|card"):
        read_weights(files[0])


@pytest.mark.parametrize("which", [0, 1])
def test_one_without_the_other_is_refused(files, which):
    files[which].unlink()

    with pytest.raises(BolusError, match=r"does not exist|no such"):
        read_weights(files[0])
