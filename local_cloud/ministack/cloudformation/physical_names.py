"""Names that CloudFormation generates: unique in all regions, and never another stack's.

ministack makes them of the stack's and the resource's name alone. Roles are global: the same stack in a second region
got the roles of the first, and put its own policies over theirs. AWS's names end in a random part.
"""

from collections.abc import Callable
from typing import Any

from ministack.core import responses
from ministack.services import iam
from ministack.services.cloudformation import provisioners


def install() -> None:
    provisioners._physical_name = _of_one_region(provisioners._physical_name)
    roles = provisioners._RESOURCE_HANDLERS["AWS::IAM::Role"]
    roles["create"] = _only_if_free(roles["create"])


def _of_one_region(original: Callable[..., str]) -> Callable[..., str]:
    """The generated part depends on account and region as well; an update of the stack gives the same."""

    def name(stack_name: str, logical_id: str, *, seeded: bool = True, **more: Any) -> str:
        seed = provisioners._NAME_SEED.get() if seeded else ""
        home = f"{responses.get_account_id()}:{responses.get_region()}:{seed}"
        token = provisioners._NAME_SEED.set(home)
        try:
            return original(stack_name, logical_id, **more)
        finally:
            provisioners._NAME_SEED.reset(token)

    return name


def _only_if_free(original: Callable[..., Any]) -> Callable[..., Any]:
    """A role whose name the template gives must not be there already; ministack would overwrite it."""

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        name = properties.get("RoleName")
        if name and iam._roles.get(name) is not None:
            raise ValueError(f"Role with name {name} already exists.")
        return original(logical_id, properties, stack_name)

    return create
