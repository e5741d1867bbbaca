"""The web page in a real browser: typed out over both transports, stopped, skipped, resumed, left."""

import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from tests.examples._site import Line, browsing, load_example, serving
from typestream._json import dumps, event_to_dict
from typestream.events import TextDelta
from typestream.render import Sse

pytest.importorskip("starlette")
pytestmark = pytest.mark.heavy

PATIENCE = 4.0  # a busy machine's browser may need some to come back


@pytest.fixture(scope="module")
def web() -> ModuleType:
    return load_example("web")


class Source:
    """Counts what was made and who still makes it.

    Attributes:
        streams: all that were given out.
        active: how many are being read.
        made: how many pieces were made.
        hold: the source waits before its piece of that number, until it is told of another.
    """

    def __init__(self, text: str = "", count: int = 60, interval: float = 0.02) -> None:
        self.text, self.count, self.interval = text, count, interval
        self.streams: list[Any] = []
        self.active = self.made = 0
        self.hold = count * 10_000

    def __call__(self, prompt: str) -> Any:
        import anyio

        import typestream

        async def pieces() -> Any:
            self.active += 1
            try:
                for number in range(self.count):
                    while number >= self.hold:  # noqa: ASYNC110  another thread sets it
                        await anyio.sleep(0.01)
                    await anyio.sleep(self.interval)
                    self.made += 1
                    yield f"{self.text or 'word'} {number} <b>é👩\u200d💻</b>\n"
            finally:
                self.active -= 1

        self.streams.append(typestream.stream(pieces()))
        return self.streams[-1]


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait until it holds, in real time: a browser is another process."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come to this"
        time.sleep(0.02)
    return found


