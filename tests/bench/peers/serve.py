"""The worker's process, of systems that have one: `python -m tests.bench.peers.serve MODULE`."""

import importlib
import sys

if __name__ == "__main__":
    importlib.import_module(f"tests.bench.peers.adapters.{sys.argv[1]}").serve()
