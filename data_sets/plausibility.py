"""Whether a reading makes sense: class names that can be told apart, and no image in two classes or two splits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from data_sets.names import MISLEADING, folded, spelled_out
from data_sets.sample import Accept, Problem, Sample
from data_sets.wording import some_of

FEW = 10  # images of a class, below which there is a warning: one image changes its recall by a tenth
IMBALANCE = 10  # times as many images of the largest class as of the smallest, which accuracy then hardly shows


def name_problems(raw_labels: Collection[str], accept: Collection[str]) -> list[Problem]:
    problems: list[Problem] = []
    misleading = sorted(label for label in raw_labels if MISLEADING.search(label))
    if misleading:
        problems.append(
            Problem(
                f"{len(misleading)} class names hold characters that cannot be printed: {some_of(misleading)}",
                hint="rename the class with characters that can be seen",
            )
        )
    blank = [label for label in raw_labels if not folded(label)]
    if blank:
        problems.append(Problem("a class has a name of white space only", hint="give the class a name"))
    alike: dict[str, list[str]] = {}
    for label in sorted(raw_labels):
        alike.setdefault(folded(label), []).append(label)
    pairs = [labels for labels in alike.values() if len(labels) > 1]
    if pairs and Accept.SIMILAR not in accept:
        shown = "; ".join(" and ".join(f"{label} ({spelled_out(label)})" if not label.isascii() else f"{label!r}"
                                       for label in labels) for labels in pairs[:3])  # fmt: skip
        merged = len(alike)
        problems.append(
            Problem(
                f"class names differ only in case, white space or Unicode normalisation: {shown}. As written they are "
                f"{len(raw_labels)} classes, as they look {merged}",
                hint="give the same class the same name everywhere",
                accept=Accept.SIMILAR,
            )
        )
    return problems


def class_problems(samples: Sequence[Sample]) -> list[Problem]:
    """What no split can make good: one class, or a class that a given split lacks."""
    classes = sorted({sample.label for sample in samples})
    if problems := one_class_problems(classes):
        return problems
    present: dict[str | None, set[str]] = {}
    for sample in samples:
        present.setdefault(sample.split, set()).add(sample.label)
    if None in present:
        return []
    if "train" not in present:
        given = some_of(sorted(str(split) for split in present))
        return [
            Problem(
                f"the data set has no images to train on: {given} only",
                hint="name the folder to train on train, or put the class folders at the top for a random split",
            )
        ]
    return [
        problem
        for split in ("train", "validation", "test")
        if split in present
        for problem in absent_problems(split, classes, present[split])
    ]


def one_class_problems(classes: Sequence[str]) -> list[Problem]:
    if len(classes) > 1:
        return []
    what = f"the data set has one class only: {some_of(classes)}"
    return [Problem(what, "a classifier needs two; each class is a folder with its images")]


def absent_problems(split: str, classes: Sequence[str], present: Collection[str]) -> list[Problem]:
    """The classes of which a split has no image."""
    absent = sorted(set(classes) - set(present))
    if not absent:
        return []
    what = f"{split} has no usable image of {len(absent)} of {len(classes)} classes: {some_of(absent)}"
    hint = "name the class folders alike in train, validation and test, and leave none of them empty"
    return [Problem(what, hint)]


def equal_images(samples: Iterable[Sample], digest_of: Mapping[str, str]) -> list[list[Sample]]:
    """The samples that have equal bytes, as far as `digest_of` knows."""
    alike: dict[str, list[Sample]] = {}
    for sample in samples:
        digest = digest_of.get(sample.path)
        if digest:
            alike.setdefault(digest, []).append(sample)
    return [same for same in alike.values() if len(same) > 1]


def copy_problems(copies: Sequence[Sequence[Sample]], accept: Collection[str]) -> tuple[list[Problem], list[str]]:
    """What is wrong with these groups of equal images, and what is only worth a warning."""
    problems: list[Problem] = []
    warnings: list[str] = []
    labels = [same for same in copies if len({sample.label for sample in same}) > 1]
    if labels and Accept.TWO_CLASSES not in accept:
        problems.append(
            Problem(
                f"{len(labels):,} images lie in two classes with the same bytes: {_pairs(labels, lambda s: s.label)}",
                hint="keep each image in the class that is right",
                accept=Accept.TWO_CLASSES,
            )
        )
    tested = [same for same in copies if _crosses(same, "test")]
    if tested and Accept.TWO_SPLITS not in accept:
        problems.append(
            Problem(
                f"{len(tested):,} images of the test set are also trained on, with the same bytes: "
                f"{_pairs(tested, lambda s: str(s.split))}. The test's accuracy would say nothing",
                hint="remove them from train or from test",
                accept=Accept.TWO_SPLITS,
            )
        )
    validated = [same for same in copies if {"train", "validation"} <= {sample.split for sample in same}]
    if validated:
        pairs = _pairs(validated, lambda s: str(s.split))
        warnings.append(f"{len(validated):,} images to validate on are also trained on, with the same bytes: {pairs}")
    within = [same for same in copies if len({(sample.label, sample.split) for sample in same}) == 1]
    if within:
        warnings.append(
            f"{sum(len(same) - 1 for same in within):,} images are copies of others of their class, e.g. "
            f"{some_of([sample.path for sample in within[0]], 2)}"
        )
    return problems, warnings


def group_problems(samples: Iterable[Sample]) -> list[Problem]:
    """A group whose images the data set itself puts into several splits."""
    splits: dict[str, set[str]] = {}
    for sample in samples:
        if sample.group and sample.split:
            splits.setdefault(sample.group, set()).add(sample.split)
    torn = sorted(group for group, found in splits.items() if "test" in found and len(found) > 1)
    if not torn:
        return []
    return [
        Problem(
            f"{len(torn):,} groups are both tested and trained on: {some_of(torn)}",
            hint="put all images of a group into one split, or leave the split out to have one made by groups",
        )
    ]


def balance_warnings(samples: Iterable[Sample]) -> list[str]:
    counts: dict[str, int] = {}
    for sample in samples:
        counts[sample.label] = counts.get(sample.label, 0) + 1
    if len(counts) < 2:
        return []
    order = sorted(counts, key=lambda label: (counts[label], label))
    least, most = order[0], order[-1]
    warnings = []
    if counts[most] >= IMBALANCE * counts[least]:
        warnings.append(
            f"the classes are imbalanced: {counts[most]:,} images of {some_of([most])}, {counts[least]:,} of "
            f"{some_of([least])}; a model that always answers {some_of([most])} is right for "
            f"{counts[most] / sum(counts.values()):.0%}"
        )
    few = [label for label in order if counts[label] < FEW]
    if few:
        warnings.append(f"{len(few):,} classes have fewer than {FEW} images: {some_of(few)}")
    return warnings


def _crosses(same: Sequence[Sample], split: str) -> bool:
    splits = {sample.split for sample in same}
    return split in splits and len(splits - {None}) > 1


def _pairs(copies: Sequence[Sequence[Sample]], of: Callable[[Sample], str]) -> str:
    """`cat/1.jpg = dog/2.jpg`, for a few, each pair of different classes or splits."""
    shown = []
    for same in copies:
        first = same[0]
        other = next((sample for sample in same if of(sample) != of(first)), same[1])
        shown.append(f"{first.path} = {other.path}")
    return some_of(shown)
