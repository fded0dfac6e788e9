"""Training jobs: the API, and how one runs."""
