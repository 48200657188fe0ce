#!/usr/bin/env python3
"""Makes the tokenizers in this folder and what they must give for tricky texts.

    python3 -m venv venv && venv/bin/pip install tokenizers==0.23.3 sentencepiece==0.2.3
    venv/bin/python make.py

Everything is trained on ../sampled.txt and the texts below, small, and checked against the reference
implementations: Hugging Face tokenizers for tokenizer.json, libsentencepiece for tokenizer.model.
"""

import json
import os
import tempfile

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
SAMPLED = os.path.join(HERE, "..", "sampled.txt")

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
         r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = [r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+",
            r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
            r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]
GPT4O = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
         r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
         r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}"
         r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")

TEXTS = [
    "", " ", "  ", "a", "Hello, world!", " leading space", "trailing space ", "two  spaces   three",
    "tabs\tand\t\tmore", "line\nline\n\nline\r\nline\r\n\r\n end", "\n", "\n\n\n  \n", " \t \n x",
    "I'm you're HE'LL they'd 'Tis 'S 't can't ſ 'ſ", "1 12 123 1234 12345 3.14159 ½ ² Ⅷ ١٢٣ १२",
    "naïve café", "nai\u0308ve cafe\u0301", "a\u0327\u0301\u0323 o\u0323\u0302 \u0344 \u212b \u1e9b\u0323",
    "\u1112\u1161\u11ab\u1100\u1173\u11af 한글 각 \uac00\u11a8", "漢字かな交じり文、カタカナ。中文测试",
    "👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 ☃️", "Ünïcödé ΑΒΓ где العربية हिन्दी ไทย",
    "zero\u200bwidth\u200cand\u200djoin \ufeff bom", "nbsp\u00a0em\u2003ideo\u3000ls\u2028ps\u2029nel\u0085x",
    "mongolian\u180evowel", "quotes “double” ‘single’ — dash… «»", "x=y+z; if (a<b) { return a[0]*2; } // ok\n",
    "https://example.org/path?q=1&r=two#frag", "snake_case CamelCase kebab-case __init__",
    "<s>special</s> <s> </s><unk>", "<|begin_of_text|>Hi<|end_of_text|>\n<|end_of_text|> x",
    "a <mask> b<mask>c  <mask>  d", "xword word word's aword word_ word", "Day day DAY", "▁under ▁▁ score▁",
    "\u0000nul \u0001\u007f ctrl", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈 \U0010ffff \ue000 \ufffd", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "...!!!???---===", "the the the of of and and in the house of the dog",
    "She said, \"It was a very fine day,\" and went home.\nThen he laughed.  The end.",
    "İstanbul ǅ ﬁ ß ẞ ŉ", "e" + "\u0301" * 5 + "\u0327" * 3, "   \n   three\n\t\n", "a\u0000b",
]


# For single components, where there are many cases.
SHORT_TEXTS = ["", " ", "\n", "aa  aaa AaB a", "  two  lines\r\n\n and\tone \n ", "I'm HE'LL 't 'ſ word d",
               "1 123 12345 ½ Ⅷ ١٢", "cafe\u0301 o\u0323\u0302 한각 zero\u200cw\u200dx",
               "漢字かな、ー中文 👩‍👧 İﬁß", "nbsp\u00a0x\u2028y\u0085z\u180ew\u000b_-▁▁a b"]


def corpus():
    with open(SAMPLED, encoding="utf-8") as f:
        lines = f.read().split("\n")
    return lines[:3000] + TEXTS * 3


def save(name, tokenizer, edit=None):
    folder = os.path.join(HERE, name)
    os.makedirs(folder, exist_ok=True)
    description = json.loads(tokenizer.to_str())
    if edit:
        edit(description)
    text = json.dumps(description, ensure_ascii=False, separators=(",", ":"))
    with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as f:
        f.write(text + "\n")
    tokenizer = Tokenizer.from_str(text)
    expect(folder, lambda t: tokenizer.encode(t, add_special_tokens=False).ids)


def expect(folder, encode):
    cases = [json.dumps({"text": t, "ids": encode(t)}, ensure_ascii=True) for t in TEXTS]
    with open(os.path.join(folder, "expected.json"), "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join(cases) + "\n]\n")


