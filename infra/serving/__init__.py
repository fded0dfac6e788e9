"""The endpoint and the function that deploys to it."""
