"""A llama with random weights for transformers, and a byte-level tokenizer trained for it: made in a second, on the
CPU, from nothing. Needs `torch`, `transformers` and `tokenizers`."""

from typing import Any

__all__ = ("CORPUS", "model", "tokenizer")

CORPUS = [
    "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want.",
    "Ein Mann, der Äpfel übt, heißt größer als die Straße; naïve cafés, señor, déjà vu.",
    "日本語のテキスト、中文字符，한국어 문장. Привет, мир! 👍🏽 👩‍👩‍👧‍👦 🇫🇷 … “quotes” – dashes\n\n",
] * 20
SPECIAL = ("<|bos|>", "<|eos|>", "<|pad|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def tokenizer(size: int = 400) -> Any:
    """A byte-level BPE tokenizer, as GPT-2's."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(SPECIAL), initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(CORPUS, trainer)
    bos, eos, pad = SPECIAL
    made = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token=bos, eos_token=eos, pad_token=pad)
    made.chat_template = CHAT_TEMPLATE
    return made


def model(vocabulary: int, seed: int = 0, width: int = 32) -> Any:
    """The model; the same seed makes the same. It never ends by itself but by chance."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=2,
    )
    return LlamaForCausalLM(config).eval()
