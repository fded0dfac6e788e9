"""The account that holds AWS's deep-learning images, by region, as the CDK knows it (tests/infra/test_images.py)."""

from __future__ import annotations

MOST = "763104351884"
_OTHERS = {
    "ap-east-1": "871362719292",
    "ap-east-2": "975050140332",
    "ap-south-2": "772153158452",
    "ap-southeast-3": "907027046896",
    "ap-southeast-4": "457447274322",
    "ap-southeast-6": "633930458069",
    "cn-north-1": "727897471807",
    "cn-northwest-1": "727897471807",
    "eu-central-2": "380420809688",
    "eu-south-1": "692866216735",
    "eu-south-2": "503227376785",
    "eusc-de-east-1": "204133271717",
    "me-central-1": "914824155844",
    "me-south-1": "217643126080",
    "us-isof-east-1": "303241398832",
    "us-isof-south-1": "454834333376",
}
_OF_MOST = (
    "ap-northeast-1 ap-northeast-2 ap-south-1 ap-southeast-1 ap-southeast-2 ca-central-1 eu-central-1 eu-north-1 "
    "eu-west-1 eu-west-2 eu-west-3 sa-east-1 us-east-1 us-east-2 us-west-1 us-west-2"
)

ACCOUNTS = {**dict.fromkeys(_OF_MOST.split(), MOST), **_OTHERS}
