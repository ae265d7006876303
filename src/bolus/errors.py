"""Every error and warning of the package, and the codes that users see.

::

    BolusError
    ├── InputError (ValueError)        the caller's data or arguments are wrong
    │   ├── FileError                  a file is missing, damaged or not what it should be
    │   ├── GeometryError  TimingError  QuantityError  MetadataError
    │   └── LeakageError               a model meets a subject it was fitted on
    ├── ConfigError (ValueError)       a configuration file is wrong
    └── ResourceError (RuntimeError)   disk, memory, permission, or a lock
    BolusWarning (UserWarning)
    ├── AssumptionWarning              goes into the report
    └── QualityWarning                 goes into the report

A message has four parts: what, what came, what was expected (all three in `what`), and what to do
(`mend`). `where` names the file or the key; the edge that knows it adds it with `at`.
A voxel that fails is a `FitStatus`, never an exception.
"""

from enum import Enum


class Code(Enum):
    """What users search for: a number that never changes its meaning and is never reused."""

    FILE_MISSING = (1001, "a named file or folder does not exist")
    FILE_NOT_NIFTI = (1002, "a file is not a readable NIfTI image")
    FILE_DAMAGED = (1003, "a file is cut short, or its checksum is wrong")
    FILE_BOMB = (1004, "a compressed file unpacks to far more than it should")
    HEADER_INVALID = (1005, "a NIfTI header holds values that cannot be right")
    VALUES_INVALID = (1006, "an image holds too few finite or varying values")
    SIDECAR_INVALID = (1007, "a JSON sidecar is not readable")
    TABLE_INVALID = (1008, "a table does not have the columns or numbers it should")
    DATASET_INVALID = (1009, "a folder is not the dataset that was expected")
    NAME_UNSAFE = (1010, "a name would leave the folder it belongs to")
    RECEIPT_MISMATCH = (1011, "an output differs from its receipt")
    OUTPUT_OCCUPIED = (1012, "an output folder belongs to something else")
    PATH_KIND = (1013, "a path is a folder where a file is needed, or the reverse")
    NOT_A_SERIES = (1014, "an image has the wrong number of dimensions or of frames")
    OUTPUT_UNEXPECTED = (1015, "a step wrote other files than it has to")
    GRID_MISMATCH = (2001, "two images lie on different grids")
    GRID_INVALID = (2002, "an affine cannot be the geometry of an image")
    MASK_EMPTY = (2003, "a mask or region holds no voxels")
    TIME_NOT_UNIFORM = (3001, "a method needs a constant sampling interval")
    TIME_INVALID = (3002, "times are not increasing or do not match the frames")
    NO_BOLUS = (3003, "no passage of contrast agent was found")
    TWO_BOLUSES = (3004, "two passages of contrast agent were found")
    BOLUS_TOO_EARLY = (3005, "the bolus arrives before a baseline can be measured")
    NOT_DSC = (3006, "the series behaves like DCE, not like DSC")
    SERIES_TOO_SHORT = (3007, "the series ends before the bolus has passed")
    ECHO_TIMES_INVALID = (3008, "the echo times of a dual-echo series are not usable")
    METADATA_MISSING = (4001, "a physical value that has no default is missing")
    METADATA_IMPLAUSIBLE = (4002, "a physical value is out of its plausible range or unit")
    METADATA_CONFLICT = (4003, "two sources give different values for the same thing")
    QUANTITY_WRONG = (4004, "numbers of another quantity than the one needed")
    ARGUMENT_INVALID = (4005, "an argument is outside what the method can do")
    AIF_NOT_FOUND = (4006, "no arterial input function could be found or used")
    REFERENCE_NOT_FOUND = (4007, "no normal-appearing white matter could be found or used")
    CONFIG_UNREADABLE = (5001, "a configuration file is not TOML")
    CONFIG_UNKNOWN_KEY = (5002, "a configuration key does not exist")
    CONFIG_INVALID = (5003, "a configuration value is not allowed")
    USAGE = (5004, "the command line is wrong")
    DISK_FULL = (6001, "there is no space left to write to")
    PERMISSION = (6002, "a file or folder may not be read or written")
    MEMORY = (6003, "there is not enough memory")
    LOCKED = (6004, "another run is writing to the same output")
    IO_FAULT = (6005, "reading or writing failed")
    WORKER_LOST = (6006, "a worker died each time it was given the same job")
    CLUSTER_LOST = (6007, "a cluster cannot be reached, or takes no jobs")
    DICOM_DAMAGED = (7001, "a DICOM file is cut short or cannot be parsed")
    DICOM_BOMB = (7002, "a DICOM file promises or hides far more than an image")
    DICOM_UNSUPPORTED = (7003, "a DICOM image is stored in a way that is not read here")
    DICOM_HEADER = (7004, "a DICOM header lacks or contradicts what an image needs")
    DICOM_INCOMPLETE = (7005, "slices or frames of a DICOM series are missing")
    DICOM_DUPLICATE = (7006, "two different DICOM images claim the same place and time")
    DICOM_ORDER = (7007, "the order of the frames of a DICOM series is not agreed by three tags")
    DICOM_GEOMETRY = (7008, "the slices of a DICOM series do not form one regular stack")
    DICOM_NOTHING = (7009, "a folder holds no DICOM series that can be used")
    DICOM_IDENTITY = (7010, "pixels or identifiers of a DICOM series may show who the patient is")
    DICOM_REFERENCE = (7101, "a DICOM reference series does not belong to the results")
    EXTRA_MISSING = (7102, "an optional library is not installed")
    PEER_UNREACHABLE = (7103, "no DICOM node answers at the address")
    PEER_REFUSED = (7104, "a DICOM node refuses the connection")
    PORT_UNAVAILABLE = (7105, "a network address cannot be listened on")
    TLS_FAILED = (7106, "an encrypted connection cannot be made")
    SPLIT_LEAKS = (8001, "a model meets a subject that it was fitted on")
    HABITATS_UNNAMED = (8002, "clusters cannot be told apart by physiology")
    HABITATS_UNFIT = (8003, "voxels do not suffice, or do not suit the model")
    MODEL_INVALID = (8004, "a model file is damaged or of another kind")
    REGISTRATION_FAILED = (8005, "two visits could not be brought together")
    VISITS_TOO_FEW = (8006, "a patient has too few visits that can be used")
    OUTCOMES_TOO_FEW = (8007, "too few patients or events for an analysis")
    WEIGHTS_INVALID = (8008, "the weights of a network are damaged or do not fit their card")
    PROTOCOL_OUTSIDE = (8009, "an acquisition is outside the range a network was trained for")
    TEST_LOCKED = (8010, "a test set was looked at before, or is not the one that was locked")
    TRAINING_MISMATCH = (8011, "a training cannot go on from what an earlier run left")
    NOT_TRUSTED = (8012, "a network does not pass the checks that its use needs")
    INTERNAL = (9001, "a bug in bolus")

    def __init__(self, number: int, meaning: str) -> None:
        self.number = number
        self.meaning = meaning

    def __str__(self) -> str:
        return f"BOLUS-{self.number}"


