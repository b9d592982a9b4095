"""Claims, leases, the in-flight table and drain, as a pure machine: messages in, actions out."""

from logkeel.steps.machine.core import MachineSettings, StepMachine
from logkeel.steps.machine.marks import Holder, Mark, parse_mark
from logkeel.steps.machine.messages import Action, Input, Key, key_of

__all__ = ["Action", "Holder", "Input", "Key", "MachineSettings", "Mark", "StepMachine", "key_of", "parse_mark"]
