"""The published models that `models list` suggests, with their licences."""

from __future__ import annotations

from dataclasses import dataclass

#: A summary in our words; the text behind the licence's link is the one that binds.
OPENRAIL_RESTRICTIONS = (
    "The licence forbids certain uses. These restrictions also hold for everything made from the "
    "weights, such as converted and fine-tuned models. If you pass any of it on, pass on the "
    "restrictions with it."
)


@dataclass(frozen=True, slots=True)
class Licence:
    """A licence that a user accepts.

    `restrictions` is a summary, empty without restrictions; `use` says in a word or two what the
    model must not be used for, where that rules most users out.
    """

    name: str
    url: str
    restrictions: str = ""
    use: str = ""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes on which a model's speed depends; names as in santa_lsp.families.architecture."""

    n_layer: int
    n_embd: int
    n_inner: int
    n_head: int
    n_kv_head: int
    gated: bool = True


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A repository of the Hugging Face hub, of a family that converts.

    `fim` is the share in percent of single lines that the model completes exactly, the mean over
    Python, Java and JavaScript (HumanEval-FIM, first line, as published by Qwen2.5-Coder's authors,
    arXiv:2409.12186; SantaCoder's own paper scores the whole answer); None where none is published.
    """

    hub_id: str
    parameters: float
    languages: tuple[str, ...]
    licence: Licence
    shape: Shape
    fim: int | None = None

    @property
    def memory(self) -> float:
        """Bytes of its weights in int8."""
        return self.parameters * 1.05  # scales, norms and biases


CODEML = Licence(
    "CodeML OpenRAIL-M v0.1",
    "https://huggingface.co/spaces/bigcode/license",
    OPENRAIL_RESTRICTIONS,
)
BIGCODE = Licence(
    "BigCode OpenRAIL-M v1",
    "https://huggingface.co/spaces/bigcode/bigcode-model-license-agreement",
    OPENRAIL_RESTRICTIONS,
)
APACHE = Licence("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0")
MIT = Licence("MIT", "https://opensource.org/license/mit")
QWEN_RESEARCH = Licence(
    "Qwen Research",
    "https://huggingface.co/Qwen/Qwen2.5-Coder-3B/blob/main/LICENSE",
    "The licence allows research and evaluation, and no commercial use.",
    "research only",
)
DEEPSEEK = Licence(
    "DeepSeek License",
    "https://github.com/deepseek-ai/DeepSeek-Coder/blob/main/LICENSE-MODEL",
    "The licence forbids certain uses, also of models made from the weights.",
)
MISTRAL_NON_PRODUCTION = Licence(
    "Mistral AI Non-Production License",
    "https://mistral.ai/licenses/MNPL-0.1.md",
    "The licence allows testing, research and evaluation, and no use in production.",
    "not for production",
)
_SANTA = ("python", "java", "javascript")
_MANY = ("many",)

CATALOGUE = {
    model.hub_id: model
    for model in (
        KnownModel(
            "Qwen/Qwen2.5-Coder-0.5B", 0.494e9, _MANY, APACHE, Shape(24, 896, 4864, 14, 2), 76
        ),
        KnownModel(
            "Qwen/Qwen2.5-Coder-1.5B", 1.54e9, _MANY, APACHE, Shape(28, 1536, 8960, 12, 2), 83
        ),
        KnownModel(
            "Qwen/Qwen2.5-Coder-3B", 3.09e9, _MANY, QWEN_RESEARCH, Shape(36, 2048, 11008, 16, 2)
        ),
        KnownModel(
            "Qwen/Qwen2.5-Coder-7B", 7.62e9, _MANY, APACHE, Shape(28, 3584, 18944, 28, 4), 86
        ),
        KnownModel(
            "deepseek-ai/deepseek-coder-1.3b-base",
            1.35e9,
            _MANY,
            DEEPSEEK,
            Shape(24, 2048, 5504, 16, 16),
            80,
        ),
        KnownModel(
            "bigcode/starcoder2-3b",
            3.03e9,
            _MANY,
            BIGCODE,
            Shape(30, 3072, 12288, 24, 2, False),
            79,
        ),
        KnownModel(
            "ibm-granite/granite-3b-code-base-2k",
            3.48e9,
            _MANY,
            APACHE,
            Shape(32, 2560, 10240, 32, 32),
        ),
        KnownModel(
            "JetBrains/Mellum-4b-base", 4.02e9, _MANY, APACHE, Shape(30, 3072, 8256, 24, 24)
        ),
        KnownModel(
            "ByteDance-Seed/Seed-Coder-8B-Base",
            8.25e9,
            _MANY,
            MIT,
            Shape(32, 4096, 14336, 32, 8),
        ),
        KnownModel(
            "mistralai/Codestral-22B-v0.1",
            22.2e9,
            _MANY,
            MISTRAL_NON_PRODUCTION,
            Shape(56, 6144, 16384, 48, 8),
        ),
        KnownModel(
            "bigcode/gpt_bigcode-santacoder",
            1.12e9,
            _SANTA,
            CODEML,
            Shape(24, 2048, 8192, 16, 1, False),
            55,
        ),
        KnownModel(
            "bigcode/santacoder", 1.12e9, _SANTA, CODEML, Shape(24, 2048, 8192, 16, 1, False), 55
        ),
        KnownModel(
            "bigcode/tiny_starcoder_py",
            164e6,
            ("python",),
            BIGCODE,
            Shape(20, 768, 3072, 12, 1, False),
        ),
        KnownModel(
            "bigcode/starcoderbase-1b", 1.14e9, _MANY, BIGCODE, Shape(24, 2048, 8192, 16, 1, False)
        ),
        KnownModel(
            "bigcode/starcoderbase-3b", 3.04e9, _MANY, BIGCODE, Shape(36, 2816, 11264, 22, 1, False)
        ),
        KnownModel(
            "bigcode/starcoderbase-7b", 7.3e9, _MANY, BIGCODE, Shape(42, 4096, 16384, 32, 1, False)
        ),
        KnownModel(
            "bigcode/starcoder", 15.5e9, _MANY, BIGCODE, Shape(40, 6144, 24576, 48, 1, False)
        ),
    )
}
