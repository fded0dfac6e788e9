"""One stack per file, and which one an environment gets."""
