"""Where and as whom a workflow deploys an environment: `target.py NAME deploy|diff >> "$GITHUB_OUTPUT"`.

    configured=true
    region=eu-central-1
    role=arn:aws:iam::111111111111:role/headrace-delivery-dev-deploy

Without a table [NAME.delivery] in environments.toml, `configured=false`: the workflow then leaves it alone.
"""

import sys
import tomllib
from pathlib import Path


def main(environment: str, what: str) -> None:
    tables = tomllib.loads(Path("environments.toml").read_text(encoding="utf-8"))
    table = tables[environment]
    if "delivery" not in table:
        print(f"[{environment}.delivery] is not in environments.toml: {environment} is left alone", file=sys.stderr)
        print("configured=false")
        return
    print("configured=true")
    print(f"region={table['region']}")
    print(f"role=arn:aws:iam::{table['account']}:role/headrace-delivery-{environment}-{what}")


if __name__ == "__main__":
    main(*sys.argv[1:])
