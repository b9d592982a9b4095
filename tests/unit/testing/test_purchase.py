"""The example of a saga: in memory, and under every crash."""

from pathlib import Path

import pytest
from examples.payment.shop import purchase
from tests.unit.testing.shops import shop

from logkeel.errors import RunFailed
from logkeel.testing.crashes import Outside, crash_everywhere
from logkeel.workflow.trials import Cancel

ORDER = {"order": "o-1", "amount": 12}
EXAMPLE = Path(__file__).parents[3] / "examples" / "payment" / "shop.py"


async def test_a_purchase_goes_through() -> None:
    outside = Outside()
    found = await purchase.try_out(ORDER, resources=shop(in_stock=True)(outside))
    assert found == {"receipt": "receipt o-1", "parcel": "parcel o-1"}
    assert [each.what for each in outside.happenings] == ["charge", "ship", "declare"]


async def test_without_stock_the_money_goes_back() -> None:
    outside = Outside()
    with pytest.raises(RunFailed, match="nothing to ship"):
        await purchase.try_out(ORDER, resources=shop(in_stock=False)(outside))
    assert [each.what for each in outside.happenings] == ["charge", "call back", "refund"]


async def test_an_undo_that_fails_waits_for_a_human_who_is_named() -> None:
    results = {"ship": [RuntimeError("no"), RuntimeError("no")], "refund": RuntimeError("closed"), "call_back": None}
    fakes = shop(in_stock=True)(Outside())
    trial = await purchase.trial(ORDER, resources=fakes, results=results, humans={"refund": "did"})
    assert trial.status == "failed"
    assert [(each.kind, each.path) for each in trial.questions] == [("doubt", "saga/charge/undo")]
    assert "could not be undone: closed" in trial.questions[0].text
    waiting = await purchase.trial(ORDER, resources=fakes, results=results)
    assert waiting.status == "running"
    assert "step saga/charge/undo is in_doubt" in waiting.waits_for


async def test_a_cancel_while_it_is_tried_again_undoes() -> None:
    outside = Outside()
    results = {"ship": [RuntimeError("no"), "parcel"]}
    cancel = Cancel(after="1s")
    fakes = shop(in_stock=True)(outside)
    trial = await purchase.trial(ORDER, resources=fakes, results=results, signals=[cancel])
    assert trial.status == "cancelled"
    assert [each.what for each in outside.happenings] == ["charge", "call back", "refund"]


@pytest.mark.slow
@pytest.mark.parametrize("in_stock", [True, False])
def test_no_crash_changes_what_happens_outside(*, in_stock: bool) -> None:
    report = crash_everywhere(purchase, ORDER, resources=shop(in_stock=in_stock))
    assert report.violations == [], str(report)
    assert report.status == ("succeeded" if in_stock else "failed")
    assert report.schedules > 150


def test_the_example_is_short() -> None:
    code = [line for line in EXAMPLE.read_text(encoding="utf-8").split("purchase = ")[1].splitlines() if line.strip()]
    assert len(code) <= 40
