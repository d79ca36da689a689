"""What Hugging Face's transformers and PEFT make of models, for tests to compare with.

peer.py make FOLDER            tiny random models of families that have no stored reference, with what they compute
peer.py read JOBS.json OUT     logits of given models and adapters
peer.py train JOBS.json OUT    trains adapters from where they are given, and runs them as they were given in the end
"""
import json, os, sys, warnings

warnings.filterwarnings("ignore")
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

torch.set_num_threads(2)

SHAPE = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256)
LONG = [1.0 + 0.5 * i for i in range(6)]

# name: (model_type, tokenizer, settings)
FAMILIES = {
    "gemma": ("gemma", "gemma", dict(head_dim=32)),
    "gemma2": ("gemma2", "gemma", dict(head_dim=16, num_hidden_layers=3, sliding_window=24, query_pre_attn_scalar=16, attn_logit_softcapping=3.0, final_logit_softcapping=5.0)),
    "gemma3-short-pattern": ("gemma3_text", "gemma", dict(head_dim=32, num_hidden_layers=4, sliding_window=16, query_pre_attn_scalar=32, layer_types=["sliding_attention", "full_attention"] * 2,
                                                        rope_parameters={"full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e6}, "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}})),
    "granite": ("granite", "bytes", dict(embedding_multiplier=3.0, residual_multiplier=0.4, attention_multiplier=0.1, logits_scaling=2.5)),
    "olmo2": ("olmo2", "dbrx", dict(tie_word_embeddings=False)),
    "phi3-longrope": ("phi3", "phi3", dict(num_key_value_heads=4, partial_rotary_factor=0.75, original_max_position_embeddings=64, sliding_window=40, pad_token_id=0,
                                           rope_scaling={"type": "longrope", "short_factor": [1.0 + 0.1 * i for i in range(6)], "long_factor": LONG})),
    "llama2": ("llama", "llama", dict(num_key_value_heads=4, attention_bias=True, mlp_bias=True)),
    "llama-linear": ("llama", "gpt4o", dict(rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4})),
    "qwen2-yarn": ("qwen2", "qwen2", dict(rope_parameters={"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "rope_theta": 1e4})),
    "llama-gpt2": ("llama", "gpt2", dict(num_hidden_layers=1)),
    "llama3": ("llama", "llama3", dict(num_hidden_layers=1, rope_parameters={"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32, "rope_theta": 1e4})),
    "mistral-tekken": ("mistral", "tekken", dict(num_hidden_layers=1, sliding_window=None, head_dim=32)),
    "mistral-metaspace": ("mistral", "metaspace", dict(sliding_window=20, head_dim=32)),
}

# How text is cut into words: by digits and GPT-2's rules, or by an expression as publishers write it.
CASED = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]", "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
ENDINGS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
CL100K = ENDINGS + "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
def cased(ending, digits):
    upper, lower = CASED
    return f"[^\\r\\n\\p{{L}}\\p{{N}}]?{upper}*{lower}+{ending}|[^\\r\\n\\p{{L}}\\p{{N}}]?{upper}+{lower}*{ending}|{digits}| ?[^\\s\\p{{L}}\\p{{N}}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
WORDS = {"bytes": None, "gpt2": None, "dbrx": CL100K, "llama3": CL100K, "qwen2": CL100K.replace("{1,3}", ""), "tekken": cased("", "\\p{N}"), "gpt4o": cased(ENDINGS + "?", "\\p{N}{1,3}")}

TEXTS = ["HTTPServer's XMLHttpRequest I'LL DON'T", "Hello world", "It's a lemon, isn't it?  Two spaces.", "2 + 2 = 4, 1234567890", "naïve café, 日本語, 😀", "tab\tand\nnew\n\nlines", " leading and trailing ", "a"]


def corpus():
    words = "the quick brown fox jumps over a lazy dog while seven wizards mix some jelly and count to twenty two what colour is lemon it's yellow of course".split()
    state = 1
    for _ in range(400):
        line = []
        for _ in range(12):
            state = (state * 1103515245 + 12345) % 2**31
            line.append(words[state // 65536 % len(words)])
        yield " ".join(line).capitalize() + "."


def closed(vocabulary, merges):
    """SentencePiece's files give every way of cutting a token in two tokens as a merge."""
    rank = {}
    for index, (left, right) in enumerate(merges):
        rank.setdefault(left + right, index)
    ways = [(order, vocabulary[token[:i]], vocabulary[token[i:]], (token[:i], token[i:])) for token, order in rank.items() for i in range(1, len(token)) if token[:i] in vocabulary and token[i:] in vocabulary]
    return [way[3] for way in sorted(ways)]


def tokenizer(kind):
    if kind in WORDS:
        made = Tokenizer(models.BPE(ignore_merges=kind in ("llama3", "tekken")))
        split = lambda: pre_tokenizers.Split(Regex(WORDS[kind]), "removed" if kind == "dbrx" else "isolated", invert=kind == "dbrx")
        first = [] if kind == "gpt2" else [pre_tokenizers.Digits(individual_digits=True)] if kind == "bytes" else [split()]
        last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind in ("bytes", "gpt2"))
        made.pre_tokenizer = pre_tokenizers.Sequence([*first, last]) if first else last
        if kind == "qwen2":
            made.normalizer = normalizers.NFC()
        made.decoder = decoders.ByteLevel()
        made.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=420, special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
        return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    special = {"gemma": ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"], "llama": ["<unk>", "<s>", "</s>"], "metaspace": ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"],
               "phi3": ["<unk>", "<s>", "</s>", "<|endoftext|>", "<|user|>", "<|assistant|>", "<|end|>"]}[kind]
    base = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    base.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    base.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=500, special_tokens=special + [f"<0x{b:02X}>" for b in range(256)]))
    model = json.loads(base.to_str())["model"]
    vocabulary = model["vocab"]
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=closed(vocabulary, [tuple(m) for m in model["merges"]]), byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if kind == "gemma":
        made.normalizer = normalizers.Replace(" ", "▁")
        made.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    elif kind == "metaspace":
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    else:
        made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence(steps + ([] if kind == "gemma" else [decoders.Strip(" ", 1, 0)]))
    trims = kind == "phi3"
    made.add_special_tokens([AddedToken(t, normalized=False, special=True, rstrip=trims and t not in ("<unk>", "<s>", "<|endoftext|>")) for t in special])
    bos = "<bos>" if kind == "gemma" else "<s>"
    if kind != "phi3":
        made.post_processor = processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, special.index(bos))])
    eos = {"gemma": "<eos>", "phi3": "<|endoftext|>"}.get(kind, "</s>")
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token=bos, eos_token=eos, unk_token="<unk>", pad_token="<pad>" if kind == "gemma" else None)


