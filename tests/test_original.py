from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from kblam.errors import ModelError
from kblam.models.active import ActiveKnowledge, Recorder
from kblam.models.adapter import Adapter
from kblam.models.inject import inject
from kblam.models.original import load_original

GOLDEN = Path(__file__).parent / "golden"
FOLDERS = ["original-llama", "original-phi3"]


def load_base(folder: str, implementation: str = "sdpa") -> Any:
    config = AutoConfig.from_pretrained(GOLDEN / folder / "base")
    model = AutoModelForCausalLM.from_config(config, attn_implementation=implementation)
    missing, _ = model.load_state_dict(load_file(GOLDEN / folder / "checkpoint" / "model.safetensors"), strict=False)
    assert not missing
    return model.eval()


def expected(folder: str) -> dict[str, torch.Tensor]:
    with np.load(GOLDEN / folder / "expected.npz", allow_pickle=False) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def adapter_of(folder: str, checkpoint: Path | None = None, encoder: Path | None = None) -> Adapter:
    root = GOLDEN / folder
    return load_original(root / "base", checkpoint or root / "checkpoint", encoder or root / "encoder")


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("folder", FOLDERS)
@torch.no_grad()
def test_logits_are_those_of_the_original(folder: str, implementation: str) -> None:
    model, golden, adapter = load_base(folder, implementation), expected(folder), adapter_of(folder)
    ids, mask = golden["input_ids"], golden["attention_mask"]
    tokens, options = mask.bool(), {"attention_mask": mask}
    injection = inject(model, adapter)
    latents = adapter.latents(golden["key_embeddings"], golden["value_embeddings"])
    assert adapter.config.length_scale == 100

    torch.testing.assert_close(model(ids, **options).logits[tokens], golden["logits_no_kb"][tokens], atol=1e-4, rtol=0)
    with injection.attend(ActiveKnowledge(latents)):
        scaled = model(ids, **options).logits
    torch.testing.assert_close(scaled[tokens], golden["logits_kb_scale100"][tokens], atol=1e-4, rtol=0)

    adapter.config = dataclasses.replace(adapter.config, length_scale=None)
    recorder = Recorder(layers=(0,), every_position=True)
    with injection.attend(ActiveKnowledge(latents), recorder):
        unscaled = model(ids, **options).logits
    torch.testing.assert_close(unscaled[tokens], golden["logits_kb"][tokens], atol=1e-4, rtol=0)
    weights = recorder.attention[0][0].weights().transpose(1, 2)[tokens]
    torch.testing.assert_close(weights, golden["attn_l0"][..., :23].transpose(1, 2)[tokens], atol=1e-5, rtol=0)


@pytest.mark.parametrize("folder", FOLDERS)
@torch.no_grad()
def test_context_columns_of_layer_0_share_what_knowledge_leaves(folder: str) -> None:
    model, golden, adapter = load_base(folder, "eager"), expected(folder), adapter_of(folder)
    ids, mask = golden["input_ids"], golden["attention_mask"]
    plain = model(ids, attention_mask=mask, output_attentions=True).attentions[0].transpose(1, 2)[mask.bool()]
    adapter.config = dataclasses.replace(adapter.config, length_scale=None)
    recorder = Recorder(layers=(0,), every_position=True)
    latents = adapter.latents(golden["key_embeddings"], golden["value_embeddings"])
    with inject(model, adapter).attend(ActiveKnowledge(latents), recorder):
        model(ids, attention_mask=mask)
    # Layer 0 reads the same hidden states with and without knowledge.
    left = 1 - recorder.attention[0][0].weights().sum(-1, keepdim=True).transpose(1, 2)[mask.bool()]
    wanted = golden["attn_l0"][..., 23:].transpose(1, 2)[mask.bool()]
    torch.testing.assert_close(plain * left, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("folder", FOLDERS)
@torch.no_grad()
def test_greedy_continuation_is_that_of_the_original(folder: str) -> None:
    model, golden, adapter = load_base(folder), expected(folder), adapter_of(folder)
    latents = adapter.latents(golden["key_embeddings"], golden["value_embeddings"])
    with inject(model, adapter).attend(ActiveKnowledge(latents)):
        ids, mask = golden["input_ids"][:1], golden["attention_mask"][:1]
        tokens = model.generate(ids, attention_mask=mask, max_new_tokens=12, do_sample=False, eos_token_id=None)
    assert torch.equal(tokens, golden["greedy"])


def same(left: Adapter, right: Adapter) -> bool:
    theirs = right.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in left.state_dict().items())


