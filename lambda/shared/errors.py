"""What the functions refuse. Every refusal says what is wrong and where, and carries a hint.

HeadraceError
├── SettingError            an environment variable of the function
├── MalformedEvent          an event or message that nothing can be made of
├── DefinitionError         a pipeline definition that this environment does not take
│   └── BindingError        ... because it asks for a name that the environment does not have
├── ParameterError          a parameter chosen for one run that the pipeline does not have or take
├── BudgetError             a run of which nobody knows beforehand what it may cost
│   └── OverBudgetError     ... or which may cost more than max_run_cost
├── RunLimitError           a run beyond max_runs_per_day
├── DataSetError            a data set that cannot be fingerprinted
├── LineError               a data set that several model lines claim
├── ArtifactError           an artifact that is not the one that was judged
├── EndpointError           an endpoint that does not come to serve the champion
└── DestroyError            a deployment that cannot be emptied
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
    """Costs in USD; a line of the breakdown says what one step may cost, and how that comes about."""

    def __init__(self, what: str, *, hint: str, estimated: float, limit: float, breakdown: list[str]) -> None:
        super().__init__(what, hint=hint)
        self.estimated, self.limit, self.breakdown = estimated, limit, breakdown


class RunLimitError(HeadraceError):
    """`setting` names the limit; `free` says from when on it lets a run through, for people."""

    def __init__(self, what: str, *, hint: str, setting: str, limit: int, free: str) -> None:
        super().__init__(what, hint=hint)
        self.setting, self.limit, self.free = setting, limit, free


class DataSetError(HeadraceError): ...


class LineError(HeadraceError): ...


class ArtifactError(HeadraceError): ...


class EndpointError(HeadraceError): ...


class DestroyError(HeadraceError): ...