TURNS = {"gemma": "<start_of_turn>user\nHello <end_of_turn>\n", "phi3": "<|user|>\nHello <|end|>\n<|assistant|>\n", "metaspace": "[INST]Hello[/INST]", "llama": "<s> Hello</s>", **{kind: "<|im_start|>user\nHello<|im_end|>\n" for kind in WORDS}}


def scores(model, ids):
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].float()
    log = torch.log_softmax(logits, -1)
    return dict(ids=ids, last=logits[-1].tolist(), logprobs=[log[i, ids[i + 1]].item() for i in range(len(ids) - 1)])


def loss_of(model, batch):
    total, count = 0, 0
    for ids in batch:                                   # one by one: no padding, no mask
        log = torch.log_softmax(model(torch.tensor([ids])).logits[0].float(), -1)
        total = total - log[torch.arange(len(ids) - 1), torch.tensor(ids[1:])].sum()
        count += len(ids) - 1
    return total / count


def make(folder):
    from peft import LoraConfig, get_peft_model
    for name, (model_type, kind, settings) in FAMILIES.items():
        torch.manual_seed(sum(map(ord, name)))
        tok = tokenizer(kind)
        size = len(tok) + 3 if kind in WORDS else len(tok)
        values = {**SHAPE, "vocab_size": size, "bos_token_id": tok.bos_token_id, "eos_token_id": tok.eos_token_id, "pad_token_id": tok.pad_token_id, **settings}
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **values), attn_implementation="eager").float().eval()
        for parameter in model.parameters():            # large enough for every setting to matter
            parameter.data += torch.randn_like(parameter) * (0.15 if parameter.dim() > 1 else 0.1)
        out = os.path.join(folder, name)
        model.save_pretrained(os.path.join(out, "hf"))
        tok.save_pretrained(os.path.join(out, "hf"))
        draw = torch.Generator().manual_seed(7)
        take = lambda n: torch.randint(3, size - 3, (n,), generator=draw).tolist()
        reference = dict(sequences=[scores(model, take(n)) for n in (5, 33, 90)])
        plain = Tokenizer.from_file(os.path.join(out, "hf", "tokenizer.json"))
        # Metaspace puts no space before one that is there already; GGUF cannot say that.
        texts = [t for t in TEXTS + [TURNS[kind]] if kind != "metaspace" or not t.startswith(" ")]
        reference["texts"] = [dict(text=t, ids=plain.encode(t, add_special_tokens=False).ids, with_special=plain.encode(t).ids) for t in texts]

        whole = [take(n) for n in (40, 9)]
        loss = loss_of(model, whole)
        loss.backward()
        norm = sum(p.grad.double().pow(2).sum() for p in model.parameters() if p.grad is not None).sqrt().item()
        reference["whole"] = dict(batch=whole, loss=loss.item(), grad_norm=norm)
        model.zero_grad()

        tuned = get_peft_model(model, LoraConfig(r=3, lora_alpha=6, lora_dropout=0, target_modules="all-linear", init_lora_weights=True, task_type="CAUSAL_LM"))
        tuned.save_pretrained(os.path.join(out, "adapter"))
        batches = [[take(n) for n in (12, 70, 31)] for _ in range(2)]
        optimizer = torch.optim.AdamW([p for p in tuned.parameters() if p.requires_grad], lr=5e-3, weight_decay=0.01)
        losses, norms = [], []
        for batch in batches:
            loss = loss_of(tuned, batch)
            loss.backward()
            norms.append(torch.nn.utils.clip_grad_norm_(tuned.parameters(), 1.0).item())
            losses.append(loss.item())
            optimizer.step()
            optimizer.zero_grad()
        reference["lora"] = dict(batches=batches, loss=losses, grad_norm=norms, after=scores(tuned, take(40)))
        with open(os.path.join(out, "reference.json"), "w") as file:
            json.dump(reference, file)


