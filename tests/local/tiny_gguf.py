"""A llama with random weights as a GGUF file: 0.5 MB, loads in a tenth of a second, speaks nonsense.

The vocabulary is byte-level, as GPT-2's: 256 bytes, the merges that make the words below, three special tokens. What it
says holds words, spaces, characters of several bytes and bytes that are no character, in any order. Needs `gguf`.
"""

import os

import gguf
import numpy as np

__all__ = ("CHAT_TEMPLATE", "EOS", "WORDS", "byte_characters", "vocabulary", "write")

WORDS = (
    " the of and to a in that is was he for it with as his on be at by I this had not are but from or have an they "
    "which one you were her all she there would their we him been has when who will more no if out so said what up its "
    "about into than them can only other new some could time these two may then do first any my now such like our over"
)
MARKS = ("é", "ü", "日", "本", "👍", "🏽", "\n", ".", ",", "!", "?")
BOS, EOS, UNK = "<|bos|>", "<|eos|>", "<|unk|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)
WIDTH, LAYERS, HEADS, FEED_FORWARD, CONTEXT = 64, 2, 2, 128, 2048


def byte_characters() -> list[str]:
    """The printable character that stands for each byte in a byte-level vocabulary (GPT-2's `bytes_to_unicode`)."""
    own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in own else chr(next(others)) for byte in range(256)]


def vocabulary() -> tuple[list[str], list[str]]:
    """The tokens, without the special ones, and the merges that make the longer ones."""
    characters = byte_characters()
    tokens, merges = list(characters), []
    for word in [f" {word}" for word in WORDS.split()] + list(MARKS):
        made, *rest = [characters[byte] for byte in word.encode()]
        for character in rest:
            if made + character not in tokens:
                tokens.append(made + character)
                merges.append(f"{made} {character}")
            made += character
    return tokens, merges


def write(path: "str | os.PathLike[str]", seed: int = 0, scale: float = 1.0) -> str:
    """Write the model.

    Args:
        path: where to.
        seed: of the weights; the same seed gives the same file.
        scale: of the weights; the larger, the surer the model is of the next token.

    Returns:
        The path.
    """
    writer = gguf.GGUFWriter(path, "llama")
    _describe(writer)
    _tokenizer(writer)
    _weights(writer, np.random.default_rng(seed), scale)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return os.fspath(path)


def _describe(writer: gguf.GGUFWriter) -> None:
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)


def _tokenizer(writer: gguf.GGUFWriter) -> None:
    tokens, merges = vocabulary()
    special = [BOS, EOS, UNK]
    kinds = [gguf.TokenType.NORMAL] * len(tokens) + [gguf.TokenType.CONTROL] * len(special)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens + special)
    writer.add_token_merges(merges)
    writer.add_token_types(kinds)
    writer.add_bos_token_id(len(tokens))
    writer.add_eos_token_id(len(tokens) + 1)
    writer.add_unk_token_id(len(tokens) + 2)
    writer.add_chat_template(CHAT_TEMPLATE)


def _weights(writer: gguf.GGUFWriter, random: np.random.Generator, scale: float) -> None:
    size = len(vocabulary()[0]) + 3

    def add(name: str, *shape: int) -> None:
        spread = scale / np.sqrt(shape[-1])
        writer.add_tensor(f"{name}.weight", (random.standard_normal(shape) * spread).astype(np.float32))

    def ones(name: str) -> None:
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))

    add("token_embd", size, WIDTH)
    ones("output_norm")
    add("output", size, WIDTH)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        ones(f"{block}.attn_norm")
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"{block}.{part}", WIDTH, WIDTH)
        ones(f"{block}.ffn_norm")
        add(f"{block}.ffn_gate", FEED_FORWARD, WIDTH)
        add(f"{block}.ffn_up", FEED_FORWARD, WIDTH)
        add(f"{block}.ffn_down", WIDTH, FEED_FORWARD)
