"""environments.toml: what is wrong in it is said with its place and a hint, before anything is synthesized."""

import tomllib
from datetime import date
from pathlib import Path

import pytest
from aws_cdk import App, Environment, Stack
from suite import PROJECT

from environments.prices import load_prices
from environments.projects import load_project_settings
from environments.settings import Settings, load_settings
from environments.typed_table import SettingsError
from infra.parts.images import Images

ROOT = Path(__file__).parents[2]
DIGEST = f"@sha256:{'0123456789abcdef' * 4}"
GOOD = 'account = "123456789012"\nregion = "eu-central-1"\n'


def load(tmp_path: Path, text: str, environment: str = "dev") -> Settings:
    path = tmp_path / "environments.toml"
    path.write_text(text)
    return load_settings(path, environment)


def test_account_and_region_are_enough(tmp_path: Path) -> None:
    settings = load(tmp_path, f"[dev]\n{GOOD}")
    assert (settings.name, settings.removal) == ("headrace-dev", "retain")


def test_values_reach_settings_and_pipeline(tmp_path: Path) -> None:
    text = f'[dev]\n{GOOD}notice_emails = ["a@b.c"]\ntags = {{ Owner = "me" }}\n[dev.pipeline]\nlearning_rate = 1\n'
    settings = load(tmp_path, text)
    assert settings.notice_emails == ("a@b.c",)
    assert settings.all_tags == {"headrace:project": "headrace", "headrace:environment": "dev", "Owner": "me"}
    assert settings.pipeline.learning_rate == 1.0


PRICES = (
    '[eu-central-1.usd_per_hour]\n"ml.m5.xlarge" = 0.276\n"ml.g4dn.xlarge" = 1\n[us-east-1]\nas_of = "2026-09-28"\n'
)


def test_a_limit_takes_the_prices_of_the_region(tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text(PRICES)
    settings = load(tmp_path, f"[dev]\n{GOOD}max_run_cost = 10\n")
    assert settings.max_run_cost == 10.0
    assert settings.prices == {"ml.m5.xlarge": 0.276, "ml.g4dn.xlarge": 1}


def test_without_a_limit_no_price_is_needed(tmp_path: Path) -> None:
    settings = load(tmp_path, f"[dev]\n{GOOD}")
    assert (settings.max_run_cost, settings.prices) == (None, {})


@pytest.mark.parametrize(
    ("prices", "setting", "messages"),
    [
        (None, "max_runs_per_day = 0", ["max_runs_per_day is 0", "a whole number from 1 to 1,000"]),
        (None, "max_runs_per_day = 1001", ["max_runs_per_day is 1001"]),
        (None, "max_concurrent_runs = -1", ["max_concurrent_runs is -1", "a whole number from 1 to 1,000"]),
        (None, "max_concurrent_runs = 2.5", ["max_concurrent_runs is 2.5"]),
        (PRICES, "max_run_cost = 0", ["max_run_cost is 0.0", "a number of USD above 0"]),
        (PRICES, "max_run_cost = nan", ["max_run_cost is nan"]),
        (PRICES, 'max_run_cost = "ten"', ["max_run_cost is 'ten'", "use a number"]),
        (PRICES, "prices = {}", ["prices is set", "prices.toml"]),
        (
            PRICES.replace("ml.g4dn.xlarge", "ml.g4dn.2xlarge"),
            "max_run_cost = 10",
            ["train_instance_type is 'ml.g4dn.xlarge'", "no price in eu-central-1", "[eu-central-1.usd_per_hour]"],
        ),
        ("", "max_run_cost = 10", ["no prices for region 'eu-central-1'", "check the region's spelling"]),
        (PRICES.replace("0.276", "-1"), "max_run_cost = 10", ["ml.m5.xlarge is -1", "a number above 0"]),
        (PRICES.replace("0.276", '"0.276"'), "max_run_cost = 10", ["ml.m5.xlarge is '0.276'", "a number above 0"]),
        (PRICES.replace("0.276", "nan"), "max_run_cost = 10", ["ml.m5.xlarge is nan", "a number above 0"]),
        (PRICES.replace("0.276", "inf"), "max_run_cost = 10", ["ml.m5.xlarge is inf", "a number above 0"]),
        (
            "[eu-central-1]\ncurrency = 'EUR'\n" + PRICES,
            "max_run_cost = 10",
            ["prices.toml [eu-central-1]", "unknown key 'currency'", "known are as_of, source, usd_per_hour"],
        ),
        ("eu-central-1 = 3", "max_run_cost = 10", ["prices.toml [eu-central-1]", "usd_per_hour is None"]),
        ("[eu", "max_run_cost = 10", ["prices.toml: it is not valid TOML"]),
        (None, "max_run_cost = 10", ["prices.toml: there is no such file"]),
    ],
)
def test_a_mistake_about_money_is_refused(
    tmp_path: Path, prices: str | None, setting: str, messages: list[str]
) -> None:
    if prices is not None:
        (tmp_path / "prices.toml").write_text(prices)
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, f"[dev]\n{GOOD}{setting}\n")
    for message in messages:
        assert message in str(caught.value)
    assert "\nhint: " in str(caught.value)


