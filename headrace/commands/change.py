"""What an upload changes against the champion, said before anything is sent: which classes come and go."""

from __future__ import annotations

from collections.abc import Iterable

from headrace.client.environment import Environment
from headrace.client.evaluation import class_names
from headrace.client.model_packages import is_servable, list_packages, read_model
from headrace.errors import HeadraceError
from headrace.terminal.output import Output

FEWEST_CLASSES = 2  # that are shared: training/compare.py
CLASSES_SHOWN = 5


def explain_change(environment: Environment, output: Output, classes: Iterable[str]) -> None:
    """Refuses nothing. A user who may upload need not be allowed to read the registry."""
    try:
        champion = next((item for item in list_packages(environment) if is_servable(item)), None)
        if champion is None:
            return
        model = read_model(environment, champion["ModelPackageArn"])
        before = class_names(environment, model.report_uri)
    except HeadraceError as error:
        output.note(f"what this changes against the champion cannot be said: {error}")
        return
    if before is None:
        output.note(f"the classes of champion version {model.version} are not known; Evaluate asks the model itself")
        return
    now = frozenset(classes)
    changes = [f"{what} {_some(names)}" for what, names in (("new:", now - before), ("gone:", before - now)) if names]
    if not changes:
        return
    shared = len(now & before)
    said = f"other classes than champion version {model.version} knows ({'; '.join(changes)}): "
    if shared < FEWEST_CLASSES:
        output.warn(said + "the two cannot be compared, and the new version will wait for approval")
    else:
        output.note(said + f"the two will be compared on the {shared} classes that both know")


def _some(names: frozenset[str]) -> str:
    shown = ", ".join(sorted(names)[:CLASSES_SHOWN])
    return f"{shown} and {len(names) - CLASSES_SHOWN} more" if len(names) > CLASSES_SHOWN else shown
