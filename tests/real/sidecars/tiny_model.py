# SPDX-License-Identifier: Apache-2.0
"""Run with the Python of a vLLM: makes a random Llama of 2 million parameters, and two adapters.

    tiny_model.py DIRECTORY      -> DIRECTORY/model, DIRECTORY/loras/{french,german}

What it says means nothing; that it is served, and by which adapter, is what the tests look at.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

HIDDEN, LAYERS, RANK = 128, 2, 8
TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
)


def main(directory: Path) -> None:
    torch.manual_seed(0)
    save_model(directory / "model")
    for seed, name in enumerate(("french", "german"), 1):
        save_adapter(directory / "loras" / name, seed, base=str(directory / "model"))


def save_model(folder: Path) -> None:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<s>": 0, "</s>": 1, **{letter: 2 + n for n, letter in enumerate(alphabet)}}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", chat_template=TEMPLATE
    )
    fast.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=258,
        hidden_size=HIDDEN,
        intermediate_size=512,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=1024,
        bos_token_id=0,
        eos_token_id=1,
        torch_dtype="float32",
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def save_adapter(folder: Path, seed: int, base: str) -> None:
    """As PEFT writes one, of the query projections alone; `base` is what vLLM compares."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for layer in range(LAYERS):
        key = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
        for side, shape in (("A", (RANK, HIDDEN)), ("B", (HIDDEN, RANK))):
            tensors[f"{key}.lora_{side}.weight"] = torch.randn(shape, generator=generator) * 4
    folder.mkdir(parents=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": RANK,
        "lora_alpha": 16,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": ["q_proj"],
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
