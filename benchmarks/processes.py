"""What a benchmark wants to know of the processes that it starts."""

import os
from pathlib import Path


def peak_memory(pid: int) -> float:
    """Peak resident memory in MiB so far; what a fork inherits is not in it, as it is in `ru_maxrss`."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    peaks = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")]
    return peaks[0] / 1024 if peaks else 0.0


def processor_time(pid: int) -> float:
    """Seconds of processor time so far, of all threads, in user mode and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
