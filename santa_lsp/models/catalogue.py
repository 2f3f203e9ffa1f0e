"""The published models of SantaCoder's family: what people are told before they download one."""

from __future__ import annotations

from dataclasses import dataclass

#: Our words, not the licence's; the link leads to the text that binds.
OPENRAIL_RESTRICTIONS = (
    "The licence forbids certain uses. These restrictions travel with the weights and with "
    "everything made from them, converted and fine-tuned models included: who passes them on "
    "passes on the restrictions."
)


@dataclass(frozen=True, slots=True)
class Licence:
    """What a user accepts; `restrictions` is a summary, empty when there is none to make."""

    name: str
    url: str
    restrictions: str = ""


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A repository of the Hugging Face hub that is known to convert."""

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
