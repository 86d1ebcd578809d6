"""The time, the memory and the output of processes."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple


class Measurement(NamedTuple):
    """Wall time in seconds, peak memory in MiB, and what the command printed."""

    seconds: float
    memory: float
    printed: str


def measure(command: list[str], cores: int | None = None, statuses: tuple[int, ...] = (0, 1)) -> Measurement:
    """Runs a command on this number of cores. It may exit with these statuses."""
    pinned = ["taskset", "--cpu-list", ",".join(map(str, range(cores)))] if cores else []
    with tempfile.TemporaryFile("w+") as output:
        started = time.perf_counter()
        process = subprocess.Popen([*pinned, *command], stdout=output)
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, peak_memory(process.pid))
            time.sleep(0.002)
        seconds = time.perf_counter() - started
        output.seek(0)
        printed = output.read()
    if process.returncode not in statuses:
        sys.exit(f"{' '.join(command)} failed")
    return Measurement(seconds, peak, printed)


def peak_memory(pid: int) -> float:
    """Returns the peak resident memory so far, in MiB, or 0 if the process has ended.

    Unlike `ru_maxrss`, it does not include the memory of the process that forked it.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    peaks = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")]
    return peaks[0] / 1024 if peaks else 0.0


def resident_memory(pid: int) -> float:
    """Returns the resident memory, in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def open_files(pid: int) -> int:
    """Returns the number of open files, sockets included."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def processor_time(pid: int) -> float:
    """Returns the processor time of all threads so far, in seconds, in user mode and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
