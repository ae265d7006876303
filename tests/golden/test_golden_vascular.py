"""OSIPI DSC curves (Apache-2.0, DCE-DSC-MRI_CodeCollection), gate 2 of the science gates."""

import numpy as np
import pytest

from bolus.quantify.vascular import VascularModel
from bolus.workflows.gates_dsc_curves import measure_curves
from bolus.workflows.gates_dsc_osipi import find_osipi_curves, read_osipi_curves

pytestmark = pytest.mark.reference


def test_flow_of_the_osipi_curves_is_within_gate_two(reference_data):
    curves = read_osipi_curves(find_osipi_curves(reference_data))
    cbf, cbv = measure_curves(curves, VascularModel())
    flow, volume = np.abs(cbf / curves.cbf - 1), np.abs(cbv / curves.cbv - 1)

    assert np.median(flow) <= 0.10
    assert flow.max() <= 0.35
    # the curves were made with the rectangle rule: area too large by flow * step / 2
    assert volume.max() <= 0.20
