"""From an upload to a registered version."""
