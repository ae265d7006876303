"""What is spoken with other DICOM nodes: kinds of objects, encodings, and names of nodes."""

import re

from bolus.errors import Code, ConfigError

MOST_CONTEXTS = 128
"""Kinds that one association may propose; the standard allows no more."""

_TITLE = re.compile(r"[\x21-\x5b\x5d-\x7e](?:[\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?")


def received_kinds() -> tuple[str, ...]:
    """Return the kinds of objects that are accepted: MR images and what bolus writes itself."""
    from pydicom import uid

    return (
        uid.MRImageStorage,
        uid.EnhancedMRImageStorage,
        uid.EnhancedMRColorImageStorage,
        uid.LegacyConvertedEnhancedMRImageStorage,
        uid.ParametricMapStorage,
        uid.SegmentationStorage,
        uid.ComprehensiveSRStorage,
        uid.Comprehensive3DSRStorage,
        uid.EnhancedSRStorage,
        uid.SecondaryCaptureImageStorage,
        uid.MultiFrameTrueColorSecondaryCaptureImageStorage,
    )


def received_encodings() -> tuple[str, ...]:
    """Return the encodings that are accepted; deflated ones, which may be bombs, are not."""
    from pydicom import uid

    return (
        uid.ExplicitVRLittleEndian,
        uid.ImplicitVRLittleEndian,
        uid.JPEGLosslessSV1,
        uid.JPEGLSLossless,
        uid.JPEG2000Lossless,
        uid.RLELossless,
    )


def title(text: str, *, option: str) -> str:
    """Return an AE title, the name of a DICOM node, or refuse it.

    Args:
        text: 1 to 16 plain characters without a backslash.
        option: that it came from, for the message.

    Raises:
        ConfigError: it is none.

    Example:
        >>> title("ORTHANC", option="--called-aet")
        'ORTHANC'
    """
    if not _TITLE.fullmatch(text):
        raise ConfigError(
            Code.USAGE,
            f"{option} is {text[:40]!r}, expected 1 to 16 plain characters",
            mend="use the AE title as the PACS has it, such as ORTHANC",
        )
    return text
