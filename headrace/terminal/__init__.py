"""Output, tables and progress on a terminal."""
