"""A flow as a picture: an outline in text, a Mermaid flowchart, or boxes. Drawn from the definition. Pure."""

from logkeel.workflow.drawing.mermaid import as_mermaid
from logkeel.workflow.drawing.outline import as_text
from logkeel.workflow.drawing.picture import as_picture

__all__ = ["as_mermaid", "as_picture", "as_text"]
