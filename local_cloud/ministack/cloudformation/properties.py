"""Properties of resources that ministack's CloudFormation leaves out: a bucket's lifecycle, and a topic's key."""

from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from ministack.services import s3, sns
from ministack.services.cloudformation import provisioners

# Of a rule in a template: the member's element in S3's API, and what of it stands inside.
_RULE = {"Id": "ID", "Status": "Status"}
_INNER = {
    "ExpirationInDays": "Expiration/Days",
    "ExpiredObjectDeleteMarker": "Expiration/ExpiredObjectDeleteMarker",
    "NoncurrentVersionExpirationInDays": "NoncurrentVersionExpiration/NoncurrentDays",
}
_NESTED = {
    "NoncurrentVersionExpiration": {"NoncurrentDays", "NewerNoncurrentVersions"},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation"},
}


def install() -> None:
    buckets, topics = (provisioners._RESOURCE_HANDLERS[kind] for kind in ("AWS::S3::Bucket", "AWS::SNS::Topic"))
    for action, position in (("create", 1), ("update", 2)):
        buckets[action] = _with_lifecycle(buckets[action], position)
        topics[action] = _with_key(topics[action], position)


def _with_lifecycle(original: Callable[..., Any], position: int) -> Callable[..., Any]:
    def make(*arguments: Any) -> Any:
        answer = original(*arguments)
        rules = arguments[position].get("LifecycleConfiguration", {}).get("Rules", [])
        if rules:
            document = f"<LifecycleConfiguration>{''.join(map(_rule, rules))}</LifecycleConfiguration>"
            status, _, body = s3._put_bucket_lifecycle(answer[0], document.encode())
            if status != 200:
                raise ValueError(f"LifecycleConfiguration of {answer[0]}: {body.decode()}")
        else:
            s3._bucket_lifecycle.pop(answer[0], None)
        return answer

    return make


def _rule(rule: dict[str, Any]) -> str:
    """Raises ValueError for a member that is not served."""
    text = f"<Filter><Prefix>{escape(rule.get('Prefix', ''))}</Prefix></Filter>"
    for name, value in rule.items():
        if name in _RULE:
            text += _element(_RULE[name], value)
        elif name in _INNER:
            outer, _, inner = _INNER[name].partition("/")
            text += f"<{outer}>{_element(inner, value)}</{outer}>"
        elif name in _NESTED and value.keys() <= _NESTED[name]:
            text += f"<{name}>{''.join(_element(inner, item) for inner, item in value.items())}</{name}>"
        elif name == "Transitions":
            for transition in value:
                days, kind = transition["TransitionInDays"], transition["StorageClass"]
                text += f"<Transition>{_element('Days', days)}{_element('StorageClass', kind)}</Transition>"
        elif name != "Prefix":
            raise ValueError(f"LifecycleConfiguration: the local cloud does not serve {name}. hint: leave {name} out")
    return f"<Rule>{text}</Rule>"


def _element(name: str, value: Any) -> str:
    return f"<{name}>{escape(str(value).lower() if isinstance(value, bool) else str(value))}</{name}>"


def _with_key(original: Callable[..., Any], position: int) -> Callable[..., Any]:
    def make(*arguments: Any) -> Any:
        answer = original(*arguments)
        attributes = sns._topics[answer[0]]["attributes"]
        attributes.pop("KmsMasterKeyId", None)
        key = arguments[position].get("KmsMasterKeyId")
        if key:
            attributes["KmsMasterKeyId"] = key
        return answer

    return make
