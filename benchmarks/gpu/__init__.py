"""Measurements on one GPU, part by part: see benchmarks/gpu.sh."""
