"""One machine as a whole SLURM cluster, for as long as a test needs it; must be root."""

import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

PARTITION = "test"
_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")
_MUNGE_SOCKET = Path("/run/munge/munge.socket.2")


def missing() -> str:
    """Return why there can be no cluster here, or "" if there can."""
    absent = [name for name in _PROGRAMS if _which(name) is None]
    if absent:
        return f"SLURM is not installed ({absent[0]} is missing): apt-get install slurm-wlm munge"
    if os.geteuid() != 0:
        return "a SLURM of one machine is only started by root"
    return ""


def _which(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write_settings(folder: Path) -> Path:
    host = socket.gethostname()
    for name in ("state", "spool"):
        (folder / name).mkdir()
    path = folder / "slurm.conf"
    path.write_text(
        f"""\
ClusterName=bolus
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={_free_port()}
SlurmdPort={_free_port()}
AuthType=auth/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/ctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} RealMemory=8000 State=UNKNOWN
PartitionName={PARTITION} Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
    )
    return path


def _start_munge() -> subprocess.Popen | None:
    if _MUNGE_SOCKET.exists() and _munge_answers():
        return None
    for folder in ("/run/munge", "/var/log/munge", "/var/lib/munge", "/etc/munge"):
        Path(folder).mkdir(exist_ok=True)
        shutil.chown(folder, "munge", "munge")
    Path("/run/munge").chmod(0o755)
    process = subprocess.Popen(
        ["runuser", "-u", "munge", "--", _which("munged"), "--foreground", "--force"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _until(_munge_answers, "munge")
    return process


def _munge_answers() -> bool:
    return subprocess.run(["munge", "-n"], capture_output=True, check=False).returncode == 0


def _until(condition, what: str, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come up in {seconds} s")
        time.sleep(0.2)


def _is_idle(environment: dict[str, str]) -> bool:
    told = subprocess.run(
        ["sinfo", "-h", "-o", "%T"], env=environment, capture_output=True, text=True, check=False
    )
    return told.stdout.strip() == "idle"


def jobs(environment: dict[str, str]) -> list[str]:
    """Return the jobs that wait or run, once those that end have gone."""
    for _ in range(50):
        told = subprocess.run(
            ["squeue", "-h"], env=environment, capture_output=True, text=True, check=False
        )
        lines = told.stdout.split("\n")[:-1]
        if not lines:
            break
        time.sleep(0.2)
    return lines


@contextmanager
def slurm_node(folder: Path):
    """Yield the environment in which `sbatch` talks to a cluster of this machine alone."""
    settings = _write_settings(folder)
    environment = {**os.environ, "SLURM_CONF": str(settings)}
    started = [_start_munge()]
    try:
        for name in ("slurmctld", "slurmd"):
            started.append(
                subprocess.Popen(
                    [_which(name), "-D", "-f", str(settings)],
                    env=environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
        _until(lambda: _is_idle(environment), "the SLURM node")
        yield environment
    finally:
        subprocess.run(["scancel", "-u", "root"], env=environment, capture_output=True, check=False)
        for process in reversed(started):
            if process is not None:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
