"""HTTP in front of the log: produces requests, answers from the read model."""
