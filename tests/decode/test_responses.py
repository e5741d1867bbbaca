"""The Responses API beyond the catalogue: servers that contradict themselves, and what only some of them say."""

from typing import Any

import pytest

from tests.decode.data import as_object, as_sdk
from tests.decode.fold import Folded, fold
from typestream.events import Other

CREATED = {"type": "response.created", "response": {"id": "r", "model": "m"}}
FORMS = {"dict": lambda item: item, "sdk": as_sdk, "object": as_object}


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **fields}


def completed(*output: Any, **more: Any) -> dict[str, Any]:
    return event("completed", response={"status": "completed", "output": list(output), **more})


def call(id: Any, args: str = "", item: Any = "i1", name: str = "f") -> dict[str, Any]:
    return {"type": "function_call", "id": item, "call_id": id, "name": name, "arguments": args}


def added(item: Any, place: int = 0) -> dict[str, Any]:
    return event("output_item.added", output_index=place, item=item)


def done(item: Any, place: int = 0) -> dict[str, Any]:
    return event("output_item.done", output_index=place, item=item)


def piece(text: str, place: int = 0, **more: Any) -> dict[str, Any]:
    return event("function_call_arguments.delta", output_index=place, delta=text, **more)


def calls(folded: Folded) -> list[tuple[Any, Any, Any]]:
    return [(one["id"], one["name"], one["arguments"]) for one in folded.calls()]


# -- calls: which one an event goes on with

ONE, OTHER_ONE = ("c1", "f", '{"a":1}'), ("c2", "g", '{"b":2}')
F, G = call("c1", '{"a":1}', "i1"), call("c2", '{"b":2}', "i2", "g")
CALLS: dict[str, tuple[list[Any], list[Any]]] = {
    "done at another index": ([added(call("c1")), piece('{"a":1}'), done(F, 1), completed(F)], [ONE]),
    "done twice, at two indices": ([done(F, 0), done(F, 1), completed()], [ONE]),
    "an id used twice": ([done(F, 0), done({**F, "arguments": "{}"}, 1), completed()], [ONE, ("c1", "f", "{}")]),
    "announced again after its end": (
        [added(call("c1")), piece('{"a":1}'), done(F), added(call("c1"), 1), piece("{}", 1), completed()],
        [ONE, ("c1", "f", "{}")],
    ),
    "all at one index, done late": (
        [added(call("c1")), piece('{"a":1}', item_id="i1"), added(call("c2", "", "i2", "g")),
         piece('{"b":2}', item_id="i2"), done(F), done(G), completed(F, G)],
        [ONE, OTHER_ONE],
    ),
    "all at one index, by turns": (
        [added(call("c1")), added(call("c2", "", "i2", "g")), piece('{"a":', item_id="i1"),
         piece('{"b":', item_id="i2"), piece("1}", item_id="i1"), piece("2}", item_id="i2"), completed(F, G)],
        [ONE, OTHER_ONE],
    ),
    "all at one index, only done": ([done(F), done(G), completed(F, G)], [ONE, OTHER_ONE]),
    "pieces at a wrong index": (
        [added(call("c1"), 1), piece('{"a":', item_id="i1"), piece("1}", item_id="i1"), done(F, 1), completed(F)],
        [ONE],
    ),
    "pieces with another item's id": (
        [added(call("c1")), piece('{"a":1}', item_id="new"), done(F), completed(F)],
        [ONE],
    ),
    "pieces without an index": (
        [added(call("c1")), done(F), added(call("c2", "", None, "g"), 1),
         event("function_call_arguments.delta", delta='{"b":2}'), completed(F, G)],
        [ONE, OTHER_ONE],
    ),
    "one id for all items": ([done(F, 0), done({**G, "id": "i1"}, 1), completed()], [ONE, OTHER_ONE]),
    "done with another call_id": (
        [added(call("c1")), piece('{"a":1}'), done(call("new", '{"a":1}')), completed(call("new", '{"a":1}'))],
        [ONE],
    ),
    "done with other ids": ([added(call("c1")), piece('{"a":1}'), done(call("x", '{"a":1}', "y")), completed()], [ONE]),
    "completed with other ids": (
        [added(call("c1")), piece('{"a":1}'), done(F), added(call("c2", "", "i2", "g"), 1), piece('{"b":2}', 1),
         completed(call("x", '{"a":1}', "y"), call("z", '{"b":2}', "w", "g"))],
        [ONE, OTHER_ONE],
    ),
    "pieces before the item": ([piece('{"a":', item_id="i1"), added(call("c1")), piece("1}"), completed(F)], [ONE]),
    "no call_id before the end": (
        [added(call(None)), added(call(None, "", "i2", "g"), 1), piece('{"a":1}'), piece('{"b":2}', 1),
         completed(F, G)],
        [("i1", "f", '{"a":1}'), ("i2", "g", '{"b":2}')],
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", CALLS)
def test_which_call_an_event_goes_on_with(name: str, form: str) -> None:
    items, expect = CALLS[name]
    folded = fold(FORMS[form](item) for item in [CREATED, *items])
    assert calls(folded) == expect
    assert folded.completion == "complete"


def test_other_arguments_than_were_sent_are_told() -> None:
    folded = fold([CREATED, added(call("c1")), piece('{"a":2}'), done(F), completed(F)])
    assert calls(folded) == [("c1", "f", '{"a":2}')]
    assert Other("tool_call") in folded.events
