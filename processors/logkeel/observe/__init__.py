"""Metrics and traces of engines and workers, watched through their ports; they know nothing of it."""
