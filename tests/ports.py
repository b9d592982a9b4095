"""Ports on loopback for what tests and benchmarks start."""

from logkeel.broker import ports


def free_port() -> int:
    """One that nobody listens on now, from below the ephemeral range.

    One of that range can be lost while a killed process is started again: to an outgoing connection of somebody else,
    or to a client that asks for the port so often that it is connected with itself.
    """
    return ports.pick()
