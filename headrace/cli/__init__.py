"""The command line: parses it, calls the command, and ends with its exit status."""
