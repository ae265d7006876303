"""The methods paragraph and its references, written from what was done and nothing else."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bolus.core import QUANTITIES, Provenance, Step
from bolus.report.references import REFERENCES

_DOI = re.compile(r"10\.\d{4,9}/[^\s;,]+")
_CAPLEX = re.compile(r"[A-Z]\.[A-Z0-9]+\.\d+(\.[a-z])?")
_FRAMES = re.compile(r"(\d+):(\d+)")
_UNIT = re.compile(r"_(s|deg|t|mmol_per_kg|ml_per_s)$")
_NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)+")

_SPOKEN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "find_aif": ("voxels", "score"),
        "aif_from_region": ("voxels", "score"),
        "propose_arteries": ("network", "voxels", "score"),
        "correct_motion": ("largest_displacement_mm", "frames_resampled", "interpolation"),
    }
)
"""Settings worth a place in the paragraph, for steps that record many; the others say all."""
_ORIGINS = MappingProxyType(
    {"user": "given by the user", "sidecar": "from the JSON sidecar", "header": "from the header"}
)
_ENDINGS = MappingProxyType(
    {"s": "s", "mm": "mm", "deg": "°", "t": "T", "ml": "mL", "percent": "%"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One entry of the reference list; `link` is "" where there is no DOI."""

    number: int
    text: str
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One step of the methods: its words, its settings, and the references it rests on."""

    text: str
    settings: str = ""
    references: tuple[int, ...] = ()
    known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Methods:
    """The paragraph, the steps that have no sentence yet, and the numbered references."""

    sentences: tuple[Sentence, ...]
    unknown: tuple[Sentence, ...]
    references: tuple[Reference, ...]

    def paragraph(self) -> str:
        """Return the paragraph as plain text, to be pasted into a manuscript."""
        parts = []
        for sentence in self.sentences:
            marks = f" [{', '.join(map(str, sentence.references))}]" if sentence.references else ""
            settings = f" ({sentence.settings})" if sentence.settings else ""
            parts.append(f"{sentence.text}{settings}{marks}.")
        return " ".join(parts)


SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "read_series": "The perfusion series was read from NIfTI",
        "read_image": "An image was read from NIfTI",
        "simulate_patient": "The series was simulated, not measured",
        "simulate": "The series was simulated, not measured",
        "simulate_dce": "The series was simulated, not measured",
        "simulate_maps": "The maps were simulated, not measured",
        "simulate_habitat_phantom": "The maps were simulated, not measured",
        "rescan_lesion": "The maps were simulated, not measured",
        "fit_habitats": "Habitats were learnt once on a cohort in which every patient weighed the "
        "same, and were not changed after",
        "adapt_habitats": "The centres of the habitats were moved to the patient as far as "
        "patients of the cohort differ",
        "assign_habitats": "Every voxel of the lesion was given the habitat that is most probable "
        "for its values",
        "smooth_membership": "Neighbouring voxels had a say in each other's habitat (hidden Markov "
        "random field)",
        "build_graph": "The tumour was made a graph: regions of one code, supervoxels in each, and "
        "edges between what touches or is near",
        "leakage_object": "The values are those of a simulated object of known leakage, "
        "not measured",
        "truth": "The values are the known truth of a simulation",
        "correct_motion": "Head motion was corrected by rigid registration of every frame, "
        "by least squares",
        "apply_motion": "The second echo was moved as the first",
        "refine_series": "Networks, trained on simulated scans, gave the series finer voxels than "
        "were measured",
        "denoise_local_pca": "Noise was taken from the series by principal components of small "
        "blocks, as many as stand out by Marchenko and Pastur's law",
        "enhance_frames": "A network took noise from the images of the time courses that the "
        "series is made of",
        "from_frame": "Frames before the steady state of the signal were left out",
        "predict_sequence": "An ensemble of networks read the mean signal curves of the tumour's "
        "parts and of an artery, and gave a probability with an interval",
        "find_exam_bolus": "Steady state and arrival of the bolus were found on the mean curve of "
        "the tumour",
        "encode_curves": "The signal curve of every voxel of the tumour was given a code by a "
        "network (vector-quantised autoencoder) that looks at its shape alone",
        "reapply_motion": "Head motion was corrected as it had been found when the maps were made",
        "find_brain": "The brain was segmented on the perfusion series itself",
        "baseline_image": "The baseline image is the mean of the frames before the bolus",
        "find_bolus": "Steady state, baseline, bolus arrival and first pass were found "
        "on the mean brain signal",
        "read_t1_map": "T1 before the agent was read from a map",
        "fit_dce": "Concentration curves were fitted in every voxel",
        "initial_area": "IAUC60 is the area under the concentration curve in the first 60 s "
        "after the agent arrives",
        "steady_state_area": "The mean relative enhancement was taken over the frames after the "
        "first pass",
        "find_enhancement": "Baseline and the arrival of the agent were found on the leading "
        "vessels",
        "r10_map": "The native longitudinal relaxation rate was fitted in every voxel",
        "signal_to_concentration": "Signal was converted to concentration of contrast agent by "
        "the exact inverse of the signal equation",
        "population_input": "A population-averaged arterial input function was used",
        "find_dce_aif": "The arterial input was found on the DCE series by a score of early, "
        "high and narrow enhancement",
        "kinetic_posterior": "An ensemble of networks, trained on simulated curves, gave Ktrans, "
        "ve and vp with calibrated 90 % intervals besides",
        "dce_aif_from_curve": "The arterial input was given as a curve",
        "translate_aif": "An ensemble of networks, trained on simulated scans, translated the "
        "measured arterial curve into the plasma curve of the patient",
        "scale_to_vein": "The arterial input was scaled to the area of a large vein, which is "
        "less diluted by its surroundings",
        "aif_in_plasma": "Blood concentration was divided by the plasma fraction",
        "aif_from_dsc": "The arterial input was taken from the DSC series of the same patient and "
        "scaled to that of DCE",
        "determined_maps": "Means of ve and kep leave out voxels whose leakage is within its 90 % "
        "interval of zero",
        "with_smooth_tail": "From 30 s after its half rise the arterial input follows the smooth "
        "decay of a large vein, fitted as a sum of exponentials",
        "between_samples": "Between its samples the arterial input was interpolated by a gamma "
        "variate and a cubic spline",
        "disperse": "It was dispersed by an exponential that fits the median curve of the brain "
        "best, to stand for the plasma of the capillaries",
        "average_over_frames": "The arterial input was averaged over the duration of each frame",
        "signal_to_delta_r2s": "Signal was converted to the change of transverse relaxation rate, "
        "ΔR2*(t) = −ln(S(t)/S0)/TE",
        "dual_echo_to_delta_r2s": "ΔR2* was computed from the ratio of two echoes, "
        "which cancels T1 effects",
        "find_aif": "The arterial input function was found automatically as the mean of the "
        "voxels with the most artery-like curves",
        "aif_from_region": "The arterial input function is the mean curve of a given region",
        "propose_arteries": "The arterial input is the mean curve of the voxels that a network, "
        "trained on simulated scans, expects to hold the largest share of artery",
        "read_curve_tsv": "The arterial input function was read from a table",
        "aif_from_curve": "The arterial input function was given as a curve",
        "find_leakage_reference": "The reference curve of the leakage model was taken from "
        "non-enhancing brain",
        "correct_leakage": "Contrast agent leakage was corrected voxel by voxel",
        "read_diffusion": "Diffusion-weighted images were read from NIfTI",
        "apparent_diffusion": "The apparent diffusion coefficient was fitted to the mean over "
        "directions, up to b = 1500 s/mm²",
        "read_adc": "The apparent diffusion coefficient was taken as the scanner gave it",
        "find_white_matter": "Normal-appearing white matter was found automatically",
        "find_grey_matter": "Grey matter was found automatically",
        "normalise_to_white_matter": "Maps were divided by their mean in normal-appearing "
        "white matter",
        "standardise": "Blood volume was standardised to the brain's own distribution",
        "vascular_maps": "Flow and transit time were fitted with a vascular model with "
        "gamma-distributed transit times",
        "svd_maps": "Flow and Tmax are the height and the lag of the maximum of the residue "
        "function, found by deconvolution",
        "blood_volume": "Blood volume is the ratio of the areas under the tissue and arterial "
        "curves",
        "transit_time": "Mean transit time is the ratio of blood volume and blood flow",
        "arrival_map": "Bolus arrival was estimated in every voxel",
        "time_to_peak_map": "Time to peak was read from every voxel's curve",
        "peak_height_map": "Peak height is the maximum of every voxel's ΔR2* curve",
        "recovery_map": "Percentage signal recovery compares the signal after the first pass "
        "with the baseline",
        "fractional_tumour_burden": "Fractional tumour burden is the share of tumour voxels in "
        "each nCBV class",
        "region_table": "Region means come with a 95 % interval of the mean",
        "register_visits": "Later visits were registered to the first by least squares, in both "
        "directions and without the lesions",
        "resample_map_through": "Maps of later visits were brought to the first with one "
        "interpolation",
        "resample_time": "The series was resampled to a constant sampling interval",
        "resample_mask": "A mask was resampled to the grid of the series",
        "resample_labels": "Labels were resampled to the grid of the series",
        "resample_map": "A map was resampled to the grid of the series",
        "resample_series": "The series was resampled to another grid",
    }
)
"""What the last part of a step's function name means, as a sentence without its full stop."""

