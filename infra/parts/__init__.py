"""Constructs that the other rooms are made of."""
