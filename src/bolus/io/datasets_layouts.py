"""What public datasets of brain tumours call their files; docs/how-to has where that is from."""

import re
from collections.abc import Mapping

from bolus.io.datasets import PUBLISHED, SEGMENTATION, STUDY, Layout, Place
from bolus.io.datasets_tables import TableShape

_TUMOUR = "seg-tumor_dseg"
_BRATS = {1: "necrotic core", 2: "oedema", 4: "enhancing tumour"}
_BRATS_AFTER_TREATMENT = {
    1: "non-enhancing tumour core", 2: "surrounding non-enhancing FLAIR hyperintensity",
    3: "enhancing tumour", 4: "resection cavity",
}  # fmt: skip


def _anatomy(before: str, after: str, t2: str, flair: str) -> dict[str, Place]:
    """Return the places of T1 before and after the agent, T2 and FLAIR, by their names."""
    endings = {before: "T1w", after: "ce-gadolinium_T1w", t2: "T2w", flair: "FLAIR"}
    return {what: Place(folder="anat", ending=ending) for what, ending in endings.items()}


def _published(folder: str, names: Mapping[str, str]) -> dict[str, Place]:
    return {
        what: Place(folder=folder, ending=ending, tree=PUBLISHED) for what, ending in names.items()
    }


def _tumour(names: Mapping[int, str], rank: int = 0) -> Place:
    return Place(folder="anat", ending=_TUMOUR, tree=SEGMENTATION, labels=names, rank=rank)


def _mask(label: str, tree: str = SEGMENTATION) -> Place:
    return Place(folder="anat", ending=f"label-{label}_mask", tree=tree)


UPENN_GBM = Layout(
    name="upenn-gbm",
    title="UPENN-GBM",
    doi="10.7937/TCIA.709X-DN49",
    pattern=re.compile(
        r"(?:^|/)(?P<subject>UPENN-GBM-\d+)_(?P<session>\d+)_(?P<what>[^/]+?)\.nii(?:\.gz)?$"
    ),
    places={
        **_anatomy("T1", "T1GD", "T2", "FLAIR"),
        "DSC": Place(folder="perf", ending="dsc"),
        **_published("perf", {"DSC_ap-rCBV": "rcbv", "DSC_PH": "ph", "DSC_PSR": "psr"}),
        **_published(
            "dwi", {"DTI_AD": "AD", "DTI_FA": "FA", "DTI_RD": "RD", "DTI_TR": "trace"}
        ),
        "segm": _tumour(_BRATS),
        "automated_approx_segm": _tumour(_BRATS, rank=1),
    },
    perfusion="raw DSC (registered to an atlas, skull removed) and published maps",
    table=TableShape(
        name=re.compile(r"UPENN-GBM_clinical_info", re.IGNORECASE),
        identifier="ID",
        subject={
            "Gender": "sex", "IDH1": "idh1", "MGMT": "mgmt",
            "Survival_from_surgery_days_UPDATED": "survival_from_surgery_days",
            "Survival_Status": "survival_status", "Survival_Censor": "survival_censor",
        },
        session={
            "Age_at_scan_years": "age_at_scan_years", "KPS": "kps",
            "GTR_over90percent": "gtr_over90percent", "PsP_TP_score": "psp_tp_score",
        },
        of_visits=True,
    ),
)  # fmt: skip

UCSD_PTGBM = Layout(
    name="ucsd-ptgbm",
    title="UCSD-PTGBM",
    doi="10.7937/fwv2-dt74",
    pattern=re.compile(
        r"(?:^|/)(?P<subject>UCSD-PTGBM-\d+)_(?P<session>\d+)_(?P<what>[^/]+?)\.nii(?:\.gz)?$"
    ),
    places={
        **_anatomy("T1pre", "T1post", "T2", "FLAIR"),
        "DSC_raw": Place(folder="perf", ending="dsc"),
        **_published("perf", {"CBF_svd": "cbf", "CBV_LC": "cbv", "MTT_svd": "mtt"}),
        **_published("dwi", {"ADC_vendor": "ADC", "DWI_vendor": "trace", "RSI_Cell": "rsi"}),
        **_published("anat", {"SWAN": "swan"}),
        "BraTS_tumor_seg": _tumour(_BRATS_AFTER_TREATMENT),
        "total_cellular_tumor_seg": _mask("totalcellular"),
        "enhancing_cellular_tumor_seg": _mask("enhancingcellular"),
        "non_enhancing_cellular_tumor_seg": _mask("nonenhancingcellular"),
    },
    perfusion="raw DSC where DSC_raw is there, and published maps",
    table=TableShape(
        name=re.compile(r"UCSD[_-]PTGBM.*clinical", re.IGNORECASE),
        identifier="ID",
        subject={
            "Sex at birth": "sex", "IDH": "idh", "MGMT": "mgmt",
            "Primary Diagnosis": "diagnosis", "Overall survival": "overall_survival",
        },
        session={"Patient's Age": "age"},
        of_visits=True,
    ),
)  # fmt: skip

