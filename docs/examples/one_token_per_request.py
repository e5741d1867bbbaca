"""An answer typed out the oldest way there is: one request per token, the prompt growing by what came.

Any endpoint that speaks OpenAI's completions will do; without one, `typestream.generate` can drive whatever gives the
next piece of a text. Run it with OPENAI_BASE_URL and OPENAI_API_KEY set: python one_token_per_request.py MODEL PROMPT
"""

import sys
from collections.abc import Callable

import openai

import typestream
from typestream import pacing


def next_token(client: openai.OpenAI, model: str) -> Callable[[str], str | None]:
    """A step for `typestream.generate`: from the text so far to the next token, None at the end."""

    def step(text: str) -> str | None:
        completion = client.completions.create(model=model, prompt=text, max_tokens=1, temperature=0)
        choice = completion.choices[0]
        return choice.text if choice.finish_reason == "length" else choice.text or None

    return step


def main(model: str, prompt: str) -> None:
    with openai.OpenAI() as client:
        step = next_token(client, model)
        stream = typestream.generate(step, prompt, max_tokens=60, stop="\n\n", context=4000)
        print(prompt, end="", flush=True)
        with stream.paced(pacing.Smooth()) as pieces:
            for piece in pieces:
                print(piece, end="", flush=True)
        print()


if __name__ == "__main__":
    main(*sys.argv[1:3])
