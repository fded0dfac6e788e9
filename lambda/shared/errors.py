"""The errors of the functions. Each message says what is wrong and where, and has a hint.

HeadraceError
├── SettingError            an environment variable of the function
├── MalformedEvent          an event or message that cannot be parsed
├── DefinitionError         a pipeline definition that this environment does not accept
│   └── BindingError        ... because it uses a name that the environment does not have
├── ParameterError          a parameter chosen for one run that the pipeline does not have or accept
├── BudgetError             a run whose cost cannot be estimated
│   └── OverBudgetError     ... or which may cost more than max_run_cost
├── RunLimitError           a run beyond max_runs_per_day
├── DataSetError            a data set that cannot be fingerprinted
├── LineError               a data set that matches several model lines
├── ArtifactError           an artifact that is not the one that was evaluated
├── EndpointError           an endpoint that cannot be brought to serve the champion
└── DestroyError            resources of a deleted stack that cannot be deleted
"""


class HeadraceError(Exception):
    """A refusal: `what` in one sentence, and a `hint` that says what to do about it."""

    def __init__(self, what: str, *, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what}\n\nhint: {self.hint}"


class SettingError(HeadraceError): ...


class MalformedEvent(HeadraceError): ...


class DefinitionError(HeadraceError): ...


class BindingError(DefinitionError): ...


class ParameterError(HeadraceError): ...


class BudgetError(HeadraceError): ...


class OverBudgetError(BudgetError):
    """Costs in USD; each line of the breakdown gives the maximum cost of one step, and how it is computed."""

    def __init__(self, what: str, *, hint: str, estimated: float, limit: float, breakdown: list[str]) -> None:
        super().__init__(what, hint=hint)
        self.estimated, self.limit, self.breakdown = estimated, limit, breakdown


class RunLimitError(HeadraceError):
    """`setting` names the limit; `free` is the time from which the limit admits a run, as a text for people."""

    def __init__(self, what: str, *, hint: str, setting: str, limit: int, free: str) -> None:
        super().__init__(what, hint=hint)
        self.setting, self.limit, self.free = setting, limit, free


class DataSetError(HeadraceError): ...


class LineError(HeadraceError): ...


class ArtifactError(HeadraceError): ...


class EndpointError(HeadraceError): ...


class DestroyError(HeadraceError): ...
