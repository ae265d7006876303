"""Everything the page of an evaluation is made from: one value, put together by the workflow."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bolus.core import Provenance
from bolus.habitats.analyses import CalibrationCurve, DecisionCurves, RocRow
from bolus.habitats.judge import Judged, Judgement, Judging


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LearningFindings:
    """What predictors are worth on patients they never saw.

    `source` says in a sentence who was fitted on and who was tested; `simulated` that no patient
    was among them. `permuted` tells that labels were dealt at random before anything was done, so
    that every number has to be that of chance. `calibration` and the first curve of `rocs` are of
    the `main` predictor. `look` names the look at the test part by hash.
    """

    label: str
    version: str
    created: str
    judgement: Judgement
    how: Judging
    source: str
    simulated: bool
    permuted: bool
    rocs: tuple[RocRow, ...]
    calibration: CalibrationCurve
    decision: DecisionCurves
    look: str
    provenance: Provenance = field(default_factory=Provenance)
    warnings: tuple[str, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    title: str = "Evaluation of predictors"

    @property
    def main(self) -> Judged:
        """The predictor that the page is about: the last that is no baseline, or the best one."""
        return main_row(self.judgement)


def main_row(judgement: Judgement) -> Judged:
    """Return the predictor that a page is about.

    Args:
        judgement: of all predictors.
    """
    own = [row for row in judgement.rows if not row.baseline]
    return own[-1] if own else judgement.best_baseline
