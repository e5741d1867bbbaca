"""The demo's language model: tokens that join to the text, true probabilities, the same text for the same seed."""

import hashlib
import random
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import typestream._demo
from typestream._demo.ngram import NGram, load, tokenize

TEXT = Path(typestream._demo.__file__).with_name("pride.txt").read_text(encoding="utf-8")
WORDS = st.text(alphabet="ab “”’—.,\n é🙂", max_size=60)


@given(st.text())
def test_tokens_join_to_the_text(text):
    assert "".join(tokenize(text)) == text


def test_tokens_join_to_the_packaged_text():
    tokens = tokenize(TEXT)
    assert "".join(tokens) == TEXT
    assert len(tokens) > 50_000
    assert tokenize("“Oh! Mr. Bennet—so good-humoured,” said I.\n\nYes") == [
        *(
            "“",
            "Oh",
            "!",
            " Mr",
            ".",
            " Bennet",
            "—",
            "so",
            " good-humoured",
            ",",
            "”",
            " said",
            " I",
            ".",
            "\n\n",
            "Yes",
        )
    ]


def test_the_text_is_only_the_novel():
    for word in ("gutenberg", "ebook", "chapter", "copyright", "http", "_"):
        assert word not in TEXT.lower().replace("a whole chapter", "")
    assert TEXT.startswith("It is a truth universally acknowledged")


@pytest.mark.parametrize("temperature", [0, 0.3, 0.7, 1.0, 2.0])
def test_generated_tokens_survive_the_tokenizer(model, temperature):
    for seed in range(5):
        tokens = list(model.generate("", 120, temperature, seed))
        assert tokenize("".join(tokens)) == tokens


def test_the_same_seed_gives_the_same_text(model):
    first, again = (list(model.generate("Pray,", 60, 0.7, 5)) for _ in range(2))
    assert first == again
    assert first != list(model.generate("Pray,", 60, 0.7, 6))
    assert first != list(model.generate("Sir,", 60, 0.7, 5))


def test_no_seed_gives_another_text_each_time(model):
    assert len({"".join(model.generate("", 30, 1.0)) for _ in range(4)}) > 1


def test_the_text_is_the_same_on_every_python(model):
    """The digest was made on 3.10 and 3.13; arithmetic, random numbers and the order of dicts must not matter."""
    text = "".join("".join(model.generate("Pray", 80, t, seed)) for t in (0, 0.3, 0.7, 1.2) for seed in range(4))
    assert hashlib.sha256(text.encode()).hexdigest()[:12] == "f07c05615aae"


def test_temperature_zero_takes_the_likeliest_whatever_the_seed(model):
    assert list(model.generate("It is", 30, 0, 1)) == list(model.generate("It is", 30, 0, 2))
    context = [" my", " dear"]
    token = model.next(context, temperature=0, rng=random.Random(1))
    rivals = {word for size in (1, 2) for word in model.following(context[-size:])}
    assert len(rivals) > 5
    assert model.probability(token, context) == max(model.probability(word, context) for word in rivals)


@pytest.mark.parametrize("context", [[], [""], [" the"], [" of", " the"], ["zzz", "qqq"], [" my", " dear", " Mr"]])
def test_probabilities_add_up_to_one(context):
    text = TEXT[:20_000]
    small = NGram.train(text)
    vocabulary = {*tokenize(text.strip()), ""}
    assert sum(small.probability(token, context) for token in vocabulary) == pytest.approx(1)
    assert small.probability("zzz", context) == 0
    assert small.vocabulary == len(vocabulary) - 1