class BolusError(Exception):
    """Base of every error that bolus raises on purpose.

    Args:
        code: what users can search for.
        what: what is wrong, with the number that came and the one expected.
        mend: what to do about it, as an order.
        where: the file or key it is about; may be added later with `at`.

    Example:
        >>> print(TimingError(Code.NO_BOLUS, "no bolus was found", mend="check the series"))
        error[BOLUS-3003]: no bolus was found - check the series
    """

    def __init__(self, code: Code, what: str, *, mend: str, where: str = "") -> None:
        super().__init__(code, what)
        self.code = code
        self.what = what
        self.mend = mend
        self.where = where

    def at(self, where: object) -> "BolusError":
        """Name the file or key this is about, unless a more exact name is there; return self."""
        self.where = self.where or str(where)
        return self

    def __str__(self) -> str:
        place = f" {self.where}" if self.where else ""
        text = f"error[{self.code}]{place}: {self.what} - {self.mend}"
        return " ".join(text.split())  # one line, whatever a file name holds

    def __reduce__(self) -> tuple[object, ...]:
        """Travel between processes with all four parts."""
        return (_rebuild, (type(self), self.code, self.what, self.mend, self.where))


def _rebuild(kind: type[BolusError], code: Code, what: str, mend: str, where: str) -> BolusError:
    return kind(code, what, mend=mend, where=where)


class InputError(BolusError, ValueError):
    """The caller's data or arguments are wrong."""


class FileError(InputError):
    """A file is missing, damaged or not what it should be."""


class GeometryError(InputError):
    """Voxels of different places would be mixed."""


class TimingError(InputError):
    """Times are missing, wrong, or do not allow the method."""


class QuantityError(InputError):
    """Numbers mean something else than the method needs."""


class MetadataError(InputError):
    """A physical value is missing or cannot be right."""


class LeakageError(InputError):
    """A model meets a subject that it was fitted on."""


class ConfigError(BolusError, ValueError):
    """A configuration file or command line is wrong."""


class ResourceError(BolusError, RuntimeError):
    """The machine, not the data: disk, memory, permission, or a lock."""


class BolusWarning(UserWarning):
    """Base of every warning."""


class AssumptionWarning(BolusWarning):
    """A value was assumed; the report shows it."""


class QualityWarning(BolusWarning):
    """A result deserves a second look; the report shows it."""
