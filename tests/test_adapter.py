from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from reference_model import reference_query
from tiny_models import ARCHITECTURES, WIDTH, rows_of, tiny_adapter, tiny_model

from kblam.attention.reference import knowledge_keys
from kblam.errors import EncoderError, ModelError, UnsupportedModelError
from kblam.knowledge import load_encoder
from kblam.models.adapter import Adapter, AdapterConfig
from kblam.models.anatomy import attention_shape, attention_sites


def config(**options: Any) -> AdapterConfig:
    standard: dict[str, Any] = {
        "encoder": "tiny",
        "encoder_width": WIDTH,
        "base_model": "tiny",
        "knowledge_layers": (0, 2),
        "heads": 2,
        "head_dim": 3,
        "value_head_dim": 5,
        "hidden_size": 7,
    }
    return AdapterConfig(**standard | options)


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_new_adapter_copies_the_models_own_query(name: str) -> None:
    """Where rotary embeddings do not turn (position 0), the copied query must be the model's own, norms included."""
    model = tiny_model(name, "eager")
    shape = attention_shape(model, (1,))
    adapter = Adapter.for_model(model, config(knowledge_layers=(1,), **shape))
    module = attention_sites(model)[1].module
    seen: dict[str, torch.Tensor] = {}

    def spy(module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: Any, **_: Any) -> Any:
        if module.layer_idx == 1:
            seen["query"] = query
        return torch.zeros(*query.shape[:3], value.shape[-1]).transpose(1, 2), None

    def note(_: Any, args: Any, kwargs: Any) -> None:
        seen["hidden"] = args[0] if args else kwargs["hidden_states"]

    from transformers import AttentionInterface

    AttentionInterface.register("spy", spy)
    model.config._attn_implementation = "spy"
    module.register_forward_pre_hook(note, with_kwargs=True)
    model(torch.tensor([[5]]))
    bias = None if adapter.query_bias is None else adapter.query_bias[0]
    ours = reference_query(module, adapter.query_weight[0], bias, seen["hidden"], adapter.config.heads)
    torch.testing.assert_close(ours, seen["query"], atol=1e-5, rtol=1e-5)


def test_starts_where_it_should() -> None:
    adapter = Adapter(config(null_row=True, question_prior=True))
    assert adapter.beta_key is not None and adapter.beta_value is not None
    assert (adapter.beta_key > 0).all()
    assert (adapter.beta_value == 0).all()
    question, rows = rows_of(4)
    for turned in adapter.read_question(question * 7):
        cosine = torch.nn.functional.cosine_similarity(question[:, None], rows[None], dim=-1)
        torch.testing.assert_close(turned @ rows.T / rows.norm(dim=1), cosine)
    bare = Adapter(config(null_row=False, question_prior=False))
    assert [name for name, _ in bare.named_parameters()] == [
        "key_weight",
        "key_bias",
        "value_weight",
        "value_bias",
        "query_weight",
    ]
    assert adapter.key_weight.shape == (2 * 2 * 3, WIDTH)
    assert adapter.value_weight.shape == (2 * 2 * 5, WIDTH)


@pytest.mark.parametrize("blocks", [0, 3])
def test_latents_and_projections_build_the_layers_keys(blocks: int) -> None:
    torch.manual_seed(0)
    adapter = Adapter(config(key_blocks=blocks))
    keys, values = rows_of(6)
    built = knowledge_keys(keys, adapter.key_weight, adapter.key_bias).view(6, -1, 2, 3)
    for gradients in (torch.no_grad(), torch.enable_grad()):
        with gradients:
            latents = adapter.latents(keys, values)
        assert latents.mean.requires_grad == isinstance(gradients, torch.enable_grad)
        assert latents.mean.dtype == torch.float32
        for slot in range(2):
            projections = adapter.projections(slot)
            raw = torch.einsum("me,hde->mhd", keys, projections.key_weight) + projections.key_bias
            ours = (raw - latents.mean[:, None, None]) * latents.inverse_deviation[:, None, None]
            torch.testing.assert_close(ours, built[:, slot], atol=1e-5, rtol=1e-5)
    assert projections.value_weight.shape == (2, 5, WIDTH)
    torch.testing.assert_close(projections.value_weight.flatten(0, 1), adapter.value_weight[10:])


def test_latents_of_no_row_and_of_the_wrong_width() -> None:
    adapter = Adapter(config()).requires_grad_(False)
    assert len(adapter.latents(torch.zeros(0, WIDTH), torch.zeros(0, WIDTH))) == 0
    with pytest.raises(ModelError, match=f"width {WIDTH} by tiny"):
        adapter.latents(torch.zeros(4, WIDTH + 1), torch.zeros(4, WIDTH + 1))
    with pytest.raises(ModelError, match="a key and a value per row"):
        adapter.latents(torch.zeros(4, WIDTH), torch.zeros(3, WIDTH))


@pytest.mark.parametrize(
    "options", [{}, {"null_row": False}, {"question_prior": False}, {"query_bias": True}, {"key_blocks": 4}]
)
def test_save_and_load(tmp_path: Path, options: dict[str, Any]) -> None:
    adapter = Adapter(config(length_scale=100.0, retrieval_layer=0, **options), {"seed": 3, "data": "小"})
    adapter.save(tmp_path / "new" / "folder")
    again = Adapter.load(tmp_path / "new" / "folder")
    assert again.config == adapter.config
    assert again.provenance == {"seed": 3, "data": "小"}
    assert all(torch.equal(value, adapter.state_dict()[name]) for name, value in again.state_dict().items())
    assert not any(parameter.requires_grad for parameter in again.parameters())
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [
        "adapter.json",
        "adapter.safetensors",
    ]


