"""OSIPI DSC curves (Apache-2.0, DCE-DSC-MRI_CodeCollection), gate 2 of the science gates."""

import csv
import gzip

import numpy as np

from bolus.quantify.vascular import VascularModel


def _numbers(text):
    return np.array(text.split(), float)


def _rows(reference_data):
    path = reference_data / "harness" / "data" / "dsc_data.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8-sig") as lines:
        return [{k.strip(): v for k, v in row.items()} for row in csv.DictReader(lines)]


def test_flow_of_the_osipi_curves_is_within_gate_two(reference_data):
    rows = _rows(reference_data)
    aif = _numbers(rows[0]["C_aif"])
    seconds = np.arange(len(aif)) * float(rows[0]["tr"])
    fit = VascularModel()(np.stack([_numbers(row["C_tis"]) for row in rows]), aif, seconds=seconds)
    flow = np.abs(6000 * fit.flow_per_s / [float(row["cbf"]) for row in rows] - 1)
    volume = np.abs(100 * fit.volume / [float(row["cbv"]) for row in rows] - 1)

    assert np.median(flow) <= 0.10
    assert flow.max() <= 0.35
    # the curves were made with the rectangle rule: area too large by flow * step / 2
    assert volume.max() <= 0.20