CHOICES: Mapping[str, tuple[str, Mapping[str, str]]] = MappingProxyType(
    {
        "correct_leakage": (
            "model",
            {
                "bsw": "with the Boxerman-Schmainda-Weisskoff model: a reference curve less its "
                "integral, without washout",
                "bidirectional": "with a model of bidirectional exchange: a reference curve less "
                "what leaks and is washed out",
                "matched": "with a model of leakage and washout beside a reference curve that is "
                "matched to the transit and arrival of each voxel",
            },
        ),
        "fit_dce": (
            "model",
            {
                "tofts": "with the Tofts model, which has no plasma of its own",
                "extended_tofts": "with the extended Tofts model",
                "patlak": "with the Patlak model, in which nothing flows back",
                "two_compartment_uptake": "with the two-compartment uptake model",
                "two_compartment_exchange": "with the two-compartment exchange model",
                "best": "with several models, of which the corrected Akaike criterion chose one",
            },
        ),
        "svd_maps": (
            "method",
            {
                "Ssvd": "with the truncated singular value decomposition of the causal matrix "
                "(sSVD)",
                "Csvd": "with the truncated singular value decomposition of the block-circulant "
                "matrix (cSVD)",
                "Osvd": "with the singular value decomposition of the block-circulant matrix, "
                "truncated in each voxel at a limit of oscillation (oSVD)",
                "Tikhonov": "with Tikhonov regularisation of the block-circulant matrix, its "
                "strength chosen in each voxel by generalised cross-validation",
            },
        ),
    }
)
"""Steps with more than one model: the argument that names it, and the words for each."""

