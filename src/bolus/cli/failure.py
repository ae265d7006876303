"""The one error path: any exception becomes one line and an exit code."""

import contextlib
import datetime
import json
import os
import platform
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import typer
from typer.exceptions import TyperException

from bolus import __version__
from bolus.errors import BolusError, Code, ConfigError, ResourceError

EXIT_OK = 0
EXIT_BUG = 1
EXIT_INPUT = 2
EXIT_SOME_FAILED = 3
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


class Terminated(BaseException):
    """SIGTERM came: unwinds like Ctrl-C, so that nothing half-written stays."""


def _on_term(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


@contextlib.contextmanager
def exit_codes(*, as_json: bool, debug: bool) -> Iterator[None]:
    """Turn what a command raises into one line on stderr and the exit code of the contract.

    0 done, 2 bad input, configuration or environment, 1 our bug, 130 and 143 stopped.
    """
    signal.signal(signal.SIGTERM, _on_term)
    try:
        yield
    except (KeyboardInterrupt, typer.Abort):
        _leave("stopped; nothing half-written was left", EXIT_INTERRUPTED, as_json=as_json)
    except Terminated:
        _leave("terminated; nothing half-written was left", EXIT_TERMINATED, as_json=as_json)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_OK)
    except (typer.Exit, SystemExit):
        raise
    except Exception as error:
        if debug:
            raise
        _report(error, as_json=as_json)


def _report(error: Exception, *, as_json: bool) -> None:
    known = as_bolus_error(error)
    if known is None:
        path = _write_crash_file(error)
        bug = ResourceError(
            Code.INTERNAL,
            f"a bug in bolus ({type(error).__name__})",
            mend=f"please report it with {path} (it holds no patient data); --debug shows more",
        )
        _leave(str(bug), EXIT_BUG, as_json=as_json, error=bug)
    _leave(str(known), EXIT_INPUT, as_json=as_json, error=known)


def as_bolus_error(error: Exception) -> BolusError | None:
    """Return an exception of the user's making as a BolusError, or None for a bug of ours."""
    if isinstance(error, BolusError):
        return error
    if isinstance(error, TyperException) and hasattr(error, "format_message"):
        text = " ".join(str(error.format_message()).split()).rstrip(".")
        return ConfigError(Code.USAGE, text, mend="see bolus --help")
    if isinstance(error, MemoryError):
        return ResourceError(
            Code.MEMORY, "not enough memory", mend="close other programs or use a larger machine"
        )
    if isinstance(error, OSError):
        from bolus.io.access import os_failure

        return os_failure(error, error.filename or "output")
    return None


def _leave(line: str, status: int, *, as_json: bool, error: BolusError | None = None) -> None:
    if as_json:
        parts = {"status": status, "message": line}
        if error is not None:
            parts |= {
                "code": str(error.code),
                "where": error.where,
                "what": error.what,
                "mend": error.mend,
            }
        line = json.dumps(parts)
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
    sys.exit(status)


def _write_crash_file(error: Exception) -> Path:
    """Write where the bug is: files, lines and types, never values, arguments or paths of data."""
    now = datetime.datetime.now(tz=datetime.UTC)
    frames = [
        f"{Path(f.filename).name}:{f.lineno} {f.name}"
        for f in traceback.extract_tb(error.__traceback__)
    ]
    text = "\n".join(
        [
            f"bolus {__version__}, Python {platform.python_version()}, {platform.system()}",
            f"{type(error).__module__}.{type(error).__name__}",
            *frames,
            "",
        ]
    )
    path = Path(f"bolus-crash-{now:%Y%m%dT%H%M%S}.txt")
    with contextlib.suppress(OSError):
        path.write_text(text, encoding="utf-8")
    return path
