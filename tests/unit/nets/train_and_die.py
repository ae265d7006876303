"""Train in a folder, and die by SIGKILL: after the second epoch, or while its file is written."""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from test_nets_train import fit

flush = os.fsync
written = []


def die(row):
    if row.epoch == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def die_writing(number):
    written.append(number)
    if len(written) == 2:
        os.truncate(number, 1000)
        os.kill(os.getpid(), signal.SIGKILL)
    flush(number)


if sys.argv[2] == "writing":
    os.fsync = die_writing
fit(folder=Path(sys.argv[1]), on_epoch=die if sys.argv[2] == "after" else None)
