"""Peak resident memory of this process, in bytes (Linux)."""

import re
from pathlib import Path

STATUS = Path("/proc/self/status")


def reset_peak_memory() -> int:
    """Start a new peak; return the resident memory now."""
    # Writing 5 sets the peak to the present value (man 5 proc).
    Path("/proc/self/clear_refs").write_text("5")
    return _field("VmRSS")


def peak_memory() -> int:
    return _field("VmHWM")


def _field(name: str) -> int:
    match = re.search(rf"{name}:\s+(\d+) kB", STATUS.read_text())
    assert match, f"{STATUS} has no {name}"
    return int(match[1]) * 1024