def test_every_table_of_the_projects_prices_says_of_when_and_whence_it_is() -> None:
    for region, table in tomllib.loads((PROJECT / "prices.toml").read_text()).items():
        assert date.fromisoformat(table["as_of"])
        assert table["source"]
        assert load_prices(PROJECT / "prices.toml", region) == table["usd_per_hour"] != {}


@pytest.mark.parametrize("name", ["project", "Dev"])
def test_a_table_that_nothing_would_read_is_refused(tmp_path: Path, name: str) -> None:
    """A user who writes [project] for [projects] would publish a template with default settings."""
    account = "" if name == "project" else GOOD
    text = f"[dev]\n{GOOD}[{name}]\n{account}"
    refusal = rf"environments.toml \[{name}\]: it is not an environment"
    with pytest.raises(SettingsError, match=rf"{refusal}(.|\n)*\[projects\]"):
        load(tmp_path, text)
    with pytest.raises(SettingsError, match=refusal):
        load_project_settings(tmp_path / "environments.toml")


@pytest.mark.parametrize("environment", ["local", "dev", "staging", "prod"])
def test_environments_of_the_project_are_right(environment: str) -> None:
    assert load_settings(PROJECT / "environments.toml", environment).environment == environment


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("[prod]\n" + GOOD, ["no environment 'dev'", "there are prod"]),
        ("[dev]\n" + GOOD + 'regoin = "x"', ["[dev]", "unknown key 'regoin'", "region"]),
        ("[dev]\n" + GOOD + "[dev.pipeline]\nepoch = 3", ["[dev.pipeline]", "unknown key 'epoch'", "epochs"]),
        ('[dev]\nregion = "eu-central-1"', ["account is missing"]),
        ('[dev]\naccount = 123456789012\nregion = "eu-central-1"', ["account is 123456789012", "text in quotes"]),
        ('[dev]\naccount = "1234"\nregion = "eu-central-1"', ["account is '1234'", "12 digits"]),
        ('[dev]\naccount = "123456789012"\nregion = "frankfurt"', ["region is 'frankfurt'", "eu-central-1"]),
        ("[dev]\n" + GOOD + "quiet_seconds = true", ["quiet_seconds is True", "a whole number"]),
        ("[dev]\n" + GOOD + "quiet_seconds = 901", ["quiet_seconds is 901", "1 to 900"]),
        ("[dev]\n" + GOOD + 'removal = "keep"', ["removal is 'keep'", "destroy or retain"]),
        ("[dev]\n" + GOOD + "log_retention_days = 8", ["log_retention_days is 8", "1 or 7 or 30 or 90 or 365"]),
        ("[dev]\n" + GOOD + "log_retention_days = true", ["log_retention_days is True"]),
        ("[dev]\n" + GOOD + 'data_key = "mine"', ["data_key is 'mine'", "the ARN of a KMS key"]),
        ("[dev]\n" + GOOD + 'notice_emails = "a@b.c"', ["notice_emails is 'a@b.c'", "a list of text"]),
        ("[dev]\n" + GOOD + 'notice_emails = ["nobody"]', ["notice_emails holds 'nobody'"]),
        ("[dev]\n" + GOOD + "tags = { Owner = 1 }", ["tags is {'Owner': 1}", "a table of texts"]),
        ("[dev]\n" + GOOD + 'tags = { "aws:x" = "y" }', ["tags holds 'aws:x'"]),
        ("[dev]\n" + GOOD + 'training_image = "pytorch"', ["training_image is 'pytorch'", "repository:tag"]),
        (
            "[dev]\n" + GOOD + f'training_image = "pytorch{DIGEST}"',
            ["training_image is 'pytorch@sha256", "hexadecimal"],
        ),
        ("[dev]\n" + GOOD + f'inference_image = "a:1{DIGEST[:-1]}"', ["inference_image is 'a:1@sha256", "hexadecimal"]),
        ("[dev]\n" + GOOD + f'processing_image = "a:1{DIGEST}:2"', ["processing_image is 'a:1@sha256", "hexadecimal"]),
        ("[dev]\n" + GOOD + 'endpoint_instance_type = "ml.p3.2xlarge"', ["no model is registered", "ml.m5.large"]),
        ("[dev]\n" + GOOD + "endpoint_instance_count = 0", ["endpoint_instance_count is 0"]),
        ("[dev]\n" + GOOD + 'environment = "prod"', ["environment is set"]),
        (
            "[dev]\n" + GOOD + "[dev.pipeline]\naccuracy_threshold = 80",
            ["[dev.pipeline]", "accuracy_threshold is 80.0"],
        ),
        ("[dev]\n" + GOOD + '[dev.pipeline]\ncapacity = "spot"\nspot_wait_seconds = 0', ["spot_wait_seconds is 0"]),
        ("[dev]\n" + GOOD + '[dev.pipeline]\ncapacity = "cheap"', ["capacity is 'cheap'", "spot or on-demand or both"]),
        ("dev = 3", ["it is 3, not a table"]),
        ("[dev", ["it is not valid TOML"]),
    ],
)
def test_mistake_is_refused(tmp_path: Path, text: str, messages: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    for message in messages:
        assert message in str(caught.value)
    assert "\nhint: " in str(caught.value)


def test_name_that_cannot_be_part_of_resource_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not a valid name for an environment"):
        load(tmp_path, f'["My Env"]\n{GOOD}', "My Env")


def test_name_that_models_of_another_environment_could_be_taken_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="holds -v"):
        load(tmp_path, f"[dev-v2]\n{GOOD}", "dev-v2")


