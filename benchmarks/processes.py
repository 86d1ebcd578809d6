"""The memory and the processor time of a running process."""

import os
from pathlib import Path


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


def processor_time(pid: int) -> float:
    """Returns the processor time of all threads so far, in seconds, in user mode and in the kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
