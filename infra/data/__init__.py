"""The data bucket, the network, and the roles that write to the bucket."""