def byte_level(pre, normalizer=None, vocab=700):
    tokenizer = Tokenizer(models.BPE())
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=vocab, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tokenizer


def llama3():
    tokenizer = byte_level(pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))
    tokenizer.add_special_tokens(["<|begin_of_text|>", "<|end_of_text|>"])

    def edit(d):
        d["model"]["ignore_merges"] = True
        # Tokens that no merge makes, which ignore_merges finds all the same.
        for word in ["ĠCamel", "123"]:
            d["model"]["vocab"].setdefault(word, len(d["model"]["vocab"]))
        for i, token in enumerate(d["added_tokens"]):
            token["id"] = len(d["model"]["vocab"]) + i

    save("llama3", tokenizer, edit)


def qwen2():
    tokenizer = byte_level(pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(QWEN2), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]), normalizers.NFC())
    tokenizer.add_special_tokens(["<|end_of_text|>"])
    tokenizer.add_tokens([AddedToken("word", single_word=True, normalized=False),
                          AddedToken("<mask>", lstrip=True, rstrip=True, normalized=False),
                          AddedToken("cafe\u0301", normalized=True)])

    def edit(d):  # the older spelling of merges
        d["model"]["merges"] = [" ".join(pair) for pair in d["model"]["merges"]]

    save("qwen2", tokenizer, edit)


def deepseek():
    splits = [pre_tokenizers.Split(Regex(p), "isolated") for p in DEEPSEEK]
    save("deepseek", byte_level(pre_tokenizers.Sequence(
        splits + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])))


def gpt2():
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True))
    tokenizer.add_tokens([AddedToken("<mask>", lstrip=True, normalized=True)])

    def edit(d):  # files of the first years have no type and no later fields
        for field in ["type", "byte_fallback", "ignore_merges"]:
            del d["model"][field]

    save("gpt2", tokenizer, edit)


def metaspace_bpe(vocab, byte_fallback):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=byte_fallback,
                                     byte_fallback=byte_fallback))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    special = ["<unk>", "<s>", "</s>"]
    if byte_fallback:
        special += [f"<0x{b:02X}>" for b in range(256)]
    tokenizer.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=vocab, show_progress=False, special_tokens=special, limit_alphabet=80))

    def edit(d):
        d["added_tokens"] = d["added_tokens"][:3]
    return tokenizer, edit


def llama2():
    tokenizer, edit = metaspace_bpe(900, True)

    def normalizer(d):
        edit(d)
        d["pre_tokenizer"] = None
        d["normalizer"] = {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}

    def first(d):
        edit(d)
        d["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first",
                              "split": False}

    def gemma(d):
        edit(d)
        d["normalizer"] = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
        d["pre_tokenizer"] = {"type": "Split", "pattern": {"String": " "},
                              "behavior": "MergedWithPrevious", "invert": False}
        for content in ["▁▁", "▁▁▁", "\n\n", "day"]:
            d["added_tokens"].append({
                "id": 0, "content": content, "single_word": content == "day", "lstrip": False,
                "rstrip": False, "normalized": content != "\n\n", "special": False})

    save("llama2-normalizer", tokenizer, normalizer)
    save("llama2-metaspace", tokenizer, first)
    save("gemma", tokenizer, gemma)


def unknown():
    tokenizer, edit = metaspace_bpe(400, False)
    save("unknown", tokenizer, edit)


def sentencepiece_models():
    with tempfile.TemporaryDirectory() as temp:
        text = os.path.join(temp, "corpus.txt")
        with open(text, "w", encoding="utf-8") as f:
            f.write("\n".join(line.replace("\0", "") for line in corpus()))
        rules = os.path.join(temp, "rules.tsv")
        with open(rules, "w", encoding="utf-8") as f:
            for source, target in [("ﬁ", "fi"), ("\t", " "), ("\n", " "), ("\r", " "), ("“", '"'),
                                   ("”", '"'), ("e\u0301", "é"), ("\u200b", "")]:
                f.write(" ".join(f"{ord(c):X}" for c in source) + "\t" +
                        " ".join(f"{ord(c):X}" for c in target) + "\n")
        for name, options in [
            ("sentencepiece-bpe", dict(
                model_type="bpe", vocab_size=700, byte_fallback=True, split_digits=True,
                normalization_rule_name="identity", remove_extra_whitespaces=False,
                allow_whitespace_only_pieces=True, user_defined_symbols=["<mask>"])),
            ("sentencepiece-unigram", dict(
                model_type="unigram", vocab_size=400, normalization_rule_tsv=rules)),
        ]:
            folder = os.path.join(HERE, name)
            os.makedirs(folder, exist_ok=True)
            sentencepiece.SentencePieceTrainer.train(
                input=text, model_prefix=os.path.join(folder, "tokenizer"), num_threads=1,
                character_coverage=0.995, minloglevel=2, **options)
            os.remove(os.path.join(folder, "tokenizer.vocab"))
            processor = sentencepiece.SentencePieceProcessor(
                model_file=os.path.join(folder, "tokenizer.model"))
            expect(folder, processor.encode)


