"""The chapter of networks that make parameters reproducible: arteries, intervals, resolution.

Everything is measured on simulated scanners, patients and residues that no training saw, beside
what would be done without the network.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from bolus.errors import ResourceError
from bolus.io.weights import shipped_weights
from bolus.metrics.perfusion_bias import LIMITS
from bolus.report.certificate_findings import ErrorRow, ErrorTable, Gate, Part
from bolus.simulate.kinetic_curves import simulate_kinetic_curves
from bolus.workflows import shipped_aif, shipped_field, shipped_frames, shipped_pharmacokinetics
from bolus.workflows.aif_study import BASELINES, AifScore, study_aif
from bolus.workflows.gates_request import GOALS, GateRequest
from bolus.workflows.networks import require_networks
from bolus.workflows.progress import Progress, stage
from bolus.workflows.shipped_field import DceScore
from bolus.workflows.shipped_frames import FrameScore

_AIF_PATIENTS = {"quick": 30, "full": 100}
_KINETIC_EXAMS = {"quick": 25, "full": 100}
_SCANS = {"quick": 1, "full": 3}
_MEASURED, _POPULATION = "measured", "population (Parker)"
_LOW_SNR, _HIGH_SNR = 10.0, 50.0
_SNR = 60.0
_GAIN_DB = 2.0
_SOURCE = f"limit: {GOALS}"
_CURVES = "simulated curves, unseen acquisitions"


def certify_networks(request: GateRequest, progress: Progress) -> tuple[Part, ...]:
    """Measure what networks do to arteries, intervals, noise and resolution.

    Args:
        request: seed and profile.
        progress: told about every stage.

    Returns:
        The parts in the order of the page; one that says why, where torch is absent.
    """
    try:
        require_networks()
    except ResourceError as absent:
        return (_absent(str(absent)),)
    parts = []
    for name, measure in _PARTS.items():
        with stage(progress, name):
            parts.append(measure(request))
    return tuple(parts)


def aif_part(request: GateRequest) -> Part:
    """Measure the translated arterial curve beside the measured one and a population's.

    Args:
        request: its profile says how many exams.
    """
    count = _AIF_PATIENTS[request.profile.name]
    methods = {**BASELINES, **shipped_aif.learned_methods(shipped_weights("aif-translation"))}
    scores = {s.name: s for s in study_aif(shipped_aif.unseen_pairs(count), methods)}
    learned = scores["learned"]
    what = f"{count} simulated exams, two picks each"
    ratios = tuple(
        Gate(
            name=f"Ktrans error over {said}", what="median relative error, over that without",
            object=what, method="learned", value=learned.error / scores[name].error, high=1.0,
            strict=True, source=_SOURCE,
        )
        for name, said in ((_MEASURED, "the measured curve's"), (_POPULATION, "a population's"))
    )  # fmt: skip
    return Part(
        title="Arterial curve of DCE",
        text=(
            "Networks make the plasma curve of a patient of a measured arterial curve that suffers "
            "from inflow, T2*, partial volume and slow frames. Two picks of each exam give two "
            "Ktrans of its tumour. A constant curve would have a perfect ICC: errors count too."
        ),
        gates=(
            Gate(
                name="ICC(2,1) of Ktrans", what="agreement of two picks", object=what,
                method="learned", value=learned.icc.value, low=0.85, source=_SOURCE,
            ),
            *ratios,
        ),
        tables=(_aif_table(scores, what),),
    )  # fmt: skip


def interval_part(request: GateRequest) -> Part:
    """Measure intervals of Ktrans and vp, and their error beside least squares.

    Args:
        request: its profile says how many exams of each kind.
    """
    weights = shipped_weights("pharmacokinetics")
    tests = {
        kind: shipped_pharmacokinetics.kinetic_test(
            simulate_kinetic_curves(
                _KINETIC_EXAMS[request.profile.name], seed=shipped_pharmacokinetics.TEST_SEED,
                voxels=shipped_pharmacokinetics.VOXELS, ranges=ranges,
            ),
            weights,
        )
        for kind, ranges in shipped_pharmacokinetics.UNSEEN.items()
    }  # fmt: skip
    rows = {
        (kind, key): _interval_row(test, key) for kind, test in tests.items()
        for key in ("ktrans", "vp")
    }  # fmt: skip
    mean = {key: np.mean([row for (_, k), row in rows.items() if k == key], axis=0)
            for key in ("ktrans", "vp")}  # fmt: skip
    gates = []
    for key, name in (("ktrans", "Ktrans"), ("vp", "vp")):
        held, low, high = (float(value) for value in mean[key])
        gates += [
            Gate(name=f"90 % interval, {name}", what="holds the truth, mean over kinds",
                 object=_CURVES, method="networks", value=held, unit="%", low=88.0, high=92.0,
                 source=_SOURCE),
            Gate(name=f"error of {name}, SNR below {_LOW_SNR:g}",
                 what="RMSE over that of least squares", object=_CURVES, method="networks",
                 value=low, high=1.0, strict=True, source=_SOURCE),
            Gate(name=f"error of {name}, SNR above {_HIGH_SNR:g}",
                 what="RMSE over that of least squares", object=_CURVES, method="networks",
                 value=high, high=1.05, source=_SOURCE),
        ]  # fmt: skip
    columns = ("interval holds [%]", "error, low SNR [%]", "error, high SNR [%]")
    return Part(
        title="Intervals of Ktrans and vp",
        text=(
            "Networks correct least squares in units of its error. Kinds are acquisitions, "
            "arteries and residues, from those of the training to those that are far from it. "
            "Gates are means over kinds; the table has each."
        ),
        gates=tuple(gates),
        tables=(
            ErrorTable(
                title="By kind",
                text="Errors are root mean squares in percent of those of least squares.",
                columns=columns, absolute=columns, what="values",
                rows=tuple(
                    ErrorRow(object=kind, method=key, errors=(row[0], 100 * row[1], 100 * row[2]))
                    for (kind, key), row in rows.items()
                ),
            ),
        ),
    )  # fmt: skip


def frame_part(request: GateRequest) -> Part:
    """Measure what denoising does to maps, vessels and small lesions.

    Args:
        request: its profile says how many scans.
    """
    from bolus.nets.frame_enhance import enhance_frames
    from bolus.preprocess.local_pca import denoise_local_pca

    weights = shipped_weights("frame-enhancer")
    scores: dict[str, list[FrameScore]] = {"nothing": [], "local components": [], "network": []}
    for test in shipped_frames.frame_tests(_SCANS[request.profile.name]):
        noisy = shipped_frames.noisy_scan(test, _SNR)
        ways = {
            "nothing": noisy,
            "local components": denoise_local_pca(noisy, test.brain).series,
            "network": enhance_frames(noisy, test.brain, weights, biased=True).series,
        }
        for name, series in ways.items():
            scores[name].append(shipped_frames.score_frames(test, series))
    gates = []
    for name in ("local components", "network"):
        gain = _mean(scores[name], "map_psnr") - _mean(scores["nothing"], "map_psnr")
        gates.append(_gate(f"gain of the CBV map, {name}", "PSNR over that without", name, gain,
                           low=0.0, unit="dB"))  # fmt: skip
        gates += _bias_gates(name, scores[name])
    return Part(
        title="Noise of a series",
        text=(
            f"DSC series with a signal-to-noise ratio of {_SNR:g}, with small lesions in white "
            "matter that are found or lost in the map of blood volume."
        ),
        gates=tuple(gates),
        tables=(_frame_table(scores),),
    )


def resolution_part(request: GateRequest) -> Part:
    """Measure series on twice as many voxels along each axis of a slice.

    Args:
        request: its profile says how many scans of each kind.
    """
    count = _SCANS[request.profile.name]
    dsc, dce = shipped_field.dsc_field_tests(count), shipped_field.dce_field_tests(count)
    ways = {
        **shipped_field.BASELINES,
        "network": shipped_field.field_way(shipped_weights("space-time-field")),
    }
    found = {name: shipped_field.measured_of(way, dsc, dce) for name, way in ways.items()}
    gates = []
    for name in shipped_field.BASELINES:
        for at, said in ((0, "CBV"), (1, "Ktrans")):
            gain = _mean(found["network"][at], "map_psnr") - _mean(found[name][at], "map_psnr")
            gates.append(_gate(f"gain of the {said} map over {name}", "PSNR over that without",
                               "network", gain, low=_GAIN_DB, unit="dB"))  # fmt: skip
    gates += _bias_gates("network", found["network"][0])
    return Part(
        title="Resolution of a series",
        text=(
            "DSC and DCE series with half as many voxels along each axis of a slice, and a "
            f"signal-to-noise ratio of {_SNR:g}, are compared with the scan at full resolution."
        ),
        gates=tuple(gates),
        tables=(_frame_table({n: p for n, (p, _) in found.items()}),
                _ktrans_table({n: k for n, (_, k) in found.items()})),
    )  # fmt: skip


_PARTS: Mapping[str, Callable[[GateRequest], Part]] = MappingProxyType(
    {
        "Translated artery": aif_part,
        "Intervals": interval_part,
        "Noise": frame_part,
        "Resolution": resolution_part,
    }
)


def _absent(why: str) -> Part:
    gate = Gate(
        name="networks", what="all gates of this chapter", object="", method="", value=None,
        source=_SOURCE, note=why,
    )  # fmt: skip
    return Part(title="Networks", text="None could be used.", gates=(gate,))


def _interval_row(
    test: shipped_pharmacokinetics.KineticTest, key: str
) -> tuple[float, float, float]:
    """Return the share [%] that intervals hold, and the ratio of errors at low and high SNR."""
    truth, found, fitted = test.truth(key), test.mean(key), test.least_squares(key)[0]
    both = np.isfinite(found) & np.isfinite(fitted)
    ratios = []
    for use in (test.snr < _LOW_SNR, test.snr > _HIGH_SNR):
        own, other = (np.mean((x - truth)[both & use] ** 2) for x in (found, fitted))
        ratios.append(float(np.sqrt(own / other)))
    return 100 * test.coverage(key).covered, ratios[0], ratios[1]


def _gate(
    name: str, what: str, method: str, value: float, *, low: float = -np.inf,
    high: float = np.inf, unit: str = "",
) -> Gate:  # fmt: skip
    return Gate(
        name=name, what=what, object="simulated scans, unseen scanners", method=method,
        value=value, low=low, high=high, unit=unit, source=_SOURCE,
    )  # fmt: skip


def _bias_gates(name: str, scores: list[FrameScore]) -> list[Gate]:
    """Return the gates of what may not happen to vessels, maps and lesions."""
    gates = []
    for own, limit, said in (
        ("aif_peak", "aif_peak", "height of vessels"), ("aif_fwhm", "aif_fwhm", "width of vessels"),
        ("recovery_bias", "recovery", "signal recovery"), ("map_bias", "map", "mean blood volume"),
    ):  # fmt: skip
        most = 100 * LIMITS[limit]
        gates.append(_gate(f"{said}, {name}", "mean error", name, 100 * _mean(scores, own),
                           unit="%", low=-most, high=most))  # fmt: skip
    late = LIMITS["aif_ttp_s"]
    gates.append(_gate(f"time to peak of vessels, {name}", "mean error", name,
                       _mean(scores, "aif_ttp_s"), unit="s", low=-late, high=late))  # fmt: skip
    lost = sum(score.lost + score.invented for score in scores)
    gates.append(_gate(f"lesions lost or invented, {name}", "number", name, lost, high=0.0))
    return gates


def _mean(scores: "list[FrameScore] | list[DceScore]", name: str) -> float:
    return float(np.mean([getattr(score, name) for score in scores]))


def _aif_table(scores: Mapping[str, AifScore], what: str) -> ErrorTable:
    columns = ("ICC(2,1) [%]", "median error [%]", "limits of two picks, low [%]", "high [%]")
    rows = []
    for name, score in scores.items():
        ends = [100 * (np.exp(x) - 1) for x in (score.repeat.lower, score.repeat.upper)]
        rows.append(
            ErrorRow(object=what, method=name,
                     errors=(100 * score.icc.value, 100 * score.error, *map(float, ends)))
        )  # fmt: skip
    return ErrorTable(
        title="Ktrans by arterial curve", text="Bland and Altman's limits of the two picks.",
        columns=columns, rows=tuple(rows), absolute=columns[:2], what="values",
    )  # fmt: skip


_DSC_COLUMNS: Mapping[str, tuple[str, float]] = MappingProxyType(
    {
        "frames_psnr": ("frames, PSNR [dB]", 1), "frames_ssim": ("frames, SSIM [%]", 100),
        "frames_nmse": ("frames, NMSE [%]", 100), "map_psnr": ("CBV, PSNR [dB]", 1),
        "map_nmse": ("CBV, NMSE [%]", 100), "contrast": ("contrast left [%]", 100),
        "aif_peak": ("height of vessels [%]", 100), "aif_fwhm": ("width of vessels [%]", 100),
        "aif_ttp_s": ("time to peak [s]", 1), "recovery_bias": ("signal recovery [%]", 100),
    }
)  # fmt: skip
_DCE_COLUMNS: Mapping[str, tuple[str, float]] = MappingProxyType(
    {
        "frames_psnr": ("frames, PSNR [dB]", 1), "map_psnr": ("Ktrans, PSNR [dB]", 1),
        "map_bias": ("mean Ktrans of the tumour [%]", 100),
    }
)  # fmt: skip


def _frame_table(scores: Mapping[str, list[FrameScore]]) -> ErrorTable:
    return _score_table("DSC", "What is kept or lost, and errors.", scores, _DSC_COLUMNS)


def _ktrans_table(scores: Mapping[str, list[DceScore]]) -> ErrorTable:
    return _score_table("DCE", "True T1, flip angles and artery.", scores, _DCE_COLUMNS)


def _score_table(
    kind: str,
    text: str,
    scores: "Mapping[str, list[FrameScore]] | Mapping[str, list[DceScore]]",
    columns: Mapping[str, tuple[str, float]],
) -> ErrorTable:
    """Tabulate means of scores; figures with a sign are errors."""
    signed = ("aif_peak", "aif_fwhm", "aif_ttp_s", "recovery_bias", "map_bias")
    return ErrorTable(
        title=kind, text=text, columns=tuple(name for name, _ in columns.values()),
        absolute=tuple(name for key, (name, _) in columns.items() if key not in signed),
        what="values",
        rows=tuple(
            ErrorRow(object=kind, method=method,
                     errors=tuple(unit * _mean(own, key) for key, (_, unit) in columns.items()))
            for method, own in scores.items()
        ),
    )  # fmt: skip
