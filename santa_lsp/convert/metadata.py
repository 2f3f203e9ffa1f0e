"""What the files of a model say of its special tokens, for santa_lsp.families.forms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from santa_lsp.convert.files import find, read_json

#: GGUF's keys of special tokens, and the parts of a prompt's form.
GGUF_TOKENS = {
    "prefix_token_id": "fim_prefix",  # the first three as older files have them
    "suffix_token_id": "fim_suffix",
    "middle_token_id": "fim_middle",
    "fim_pre_token_id": "fim_prefix",
    "fim_suf_token_id": "fim_suffix",
    "fim_mid_token_id": "fim_middle",
    "fim_pad_token_id": "fim_pad",
    "fim_rep_token_id": "repository",
    "fim_sep_token_id": "file",
}
#: Keys of our own, which other programs leave alone: how a model of ours was taught.
GGUF_PATH_COMMENT, GGUF_FIM_ORDER = "santa.path_comment", "santa.fim_order"


def said_by_gguf(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Tokens that a GGUF file's metadata numbers."""
    tokens: list[str] = metadata["tokenizer.ggml.tokens"]

    def token(key: str) -> str | None:
        number = metadata.get(f"tokenizer.ggml.{key}")
        return tokens[number] if isinstance(number, int) and 0 <= number < len(tokens) else None

    ends = (token(f"{kind}_token_id") for kind in ("eos", "eot", "eom"))
    named = (metadata.get(f"general.{key}") for key in ("name", "basename", "organization"))
    order = metadata.get(GGUF_FIM_ORDER)
    return {
        **({"fim_order": order} if order else {}),
        **{part: found for key, part in GGUF_TOKENS.items() if (found := token(key))},
        "end_tokens": [end for end in ends if end],
        "name": " ".join(str(each) for each in named if each),
        "pre_tokenizer": metadata.get("tokenizer.ggml.pre"),
    }


def said_by_files(
    config: Mapping[str, Any], folders: list[Path], tokenizer: Tokenizer
) -> dict[str, Any]:
    """Special tokens, as transformers' configurations name or number them."""
    ids: list[Any] = []
    for each in (config, read_json(find(folders, "generation_config.json"))):
        end = each.get("eos_token_id")
        ids += end if isinstance(end, list) else [end]
    # A number of another vocabulary, which some configurations have, must not make text an end.
    added = tokenizer.get_added_tokens_decoder()
    said: dict[str, Any] = {
        "end_tokens": [added[number].content for number in ids if number in added]
    }
    if "fim_order" in config:
        said["fim_order"] = config["fim_order"]
    settings = read_json(find(folders, "tokenizer_config.json"))
    if isinstance(settings.get("add_bos_token"), bool):
        bos = settings.get("bos_token")
        token = bos.get("content") if isinstance(bos, dict) else bos
        said["bos_token"] = token if settings["add_bos_token"] else None
    return said


def said_by_card(card: Mapping[str, Any]) -> dict[str, Any]:
    """An installed model keeps the form it has."""
    said: dict[str, Any] = {}
    if "prompt_format" in card:
        said["prompt_format"] = card["prompt_format"]
        said["end_tokens"] = card.get("stop_tokens", [])
        said["bos_token"] = card.get("bos_token")
    return said
