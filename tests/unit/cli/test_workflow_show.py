"""`logkeel workflow show`: pictures and definitions on standard output, and nothing else there."""

import pytest
from tests.unit.workflow.pictured import order, summing

from logkeel.cli.main import main
from logkeel.definitions import decode_document

MODULE = "tests.unit.workflow.pictured"


def shown(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    """What the command prints on standard output and on standard error."""
    with pytest.raises(SystemExit) as ended:
        main(["workflow", "show", *arguments])
    assert ended.value.code == code
    printed = capsys.readouterr()
    return printed.out, printed.err


def test_an_outline_unless_another_picture_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, f"{MODULE}:order") == (order.draw("text"), "")
    assert shown(capsys, f"{MODULE}:order", "--format", "mermaid") == (order.draw("mermaid"), "")


def test_the_definition_is_what_is_published(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = shown(capsys, f"{MODULE}:order", "--format", "json")
    assert err == ""
    assert out.encode().rstrip() == order.definition().document
    assert decode_document(out.encode()) == order.document()


def test_all_workflows_of_a_module_one_after_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = shown(capsys, MODULE)
    assert out == summing.draw() + order.draw()


def test_a_workflow_that_is_not_there_is_said_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = shown(capsys, f"{MODULE}:ordre", code=15)
    assert out == ""
    assert "no workflow named 'ordre'; it has: summing, order" in err
