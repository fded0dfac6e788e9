"""The command line: arguments, dispatch, exit status."""
