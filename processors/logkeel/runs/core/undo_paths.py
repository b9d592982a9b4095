"""Where undo steps stand, and what is kept for them. Pure."""

UNDO = "undo"

KEPT = "undo:"
"""How scopes begin that are no part of the state; no block's path does."""


def undo_path(path: str) -> str:
    """Where a step is undone."""
    return f"{path}/{UNDO}"


def kept_scope(path: str) -> str:
    """Where that is kept which the undo step of this step reads."""
    return f"{KEPT}{path}"


def kept_for(path: str) -> str:
    """The same for the path of the undo step."""
    return kept_scope(path.removesuffix(f"/{UNDO}"))
