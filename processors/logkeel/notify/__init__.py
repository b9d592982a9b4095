"""Tells people what runs ask them, and takes their answers."""
