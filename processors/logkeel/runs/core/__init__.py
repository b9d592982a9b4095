"""The run core: decides what happens to a run. Pure: time, identity and order come in, values go out."""
