"""Running stitches under budgets that change: ready stitches, the choice among them, and what follows a budget."""

from snnet.runtime.budgets import Deadline, Polled, Ramp, Setting, battery_percent, temperature
from snnet.runtime.governor import Governor
from snnet.runtime.records import Answer, Counters, Switch
from snnet.runtime.runtime import Runtime

__all__ = [
    "Answer",
    "Counters",
    "Deadline",
    "Governor",
    "Polled",
    "Ramp",
    "Runtime",
    "Setting",
    "Switch",
    "battery_percent",
    "temperature",
]
