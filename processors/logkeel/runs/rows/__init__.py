"""Rows of runs: keys and msgpack values of the table behind `run-state`."""
