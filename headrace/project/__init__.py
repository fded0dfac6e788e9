"""The project on this machine: its folder, settings, session and local cloud."""
