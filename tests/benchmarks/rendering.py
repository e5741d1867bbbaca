"""Rendering: what it costs, beside what is usually done.

    python -m tests.benchmarks.rendering

CPU seconds of this process, least of some runs. The text is Markdown of every kind, in pieces of four characters.
"""

import json
from collections.abc import Callable
from functools import partial
from io import StringIO
from time import process_time
from typing import Any

from typestream.events import TextDelta
from typestream.render import Markdown, OpenAISse, Plain, Renderer, Sse, neutralise
from typestream.result import Result

__all__ = ("TEXT", "live", "ours", "pieces", "seconds")

TEXT = """\
## A heading

Some *words* and **more** of them, with `code`, a [link](https://example.org) and what fills a line or two of a
paragraph until it is long enough to be broken by whoever shows it.

- an item
- another, with **bold** in it
  1. and one below

```python
def f(x):
    return x + 1
```

| a | b |
| - | - |
| 1 | two |

> A quotation, as they are.

"""
BLOCKS = {
    "one line": "word **two** ",
    "paragraph": "words that fill a line, and go on with the next one\n",
    "list": "- item with **bold** and `code`\n",
    "table": "| one | two words | three |\n",
    "code": "x = f(a, b) + 1  # hello\n",
}
HEADS = {"table": "| a | b | c |\n|---|---|---|\n", "code": "```python\n"}
PIECE = 4
LIVE = "Live(Markdown(text)) anew"


def pieces(size: int) -> list[str]:
    """So many characters of Markdown, in small pieces."""
    text = (TEXT * (size // len(TEXT) + 1))[:size]
    return [text[at : at + PIECE] for at in range(0, size, PIECE)]


def ours(renderer: Renderer, texts: list[str]) -> int:
    """Render the pieces; how many characters came out."""
    result = Result()
    result.completion = "complete"
    return sum(len(renderer.feed(TextDelta(text))) for text in texts) + len(renderer.finish(result))


def live(texts: list[str], every: int) -> int:
    """The usual way: `Live`, given the whole text anew; not with each piece here but with every so many-th."""
    from rich.console import Console
    from rich.live import Live
    from rich.markdown import Markdown as RichMarkdown

    file = StringIO()
    console = Console(file=file, force_terminal=True, width=80, height=25)
    with Live(console=console, auto_refresh=False, vertical_overflow="visible") as screen:
        for number in range(every // 2, len(texts), every):
            screen.update(RichMarkdown("".join(texts[: number + 1])), refresh=True)
    return file.tell()


def seconds(work: Callable[[], Any], runs: int = 3) -> float:
    """CPU seconds, least of some runs."""
    best = float("inf")
    for _ in range(runs):
        start = process_time()
        work()
        best = min(best, process_time() - start)
    return best


def markdown() -> Markdown:
    return Markdown(width=80, height=25, live=True, colour=True)


def table_markdown(every: int) -> None:
    print(
        f"Markdown, live, in pieces of {PIECE} characters: CPU s (Live: one redraw of {every} measured, times {every})"
    )
    took: dict[tuple[str, int], float] = {}
    for size in (5_000, 20_000):
        texts = pieces(size)
        took["typestream", size] = seconds(partial(lambda texts: ours(markdown(), texts), texts))
        took[LIVE, size] = seconds(partial(live, texts, every), 1) * every
        for name in ("typestream", LIVE):
            print(f"  {name:<26} {size:>6} characters  {took[name, size]:8.2f} s", flush=True)
    for name in ("typestream", LIVE):
        print(f"  {name:<26} four times the text costs {took[name, 20_000] / took[name, 5_000]:.1f} times as much")


def table_blocks() -> None:
    print("\nthe same of one block that never ends: ms a piece, growth from 5,000 to 20,000 characters")
    for name, line in BLOCKS.items():
        text = HEADS.get(name, "") + line * (20_000 // len(line))
        cut = [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
        small, large = (
            seconds(partial(lambda texts: ours(markdown(), texts), cut[:size]), 1) for size in (1_250, len(cut))
        )
        print(f"  {name:<26} {large / len(cut) * 1000:8.2f} ms  {large / small:5.1f} times", flush=True)


def table_speed() -> None:
    print("\nneutralise, MB/s of UTF-8")
    for name, text in (
        ("English", TEXT * 2000),
        ("Chinese", "漢字仮名交じり文、" * 20_000),
        ("one escape a line", "a line of text with \x1b[31mcolour\n" * 20_000),
    ):
        size = len(text.encode())
        print(f"  {name:<26} {size / seconds(partial(neutralise, text)) / 1e6:8.0f}")
    texts = pieces(400_000)
    events = [TextDelta(text) for text in texts]
    print("\nfeed, microseconds for each piece of four characters")
    makers: dict[str, Callable[[], Renderer]] = {
        "Plain": Plain,
        "Sse": lambda: Sse(ids=True),
        'OpenAISse("chat")': OpenAISse,
        'OpenAISse("responses")': lambda: OpenAISse("responses"),
    }
    for name, make in makers.items():

        def work(make: Callable[[], Renderer] = make) -> None:
            feed = make().feed
            for event in events:
                feed(event)

        print(f"  {name:<26} {seconds(work) / len(events) * 1e6:8.2f}")
    bare = seconds(lambda: [f"data: {json.dumps({'type': 'text_delta', 'text': text})}\n\n" for text in texts])
    print(f"  {'json.dumps alone':<26} {bare / len(texts) * 1e6:8.2f}")


def main() -> None:
    import argparse

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=50, help="of how many of Live's redraws one is measured")
    table_markdown(parser.parse_args().every)
    table_blocks()
    table_speed()


if __name__ == "__main__":
    main()
