"""What runs amount to: rates, durations, errors, stuck runs. Standing beside the engine; the only importer of faust."""
