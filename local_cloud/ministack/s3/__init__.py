"""S3 as AWS has it: buckets, bodies, checksums, lifecycle, events."""
