"""Names chosen by others reach a terminal as text: without escapes, control characters and bidirectional marks."""

from __future__ import annotations

import ast
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_aws import FakeAws
from scripted_cloud import FakeCloud, Result
from scripted_sagemaker import FakeSageMaker

import headrace as package
from headrace.cli.main import main
from headrace.errors import HeadraceError
from headrace.terminal.output import Output
from headrace.visible import visible, visible_json, visible_lines

HOSTILE = "cat\x1b]0;HACKED\x07\x1b[8m\x9b31m\x7f\x00\r\u202ednammoc\u2066\u200b\ud800"
SENT = HOSTILE.replace("\ud800", "").replace("\x00", "")  # what a JSON document over HTTP may hold
# What rich sends by itself: colours and styles, the cursor's movements and its visibility.
OF_RICH = re.compile(r"\x1b\[[0-9;]*[ABCGHJKm]|\x1b\[\?(?:25|1049)[hl]")
RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]")
KEPT = re.compile(
    r".*(Arn|Status|Uri|Url|Token|Id|Type|State)|EndpointConfigName|ModelName|ModelPackageName|Key|Approximate.*"
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def raw_in(text: str) -> list[str]:
    """Control characters of others in what was printed."""
    return RAW.findall(OF_RICH.sub("", text).replace("\r\n", "\n"))


def hostile(answer: Any, key: str = "") -> Any:
    """The answer with something appended to each text that is not an identifier."""
    if isinstance(answer, dict):
        return {name: hostile(value, name) for name, value in answer.items()}
    if isinstance(answer, list):
        return [hostile(value, key) for value in answer]
    return answer + SENT if isinstance(answer, str) and not KEPT.fullmatch(key) else answer


@pytest.fixture
def attacked(aws: FakeAws, sagemaker: FakeSageMaker) -> FakeSageMaker:
    """Every text of every answer ends in an attack."""
    run = sagemaker.add_run("run1", "Failed", reason="it failed")
    sagemaker.add_step(run, "Preprocess", "Failed", FailureReason="class cat: no images")
    sagemaker.add_run("run2", "Succeeded")
    sagemaker.add_package(1, "PendingManualApproval", ApprovalDescription="why")
    sagemaker.serve(1, FailureReason="broken")
    for operation, answer in list(aws.answers.items()):
        aws.answers[operation] = _attacked(answer)
    return sagemaker


def _attacked(answer: Any) -> Callable[[Any], Any]:
    return lambda request: hostile(answer(request) if callable(answer) else answer)


COMMANDS = [
    "runs", "watch run1", "logs run1", "models", "status", "approve 1", "reject 1 --reason no", "predict nothing.jpg",
    "compare 1 1", "evaluation 1", "stop run1", "notices",
]  # fmt: skip


@pytest.mark.usefixtures("attacked")
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.process
def test_a_command_prints_hostile_names_as_text(headrace: Callable[..., Result], command: str) -> None:
    plain = headrace(*command.split())
    assert raw_in(plain.out) + raw_in(plain.err) == []
    document = headrace(*command.split(), "--json")
    assert raw_in(document.out) + raw_in(document.err) == []


@pytest.mark.usefixtures("attacked")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_terminal_gets_hostile_names_as_text(cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    out, err = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    main(command.split(), cloud=cloud)
    assert raw_in(out.getvalue()) + raw_in(err.getvalue()) == []


@pytest.mark.usefixtures("attacked")
def test_the_attack_is_shown_where_the_name_is(headrace: Callable[..., Result]) -> None:
    """So the test above has not looked at commands that print nothing of it."""
    assert "\\x1b]0;HACKED\\x07" in headrace("runs").out + headrace("logs", "run1").err + headrace("models").out


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_every_way_of_printing_makes_hostile_text_visible(stream: Callable[[], io.StringIO]) -> None:
    out, err = stream(), stream()
    for as_json in (False, True):
        output = Output(as_json=as_json, stdout=out, stderr=err)
        output.table(["name"], [[HOSTILE]], [{"name": HOSTILE}])
        output.facts({HOSTILE: HOSTILE}, {HOSTILE: HOSTILE})
        output.line(HOSTILE)
        output.note(HOSTILE)
        output.warn(HOSTILE)
        output.next(HOSTILE, HOSTILE)
        output.error(HeadraceError(HOSTILE, hint=HOSTILE))
        output.progress.print(HOSTILE)
    assert raw_in(out.getvalue()) + raw_in(err.getvalue()) == []
    assert "HACKED" in out.getvalue()
    assert "HACKED" in err.getvalue()


def test_a_row_stays_one_row() -> None:
    out = io.StringIO()
    Output(stdout=out).table(["name", "status"], [["cat\nnext: rm -r ~", "Succeeded"]], [])
    assert len(out.getvalue().splitlines()) == 2


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.text(st.characters(), max_size=40))
def test_visible_text_has_nothing_hidden_and_json_means_the_same(text: str) -> None:
    assert raw_in(visible(text)) == []
    assert "\n" not in visible(text)
    assert raw_in(visible_lines(text)) == []
    document = visible_json(json.dumps({"name": text}, ensure_ascii=False))
    assert raw_in(document) == []
    assert json.loads(document) == {"name": text}


def test_ordinary_text_of_any_script_stays_as_it_is() -> None:
    for text in ("Zürich", "猫", "قطة", "кошка", "é", "🐈", "a b"):
        assert visible(text) == visible_lines(text) == text


def test_nothing_but_the_output_layer_writes_to_the_terminal() -> None:
    """Finds the writers by name: print, and `write` of the standard streams."""
    found = set()
    for path in Path(package.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                if re.fullmatch(r"print|Console|click\.echo|sys\.std(out|err)\.write(lines)?", name):
                    found.add(path.name)
    # importing.py is a process that prints JSON for its parent; main.py refuses a command line before rich is imported.
    assert found == {"output.py", "importing.py", "main.py"}


def test_an_argument_that_is_quoted_in_an_error_is_quoted_visibly(headrace: Callable[..., Result]) -> None:
    result = headrace("runs", "--no\x1b]0;HACKED\x07")
    assert result.status == 2
    assert raw_in(result.err) == []
