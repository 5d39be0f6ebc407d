"""Preflight of a transformer of 100 million parameters needs about what one training step needs."""

import subprocess
import sys

import pytest

pytest.importorskip("transformers")

PROGRAM = """
import sys
import torch
from torch.nn import functional as F
from transformers import GPT2Config, GPT2LMHeadModel
from fitwell import preflight

def loss_fn(output, tokens):
    return F.cross_entropy(output.logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())

torch.manual_seed(0)
special = {"bos_token_id": 0, "eos_token_id": 0, "n_positions": 512}
config = GPT2Config(n_layer=12, n_embd=768, n_head=12, vocab_size=18_000, **special)
model = GPT2LMHeadModel(config)
assert sum(p.numel() for p in model.parameters()) > 98e6
tokens = torch.randint(0, 18_000, (4, 128))
if sys.argv[1] == "step":
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    loss_fn(model(input_ids=tokens), tokens).backward()
    optimizer.step()
else:
    assert preflight(model, ({"input_ids": tokens}, tokens), loss_fn).worst() is None
with open("/proc/self/status") as file:  # ru_maxrss begins with its parent's
    print(next(int(line.split()[1]) for line in file if line.startswith("VmHWM")))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read where Linux keeps it")
def test_its_peak_is_below_one_and_a_third_of_that_of_a_plain_step():
    def peak(job):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, job], capture_output=True, text=True, check=True
        )
        return int(done.stdout.split()[-1])

    assert peak("preflight") < 1.3 * peak("step")
