"""The predictors that can be evaluated, by name: baselines, ratios of codes, networks."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from bolus.core import CurveExam
from bolus.errors import Code, ConfigError
from bolus.habitats.predictors import (
    Outcome,
    Predictor,
    age_and_sex,
    age_sex_ncbv,
    ncbv_alone,
    site_only,
)
from bolus.workflows.config import Config
from bolus.workflows.curve_timing import exam_curves
from bolus.workflows.networks import require_networks
from bolus.workflows.train_recipes import recipe_with

if TYPE_CHECKING:
    from bolus.nets.machine import Machine
    from bolus.nets.physical_axis import ExamCurves

Maker = Callable[[Outcome, Config, str], Predictor]
"""Makes a predictor of an outcome, by the settings, on a device."""


def chosen_predictors(
    names: Sequence[str], outcome: Outcome, config: Config, *, device: str
) -> tuple[Predictor, ...]:
    """Return predictors in the order of the table; without names all of them.

    Args:
        names: keys of `PREDICTORS`.
        outcome: to predict.
        config: its sections `train` and `codes`.
        device: auto, cpu or gpu.

    Raises:
        ConfigError: there is no baseline among them.
        ResourceError: a library that networks need is absent.
    """
    chosen = [key for key in PREDICTORS if not names or key in names]
    if set(chosen) <= set(NETWORKS):
        raise ConfigError(
            Code.USAGE,
            f"{', '.join(names)} would be judged beside no baseline",
            mend=f"add one of {', '.join(key for key in PREDICTORS if key not in NETWORKS)}",
            where="--predictor",
        )
    if any(key in LEARNED for key in chosen):
        require_networks()
    return tuple(PREDICTORS[key](outcome, config, device) for key in chosen)


def _code_ratios(outcome: Outcome, config: Config, device: str) -> Predictor:
    from bolus.habitats.curve_predictors import code_ratio_forest
    from bolus.nets.curve_codes import RECIPE
    from bolus.nets.vqvae import CodeSettings

    return code_ratio_forest(
        outcome,
        _timed_once(),
        settings=CodeSettings(positions=config.codes.positions, codes_each=config.codes.codes_each),
        recipe=recipe_with(RECIPE, config),
        machine=_machine(config, device),
    )


def _component_ratios(outcome: Outcome, config: Config, device: str) -> Predictor:
    del config, device
    from bolus.habitats.curve_predictors import component_ratio_forest

    return component_ratio_forest(outcome, _timed_once())


def _sequence(outcome: Outcome, config: Config, device: str) -> Predictor:
    from bolus.habitats.curve_predictors import sequence_networks
    from bolus.nets.sequence import SequenceSettings
    from bolus.nets.sequence_fit import RECIPE

    return sequence_networks(
        outcome,
        settings=SequenceSettings(network=config.train.network, members=config.train.members),
        recipe=recipe_with(RECIPE, config),
        machine=_machine(config, device),
    )


def _timed_once() -> Callable[[CurveExam], "ExamCurves"]:
    """Return `exam_curves` that looks for the bolus of an exam once, whatever its labels are."""
    found: dict[tuple[object, int], tuple[np.ndarray, ExamCurves]] = {}

    def timed(exam: CurveExam) -> "ExamCurves":
        # The array is kept, so that its address stays its own.
        key = (exam.key, exam.voxels.ctypes.data)
        if key not in found:
            found[key] = (exam.voxels, exam_curves(exam))
        return found[key][1]

    return timed


def _machine(config: Config, device: str) -> "Machine":
    from bolus.nets.machine import Machine

    asked = config.train
    return Machine(accelerator=device, devices=asked.devices, threads=asked.threads)


PREDICTORS: Mapping[str, Maker] = MappingProxyType(
    {
        "site": lambda outcome, config, device: site_only(outcome),  # noqa: ARG005
        "clinic": lambda outcome, config, device: age_and_sex(outcome),  # noqa: ARG005
        "ncbv": lambda outcome, config, device: ncbv_alone(outcome),  # noqa: ARG005
        "clinic_ncbv": lambda outcome, config, device: age_sex_ncbv(outcome),  # noqa: ARG005
        "component_ratios": _component_ratios,
        "code_ratios": _code_ratios,
        "sequence": _sequence,
    }
)
"""Every predictor of an evaluation."""
NETWORKS = ("sequence",)
"""Those that are held to the others, which are baselines."""
LEARNED = ("component_ratios", "code_ratios", *NETWORKS)
"""Those that need the libraries of networks."""
