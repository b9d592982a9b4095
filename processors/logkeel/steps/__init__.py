"""The step worker: claims commands, runs the author's steps, reports what became of them."""