def test_shards_pickled_weights_and_a_loaded_base_give_the_same_adapter(tmp_path: Path) -> None:
    folder = "original-llama"
    wanted = adapter_of(folder)
    tensors = load_file(GOLDEN / folder / "checkpoint" / "model.safetensors")
    names = sorted(tensors)
    shards = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for kind in ("shards", "bin", "bin_shards"):
        (tmp_path / kind).mkdir()
        shutil.copy(GOLDEN / folder / "checkpoint" / "kb_config_explicit.json", tmp_path / kind)
    torch.save(tensors, tmp_path / "bin" / "pytorch_model.bin")
    for file, part in shards.items():
        save_file({name: tensors[name] for name in part}, tmp_path / "shards" / file)
        torch.save({name: tensors[name] for name in part}, tmp_path / "bin_shards" / f"{file}.bin")
    for kind, stem, end in (("shards", "model.safetensors", ""), ("bin_shards", "pytorch_model.bin", ".bin")):
        weight_map = {name: file + end for file, part in shards.items() for name in part}
        (tmp_path / kind / f"{stem}.index.json").write_text(json.dumps({"weight_map": weight_map}), encoding="utf-8")
    for kind in ("shards", "bin", "bin_shards"):
        assert same(adapter_of(folder, checkpoint=tmp_path / kind), wanted)
    from_model = load_original(load_base(folder), tmp_path / "bin", GOLDEN / folder / "encoder")
    assert same(from_model, wanted)


def test_atlaskv_names_are_read(tmp_path: Path) -> None:
    folder = "original-phi3"
    tensors = load_file(GOLDEN / folder / "checkpoint" / "model.safetensors")
    renamed = {name.replace("q_proj_new", "q_proj_kg"): tensor for name, tensor in tensors.items()}
    save_file(renamed, tmp_path / "model.safetensors")
    shutil.copy(GOLDEN / folder / "checkpoint" / "kb_config_explicit.json", tmp_path)
    encoder = torch.load(GOLDEN / folder / "encoder" / "encoder.pt", weights_only=True)
    names = {"projector_k": "key_projector", "projector_v": "value_projector"}
    torch.save(
        {names.get(key.split(".")[0], "other") + "." + key.split(".")[1]: value for key, value in encoder.items()},
        tmp_path / "encoder.pt",
    )
    assert same(adapter_of(folder, checkpoint=tmp_path, encoder=tmp_path), adapter_of(folder))


def test_imported_adapter_survives_save_and_load(tmp_path: Path) -> None:
    adapter = adapter_of("original-llama")
    adapter.save(tmp_path)
    again = Adapter.load(tmp_path)
    assert same(again, adapter)
    assert again.config == adapter.config
    assert again.config.encoder == "text-embedding-ada-002"
    assert again.provenance["options"]["kb_scale_factor"] == 100


class Payload:
    def __reduce__(self) -> Any:
        return (print, ("executed",))


def test_unfit_files_are_refused_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = GOLDEN / "original-llama"
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"kb_config_explicit\.json is missing"):
        adapter_of("original-llama", checkpoint=tmp_path / "empty")
    with pytest.raises(ModelError, match=r"encoder\.pt is missing"):
        adapter_of("original-llama", encoder=tmp_path / "empty")
    torch.save({"projector_k.weight": Payload()}, tmp_path / "encoder.pt")
    with pytest.raises(ModelError, match="more than tensors"):
        adapter_of("original-llama", encoder=tmp_path)
    assert "executed" not in capsys.readouterr().out

    shutil.copy(root / "checkpoint" / "kb_config_explicit.json", tmp_path)
    with pytest.raises(ModelError, match="neither"):
        adapter_of("original-llama", checkpoint=tmp_path)
    whole = (root / "checkpoint" / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="cut short"):
        adapter_of("original-llama", checkpoint=tmp_path)
    with pytest.raises(ModelError, match="another model"):
        load_original(GOLDEN / "original-phi3" / "base", root / "checkpoint", root / "encoder")
    (tmp_path / "kb_config_explicit.json").write_text(
        '{"kb_layer_frequency": 3, "sep_query_head": false}', encoding="utf-8"
    )
    (tmp_path / "model.safetensors").write_bytes(whole)
    with pytest.raises(ModelError, match="sep_query_head"):
        adapter_of("original-llama", checkpoint=tmp_path)
