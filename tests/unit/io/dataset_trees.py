"""Tiny copies of the trees of public datasets, as their descriptions have them; no patient data."""

import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import openpyxl

sys.path.insert(0, str(Path(__file__).parents[2] / "reliability"))
import scanner_series as scanner

SHAPE = (4, 5, 3)
AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])


def image(path: Path, values=None, *, frames: int = 0) -> Path:
    """Write numbers that differ in every voxel, or the given ones."""
    if values is None:
        shape = (*SHAPE, frames) if frames else SHAPE
        values = np.arange(1, 1 + np.prod(shape), dtype=np.int16).reshape(shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    made = nib.Nifti1Image(np.asarray(values, np.int16), AFFINE)
    made.header.set_xyzt_units("mm", "sec")
    if frames:
        made.header["pixdim"][4] = 1.5
    nib.save(made, path)
    return path


def labels(path: Path, *numbers: int) -> Path:
    values = np.zeros(SHAPE, np.int16)
    values.flat[: len(numbers)] = numbers
    return image(path, values)


def upenn(root: Path) -> Path:
    """Two subjects: one with a visit after treatment, one with a corrected segmentation."""
    base = root / "PKG - UPENN-GBM-NIfTI" / "UPENN-GBM" / "NIfTI-files"
    for scan in ("UPENN-GBM-00001_11", "UPENN-GBM-00001_21", "UPENN-GBM-00002_11"):
        for what in ("T1", "T1GD", "T2", "FLAIR"):
            image(base / "images_structural" / scan / f"{scan}_{what}.nii.gz")
        image(base / "images_structural_unstripped" / scan / f"{scan}_T1_unstripped.nii.gz")
    scan = "UPENN-GBM-00001_11"
    image(base / "images_DSC" / scan / f"{scan}_DSC.nii.gz", frames=6)
    for what in ("DSC_ap-rCBV", "DSC_PH", "DSC_PSR"):
        image(base / "images_DSC" / scan / f"{scan}_{what}.nii.gz")
    for what in ("DTI_AD", "DTI_FA", "DTI_RD", "DTI_TR"):
        image(base / "images_DTI" / "images_DTI" / scan / f"{scan}_{what}.nii.gz")
    for scan in ("UPENN-GBM-00001_11", "UPENN-GBM-00002_11"):
        labels(base / "automated_segm" / f"{scan}_automated_approx_segm.nii.gz", 1, 2, 4)
    labels(base / "images_segm" / "UPENN-GBM-00002_11_segm.nii.gz", 2, 4)
    (root / "UPENN-GBM_clinical_info_v2.1.csv").write_text(
        "ID,Gender,Age_at_scan_years,Survival_from_surgery_days_UPDATED,Survival_Status,"
        "Survival_Censor,IDH1,MGMT,KPS,GTR_over90percent,PsP_TP_score\n"
        "UPENN-GBM-00001_11,M,61.25,Not Available,,,Wildtype,Not Available,90,Y,\n"
        "UPENN-GBM-00001_21,M,62.5,412,Deceased,1,Wildtype,Methylated,,,3\n"
    )
    return root


def ucsd(root: Path) -> Path:
    for scan in ("UCSD-PTGBM-0149_01", "UCSD-PTGBM-0149_02"):
        start = root / "UCSD-PTGBM" / scan / scan
        for what in ("T1pre", "T1post", "T2", "FLAIR", "SWAN", "ADC_vendor", "DWI_vendor",
                     "CBF_svd", "CBV_LC", "MTT_svd", "RSI_Cell", "ADC_b4000"):  # fmt: skip
            image(Path(f"{start}_{what}.nii.gz"))
        image(Path(f"{start}_DSC_raw.nii.gz"), frames=5)
        labels(Path(f"{start}_BraTS_tumor_seg.nii.gz"), 1, 2, 3, 4)
        labels(Path(f"{start}_enhancing_cellular_tumor_seg.nii.gz"), 1)
    Path(f"{start}_total_cellular_tumor_seg.nii.gz").touch()
    book = openpyxl.Workbook()
    book.active.append(["ID", "Sex at birth", "Patient's Age", "IDH", "MGMT", "Primary Diagnosis",
                        "Overall survival"])  # fmt: skip
    book.active.append(["UCSD-PTGBM-0149_01", "F", 54.5, "wildtype", "unknown", "GBM", 412.0])
    book.active.append(["UCSD-PTGBM-0149_02", "F", 55, "wildtype", None, "GBM", 412])
    book.save(root / "UCSD_PTGBM-clinical-information_v3.xlsx")
    return root


def pdgm(root: Path) -> Path:
    for scan in ("UCSF-PDGM-0004", "UCSF-PDGM-0391", "UCSF-PDGM-0391_FU016d"):
        start = root / f"{scan}_nifti" / scan
        for what in ("T1", "T1_bias", "T1c", "T2", "FLAIR", "SWI", "DWI", "ADC", "ASL",
                     "DTI_eddy_FA", "DTI_eddy_MD", "DTI_eddy_L1"):  # fmt: skip
            image(Path(f"{start}_{what}.nii.gz"))
        labels(Path(f"{start}_brain_segmentation.nii.gz"), 1, 1, 1)
        labels(Path(f"{start}_tumor_segmentation.nii.gz"), 1, 2, 4)
    (root / "UCSF-PDGM-metadata_v5.csv").write_text(
        "ID,Sex,Age at MRI,WHO CNS Grade,Final pathologic diagnosis (WHO 2021),MGMT status,"
        "MGMT index,1p/19q,IDH,1-dead 0-alive,OS,EOR,Biopsy prior to imaging\n"
        'UCSF-PDGM-004,M,66,4,"Glioblastoma, IDH-wildtype",negative,0,unknown,wildtype,1,1303,'
        "STR,No\n"
        'UCSF-PDGM-391,F,40,2,"Astrocytoma, IDH-mutant",positive,5,intact,mutated (NOS),0,900,'
        "GTR,No\n"
        'UCSF-PDGM-0391_FU016d,F,41,2,"Astrocytoma, IDH-mutant",positive,5,intact,mutated (NOS),'
        "0,884,GTR,Yes\n"
    )
    return root


def lumiere(root: Path) -> Path:
    for week in ("week-000-1", "week-000-2", "week-044"):
        base = root / "Imaging" / "Patient-001" / week
        for what in ("T1", "CT1", "T2", "FLAIR"):
            image(base / f"{what}.nii.gz")
        hd_glio = base / "HD-GLIO-AUTO-segmentation"
        labels(hd_glio / "native" / "segmentation_CT1_origspace.nii.gz", 1, 2)
        labels(hd_glio / "registered" / "segmentation.nii.gz", 1, 2)
    deep = root / "Imaging" / "Patient-001" / "week-044" / "DeepBraTumIA-segmentation"
    labels(deep / "native" / "segmentation" / "ct1_seg_mask.nii.gz", 1, 2, 3)
    (root / "LUMIERE-Demographics_Pathology.csv").write_text(
        "Patient,Survival time (weeks),Sex,Age at surgery (years),IDH (WT: wild type),"
        "MGMT qualitative,MGMT quantitative\nPatient-001,139,male,66,WT,methylated,na\n"
    )
    return root


def progression(root: Path) -> Path:
    """Two visits, of which the later one has the name that sorts first."""
    for study, date in enumerate(("11-19-1991", "04-02-1992"), start=1):
        visit = root / "Brain-Tumor-Progression" / "PGBM-001" / f"{date}-NA-FH-HEADBrain-{study}"
        for number, what in enumerate(("T1post", "nRCBVreg", "ADCreg", "MaskTumor"), start=1):
            values = scanner.PHANTOM[..., :1]
            if what == "MaskTumor":
                values = np.where(values > np.median(values), 255, 0).astype(np.int16)
            look = scanner.look_of("canon", series=number, study=study, description=what)
            scanner.write(
                visit / f"{number}.000000-{what}-1234{number}", scanner.canon(look, values)
            )
    return root


def qin(root: Path) -> Path:
    """One subject, two visits, each with a DSC series."""
    for study, date in enumerate(("01-03-2002", "01-05-2002"), start=1):
        visit = root / "QIN GBM Treatment Response" / "QIN-GBM-TR-01" / f"{date}-BRAIN-{study}"
        look = scanner.look_of("canon", study=study, patient="QIN-GBM-TR-01")
        scanner.write(visit / "5.000000-perf-1", scanner.canon(look))
    return root


TREES = {
    "upenn-gbm": upenn,
    "ucsd-ptgbm": ucsd,
    "ucsf-pdgm": pdgm,
    "lumiere": lumiere,
    "brain-tumor-progression": progression,
    "qin-gbm-treatment-response": qin,
}