UCSF_PDGM = Layout(
    name="ucsf-pdgm",
    title="UCSF-PDGM",
    doi="10.7937/tcia.bdgf-8v37",
    pattern=re.compile(
        r"(?:^|/)(?P<subject>UCSF-PDGM-\d+)(?:_(?P<session>FU\d+d))?_(?P<what>[^/]+?)"
        r"\.nii(?:\.gz)?$"
    ),
    places={
        **_anatomy("T1", "T1c", "T2", "FLAIR"),
        **_published("perf", {"ASL": "asl"}),
        **_published("anat", {"SWI": "swi"}),
        **_published("dwi", {"ADC": "ADC", "DWI": "trace"}),
        **_published(
            "dwi", {f"DTI_eddy_{name}": name for name in ("FA", "MD", "L1", "L2", "L3")}
        ),
        "brain_segmentation": _mask("brain"),
        "brain_parenchyma_segmentation": _mask("parenchyma"),
        "tumor_segmentation": _tumour(_BRATS),
    },
    perfusion="an arterial spin labelling map; no DSC and no DCE",
    baseline="baseline",
    subject_digits=4,
    table=TableShape(
        name=re.compile(r"UCSF-PDGM-metadata", re.IGNORECASE),
        identifier="ID",
        subject={
            "Sex": "sex", "WHO CNS Grade": "who_grade",
            "Final pathologic diagnosis (WHO 2021)": "diagnosis", "MGMT status": "mgmt",
            "MGMT index": "mgmt_index", "1p/19q": "codeletion_1p19q", "IDH": "idh",
            "1-dead 0-alive": "dead", "OS": "overall_survival_days",
        },
        session={
            "Age at MRI": "age_at_scan_years", "EOR": "extent_of_resection",
            "Biopsy prior to imaging": "biopsy_before_scan",
        },
        of_visits=True,
    ),
)  # fmt: skip

LUMIERE = Layout(
    name="lumiere",
    title="LUMIERE",
    doi="10.1038/s41597-022-01881-7",
    pattern=re.compile(
        r"/(?P<subject>Patient-\d+)/(?P<session>week-\d+(?:-\d+)?)/(?P<what>.+?)\.nii(?:\.gz)?$"
    ),
    places={
        **_anatomy("T1", "CT1", "T2", "FLAIR"),
        "DeepBraTumIA-segmentation/native/segmentation/ct1_seg_mask": _tumour(
            {1: "necrosis", 2: "oedema", 3: "contrast-enhancing tumour"}
        ),
        "HD-GLIO-AUTO-segmentation/native/segmentation_CT1_origspace": _tumour(
            {1: "non-enhancing T2 abnormality", 2: "contrast-enhancing tumour"}, rank=1
        ),
    },
    perfusion="none",
    table=TableShape(
        name=re.compile(r"LUMIERE-Demographics_Pathology", re.IGNORECASE),
        identifier="Patient",
        subject={
            "Sex": "sex", "Age at surgery (years)": "age_at_surgery_years",
            "Survival time (weeks)": "survival_weeks", "IDH (WT: wild type)": "idh",
            "MGMT qualitative": "mgmt", "MGMT quantitative": "mgmt_percent",
        },
    ),
)  # fmt: skip

BRAIN_TUMOR_PROGRESSION = Layout(
    name="brain-tumor-progression",
    title="Brain-Tumor-Progression",
    doi="10.7937/K9/TCIA.2018.15quzvnb",
    pattern=re.compile(
        r"/(?P<subject>PGBM-\d+)/(?P<session>\d\d-\d\d-\d{4}[^/]*)/[\d.]+-(?P<what>[^/]+)-\d+$"
    ),
    places={
        **_anatomy("T1prereg", "T1post", "T2reg", "FLAIRreg"),
        **_published("anat", {"dT1": "dT1"}),
        **_published("dwi", {"ADCreg": "ADC"}),
        **_published(
            "perf", {"sRCBVreg": "srcbv", "nRCBVreg": "nrcbv", "nCBFreg": "ncbf"}
        ),
        "MaskTumor": _tumour({1: "tumour"}),
    },
    perfusion="published maps of CBV and CBF; no raw series",
    of_folders=True,
    dated=True,
)  # fmt: skip

QIN_GBM = Layout(
    name="qin-gbm-treatment-response",
    title="QIN GBM Treatment Response",
    doi="10.7937/k9/tcia.2016.nQF4gpn2",
    pattern=re.compile(
        r"/(?P<subject>QIN-GBM-(?:TR-)?\d+)/(?P<session>\d\d-\d\d-\d{4}[^/]*)(?P<what>)$"
    ),
    places={"": Place(folder="", ending="", tree=STUDY)},
    perfusion="raw DSC and DCE as DICOM",
    of_folders=True,
    dated=True,
)

LAYOUTS = (UPENN_GBM, UCSD_PTGBM, UCSF_PDGM, LUMIERE, BRAIN_TUMOR_PROGRESSION, QIN_GBM)
