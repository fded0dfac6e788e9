"""What a training says of its own cost and speed."""

from __future__ import annotations

from reporting import Report


def report(device: str = "2 processes", instances: int = 2) -> Report:
    return Report("resident", device, instances, 100, 10, 50)


def test_the_seconds_of_earlier_starts_are_also_billable_on_every_instance() -> None:
    first, second = report(), report()
    first.began -= 100
    second.restore(first.state())
    assert 200 <= second.billable_seconds < 210
    assert f"{second.billable_seconds:.0f} billable seconds (2 instances" in second.line()


def test_a_start_on_another_machine_names_its_own() -> None:
    first, second = report("8 CPU threads"), report("2 CPU threads")
    second.restore(first.state())
    assert second.device == "2 CPU threads"


def test_smaller_images_do_not_count_as_speed() -> None:
    """The ceiling is measured at the largest size, and a share of it above one would be nonsense."""
    grown = report()
    for side, rate in [(16, 900), (24, 400), (32, 110), (32, 100), (32, 100)]:
        grown.epoch_over(rate, 1.0, side, 0.5)
    assert grown.speed() == 100
    grown.add_ceiling(125)
    assert grown.share_of_ceiling == 0.8


def test_an_epoch_whose_steps_were_done_before_has_an_accuracy_and_no_speed() -> None:
    resumed = report()
    resumed.epoch_over(0, 0.001, 32, 0.9)
    resumed.epoch_over(100, 1.0, 32, 0.95)
    assert (resumed.accuracies, resumed.images_per_second) == ([0.9, 0.95], [100])
