"""What int8 computation costs the embedded model, and the ids of SantaCoder's own tokenizer."""

from __future__ import annotations

import json.decoder
import os
import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from benchmarks.int8_quality import compare
from santa_lsp.families.prompt import HYPHEN, find_dialect
from santa_lsp.models import embedded_directory, machine

#: A tokenizer.json with SantaCoder's vocabulary, where there is one.
TOKENIZER = os.environ.get("SANTA_LSP_SANTACODER_TOKENIZER", "")


#: Without VNNI, AMX or their like, sums of two products saturate at 16 bits.
EXACT = machine.instruction_sets()[:1] not in ([], ["avx2"], ["avx512f"])


def test_int8_computation_changes_little() -> None:
    text = Path(json.decoder.__file__).read_text() + Path(shutil.__file__).read_text()[:10_000]
    found = compare(embedded_directory(), embedded_directory(), text)
    assert found["tokens"] > 3000
    assert found["perplexity_float32"] < 1000
    assert abs(found["perplexity_change"]) <= (0.005 if EXACT else 0.03)
    assert found["argmax_agreement"] >= (0.95 if EXACT else 0.9)


@pytest.mark.skipif(not TOKENIZER, reason="SANTA_LSP_SANTACODER_TOKENIZER names no tokenizer.json")
def test_golden_ids_of_santacoders_tokenizer() -> None:
    tokenizer = Tokenizer.from_file(TOKENIZER)
    ids = tokenizer.encode("def fibonnaci(", add_special_tokens=False).ids
    assert ids == [563, 24240, 78, 2658, 64, 2819, 7]
    assert tokenizer.token_to_id("<|endoftext|>") == 49152
    found = find_dialect(tokenizer.token_to_id)
    assert found is not None
    assert found[0] == HYPHEN
