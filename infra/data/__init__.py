"""The data bucket, the markers of notices that were sent, and the network."""
