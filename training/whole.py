"""Whole numbers in arguments: SageMaker's engine may write an Integer parameter as 20.0, or as 2.0E1."""

from __future__ import annotations

import argparse


def whole(text: str) -> int:
    try:
        number = float(text)
        if number.is_integer():
            return int(text) if text.strip().lstrip("+-").isdecimal() else int(number)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