def test_it_samples_by_those_probabilities(model):
    rng, context, draws = random.Random(0), [" Miss"], 4000
    got = [model.next(context, temperature=1, rng=rng) for _ in range(draws)]
    for name in (" Bingley", " Bennet", " Lucas"):
        expected = model.probability(name, context)
        assert expected > 0.05
        assert got.count(name) / draws == pytest.approx(expected, abs=4 * (expected / draws) ** 0.5)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_what_only_the_unigrams_know_gets_its_share(temperature):
    """After `a` came each of three words once, so that the unigrams have six tenths of the say."""
    model = NGram.train("x a b a c a d e f g h i e g i f h d b e c f", order=2)
    words, context, draws = tuple(" " + letter for letter in "abcdefghi"), [" a"], 6000
    weights = {word: model.probability(word, context) ** (1 / temperature) for word in words}
    rng = random.Random(0)
    got = [model.next(context, temperature=temperature, rng=rng) for _ in range(draws)]
    total = sum(map(got.count, words))
    for word in words:
        expected = weights[word] / sum(weights.values())
        assert got.count(word) / total == pytest.approx(expected, abs=4 * (expected / total) ** 0.5)


def test_low_temperature_sharpens(model):
    context = [" Miss"]
    best = model.next(context, temperature=0, rng=random.Random(0))
    shares = []
    for temperature in (0.3, 1.0, 2.0):
        rng = random.Random(0)
        shares.append([model.next(context, temperature=temperature, rng=rng) for _ in range(500)].count(best))
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 2 * shares[2]


def test_longer_contexts_count(model):
    assert model.probability(" universally", [" is", " a", " truth"]) > 20 * model.probability(" universally", [" a"])


def test_it_backs_off_from_what_it_has_never_seen(model):
    known = [" Miss"]
    assert model.probability(" Bingley", ["zzz", " Miss"]) == model.probability(" Bingley", known)
    assert model.probability(" Bingley", ["zzz"]) == pytest.approx(model.probability(" Bingley", []))


@given(prompt=st.text(max_size=40), seed=st.integers(0, 3), temperature=st.sampled_from([0, 0.5, 1.5]))
def test_no_prompt_is_a_dead_end(prompt, seed, temperature):
    tokens = list(load().generate(prompt, 6, temperature, seed))
    assert len(tokens) == 6


@given(text=WORDS.filter(lambda text: tokenize(text.strip())), order=st.integers(2, 5), seed=st.integers(0, 9))
def test_any_text_with_a_word_can_be_learnt(text, order, seed):
    model = NGram.train(text, order)
    known = {"\n\n", *(token for paragraph in text.strip().split("\n\n") for token in tokenize(paragraph))}
    for token in islice(model.generate("", None, 1.0, seed), 30):
        assert token in known


def test_what_cannot_be_learnt_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="at least one word"):
        NGram.train(" \n ")
    with pytest.raises(ValueError, match="must be 2 or more, not 1"):
        NGram.train("a b c", order=1)


def test_answers_end_by_themselves_at_the_end_of_a_paragraph(model):
    answers = ["".join(model.generate("Tell me.\n\n", 2000, 0.7, seed)) for seed in range(12)]
    for answer in answers:
        assert answer.rstrip("”’)")[-1] in ".!?"
        assert 200 < len(answer) < 8000


def test_max_tokens_is_kept_to(model):
    assert len(list(model.generate("", 7, 0.7, 1))) == 7
    assert list(model.generate("", 0, 0.7, 1)) == []


def test_quotation_marks_are_balanced_as_a_rule(model):
    texts = ["".join(model.generate("", 2000, 0.7, seed)) for seed in range(12)]
    assert sum(text.count("“") == text.count("”") for text in texts) >= 11
    assert any("“" in text for text in texts)


def test_step_depends_on_nothing_but_what_it_is_given(model):
    """The same step function, asked twice or in another order, says the same."""
    step, other = (model.step("Dear Sir,", temperature=0.7, seed=4) for _ in range(2))
    text, tokens = "", []
    for _ in range(25):
        tokens.append(step(text))
        text += tokens[-1]
    texts = ["".join(tokens[:size]) for size in range(25)]
    assert [other(text) for text in reversed(texts)] == tokens[::-1]
    assert tokens == list(model.generate("Dear Sir,", 25, 0.7, 4))
