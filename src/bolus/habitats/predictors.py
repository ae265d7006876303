"""What predicts an outcome from an exam's curves, and the simple things it has to beat."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from bolus.core.exam_curves import CurveCohort, CurveExam
from bolus.errors import Code, MetadataError

Probabilities = Callable[[CurveCohort], Float[np.ndarray, " n"]]
"""Gives each exam of a cohort its probability of the outcome; it sees no label."""
Features = Callable[[CurveExam], Float[np.ndarray, " f"]]
_FOREST_LEAF = 40
_LEAVES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Which label is predicted, and which value of it counts as present.

    Example:
        >>> Outcome(label="idh", positive="mutant").name
        'idh mutant'
    """

    label: str
    positive: str

    @property
    def name(self) -> str:
        """Label and value, for tables."""
        return f"{self.label} {self.positive}"

    def of(self, cohort: CurveCohort) -> Bool[np.ndarray, " n"]:
        """Return for every exam whether the outcome is present.

        Raises:
            MetadataError: it is not known for one of them.
        """
        values = [exam.labels.get(self.label, "") for exam in cohort.exams]
        if not all(values):
            raise MetadataError(
                Code.METADATA_MISSING,
                f"{values.count('')} of {len(values)} exams have no label {self.label}",
                mend="leave them out with CurveCohort.labelled",
            )
        return np.array([value == self.positive for value in values], bool)

    def dealt(self, cohort: CurveCohort, labels: Bool[np.ndarray, " n"]) -> CurveCohort:
        """Return the cohort with other labels, for controls; the truth is no longer in it."""
        names = {True: self.positive, False: f"not {self.positive}"}
        return CurveCohort(
            exams=tuple(
                dataclasses.replace(exam, labels={self.label: names[bool(one)]})
                for exam, one in zip(cohort.exams, labels, strict=True)
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """Something that is fitted on a cohort and then gives probabilities.

    `fit` gets the exams to train on, those to choose by, and a seed; it sees nothing else, so that
    scaling, codebooks and selection are of those exams alone. `baseline` marks what others are
    compared with. `draws` tells that the seed changes the result.
    """

    name: str
    fit: Callable[[CurveCohort, CurveCohort, int], Probabilities]
    baseline: bool = False
    draws: bool = False


def site_only(outcome: Outcome) -> Predictor:
    """Predict by the scanner alone: what a network could reach that only knows where it is.

    Args:
        outcome: to predict.

    Assumes:
        A site that training has not seen has the prevalence of all.

    Source:
        Zech et al., PLoS Med 2018;15:e1002683.
    """

    def fit(training: CurveCohort, validation: CurveCohort, seed: int) -> Probabilities:  # noqa: ARG001
        present, names = outcome.of(training), np.array(training.sites)
        overall = (present.sum() + 1) / (len(present) + 2)
        shares = {
            site: (present[names == site].sum() + 2 * overall) / ((names == site).sum() + 2)
            for site in set(training.sites)
        }

        def predict(cohort: CurveCohort) -> np.ndarray:
            return np.array([float(shares.get(site, overall)) for site in cohort.sites])

        return predict

    return Predictor(name="site only", fit=fit, baseline=True)


def age_and_sex(outcome: Outcome) -> Predictor:
    """Predict by age and sex: what is known before any image.

    Args:
        outcome: to predict.

    Assumes:
        Log odds are linear in age. An unknown age is the mean of training.

    Source:
        Age alone tells IDH with an AUC of 0.76 to 0.90: docs/explanation/patients.md.
    """
    return _logistic("age + sex", outcome, _clinical, baseline=True)


def ncbv_alone(outcome: Outcome) -> Predictor:
    """Predict by the mean nCBV of the tumour, as a threshold on it does.

    Args:
        outcome: to predict.

    Assumes:
        Log odds are linear in ln nCBV.

    Source:
        Meta-analysis of IDH by mean CBV, AUC 0.85: docs/explanation/patients.md.
    """
    return _logistic("nCBV", outcome, _ncbv, baseline=True)


def age_sex_ncbv(outcome: Outcome) -> Predictor:
    """Predict by age, sex and mean nCBV together: the strongest of the simple ones.

    Args:
        outcome: to predict.

    Assumes:
        As its parts.

    Source:
        Set by us.
    """
    return _logistic(
        "age + sex + nCBV", outcome, lambda e: np.concatenate([_clinical(e), _ncbv(e)]),
        baseline=True,
    )  # fmt: skip


def forest(
    name: str,
    outcome: Outcome,
    learn: Callable[[CurveCohort, CurveCohort, int], Features],
    *,
    baseline: bool = True,
) -> Predictor:
    """Predict by a random forest on features that are themselves learned in the fold.

    Args:
        name: of the predictor.
        outcome: to predict.
        learn: from training and validation exams and a seed to what turns an exam into features,
            such as the shares of perfusion codes.
        baseline: whether others are compared with it.

    Assumes:
        Features of an exam do not depend on its label.

    Source:
        50 trees of depth 2 with at least 40 patients a leaf, 4 features a split and balanced
        classes: github jhlee0619/Glioma-Tumor-Habitat, doi 10.5281/zenodo.21350691. With fewer
        than 320 patients a leaf is an eighth of them; that is ours.
    """

    def fit(training: CurveCohort, validation: CurveCohort, seed: int) -> Probabilities:
        from sklearn.ensemble import RandomForestClassifier

        features = learn(training, validation, seed)
        rows = _rows(features, training)
        model = RandomForestClassifier(
            n_estimators=50,
            max_depth=2,
            min_samples_leaf=min(_FOREST_LEAF, max(1, len(rows) // _LEAVES)),
            min_samples_split=10,
            max_features=min(4, rows.shape[1]),
            class_weight="balanced_subsample",
            random_state=seed,
            n_jobs=1,
        ).fit(rows, outcome.of(training))
        return lambda cohort: np.asarray(model.predict_proba(_rows(features, cohort))[:, 1])

    return Predictor(name=name, fit=fit, baseline=baseline, draws=True)


def _logistic(name: str, outcome: Outcome, features: Features, *, baseline: bool) -> Predictor:
    """Return logistic regression on standardised features; what is unknown is the mean."""

    def fit(training: CurveCohort, validation: CurveCohort, seed: int) -> Probabilities:  # noqa: ARG001
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        both = CurveCohort(exams=training.exams + validation.exams)
        model = make_pipeline(
            SimpleImputer(keep_empty_features=True), StandardScaler(), LogisticRegression(C=1.0)
        ).fit(_rows(features, both), outcome.of(both))
        return lambda cohort: np.asarray(model.predict_proba(_rows(features, cohort))[:, 1])

    return Predictor(name=name, fit=fit, baseline=baseline)


def _rows(features: Features, cohort: CurveCohort) -> np.ndarray:
    return np.array([features(exam) for exam in cohort.exams], np.float64)


def _clinical(exam: CurveExam) -> np.ndarray:
    sex = {"male": 1.0, "female": 0.0}.get(exam.sex, np.nan)
    return np.array([exam.age_years, sex])


def _ncbv(exam: CurveExam) -> np.ndarray:
    return np.array([np.log(exam.ncbv) if exam.ncbv > 0 else np.nan])


BASELINES: Sequence[Callable[[Outcome], Predictor]] = (
    site_only,
    age_and_sex,
    ncbv_alone,
    age_sex_ncbv,
)
"""What stands beside every network."""
