"""Where and as whom a workflow deploys an environment: `target.py NAME diff` or `target.py NAME deploy APPROVED`.

    configured=true
    region=eu-central-1
    role=arn:aws:iam::111111111111:role/headrace-delivery-dev-deploy

goes into $GITHUB_OUTPUT. Without a table [NAME.delivery] in environments.toml it is `configured=false`, and the
workflow leaves the environment alone. `APPROVED` is whether the workflow has the job wait for a reviewer, true or
false: what the role trusts is one or the other.
"""

import sys
import tomllib
from pathlib import Path


def main(environment: str, what: str, approved: str | None = None) -> int:
    table = tomllib.loads(Path("environments.toml").read_text(encoding="utf-8")).get(environment, {})
    if "delivery" not in table:
        print(f"there is no [{environment}.delivery] in environments.toml: it is left alone", file=sys.stderr)
        print("configured=false")
        return 0
    approve = str(table["delivery"].get("approve", True)).lower()
    if approved not in (None, approve):
        print(f"error: [{environment}.delivery] has approve = {approve}, this job runs as {approved}", file=sys.stderr)
        print("hint: say the same there and in .github/workflows/delivery.yml", file=sys.stderr)
        return 1
    print("configured=true")
    print(f"region={table['region']}")
    print(f"role=arn:aws:iam::{table['account']}:role/headrace-delivery-{environment}-{what}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
