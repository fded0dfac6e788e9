#!/bin/sh
# What the training and the serving code do on one GPU, in at most 8 minutes and without a network:
#
#   benchmarks/gpu.sh [--small] [--only PART,...] [FOLDER]
#
# FOLDER ($OUT, or build/gpu, by default) gets gpu.json and gpu.md, the table for docs/training.md. Needs Python 3.11 with
# torch 2.5 or later ($PYTHON, or python3); what else is missing is named, and the parts that need it are left out.
# --small runs every part in miniature, on a CPU as well; its figures mean nothing.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
PYTHONPATH="$here:$here/training${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python3}" -B -m benchmarks.gpu "$@"
