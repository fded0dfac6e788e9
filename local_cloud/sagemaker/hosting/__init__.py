"""Models and endpoints: the API, and the processes that serve."""
