"""Detokenizing with real tokenizers of every kind: the pieces are what `decode` makes of the whole.

The tokenizers are made here, of a few words each; what matters is how each kind puts its tokens together.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typestream.sources.tokens import Detokenizer

tokenizers = pytest.importorskip("tokenizers", reason="needs tokenizers")
transformers = pytest.importorskip("transformers", reason="needs transformers")

from tokenizers import decoders, models  # noqa: E402

from tests.local import tiny_llama  # noqa: E402

pytestmark = pytest.mark.heavy

SPECIAL = ("<s>", "</s>", "<unk>")
SPACED = [
    "▁",
    "▁▁",
    "▁the",
    "s",
    "▁old",
    "é",
    "▁日",
    "本",
    "👍",
    "🏽",
    "\u200d",
    ".",
    "▁,",
    "'s",
    "▁don",
    "n't",
    "▁n't",
    "'",
    "▁'",
    "\n",
    "!",
    "▁?",
    "a",
    "▁I",
    "'m",
    "r",
    "'ve",
]
PARTS = ["the", "##s", "##ing", "cat", ".", ",", "'", "don", "n't", "##n", "'s", "!", "é", "##é"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def llama(*more: Any) -> Any:
    """Llama's and Gemma's: a word begins with `▁`, what is no token is spelt in bytes."""
    return decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *more])


KINDS: dict[str, Any] = {
    "SentencePiece": (SPACED, lambda: llama(decoders.Strip(" ", 1, 0))),
    "SentencePiece that keeps the first space": (SPACED, llama),
    "Metaspace": (SPACED, decoders.Metaspace),
    "WordPiece": (PARTS, lambda: decoders.WordPiece(cleanup=False)),
    "WordPiece that cleans up": (PARTS, lambda: decoders.WordPiece(cleanup=True)),
    "BPE with ends of words": (["the</w>", "c", "at</w>", ".</w>", "é", "s</w>"], decoders.BPEDecoder),
}


def made(kind: str, *more: str) -> Any:
    words, decoder = KINDS[kind]
    tokens = [*SPECIAL, *words, *more]
    raw = tokenizers.Tokenizer(
        models.WordLevel({token: place for place, token in enumerate(tokens)}, unk_token="<unk>")
    )
    raw.decoder = decoder()
    raw.add_special_tokens([tokenizers.AddedToken(token, special=True) for token in SPECIAL])
    return transformers.PreTrainedTokenizerFast(tokenizer_object=raw)


@pytest.fixture(scope="module", params=[*KINDS, "byte-level"])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return tiny_llama.tokenizer() if request.param == "byte-level" else made(request.param)


def fed(tokenizer: Any, ids: list[int], **options: Any) -> str:
    detokenizer = Detokenizer(tokenizer, **options)
    return "".join([*map(detokenizer.feed, ids), detokenizer.flush()])


FEW = st.lists(st.integers(0, 1000), min_size=1, max_size=5).flatmap(lambda pool: st.lists(st.sampled_from(pool)))


@given(st.lists(st.integers(0, 1000), max_size=120) | FEW, st.booleans(), st.sampled_from([None, False, True]))
def test_the_pieces_are_the_whole(tokenizer, ids, skip, clean):
    ids = [each % len(tokenizer) for each in ids]
    options = {"skip_special_tokens": skip, "clean_up_tokenization_spaces": clean}
    assert fed(tokenizer, ids, **options) == tokenizer.decode(ids, **options)


@given(st.lists(st.integers(0, 1000), max_size=60))
def test_a_tokenizer_that_cleans_up_of_its_own(ids):
    tokenizer = made("SentencePiece")
    tokenizer.clean_up_tokenization_spaces = True
    ids = [each % len(tokenizer) for each in ids]
    assert fed(tokenizer, ids) == fed(tokenizer.decode, ids) == tokenizer.decode(ids)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith("SentencePiece")])
@given(st.text(min_size=1))
def test_text_that_is_spelt_in_bytes(kind, text):
    tokenizer = made(kind, *BYTES)
    ids = tokenizer.convert_tokens_to_ids([f"<0x{byte:02X}>" for byte in text.encode()])
    detokenizer = Detokenizer(tokenizer)
    pieces = [detokenizer.feed(each) for each in ids]
    assert "".join(pieces) + detokenizer.flush() == tokenizer.decode(ids)
    assert "\ufffd" in text or not any("\ufffd" in piece for piece in pieces)


def test_the_work_is_linear(tokenizer):
    """Counted in ids that are decoded: for each token over and over, and for all by turns."""
    work = 0

    def decode(ids: list[int], **options: Any) -> str:
        nonlocal work
        work += len(ids)
        return str(tokenizer.decode(ids, **options))

    def most(ids: list[int], **options: Any) -> bool:
        nonlocal work
        work = 0
        fed(decode, ids, skip_special_tokens=True, **options)
        return work < 70 * len(ids) + 4000

    assert all(most([each] * 400) for each in range(min(40, len(tokenizer))))
    assert most([*range(len(tokenizer))] * (4000 // len(tokenizer)), clean_up_tokenization_spaces=True)
