"""What folders say: class folders, or folders of splits that hold class folders, with one folder around it all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from data_sets.names import folded, normalised
from data_sets.sample import Accept, Found, Layout, LeftOut, Problem, Sample
from data_sets.split_names import split_of, splits_of
from data_sets.wording import counted, some_of

_WRAPPERS = frozenset({"images", "image", "imgs", "img", "data", "classes", "pictures", "photos"})
_MOVE = "move each image into a folder named after its class: CLASS/IMAGE.jpg, or train/CLASS/IMAGE.jpg"


def read_folders(images: Sequence[str], accept: frozenset[str]) -> Found:
    """The samples that the folders of these paths stand for, with what is implausible about them."""
    root = unwrap(images)
    tops: dict[str, list[str]] = {}
    loose: list[str] = []
    for path in images:
        top, slash, _ = path[len(root) :].partition("/")
        if slash:
            tops.setdefault(top, []).append(path)
        else:
            loose.append(path)
    splits = {} if Accept.SPLIT_CLASS in accept else splits_of(list(tops))
    if splits and _are_splits(root, tops, splits):
        found = _read_splits(root, tops, splits, accept)
    else:
        found = _read_classes(root, tops, splits, accept)
    if loose:
        found.problems.insert(0, _unclassed(loose))
    return found


def unwrap(paths: Sequence[str], *, within: str = "", split: str = "") -> str:
    """The folder that holds the class or split folders, as a prefix that ends with a slash.

    A folder is gone into if it is the only one with images and holds folders of them. Inside a split's folder, which
    `split` names, only one that repeats its name or says nothing: `train/train/cat`, `train/images/cat`.
    """
    prefix = within
    while True:
        parts = [path[len(prefix) :].split("/", 2) for path in paths]
        tops = {part[0] for part in parts}
        if len(tops) != 1:
            return prefix
        (top,) = tops
        second = {part[1] for part in parts if len(part) > 2}
        if not second or (len(second) < 2 and any(len(part) < 3 for part in parts)):
            return prefix
        if split and not (split_of(top) or folded(top) == folded(split) or top.lower() in _WRAPPERS):
            return prefix
        if not split and split_of(top):
            return prefix
        prefix += f"{top}/"


def _are_splits(root: str, tops: Mapping[str, list[str]], splits: Mapping[str, str]) -> bool:
    """Whether folders named like splits are splits: all of them, or two of them that hold class folders."""
    others = tops.keys() - splits.keys()
    if "train" not in splits.values():
        return False
    nested = {splits[top] for top in splits if any("/" in path[len(f"{root}{top}/") :] for path in tops[top])}
    return (not others) or ("train" in nested and len(nested) > 1)


def _read_splits(root: str, tops: Mapping[str, list[str]], splits: Mapping[str, str], accept: frozenset[str]) -> Found:
    found = Found(Layout.SPLITS, root)
    if len(set(splits.values())) < len(splits):
        found.problems.append(
            Problem(
                f"two folders stand for the same split: {some_of(splits, 9)}",
                hint="keep one folder for each of train, validation and test, and remove or merge the others",
            )
        )
    unclassed: list[str] = []
    classes: set[str] = set()
    for top, split in splits.items():
        inner = unwrap(tops[top], within=f"{root}{top}/", split=top)
        for path in tops[top]:
            label, slash, _ = path[len(inner) :].partition("/")
            if not slash:
                unclassed.append(path)
                continue
            classes.add(folded(label))
            found.raw_labels.add(label)
            found.samples.append(Sample(path, normalised(label), split))
    if unclassed:
        found.problems.append(_unclassed(unclassed))
    _set_others_aside(found, tops, splits, classes, accept)
    return found


def _set_others_aside(
    found: Found,
    tops: Mapping[str, list[str]],
    splits: Mapping[str, str],
    classes: set[str],
    accept: frozenset[str],
) -> None:
    """Folders of images beside the split folders: left out, unless they may be a split or classes themselves."""
    others = [top for top in tops if top not in splits]
    aside = sum(len(tops[top]) for top in others)
    known = classes | {folded(top) for top in splits}
    doubtful = [
        top for top in others
        if folded(top) in classes or known & {folded(name) for name in _subfolders(tops[top], f"{found.root}{top}/")}
    ]  # fmt: skip
    if not doubtful and aside > len(found.samples):
        doubtful = others
    if doubtful and Accept.REPEATED not in accept:
        held = ", ".join(f"{split} {sum(s.split == split for s in found.samples):,}" for split in splits.values())
        found.problems.append(
            Problem(
                f"{some_of(doubtful)} beside {some_of(splits)} may be a copy, a split or a class. As splits: {held} "
                f"images, and {some_of(doubtful)} left out; as class folders: the classes {some_of(sorted(tops), 6)}",
                hint=f"move {some_of(doubtful)} out of the data set, or name it train, validation or test",
                accept=Accept.REPEATED,
            )
        )
    for top in others:
        found.left_out += [LeftOut(path, "beside the split folders", counts=False) for path in tops[top]]
        found.warnings.append(f"{counted(len(tops[top]), 'image')} in {top}/ beside the split folders are left out")


def _read_classes(root: str, tops: Mapping[str, list[str]], splits: Mapping[str, str], accept: frozenset[str]) -> Found:
    found = Found(Layout.CLASSES, root)
    for top, paths in tops.items():
        found.raw_labels.add(top)
        found.samples += [Sample(path, normalised(top)) for path in paths]
    if splits:
        inside = sorted({name for top in splits for name in _subfolders(tops[top], f"{root}{top}/")})
        as_splits = f"classes {some_of(inside)}" if inside else "no classes, because these hold no folders"
        found.problems.append(
            Problem(
                f"{some_of(splits)} is named like a split, beside {some_of(sorted(tops.keys() - splits.keys()))}. "
                f"As class folders: the classes {some_of(sorted(tops), 6)}; as splits: {as_splits}",
                hint="name split folders train, validation and test and keep nothing beside them, or rename the class",
                accept=Accept.SPLIT_CLASS,
            )
        )
    repeated = _repeated(root, tops)
    if repeated and not splits and Accept.REPEATED not in accept:
        names, shared = repeated
        found.problems.append(
            Problem(
                f"the folders {some_of(names)} hold folders of the same names ({some_of(shared)}). As class folders: "
                f"the classes {some_of(sorted(tops), 6)}; as splits or copies: the classes {some_of(shared, 6)}",
                hint="name split folders train, validation and test, and keep one copy of the images",
                accept=Accept.REPEATED,
            )
        )
    return found


def _repeated(root: str, tops: Mapping[str, list[str]]) -> tuple[list[str], list[str]] | None:
    """Folders whose subfolders repeat each other's names, or those of the folders beside them; and these names."""
    inside = {top: {folded(name): name for name in _subfolders(paths, f"{root}{top}/")} for top, paths in tops.items()}
    inside = {top: names for top, names in inside.items() if names}
    beside = {folded(top) for top in tops}
    for top, names in inside.items():
        shared = names.keys() & (beside - {folded(top)})
        if len(shared) > 1:
            return [top], sorted(names[name] for name in shared)
    alike: dict[str, set[str]] = {}
    shared_names: set[str] = set()
    order = sorted(inside, key=lambda top: (-len(inside[top]), top))[:200]
    for at, first in enumerate(order):
        for second in order[at + 1 :]:
            shared = inside[first].keys() & inside[second].keys()
            if len(shared) > 1 and 2 * len(shared) >= min(len(inside[first]), len(inside[second])):
                alike.setdefault(first, set()).add(second)
                shared_names |= {inside[first][name] for name in shared}
    if not alike:
        return None
    return sorted(alike.keys() | set().union(*alike.values())), sorted(shared_names)


def _subfolders(paths: Sequence[str], prefix: str) -> set[str]:
    return {name for path in paths for name, slash, _ in [path[len(prefix) :].partition("/")] if slash}


def _unclassed(paths: Sequence[str]) -> Problem:
    if len(paths) == 1:
        return Problem(f"the image {some_of(paths)} lies in no class folder", hint=_MOVE)
    return Problem(f"{len(paths):,} images lie in no class folder: {some_of(paths)}", hint=_MOVE)
