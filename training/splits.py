"""Which of a data set's images train, validate and test."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from data_sets.plausibility import absent_problems, one_class_problems
from data_sets.sample import Problem, Sample
from data_sets.wording import refusal, some_of
from errors import DataSetError

SPLITS = ("train", "validation", "test")


def with_groups(samples: Sequence[Sample], pattern: str, root: str = "") -> list[Sample]:
    """The samples with the group that `pattern` finds in the path below `root`: its first group, or all it matches.

    A group that the data set's own table names stays. Raises DataSetError when the pattern fits no path.
    """
    if not pattern:
        return list(samples)
    expression = re.compile(pattern)
    found = []
    for sample in samples:
        match = expression.search(sample.path.removeprefix(root))
        group = sample.group or (match[1 if expression.groups else 0] if match else None)
        found.append(Sample(sample.path, sample.label, sample.split, group))
    if not any(sample.group for sample in found):
        raise DataSetError(
            f"group_pattern {pattern!r} matches none of {len(samples)} images, e.g. {some_of([samples[0].path])}",
            hint="it is a regular expression that is searched for in an image's path; its first group names the group",
        )
    return found


def split_samples(
    samples: Sequence[Sample], classes: Sequence[str], order: Sequence[bytes], shares: Mapping[str, float]
) -> dict[str, list[int]]:
    """Assign every sample to a split: the rows of `samples` for train, validation and test.

    A split that the data set gives is kept. A split that it lacks is taken from train, class by class, so that each
    class has its share in it and one image at least. `order` gives one key a sample: the lowest of a class go to test
    and the next to validation. Samples of one group stay together, and go where their lowest key leads. Raises
    DataSetError when one of the `classes` has no sample in a split.
    """
    if problems := split_problems(samples, classes, shares):
        refused = refusal(problems)
        raise DataSetError(refused.message, hint=refused.hint)
    rows: dict[str, list[int]] = {split: [] for split in SPLITS}
    missing = missing_splits(samples)
    training: dict[str, list[int]] = {label: [] for label in classes}
    for row, sample in enumerate(samples):
        if sample.split in ("validation", "test"):
            rows[sample.split].append(row)
        else:
            training[sample.label].append(row)
    wanted: dict[str, dict[str, int]] = {}
    for label, remaining in training.items():
        counts = {split: max(1, round(len(remaining) * shares[split])) for split in missing}
        wanted[label] = counts
    for split, unit in _by_order(samples, [row for part in training.values() for row in part], order, wanted, missing):
        rows[split] += unit
    for split in SPLITS:
        refuse_absent(split, classes, {samples[row].label for row in rows[split]})
    return {split: sorted(rows[split]) for split in SPLITS}


def missing_splits(samples: Sequence[Sample]) -> list[str]:
    """The splits that the data set does not give, which are taken from train."""
    given = {sample.split for sample in samples}
    return [split for split in ("test", "validation") if split not in given]


def split_problems(samples: Sequence[Sample], classes: Sequence[str], shares: Mapping[str, float]) -> list[Problem]:
    """All that keeps the samples from being split, so that nobody has to upload again and again to learn the rest."""
    problems = one_class_problems(classes)
    missing = missing_splits(samples)
    counts = Counter(sample.label for sample in samples if sample.split not in ("validation", "test"))
    least = {label: sum(max(1, round(counts[label] * shares[split])) for split in missing) + 1 for label in classes}
    few = [label for label in classes if missing and counts[label] < least[label]]
    if few:
        where = " and ".join([*missing, "train"])
        what = f"class {some_of(few)} has {counts[few[0]]} usable images"
        if len(few) > 1:
            what = f"{len(few)} classes have too few usable images: " + some_of(
                [f"{label} ({counts[label]})" for label in few]
            )
        problems.append(
            Problem(
                f"{what}, too few for {where}" if len(few) == 1 else f"{what}; needed are {where}",
                "add images of it, or remove the class; each of these needs one image of each class at least",
            )
        )
    for split in SPLITS:
        if split in missing or (split == "train" and missing):
            continue  # taken from train, class by class
        present = {sample.label for sample in samples if (sample.split or "train") == split}
        problems += absent_problems(split, classes, present)
    return problems


def _by_order(
    samples: Sequence[Sample],
    rows: Sequence[int],
    order: Sequence[bytes],
    wanted: Mapping[str, dict[str, int]],
    missing: Sequence[str],
) -> list[tuple[str, list[int]]]:
    """Each group, or sample without one, with its split: that in which a class of it still lacks images."""
    units: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        group = samples[row].group
        units.setdefault(("group", group) if group else ("row", str(row)), []).append(row)
    most = {label: {split: 2 * count for split, count in counts.items()} for label, counts in wanted.items()}
    found = []
    for unit in sorted(units.values(), key=lambda unit: min(order[row] for row in unit)):
        labels = Counter(samples[row].label for row in unit)
        split = "train"
        for candidate in missing:
            lacking = any(wanted[label][candidate] > 0 for label in labels)
            # A group that is most of a class is one to train on.
            if lacking and all(count <= most[label][candidate] for label, count in labels.items()):
                split = candidate
                break
        if split != "train":
            for label, count in labels.items():
                wanted[label][split] -= count
        found.append((split, unit))
    return found


def refuse_absent(split: str, classes: Sequence[str], present: Collection[str]) -> None:
    if problems := absent_problems(split, classes, present):
        refused = refusal(problems)
        raise DataSetError(refused.message, hint=refused.hint)
