"""Durable code inside a step: replay of its journal, journaled calls, waits and suspension."""