def read(jobs, out):
    from peft import PeftModel
    from transformers import AutoTokenizer
    answers = []
    with open(jobs) as file:
        for job in json.load(file):
            model = AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.float32, attn_implementation="eager").eval()
            if job.get("adapter"):
                model = PeftModel.from_pretrained(model, job["adapter"])
            answer = scores(model, job["ids"])
            tok = AutoTokenizer.from_pretrained(job["model"])
            answer["texts"] = [tok(t, add_special_tokens=False)["input_ids"] for t in job.get("texts", [])]
            answers.append(answer)
    with open(out, "w") as file:
        json.dump(answers, file)


def train(jobs, out):
    from peft import PeftModel
    from transformers.trainer_pt_utils import LabelSmoother

    def load(job, folder, trains):
        base = AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.float32, attn_implementation="eager")
        return PeftModel.from_pretrained(base, folder, is_trainable=trains)

    def last(model, ids):
        return scores(model.eval(), ids)["last"]

    def decays(name):
        return not name.endswith("norm.weight") and "norm.modules_to_save" not in name

    answers = []
    with open(jobs) as file:
        for job in json.load(file):
            model, smoother = load(job, job["initial"], True), LabelSmoother(epsilon=job["smoothing"])
            named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
            groups = [dict(params=[p for n, p in named if decays(n)], weight_decay=job["weight_decay"]), dict(params=[p for n, p in named if not decays(n)], weight_decay=0.0)]
            optimizer = torch.optim.AdamW(groups, lr=job["learning_rate"])
            losses, norms = [], []
            for batch in job["batches"]:
                ids, mask, labels = (torch.tensor(batch[name]) for name in ("input_ids", "attention_mask", "labels"))
                loss = smoother(model(input_ids=ids, attention_mask=mask), labels.clone(), shift_labels=True)
                loss.backward()
                norms.append(torch.nn.utils.clip_grad_norm_([p for _, p in named], 1.0).item())
                losses.append(loss.item())
                optimizer.step()
                optimizer.zero_grad()
            answers.append(dict(trained=sum(p.numel() for _, p in named), loss=losses, grad_norm=norms, after=last(model, job["ids"]), exported=last(load(job, job["final"], False), job["ids"])))
    with open(out, "w") as file:
        json.dump(answers, file)


{"make": make, "read": read, "train": train}[sys.argv[1]](*sys.argv[2:])
