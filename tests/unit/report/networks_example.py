"""Findings of codes and of a prediction, made up."""

import numpy as np
from findings_example import small_findings

from bolus.core import (
    CURVE_REGIONS,
    QUANTITIES,
    CurveExam,
    LabelMap,
    MapSet,
    ModelCard,
    ParameterMap,
    ProtocolRange,
    SessionKey,
    Step,
    TimeAxis,
)
from bolus.core.randomness import stream
from bolus.core.timing import Acquisition
from bolus.habitats.code_shares import code_quartiles, code_shares
from bolus.report.codes_findings import CodeCurve, CodeFindings
from bolus.report.prediction_findings import PredictionFindings, ProtocolRow

NAMES = {number: f"H{number}" for number in range(1, 9)}
CARD = ModelCard(
    name="example",
    kind="curve_codes",
    settings={"positions": 3, "codes_each": 2, "dimension": 2},
    trained_on="400 simulated patients of 4 simulated scanners.",
    simulated=True,
    protocol=ProtocolRange(limits={"interval_s": (1.0, 3.0), "echo_time_s": (0.02, 0.05)}),
    limits="Other protocols than those of the training are refused.",
    version="0",
    measured={"test_auc": 0.91},
)


def codes_findings() -> CodeFindings:
    """Return the codes of the small example's tumour: deep in its middle, shallow outside."""
    exam = small_findings()
    grid, tumour = exam.signal.grid, exam.tumour
    inside = tumour.values > 0
    away = np.linalg.norm(np.argwhere(inside) - np.argwhere(inside).mean(axis=0), axis=1)
    own = 1 + np.minimum(np.argsort(np.argsort(away)) * 7 // len(away), 6).astype(np.uint8)
    volume = np.zeros(grid.shape, np.uint8)
    volume[inside] = own
    codes = LabelMap(values=volume, grid=grid, names=NAMES)
    seconds = exam.signal.time.seconds
    drop = 0.7 / own[:, None] * np.exp(-(((seconds - 30) / 6) ** 2))
    noise = stream(1, "noise").normal(0, 0.01, (len(own), len(seconds)))
    quartiles = code_quartiles(1 - drop + noise, own, count=8)
    steps = exam.provenance.then(
        Step("nets.encode_curves", {"network": "example"}, "10.48550/arXiv.1711.00937")
    )
    misfit = ParameterMap.from_voxels(
        away, quantity=QUANTITIES["codedistance"], mask=tumour.foreground, provenance=steps
    )
    return CodeFindings(
        label="sub-01", version="0", created="2026-01-01", signal=exam.signal,
        anatomy=exam.anatomy, brain=exam.brain, tumour=tumour, codes=codes,
        maps=MapSet({"codedistance": misfit}),
        shares=code_shares(codes, tumour, np.stack([codes.values, codes.values[::-1]])),
        curves=tuple(
            CodeCurve(code=name, voxels=int((own == number).sum()), low=low, middle=middle,
                      high=high, ncbv=8.0 / number)
            for (number, name), (low, middle, high) in zip(NAMES.items(), quartiles, strict=True)
        ),
        card=CARD, weights_digest="0123456789abcdef0123", provenance=steps,
        unlike_percent=12.5, left_out=3, warnings=("something was noticed",),
    )  # fmt: skip


def prediction_findings() -> PredictionFindings:
    """Return a prediction without a non-enhancing part."""
    seconds = TimeAxis.regular(60, step_s=1.5).seconds
    depth = np.array([0.4, np.nan, 0.15, 0.25, 0.6])[:, None]
    curves = 900 * (1 - depth * np.exp(-(((seconds - 28) / 5) ** 2)))
    exam = CurveExam(
        key=SessionKey("01"), site="A", time=TimeAxis.regular(60, step_s=1.5),
        acquisition=Acquisition(echo_time_s=0.03), regions=curves,
        voxels=np.ones((1, 60)), reference=np.ones(60),
    )  # fmt: skip
    assert curves.shape == (len(CURVE_REGIONS), 60)
    attention = np.exp(-(((seconds[::4] - 28) / 10) ** 2))
    return PredictionFindings(
        label="sub-01", version="0", created="2026-01-01", positive="IDH-mutant",
        probability=0.81, lower=0.62, upper=0.93, members=np.array([0.7, 0.78, 0.8, 0.85, 0.92]),
        unlike=1.2, unlike_limit=3.0, attention=attention, attention_s=seconds[::4], exam=exam,
        card=CARD, weights_digest="0123456789abcdef0123",
        provenance=small_findings().provenance.then(
            Step("nets.predict_sequence", {"network": "example"}, "10.1093/neuonc/noz095")
        ),
        protocol=(ProtocolRow(name="interval_s", value=1.5, low=1.0, high=3.0),),
    )  # fmt: skip
