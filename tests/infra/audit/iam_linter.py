"""Lints IAM policies with parliament: `.venv/audit/bin/python iam_linter.py < policies.json`.

The input maps a name to a `document` and its `kind`: identity, trust or resource. The output is a list of
`[name, finding, detail]`.
"""

import json
import sys
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)  # pkg_resources, by which parliament reads its data, is deprecated
    from parliament import analyze_policy_string

findings = []
for name, policy in json.load(sys.stdin).items():
    # What a role may do is also judged for escalation, exposure and the like; that a trust policy lets a service
    # assume the role is what it is for.
    judged = analyze_policy_string(
        json.dumps(policy["document"]), include_community_auditors=policy["kind"] == "identity"
    )
    findings += [[name, finding.issue, f"{finding.detail} {finding.location}"] for finding in judged.findings]
json.dump(findings, sys.stdout)