def component_cases():
    """Single pre-tokenizers and normalizers, and what they make of the texts."""
    split = {"type": "Split", "behavior": "Isolated", "invert": False}
    byte = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    meta = {"type": "Metaspace", "replacement": "▁"}
    pre = [byte, {**byte, "add_prefix_space": False, "use_regex": False},
           {"type": "Digits", "individual_digits": True},
           {"type": "Digits", "individual_digits": False}, {"type": "Whitespace"}]
    pre += [{**meta, "prepend_scheme": scheme, "split": cut}
            for scheme in ["always", "first", "never"] for cut in [True, False]]
    pre += [{**meta, "replacement": "_", "add_prefix_space": True}]
    for pattern in [{"String": " "}, {"Regex": r"\s+"}, {"String": "aa"}, {"Regex": r"(?=[A-Z])"}]:
        for behavior in ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]:
            for invert in [False, True]:
                pre.append({**split, "pattern": pattern, "behavior": behavior, "invert": invert})
    pre += [{**split, "pattern": {"Regex": p}} for p in [
        LLAMA3, QWEN2, GPT4O, *DEEPSEEK, r"\w+", r"\W", r"\d+|\D", r"\bw|d\b", r"\Bo", r"[\s\w]+", r"^.",
        r".$", r"\h+", r"[\h]", r"a\v?", r"(?m:a.)", r"(?i)THE|hOUSE", r"\p{Han}+|\p{^Latin}",
        r"\p{Hiragana}", r"(?<=a)b|c(?!a)", r"(a)\1", r"\R", r"\u00e9|\x41", r"a++|o*?u", r"e{2,3}?|l{,",
        r"[^\S ]", r"(?>a|ab)c|\A.|.\z", r"\p{Alphabetic}+"]]
    pre += [{"type": "Sequence", "pretokenizers": [
        {"type": "Digits", "individual_digits": True}, {**split, "pattern": {"Regex": r"\s"},
         "behavior": "Removed"}, {**meta, "prepend_scheme": "first", "split": True}]}]
    norm = [{"type": "NFC"}, {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": "  "}, "content": "<>"},
            {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
            {"type": "Replace", "pattern": {"Regex": r"(a)|x*"}, "content": r"\1$1"},
            {"type": "Sequence", "normalizers": [
                {"type": "Replace", "pattern": {"Regex": r"\A\s+"}, "content": ""}, {"type": "NFC"}]},
            {"type": "Sequence", "normalizers": []}]
    base = json.loads(Tokenizer(models.BPE({"a": 0}, [])).to_str())
    for name, field, components in [("pre_tokenizers", "pre_tokenizer", pre),
                                    ("normalizers", "normalizer", norm)]:
        lines = []
        for component in components:
            tokenizer = Tokenizer.from_str(json.dumps({**base, field: component}))
            if field == "pre_tokenizer":
                results = [[piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(t)]
                           for t in SHORT_TEXTS]
            else:
                results = [tokenizer.normalizer.normalize_str(t) for t in SHORT_TEXTS]
            lines.append(json.dumps({"component": component, "results": results},
                                    separators=(",", ":")))
        with open(os.path.join(HERE, name + ".json"), "w", encoding="utf-8") as f:
            f.write('{"texts":' + json.dumps(SHORT_TEXTS) + ',\n"cases":[\n' + ",\n".join(lines) + "\n]}\n")


if __name__ == "__main__":
    llama3()
    qwen2()
    deepseek()
    gpt2()
    llama2()
    unknown()
    sentencepiece_models()
    component_cases()
