"""Memory and time of `kblam train` for larger models, computed from their shapes: `python benchmarks/training/cost.py`.

Parameters are counted on models without weights (the meta device). The rest is arithmetic, written out below:
memory is base + adapter (weights, gradients, two moments, in float32) + activations kept for the backward pass from the
retrieval layer up + logits; work is a forward pass through all layers and a backward pass, for activations only because the base is
frozen, through those from the retrieval layer up.
"""

from __future__ import annotations

import argparse

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from kblam.models.adapter import Adapter, AdapterConfig
from kblam.training.options import Options

SHAPES = {
    "Llama-3.2-1B": LlamaConfig(
        vocab_size=128256, hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32,
        num_key_value_heads=8, tie_word_embeddings=True,
    ),
    "Meta-Llama-3-8B": LlamaConfig(
        vocab_size=128256, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32,
        num_key_value_heads=8,
    ),
}  # fmt: skip
DEVICES = {"H100, 400 TFLOP/s of its 989": 400e12, "A100, 125 of its 312": 125e12, "2 CPU cores, 0.3": 0.3e12}
"""Work a second in bfloat16 that matrix products of this size reach: an assumption for the cards, measured for the CPU."""


def bytes_a_token(config: LlamaConfig) -> int:
    """What one layer keeps of one token for the backward pass, in bytes.

    Two norms (their input and its normed form in float32, the result in bfloat16), query, key and value, the attention's result,
    and the three wide vectors of the feed-forward part, in bfloat16; frozen weights keep no inputs.
    """
    hidden, key_values = (
        config.hidden_size,
        config.num_key_value_heads * config.hidden_size // config.num_attention_heads,
    )
    return 2 * 10 * hidden + 2 * (hidden + 2 * key_values) + 2 * hidden + 3 * 2 * config.intermediate_size


def main() -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--B", type=int, default=Options.B)
    parser.add_argument("--tokens", type=int, default=50, help="of a prompt with its answer")
    parser.add_argument("--width", type=int, default=384, help="of the encoder's vectors")
    parser.add_argument("--query_rank", type=int, default=0, help="as of kblam train (0)")
    parser.add_argument(
        "--base_bits",
        type=float,
        default=16,
        help="a weight of its layers: 16, or 8 or 4.5 with --precision 8bit or 4bit (16)",
    )
    options = parser.parse_args()
    for name, config in SHAPES.items():
        with torch.device("meta"):
            base = LlamaForCausalLM(config)
            layers = Options().layers(config.num_hidden_layers)
            head = config.hidden_size // config.num_attention_heads
            adapter = Adapter(
                AdapterConfig(
                    "e",
                    options.width,
                    name,
                    layers,
                    config.num_attention_heads,
                    head,
                    head,
                    config.hidden_size,
                    slot_layers=Options().slot_layers(layers),
                    query_rank=options.query_rank,
                )
            )
        parameters, trained = (sum(tensor.numel() for tensor in model.parameters()) for model in (base, adapter))
        inside = sum(tensor.numel() for tensor in base.model.layers.parameters())  # the rest is never quantised
        tokens, above = options.B * options.tokens, config.num_hidden_layers - layers[0]
        activations = tokens * above * bytes_a_token(config)
        logits = tokens * config.vocab_size * (2 + 4 + 4 + 4)  # bfloat16, float32, their softmax, its gradient
        memory = {
            "base": options.base_bits / 8 * inside + 2 * (parameters - inside),
            "adapter": 16 * trained,
            "activations": activations,
            "logits": logits,
        }
        work = 2 * parameters * tokens * (1 + above / config.num_hidden_layers)
        parts = ", ".join(f"{part} {size / 1e9:.1f}" for part, size in memory.items())
        print(
            f"{name}: {parameters / 1e9:.2f} billion parameters, adapter {trained / 1e6:.0f} million in layers {list(layers)}"
        )
        print(f"  memory {sum(memory.values()) / 1e9:.1f} GB: {parts}")
        print(f"  work {work / 1e12:.1f} TFLOP a step of {options.B} questions")
        for device, rate in DEVICES.items():
            print(f"  {device}: {work / rate:.2f} s a step, {601 * work / rate / 60:.1f} minutes for 601 steps")


if __name__ == "__main__":
    main()
