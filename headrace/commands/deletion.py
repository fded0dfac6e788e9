"""`headrace delete`: remove a data set from the data bucket."""

from __future__ import annotations

import click

from headrace.client.environment import Environment
from headrace.client.stored_data_sets import data_set_location
from headrace.commands.command import command
from headrace.commands.upload import delete_objects, list_objects
from headrace.errors import UsageError
from headrace.formats import counted, size
from headrace.terminal.output import Output


@command("delete", "All its objects. What was trained on it stays, and a deletion starts no run.")
@click.argument("data_set", metavar="DATA_SET", help="its name, as in datasets/NAME")
@click.option("--yes", "confirmed", is_flag=True, help="needed, because the objects are deleted")
def delete(environment: Environment, output: Output, *, data_set: str, confirmed: bool) -> None:
    """Deletes every object of the data set. Runs and models that came of it stay, and a deletion starts no run.

    Raises:
        UsageError: it was not confirmed.
        NotFound: there is no such data set.
    """
    name = data_set.rstrip("/").removeprefix("datasets/")
    location, bucket = data_set_location(environment, name), environment.stack.data_bucket
    there = list_objects(environment, bucket, location)
    what = f"{counted(len(there), 'object')}, {size(sum(there.values()))}, in s3://{bucket}/{location}"
    if not confirmed:
        raise UsageError(f"nothing was deleted: {what} would be", hint=environment.command(f"delete {name} --yes"))
    delete_objects(environment, bucket, sorted(there))
    if output.as_json:
        output.json({"data_set": name, "deleted": len(there)})
    else:
        output.line(f"s3://{bucket}/{location}")
    output.note(f"deleted {what}; S3 keeps earlier versions for as long as the bucket's lifecycle says")
