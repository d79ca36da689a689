"""Trains the adapters of a case file with transformers and PEFT, and runs finished ones: python reference.py CASES.json > VALUES.json"""
import json, sys, warnings
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
from transformers.trainer_pt_utils import LabelSmoother

warnings.simplefilter("ignore")
torch.set_num_threads(1)
torch.manual_seed(0)


def load(case, folder, trains):
    base = AutoModelForCausalLM.from_pretrained(case["base"], dtype=torch.float32, attn_implementation="eager")
    return PeftModel.from_pretrained(base, folder, is_trainable=trains)


def losses(case, model):
    smoother = LabelSmoother(epsilon=case["smoothing"])
    trained = [p for p in model.parameters() if p.requires_grad]
    decays = lambda name: not name.endswith("norm.weight") and "norm.modules_to_save" not in name
    groups = [
        {"params": [p for n, p in model.named_parameters() if p.requires_grad and decays(n)], "weight_decay": case["weight_decay"]},
        {"params": [p for n, p in model.named_parameters() if p.requires_grad and not decays(n)], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=case["learning_rate"])
    log = []
    for batch in case["batches"]:
        ids, mask, labels = (torch.tensor(batch[name]) for name in ("input_ids", "attention_mask", "labels"))
        output = model(input_ids=ids, attention_mask=mask)
        loss = smoother(output, labels.clone(), shift_labels=True)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        log.append({"loss": loss.item(), "grad_norm": norm.item()})
    return log


def logits(case, model):
    model.eval()
    with torch.no_grad():
        return model(input_ids=torch.tensor([case["ids"]])).logits[0, -1].tolist()


values = []
for case in json.load(open(sys.argv[1])):
    model = load(case, case["initial"], True)
    log = losses(case, model)
    values.append({
        "trained": sum(p.numel() for p in {id(p): p for p in model.parameters() if p.requires_grad}.values()),
        "log": log,
        "after": logits(case, model),
        "exported": logits(case, load(case, case["final"], False)),
    })
json.dump(values, sys.stdout)
