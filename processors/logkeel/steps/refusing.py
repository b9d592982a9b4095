"""Why a worker gives a command back although it knows the step."""


class NotForThisWorker(Exception):
    """This process lacks a key or a store that another one may have: the command is to go elsewhere, or to wait."""
