"""Each `hint:` and `next:` of the sources can be followed: its commands exist, and a test has followed it."""

from __future__ import annotations

import ast

import pytest
from hints import FOLDERS, ROOT, commands, every_command, every_hint, hints_of, problem, texts
from hints_table import missing, read, wanted


def test_only_folders_that_exist_are_open() -> None:
    folders, _ = read()
    assert set(folders) <= set(FOLDERS)


def test_every_command_of_a_hint_exists_with_its_options() -> None:
    """As its program parses it: the command line's own parser, botocore's model of the AWS API, make's targets."""
    wrong = [
        f"{hint.file}:{hint.line}: {found}: {hint.text}"
        for hint in (*every_hint(), *every_command())
        for words in commands(hint.text)
        if (found := problem(words))
    ]
    assert wrong == []


def test_every_hint_names_the_test_that_follows_it_or_the_reason_why_none_does() -> None:
    folders, _ = read()
    assert missing(folders) == []


def test_the_table_has_no_hint_that_is_gone() -> None:
    """Except in the folders that are open."""
    folders, table = read()
    known = wanted()
    gone = [
        f"{file}: {text}"
        for file, entries in table.items()
        if not file.startswith(tuple(f"{folder}/" for folder in folders))
        for text in entries
        if text not in known.get(file, [])
    ]
    assert gone == []


def test_every_test_that_the_table_names_is_there() -> None:
    _, table = read()
    for entries in table.values():
        for value in entries.values():
            if value.startswith(("advice: ", "parsed: ")) or not value:
                continue
            file, _, name = value.partition("::")
            assert (ROOT / file).is_file(), value
            functions = {
                node.name
                for node in ast.walk(ast.parse((ROOT / file).read_text()))
                if isinstance(node, ast.FunctionDef)
            }
            assert name in functions, value


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('raise E("x", hint="headrace runs")', ["headrace runs"]),
        ('raise E("x", hint=environment.command(f"logs {run.id}"))', ["headrace logs {run.id}"]),
        ('output.next(environment.command("runs") + "   # all")', ["headrace runs   # all"]),
        ('def f():\n    hint = "a" if x else "b"\n    raise E(hint=hint)', ["a", "b"]),
        ('yield "what", "do this"', ["do this"]),
        ('raise SettingsError("what", "where", "do this")', ["do this"]),
        ('raise Refused("It is wrong. hint: headrace env")', ["headrace env"]),
        ("next(iter(x), 5)", []),
        ("f(hint=None)", []),
    ],
)
def test_hints_are_found(source: str, expected: list[str]) -> None:
    assert [text for _, text in hints_of(source)] == expected


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("headrace runs --limit 0", None),
        ("headrace runs --limt 0", "headrace does not take"),
        ("reject it; then: headrace redriv", "headrace does not take"),
        ("headrace watch --after {iso(began)} --data-set {name}", None),
        ("aws sagemaker delete-endpoint --endpoint-name {name}", None),
        ("aws sagemaker delete-endpoint --name {name}", "has no --name"),
        ("aws sagemaker delete-endpiont --endpoint-name {name}", "has no operation"),
        ("make install", None),
        ("make instal", "make has no target"),
        ("make the archive again", None),
        ("npx cdk deploy -c env=dev", None),
        ("npx cdk deplyo -c env=dev", "cdk has no command"),
    ],
)
def test_a_command_that_does_not_exist_is_noticed(text: str, wrong: str | None) -> None:
    found = [problem(words) for words in commands(text)]
    assert all(item is None for item in found) if wrong is None else any(wrong in str(item) for item in found)


def test_parts_that_are_known_at_run_time_stand_in_braces() -> None:
    assert texts(ast.parse('f"a {x.y} b"', mode="eval").body) == ["a {x.y} b"]
