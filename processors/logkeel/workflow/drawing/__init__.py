"""A flow as a picture: an outline in text, or a Mermaid flowchart. Drawn from the definition. Pure."""

from logkeel.workflow.drawing.mermaid import as_mermaid
from logkeel.workflow.drawing.outline import as_text

__all__ = ["as_mermaid", "as_text"]
