"""Questions to humans beyond the read model: the form of an answer, and questions as JSON values."""