_ONLY_TMAX = "Tmax is the lag of the maximum of the residue function, found by deconvolution"
"""The sentence of `svd_maps` where flow comes from the vascular model."""


def write_methods(
    provenance: Provenance, *, version: str, aim: str = "Perfusion was quantified"
) -> Methods:
    """Write the methods text of a history.

    Every step gives a sentence: from the table, or plainly by its name where the table has none;
    a repeated sentence with the same settings is said once. References are numbered as they come.

    Args:
        provenance: the steps in order.
        version: of bolus.
        aim: what it was all done for, as the beginning of the first sentence.
    """
    numbers: dict[str, int] = {}
    done = frozenset(_name(step) for step in provenance.steps)
    first = Sentence(text=f"{aim} with bolus {version}, for research use only")
    known: list[Sentence] = [first]
    unknown: list[Sentence] = []
    for step in provenance.steps:
        sentence = _sentence(step, numbers, done)
        into = known if sentence.known else unknown
        if sentence not in into:
            into.append(sentence)
    return Methods(
        sentences=tuple(known),
        unknown=tuple(unknown),
        references=tuple(_reference(source, n) for source, n in numbers.items()),
    )


def sentence_for(step: Step) -> str:
    """Return what a step did in words, or its name where there are no words for it.

    Example:
        >>> from bolus.report import sentence_for
        >>> sentence_for(Step("quantify.transit_time", {}))
        'Mean transit time is the ratio of blood volume and blood flow'
    """
    text = SENTENCES.get(_name(step), step.function)
    chosen = _chosen(step)
    return f"{text} {chosen}" if chosen else text