def test_saving_again_replaces_and_half_precision_loads_as_float32(tmp_path: Path) -> None:
    Adapter(config()).save(tmp_path)
    second = Adapter(config(top_k=7)).bfloat16()
    second.save(tmp_path)
    again = Adapter.load(tmp_path)
    assert again.config.top_k == 7
    assert again.key_weight.dtype == torch.float32
    torch.testing.assert_close(again.key_weight, second.key_weight.float())


def saved(directory: Path) -> tuple[Path, Path]:
    Adapter(config()).save(directory)
    return directory / "adapter.safetensors", directory / "adapter.json"


def refusal(directory: Path) -> str:
    with pytest.raises(ModelError) as caught:
        Adapter.load(directory)
    message = str(caught.value)
    assert str(directory) in message
    assert "\n" not in message
    return message


def test_damaged_files_are_refused_in_one_sentence(tmp_path: Path) -> None:
    assert "adapter.json is missing" in refusal(tmp_path / "nowhere")
    weights, description = saved(tmp_path)
    whole = weights.read_bytes()
    for length in (0, 5, 100, len(whole) - 1):
        weights.write_bytes(whole[:length])
        assert "cut short" in refusal(tmp_path)
    weights.unlink()
    assert "adapter.safetensors is missing" in refusal(tmp_path)
    weights.write_bytes(whole)

    record = json.loads(description.read_text(encoding="utf-8"))
    for text, words in (
        ("{", "cannot be read as JSON"),
        ("[]", "format_version"),
        (json.dumps(record | {"format_version": 99}), "format_version 99"),
        (json.dumps(record | {"config": None}), "adapter options"),
        (json.dumps(record | {"config": record["config"] | {"colour": 1}}), "colour"),
        (json.dumps(record | {"config": {"encoder": "x"}}), "cannot be used"),
        (json.dumps(record | {"config": record["config"] | {"heads": 4}}), "does not fit"),
        (json.dumps(record | {"config": record["config"] | {"heads": 0}}), "heads"),
        (json.dumps(record | {"config": record["config"] | {"heads": "two"}}), "heads"),
        (json.dumps(record | {"config": record["config"] | {"knowledge_layers": 3}}), "knowledge_layers"),
    ):
        description.write_text(text, encoding="utf-8")
        assert words in refusal(tmp_path)


def test_contradictions_are_refused_at_construction() -> None:
    for wrong in (
        {"knowledge_layers": ()},
        {"knowledge_layers": (2, 1)},
        {"knowledge_layers": (1, 1)},
        {"knowledge_layers": (-1, 1)},
        {"retrieval_layer": 2},
        {"top_k": 0},
        {"length_scale": 0.0},
        {"key_blocks": 1},
    ):
        with pytest.raises(ModelError):
            config(**wrong)
    assert config(knowledge_layers=[0, 2]).knowledge_layers == (0, 2)
    assert AdapterConfig(**asdict(config())) == config()


def test_an_adapter_of_other_shapes_does_not_fit() -> None:
    model = tiny_model("Llama")
    good = tiny_adapter(model).config
    with pytest.raises(ModelError, match="hidden_size 7"):
        Adapter.for_model(model, replace(good, hidden_size=7))
    with pytest.raises(ModelError, match="heads 3"):
        Adapter.for_model(model, replace(good, heads=3))
    with pytest.raises(UnsupportedModelError, match=r"layers \[9\].*\[0, 1, 2\]"):
        Adapter.for_model(model, replace(good, knowledge_layers=(1, 9)))


def test_question_updates_are_kept_and_change_questions_only(tmp_path: Path) -> None:
    encoder = load_encoder("all-MiniLM-L6-v2")
    adapter = tiny_adapter(tiny_model())
    assert adapter.question_encoder(encoder) is encoder
    name = "encoder.layer.0.attention.self.query"
    adapter.question_updates = {name: (torch.randn(2, 384) / 20, torch.randn(384, 2))}
    adapter.save(tmp_path)
    again = Adapter.load(tmp_path)
    before = encoder.encode(["Where is it?"])
    asked = again.question_encoder(encoder).encode(["Where is it?"])
    assert again.question_encoder(encoder) is again.question_encoder(load_encoder("all-MiniLM-L6-v2"))
    assert abs(asked - before).max() > 1e-3 and (encoder.encode(["Where is it?"]) == before).all()
    again.question_updates = {}
    again.save(tmp_path)
    assert Adapter.load(tmp_path).question_updates == {}


def test_files_are_there_for_all_who_may_read_the_folder(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"x")
    adapter = tiny_adapter(tiny_model())
    adapter.question_updates = {"layer": (torch.zeros(2, 3), torch.zeros(3, 2))}
    adapter.save(tmp_path)
    modes = {path.name: path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 4 and len(set(modes.values())) == 1, modes


def test_question_updates_for_another_encoder_are_refused() -> None:
    adapter = tiny_adapter(tiny_model())
    for name, shape in (("no.such.layer", 384), ("encoder.layer.0.attention.self.query", 100)):
        adapter.question_updates = {name: (torch.ones(2, shape), torch.ones(384, 2))}
        with pytest.raises(EncoderError, match="do not fit"):
            adapter.question_encoder(load_encoder("all-MiniLM-L6-v2"))