class Page(NamedTuple):
    browser: Any
    line: Line
    source: Source

    def open(self) -> None:
        self.browser.get(f"http://127.0.0.1:{self.line.port}/")

    def find(self, id: str) -> Any:
        return self.browser.find_element("id", id)

    def ask(self, over: str, pace: str = "instant") -> None:
        self.browser.execute_script(
            "document.getElementById('over').value = arguments[0];"
            "document.getElementById('pace').value = arguments[1];",
            over,
            pace,
        )
        self.press("ask")

    def press(self, name: str) -> None:
        """Press a button, wherever the growing answer has scrolled it to."""
        self.browser.execute_script("document.getElementById(arguments[0]).click()", name)

    @property
    def answer(self) -> str:
        return self.browser.execute_script("return document.getElementById('answer').textContent")  # type: ignore[no-any-return]

    @property
    def status(self) -> str:
        return self.find("status").text  # type: ignore[no-any-return]

    def ended(self) -> bool:
        return self.find("answer").get_attribute("aria-busy") == "false"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browsing(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def page(web: ModuleType, browser: Any, source: Source) -> Iterator[Page]:
    with serving(web.make_app(source, patience=PATIENCE)) as port, Line(port) as line:
        found = Page(browser, line, source)
        found.open()
        yield found
        browser.get("about:blank")


OVER = pytest.mark.parametrize("over", ["sse", "ws"])


@OVER
@pytest.mark.parametrize("pace", ["instant", "smooth"])
def test_the_answer_is_typed_out_whole(page: Page, over: str, pace: str) -> None:
    page.source.hold = 5
    page.ask(over, pace)
    early = until(lambda: page.answer)
    assert not page.ended()
    page.source.hold = 100
    until(page.ended)
    text = page.source.streams[0].result.text
    assert text.startswith(early)
    assert len(early) < len(text)
    assert page.answer == text
    assert page.status == ""
    assert page.browser.find_elements("tag name", "b") == []  # text is never HTML
    assert page.find("ask").is_enabled()
    assert not page.find("stop").is_enabled()
    until(lambda: page.source.active == 0)
    assert [entry for entry in page.browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@OVER
def test_stop_ends_it_and_keeps_what_came(page: Page, over: str) -> None:
    page.source.count = 100_000
    page.ask(over)
    until(lambda: page.answer.count("\n") > 3)
    page.press("stop")
    until(page.ended)
    until(lambda: page.source.active == 0)
    assert page.status == "Stopped."
    assert page.answer.count("\n") > 3
    assert page.answer == page.source.streams[0].result.text
    assert page.source.made < 100_000
    page.ask(over)  # and the page is ready for another
    until(lambda: page.answer.startswith("word 0 "))


@OVER
def test_skip_shows_the_rest_at_once(page: Page, over: str) -> None:
    page.source.interval = 0.0
    page.ask(over, "typist")  # which would take minutes
    until(lambda: page.answer)
    assert not page.ended()
    page.press("skip")
    until(page.ended)
    assert page.answer.count("\n") == 60


def test_a_dropped_connection_is_taken_up_where_it_was(page: Page) -> None:
    page.source.hold = 5
    page.ask("sse")
    for lines in (5, 15, 25):
        until(lambda lines=lines: page.answer.count("\n") == lines)  # type: ignore[misc]
        page.line.cut()
        page.source.hold = lines + 10
    until(lambda: page.answer.count("\n") == 35)
    page.source.hold = 100
    until(page.ended)
    assert page.answer == page.source.streams[0].result.text
    assert page.answer.count("\n") == 60
    assert len(page.source.streams) == 1
    assert page.status == ""


def test_the_end_is_not_lost_with_the_connection(page: Page) -> None:
    page.source.count = 8
    page.source.hold = 0
    page.ask("sse")
    until(lambda: page.source.active)
    page.line.cut()
    page.source.hold = 8  # it ends while nobody is there
    until(page.ended)
    assert page.answer.count("\n") == 8
    assert page.status == ""


def test_a_broken_websocket_says_so(page: Page) -> None:
    page.source.count = 100_000
    page.ask("ws")
    until(lambda: page.answer)
    page.line.cut()
    until(page.ended)
    assert "broke off" in page.status
    until(lambda: page.source.active == 0)
    assert page.source.made < 100_000


@OVER
@pytest.mark.parametrize("how", ["another page", "closed tab"])
def test_who_leaves_stops_the_source(page: Page, over: str, how: str) -> None:
    page.source.count = 100_000
    first = page.browser.current_window_handle
    if how == "closed tab":
        page.browser.switch_to.new_window("tab")
        page.open()
    page.ask(over)
    until(lambda: page.answer)
    if how == "closed tab":
        page.browser.close()
        page.browser.switch_to.window(first)
    else:
        page.browser.get("about:blank")
    until(lambda: page.source.active == 0)
    assert page.source.made < 100_000


@OVER
def test_a_source_that_breaks_off_says_so_and_no_more(web: ModuleType, browser: Any, over: str) -> None:
    import typestream

    async def pieces() -> Any:
        yield "half an answer"
        raise RuntimeError("sk-secret")

    with serving(web.make_app(lambda prompt: typestream.stream(pieces()))) as port, Line(port) as line:
        page = Page(browser, line, Source())
        page.open()
        page.ask(over)
        until(page.ended)
        assert page.answer == "half an answer"
        assert page.status == "The answer broke off."
        assert "sk-secret" not in browser.page_source
        browser.get("about:blank")


def test_reduced_motion_shows_text_as_it_comes(page: Page) -> None:
    def prefer(value: str) -> None:
        features = [{"name": "prefers-reduced-motion", "value": value}]
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    try:
        prefer("reduce")
        page.open()
        assert page.find("pace").get_attribute("value") == "instant"
        caret = "return getComputedStyle(document.getElementById('answer'), '::after').animationName"
        page.press("ask")
        until(lambda: page.answer)
        assert page.browser.execute_script(caret) == "none"
        until(page.ended)
        prefer("no-preference")
        page.source.interval = 0.0
        page.ask("sse", "typist")
        until(lambda: page.answer and not page.ended())
        assert page.browser.execute_script(caret) == "blink"
        prefer("reduce")  # while it is typed out: the rest at once
        until(page.ended)
        assert page.answer.count("\n") == 60
    finally:
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_the_buttons_stay_in_view(page: Page) -> None:
    page.source.count = 100_000
    page.ask("sse")
    until(lambda: page.answer.count("\n") > 60)
    script = """
        const box = document.getElementById("stop").getBoundingClientRect();
        return [scrollY, document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2).id];
    """
    scrolled, seen = page.browser.execute_script(script)
    assert scrolled > 300
    assert seen == "stop"
    page.find("stop").click()
    until(page.ended)
    assert page.status == "Stopped."


def test_control_characters_are_made_visible(page: Page) -> None:
    page.source.text, page.source.count = "a\u202eb\x1b[2J", 2
    page.ask("sse")
    until(page.ended)
    assert page.answer.startswith("a\\u202eb␛[2J 0")


def test_other_sites_may_not_ask(page: Page) -> None:
    script = """
        const done = arguments[1], ws = new WebSocket(arguments[0]);
        ws.onopen = () => done("open"); ws.onerror = () => done("refused");
    """
    url = f"ws://127.0.0.1:{page.line.port}/talk"
    assert page.browser.execute_async_script(script, url) == "open"
    page.browser.get("data:text/html,<title>elsewhere</title>")
    assert page.browser.execute_async_script(script, url) == "refused"


# -- what a browser reads of `Sse`


@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_event_source_reads_back_what_sse_wrote(browser: Any, count: int) -> None:
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse, Response
    from starlette.routing import Route

    from tests.render.escapes import CASES
    from tests.render.test_delivery import texts

    said = [*(case.text for case in CASES), *texts(count)]
    sse = Sse(ids=True, retry=60_000)
    body = "".join(sse.feed(TextDelta(text)) + Sse.keep_alive() for text in said).encode()
    routes = [
        Route("/", lambda request: HTMLResponse("<title>x</title>")),
        Route("/sse", lambda request: Response(body, media_type=Sse.content_type)),
    ]
    script = """
        const done = arguments[1], source = new EventSource("/sse"), got = [];
        const code = char => "\\\\u" + char.charCodeAt(0).toString(16).padStart(4, "0");
        const escaped = text => JSON.stringify(text).replace(/[^ -~]/g, code);
        source.onmessage = m => {
            got.push([escaped(JSON.parse(m.data)), m.lastEventId, m.type]);
            if (got.length === arguments[0]) { source.close(); done(got); }
        };
        source.onerror = () => { source.close(); done("it ended after " + got.length); };
    """
    import json

    with serving(Starlette(routes=routes)) as port:
        browser.get(f"http://127.0.0.1:{port}/")
        got = browser.execute_async_script(script, len(said))
        browser.get("about:blank")
    assert isinstance(got, list), got
    assert [(id, kind) for _, id, kind in got] == [(str(number), "message") for number in range(len(said))]
    assert [json.loads(data) for data, *_ in got] == [
        json.loads(dumps(event_to_dict(TextDelta(text)))) for text in said
    ]
