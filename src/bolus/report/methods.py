"""The methods paragraph and its references, written from what was done and nothing else."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bolus.core import Provenance, Step

_DOI = re.compile(r"10\.\d{4,9}/[^\s;,]+")

_SPOKEN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"find_aif": ("voxels", "score"), "aif_from_region": ("voxels", "score")}
)
"""Settings worth a place in the paragraph, for steps that record many; the others say all."""
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
        "truth": "The values are the known truth of a simulation",
        "correct_motion": "Head motion was corrected by rigid registration of every frame",
        "find_brain": "The brain was segmented on the perfusion series itself",
        "baseline_image": "The baseline image is the mean of the frames before the bolus",
        "find_bolus": "Steady state, baseline, bolus arrival and first pass were found "
        "on the mean brain signal",
        "signal_to_delta_r2s": "Signal was converted to the change of transverse relaxation rate, "
        "ΔR2*(t) = −ln(S(t)/S0)/TE",
        "dual_echo_to_delta_r2s": "ΔR2* was computed from the ratio of two echoes, "
        "which cancels T1 effects",
        "find_aif": "The arterial input function was found automatically as the mean of the "
        "voxels with the most artery-like curves",
        "aif_from_region": "The arterial input function is the mean curve of a given region",
        "read_curve_tsv": "The arterial input function was read from a table",
        "aif_from_curve": "The arterial input function was given as a curve",
        "find_leakage_reference": "The reference curve of the leakage model was taken from "
        "non-enhancing brain",
        "correct_leakage": "Contrast agent leakage was corrected voxel by voxel",
        "find_white_matter": "Normal-appearing white matter was found automatically",
        "find_grey_matter": "Grey matter was found automatically",
        "normalise_to_white_matter": "Maps were divided by their mean in normal-appearing "
        "white matter",
        "standardise": "Blood volume was standardised to the brain's own distribution",
        "vascular_maps": "Flow and transit time were fitted with a vascular model with "
        "gamma-distributed transit times",
        "svd_maps": "Flow and delay were read from the residue function found by deconvolution "
        "with a truncated singular value decomposition",
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
        "resample_time": "The series was resampled to a constant sampling interval",
        "resample_mask": "A mask was resampled to the grid of the series",
        "resample_labels": "Labels were resampled to the grid of the series",
        "resample_map": "A map was resampled to the grid of the series",
        "resample_series": "The series was resampled to another grid",
    }
)
"""What the last part of a step's function name means, as a sentence without its full stop."""

REFERENCES: Mapping[str, str] = MappingProxyType(
    {
        "10.1093/neuonc/noaa141": "Boxerman JL, Quarles CC, Hu LS, et al. Consensus "
        "recommendations for a dynamic susceptibility contrast MRI protocol for use in high-grade "
        "gliomas. Neuro-Oncology 2020;22:1262-1275.",
        "10.1002/mrm.1910140211": "Rosen BR, Belliveau JW, Vevea JM, Brady TJ. Perfusion imaging "
        "with NMR contrast agents. Magn Reson Med 1990;14:249-265.",
        "10.1002/mrm.1910360510": "Østergaard L, Weisskoff RM, Chesler DA, Gyldensted C, Rosen BR. "
        "High resolution measurement of cerebral blood flow using intravascular tracer bolus "
        "passages. Part I. Magn Reson Med 1996;36:715-725.",
        "10.1002/mrm.10522": "Wu O, Østergaard L, Weisskoff RM, et al. Tracer arrival "
        "timing-insensitive technique for estimating flow in MR perfusion-weighted imaging using "
        "singular value decomposition with a block-circulant deconvolution matrix. Magn Reson Med "
        "2003;50:164-174.",
        "10.1016/j.neuroimage.2006.06.015": "Mouridsen K, Friston K, Hjort N, et al. Bayesian "
        "estimation of cerebral perfusion using a physiological model of microvasculature. "
        "NeuroImage 2006;33:570-579.",
        "10.1002/mrm.20759": "Mouridsen K, Christensen S, Gyldensted L, Østergaard L. Automatic "
        "selection of arterial input function using cluster analysis. Magn Reson Med "
        "2006;55:524-531.",
        "10.3174/ajnr.A4759": "Leu K, Boxerman JL, Cloughesy TF, et al. Improved leakage "
        "correction for single-echo DSC perfusion MRI assessment of relative cerebral blood volume "
        "by the incorporation of bidirectional contrast agent exchange. AJNR 2016;37:1440-1446.",
        "10.1038/jcbfm.2011.52": "Bjørnerud A, Sorensen AG, Mouridsen K, Emblem KE. T1- and "
        "T2*-dominant extravasation correction in DSC-MRI. J Cereb Blood Flow Metab "
        "2011;31:2041-2053.",
    }
)


def write_methods(provenance: Provenance, *, version: str) -> Methods:
    """Write the methods text of a history.

    Every step gives a sentence: from the table, or plainly by its name where the table has none;
    a repeated sentence with the same settings is said once. References are numbered as they come.

    Args:
        provenance: the steps in order.
        version: of bolus.
    """
    numbers: dict[str, int] = {}
    first = Sentence(text=f"Perfusion was quantified with bolus {version}, for research use only")
    known: list[Sentence] = [first]
    unknown: list[Sentence] = []
    for step in provenance.steps:
        sentence = _sentence(step, numbers)
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
    return SENTENCES.get(step.function.rsplit(".", 1)[-1], step.function)


def _sentence(step: Step, numbers: dict[str, int]) -> Sentence:
    name = step.function.rsplit(".", 1)[-1]
    sources = [part.strip() for part in step.source.split("; ") if part.strip()]
    marks = tuple(numbers.setdefault(_key(source), len(numbers) + 1) for source in sources)
    text = SENTENCES.get(name)
    return Sentence(
        text=text if text is not None else step.function,
        settings=", ".join(
            _setting(key, value)
            for key, value in step.arguments.items()
            if key in _SPOKEN.get(name, step.arguments)
        ),
        references=marks,
        known=text is not None,
    )


def _setting(name: str, value: object) -> str:
    """Say one argument; a number takes the unit that its name ends in."""
    stem, _, ending = name.rpartition("_")
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
    return "none" if value is None else str(value)


def _key(source: str) -> str:
    """A DOI alone is the same source as that DOI behind a prefix."""
    bare = re.sub(r"^(doi:\s*|https?://(dx\.)?doi\.org/)", "", source, flags=re.IGNORECASE)
    return bare.rstrip(".") if _DOI.fullmatch(bare.rstrip(".")) else source


def _reference(source: str, place: int) -> Reference:
    found = _DOI.search(source)
    doi = found.group(0).rstrip(".)") if found else ""
    text = REFERENCES.get(doi, source) if doi == source else source
    return Reference(number=place, text=text, link=f"https://doi.org/{doi}" if doi else "")
