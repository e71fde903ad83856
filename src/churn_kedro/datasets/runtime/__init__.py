"""Clock, progress, trial archive, matrix parts and the git commit."""