def _name(step: Step) -> str:
    return step.function.rsplit(".", 1)[-1]


def _chosen(step: Step) -> str:
    """Say which of several models a step used, or nothing where there is one or it is unknown."""
    argument, words = CHOICES.get(_name(step), ("", {}))
    return words.get(str(step.arguments.get(argument, "")), "")


def _in_context(step: Step, done: frozenset[str]) -> str:
    """Return the sentence of a step, given which other steps there were."""
    name, text = _name(step), sentence_for(step)
    if name == "svd_maps" and "vascular_maps" in done:
        return text.replace(SENTENCES[name], _ONLY_TMAX)
    if name == "blood_volume" and "correct_leakage" not in done:
        return f"{text}, without a correction for leakage"
    return text


def _sentence(step: Step, numbers: dict[str, int], done: frozenset[str]) -> Sentence:
    name = _name(step)
    sources = [part.strip() for part in step.source.split("; ") if part.strip()]
    marks = tuple(numbers.setdefault(_key(source), len(numbers) + 1) for source in sources)
    return Sentence(
        text=_in_context(step, done),
        settings=_origins(step) if name == "read_series" else _settings(step),
        references=marks,
        known=name in SENTENCES,
    )


def _settings(step: Step) -> str:
    name = _name(step)
    said = CHOICES[name][0] if _chosen(step) else ""
    return ", ".join(
        _setting(key, value)
        for key, value in step.arguments.items()
        if key != said and key in _SPOKEN.get(name, step.arguments)
    )


def _origins(step: Step) -> str:
    """Say where the settings of a series came from: one phrase per origin."""
    by_origin: dict[str, list[str]] = {}
    for key, origin in step.arguments.items():
        words = "frame times" if key == "time" else _UNIT.sub("", key)
        by_origin.setdefault(str(origin), []).append(words.replace("_", " "))
    return "; ".join(
        f"{', '.join(names)} {_ORIGINS.get(origin, origin)}" for origin, names in by_origin.items()
    )


def _setting(name: str, value: object) -> str:
    """Say one argument; a number takes the unit that its name ends in."""
    stem, _, ending = name.rpartition("_")
    frames = _FRAMES.fullmatch(value) if isinstance(value, str) else None
    if frames:  # readers count frames from 1
        return f"{name.replace('_', ' ')} frames {int(frames[1]) + 1} to {frames[2]}"
    if stem and ending in _ENDINGS and isinstance(value, str):
        return f"{stem.replace('_', ' ')} {value}"
    if stem and ending in _ENDINGS and isinstance(value, int | float):
        return f"{stem.replace('_', ' ')} {_plain(value)} {_ENDINGS[ending]}"
    return f"{name.replace('_', ' ')} {_plain(value)}"


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str) and value in QUANTITIES:
        return QUANTITIES[value].symbol or QUANTITIES[value].name
    text = "none" if value is None else str(value)
    return text.replace("_", " ") if _NAME.fullmatch(text) else text


def _key(source: str) -> str:
    """A DOI alone is the same source as that DOI behind a prefix."""
    bare = re.sub(r"^(doi:\s*|https?://(dx\.)?doi\.org/)", "", source, flags=re.IGNORECASE)
    return bare.rstrip(".") if _DOI.fullmatch(bare.rstrip(".")) else source


def _reference(source: str, place: int) -> Reference:
    found = _DOI.search(source)
    doi = found.group(0).rstrip(".)") if found else ""
    text = REFERENCES.get(source, source)
    if _CAPLEX.fullmatch(source):
        text = f"OSIPI CAPLEX, the lexicon of contrast agent perfusion MRI: {source}."
    return Reference(number=place, text=text, link=f"https://doi.org/{doi}" if doi else "")
