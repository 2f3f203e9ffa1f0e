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
    """A licence that a user accepts; `restrictions` is a summary, empty without restrictions."""

    name: str
    url: str
    restrictions: str = ""


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A repository of the Hugging Face hub that we have converted."""

    hub_id: str
    parameters: float
    languages: tuple[str, ...]
    licence: Licence


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
_SANTA = ("python", "java", "javascript")
_STACK = ("more than 80",)

CATALOGUE = {
    model.hub_id: model
    for model in (
        KnownModel("bigcode/gpt_bigcode-santacoder", 1.1e9, _SANTA, CODEML),
        KnownModel("bigcode/santacoder", 1.1e9, _SANTA, CODEML),
        KnownModel("bigcode/tiny_starcoder_py", 164e6, ("python",), BIGCODE),
        KnownModel("bigcode/starcoderbase-1b", 1.1e9, _STACK, BIGCODE),
        KnownModel("bigcode/starcoderbase-3b", 3e9, _STACK, BIGCODE),
        KnownModel("bigcode/starcoderbase-7b", 7.3e9, _STACK, BIGCODE),
        KnownModel("bigcode/starcoder", 15.5e9, _STACK, BIGCODE),
    )
}
