"""What the model makes of a request: pieces of text, or the arguments of function calls, one token after the other."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from typestream._demo.ask import Ask, Tool
from typestream._demo.ngram import NGram, tokenize
from typestream.transforms._shipped import open_end

__all__ = ("Answer", "Piece")


@dataclass(slots=True)
class Piece:
    """A piece of choice `choice`: of its text, or of the arguments of its call number `call`."""

    choice: int
    text: str
    call: int | None = None


class Answer:
    """Iterate over it once for the pieces.

    Attributes:
        finish: why each choice ended, once it has: `"stop"`, `"length"` or `"tool_calls"`.
        output: how many tokens were made so far, those of a stop string too.
    """

    def __init__(self, model: NGram, ask: Ask) -> None:
        self._model = model
        self._ask = ask
        self._seed = Random().getrandbits(31) if ask.seed is None else ask.seed
        self.finish: dict[int, str] = {}
        self.output = 0

    def __iter__(self) -> Iterator[Piece]:
        """The choices take turns, as they do where a server computes them in one batch."""
        make = self._calls if self._ask.tools else self._text
        running = [make(choice) for choice in range(self._ask.choices)]
        while running:
            for choice in tuple(running):
                piece = next(choice, None)
                if piece is None:
                    running.remove(choice)
                else:
                    yield piece

    def _text(self, choice: int) -> Iterator[Piece]:
        ask = self._ask
        step = self._model.step(ask.prompt, temperature=ask.temperature, seed=self._seed + choice)
        text = held = ""
        self.finish[choice] = "length"
        for _ in range(ask.max_tokens):
            token = step(text)
            if token is None:
                self.finish[choice] = "stop"
                break
            self.output += 1
            text += token
            held += token
            found = [held.find(stop) for stop in ask.stop if stop in held]
            if found:
                held = held[: min(found)]
                self.finish[choice] = "stop"
                break
            ready = len(held) - open_end(held, ask.stop)
            if ready:
                yield Piece(choice, held[:ready])
                held = held[ready:]
        if held:
            yield Piece(choice, held)

    def _calls(self, choice: int) -> Iterator[Piece]:
        for call, tool in enumerate(self._ask.tools):
            yield Piece(choice, "", call)
            for token in tokenize(self._arguments(tool, choice)):
                self.output += 1
                yield Piece(choice, token, call)
        self.finish[choice] = "tool_calls"

    def _arguments(self, tool: Tool, choice: int) -> str:
        """JSON that fits the tool's schema, its strings in the model's own words."""
        phrases = self._phrases(self._seed + choice)
        return json.dumps(_example(tool.parameters, tool.parameters, phrases), ensure_ascii=False)

    def _phrases(self, seed: int) -> Iterator[str]:
        while True:
            yield "".join(self._model.generate(self._ask.prompt, 6, self._ask.temperature, seed)).strip()
            seed += 1


def _example(schema: Any, root: Any, phrases: Iterator[str], depth: int = 0) -> Any:
    """A value that fits a JSON schema, as far as the schema is of the kind that tools have."""
    schema = _resolved(schema, root)
    if not isinstance(schema, dict) or depth > 6:
        return None
    for key in ("anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(key), list) and schema[key]:
            return _example(schema[key][0], root, phrases, depth + 1)
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    properties = schema.get("properties")
    kind = schema.get("type", "object" if properties or depth == 0 else "string")
    match kind[0] if isinstance(kind, list) and kind else kind:
        case "object":
            inner = properties.items() if isinstance(properties, dict) else ()
            return {name: _example(part, root, phrases, depth + 1) for name, part in inner}
        case "array":
            return [_example(schema.get("items", {"type": "string"}), root, phrases, depth + 1) for _ in range(2)]
        case "integer":
            return schema.get("minimum", 7)
        case "number":
            return schema.get("minimum", 2.5)
        case "boolean":
            return True
        case "null":
            return None
    return next(phrases)


def _resolved(schema: Any, root: Any) -> Any:
    """The schema that a reference within the document names."""
    reference = schema.get("$ref") if isinstance(schema, dict) else None
    if not isinstance(reference, str):
        return schema
    for part in reference.strip("#/").split("/"):
        root = root.get(part) if isinstance(root, dict) else None
    return root
