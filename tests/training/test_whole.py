"""Numbers as SageMaker's engine, which is written in Java, may print them."""

from __future__ import annotations

import argparse

import pytest

from options import parse_arguments
from whole import whole


@pytest.mark.parametrize(("text", "number"), [("20", 20), ("20.0", 20), ("2.0E1", 20), ("1.0E+2", 100), ("-3", -3)])
def test_a_whole_number_is_known_in_each_form(text: str, number: int) -> None:
    assert whole(text) == number


@pytest.mark.parametrize("text", ["20.5", "", "many", "nan", "inf"])
def test_what_is_not_whole_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="not a whole number"):
        whole(text)


def test_a_large_number_is_not_rounded() -> None:
    assert whole("9007199254740993") == 9007199254740993


def test_the_training_takes_numbers_in_either_form() -> None:
    folders = ["--train", "t", "--validation", "v", "--model-dir", "m"]
    found = parse_arguments(None, [*folders, "--epochs", "20.0", "--batch-size", "6.4E1", "--learning-rate", "1.0E-4"])
    assert (found.epochs, found.batch_size, found.learning_rate) == (20, 64, 0.0001)