def test_the_longest_name_leaves_room_for_what_is_named_after_it(tmp_path: Path) -> None:
    """SageMaker takes 63 characters: of an endpoint, a model, a configuration, which name a version and a hash."""
    longest = "a" * 20
    name = load(tmp_path, f"[{longest}]\n{GOOD}", longest).name
    assert len(f"{name}-v{10**9}-{'0' * 8}") <= 63


def test_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no such file"):
        load_settings(tmp_path / "environments.toml", "dev")


def stack(settings: Settings) -> Stack:
    app = App(context={"@aws-cdk/core:enablePartitionLiterals": True})
    return Stack(app, "Stack", env=Environment(account=settings.account, region=settings.region))


def images_of(settings: Settings) -> Images:
    return Images.of(
        stack(settings),
        training=settings.training_image,
        processing=settings.processing_image,
        inference=settings.inference_image,
        where=settings.table,
    )


def test_region_without_deep_learning_images_is_refused(tmp_path: Path) -> None:
    settings = load(tmp_path, '[dev]\naccount = "123456789012"\nregion = "eu-nowhere-7"\n')
    with pytest.raises(SettingsError, match="AWS has no deep-learning images in region 'eu-nowhere-7'"):
        images_of(settings)


@pytest.mark.parametrize(
    ("region", "image", "uri", "arn"),
    [
        (
            "us-east-1",
            "pytorch:2",
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch:2",
            "arn:aws:ecr:us-east-1:763104351884:repository/pytorch",
        ),
        (
            "cn-north-1",
            "pytorch:2",
            "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn/pytorch:2",
            "arn:aws-cn:ecr:cn-north-1:727897471807:repository/pytorch",
        ),
        (
            "us-east-1",
            "123456789012.dkr.ecr.us-west-2.amazonaws.com/team/own:3",
            "123456789012.dkr.ecr.us-west-2.amazonaws.com/team/own:3",
            "arn:aws:ecr:us-west-2:123456789012:repository/team/own",
        ),
        (
            "us-east-1",
            f"pytorch:2.13-cpu{DIGEST}",
            f"763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch{DIGEST}",
            "arn:aws:ecr:us-east-1:763104351884:repository/pytorch",
        ),
        (
            "us-east-1",
            f"123456789012.dkr.ecr.us-west-2.amazonaws.com/team/own:3{DIGEST}",
            f"123456789012.dkr.ecr.us-west-2.amazonaws.com/team/own{DIGEST}",
            "arn:aws:ecr:us-west-2:123456789012:repository/team/own",
        ),
        (
            "cn-north-1",
            f"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/team/own{DIGEST}",
            f"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/team/own{DIGEST}",
            "arn:aws-cn:ecr:cn-north-1:123456789012:repository/team/own",
        ),
    ],
)
def test_image_is_of_the_region_or_custom(tmp_path: Path, region: str, image: str, uri: str, arn: str) -> None:
    kinds = ("training", "processing", "inference")
    named = "".join(f'{kind}_image = "{image}"\n' for kind in kinds)
    settings = load(tmp_path, f'[dev]\naccount = "123456789012"\nregion = "{region}"\n{named}')
    images = images_of(settings)
    assert images.training == images.processing == images.inference
    training = images.training
    assert (training.uri, training.repository_arn) == (uri, arn)
