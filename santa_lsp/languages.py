"""The table of programming languages, a row each.

A language without a row is completed with the defaults of `Language`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

_BRACKETS = ("{", "(", "[")


@dataclass(frozen=True, slots=True)
class Language:
    """`name` is LSP's identifier, `suffixes` are those of its files.

    `comment` opens a comment that ends with its line. A line that ends with one of `block_openers`
    opens a block. The block ends at a closing bracket, at one of the lines `block_closers`, or by
    its indentation. `grammar` is the Python package with the tree-sitter grammar. `taught_as` is
    the language's name in the path comments that our models have learned, if not its own.
    """

    name: str
    suffixes: tuple[str, ...] = ()
    comment: str = "//"
    block_openers: tuple[str, ...] = (*_BRACKETS, ":", "=>", "->")
    block_closers: tuple[str, ...] = ("end",)
    grammar: str = ""
    taught_as: str = ""


_C_LIKE = _BRACKETS
_ARROW = (*_BRACKETS, "=>")
_LAMBDA = (*_BRACKETS, "->")
_COLON = (*_BRACKETS, ":")

LANGUAGES = {
    language.name: language
    for language in (
        Language("python", (".py", ".pyi"), "#", _COLON, (), "tree_sitter_python"),
        Language("java", (".java",), "//", _LAMBDA, (), "tree_sitter_java"),
        Language("javascript", (".js", ".mjs", ".cjs"), "//", _ARROW, (), "tree_sitter_javascript"),
        Language("javascriptreact", (".jsx",), "//", _ARROW, (), taught_as="javascript"),
        Language("typescript", (".ts", ".mts", ".cts"), "//", _ARROW, (), taught_as="javascript"),
        Language("typescriptreact", (".tsx",), "//", _ARROW, (), taught_as="javascript"),
        Language("go", (".go",), "//", _C_LIKE, ()),
        Language("rust", (".rs",), "//", _ARROW, ()),
        Language("c", (".c", ".h"), "//", _C_LIKE, ()),
        Language("cpp", (".cpp", ".cc", ".cxx", ".hpp", ".hh", ".hxx"), "//", _C_LIKE, ()),
        Language("csharp", (".cs",), "//", _ARROW, ()),
        Language("php", (".php",), "//", _ARROW, ()),
        Language("ruby", (".rb",), "#", (*_BRACKETS, "do", "then", "else", "begin"), ("end",)),
        Language("swift", (".swift",), "//", _C_LIKE, ()),
        Language("kotlin", (".kt", ".kts"), "//", _LAMBDA, ()),
        Language("scala", (".scala",), "//", (*_COLON, "=>", "="), ()),
        Language("dart", (".dart",), "//", _ARROW, ()),
        Language("lua", (".lua",), "--", (*_BRACKETS, "do", "then", "else"), ("end",)),
        Language("shellscript", (".sh", ".bash"), "#", ("{", "(", "then", "do"), ("fi", "done")),
        Language("powershell", (".ps1",), "#", _C_LIKE, ()),
        Language("perl", (".pl", ".pm"), "#", _C_LIKE, ()),
        Language("r", (".r",), "#", _C_LIKE, ()),
        Language("julia", (".jl",), "#", (*_BRACKETS, "begin", "else", "do"), ("end",)),
        Language("elixir", (".ex", ".exs"), "#", (*_BRACKETS, "do", "->", "else"), ("end",)),
        Language("haskell", (".hs",), "--", (*_BRACKETS, "where", "do", "of", "="), ()),
        Language("zig", (".zig",), "//", _ARROW, ()),
        Language("sql", (".sql",), "--", ("(",), ()),
        Language("html", (".html", ".htm"), "<!--", (">", *_BRACKETS), ()),
        Language("css", (".css",), "/*", _C_LIKE, ()),
        Language("scss", (".scss",), "//", _C_LIKE, ()),
        Language("json", (".json",), "//", _C_LIKE, ()),
        Language("yaml", (".yaml", ".yml"), "#", _COLON, ()),
        Language("toml", (".toml",), "#", _BRACKETS, ()),
        Language("markdown", (".md",), "<!--", _BRACKETS, ()),
    )
}

#: Other names than LSP's, lower case: of models' cards, and of editors (Neovim's file types).
_SPELLINGS = {
    "bash": "shellscript",
    "c#": "csharp",
    "c++": "cpp",
    "cs": "csharp",
    "golang": "go",
    "javascript.jsx": "javascriptreact",
    "js": "javascript",
    "ps1": "powershell",
    "sh": "shellscript",
    "shell": "shellscript",
    "ts": "typescript",
    "typescript.tsx": "typescriptreact",
    "zsh": "shellscript",
}
_BY_SUFFIX = {suffix: each.name for each in LANGUAGES.values() for suffix in each.suffixes}


def language(name: str) -> Language:
    """The row of an LSP identifier; the defaults under that name if there is none."""
    return LANGUAGES.get(name) or Language(name)


def language_of(path: str) -> str:
    """LSP identifier by the name of a file; `"plaintext"` when its suffix is unknown."""
    _, dot, suffix = path.rpartition(".")
    return _BY_SUFFIX.get(dot + suffix.lower(), "plaintext")


def known_languages(names: Iterable[str]) -> tuple[str, ...]:
    """LSP identifiers of the languages that a model's card names, in any of their usual spellings.

    Empty when it names none of the table ("code", "more than 80"): the model may know any.
    """
    found = (identifier(name.lower()) for name in names)
    return tuple(dict.fromkeys(name for name in found if name in LANGUAGES))


def identifier(name: str) -> str:
    """LSP's identifier of a language that an editor or a model's card may call otherwise."""
    return _SPELLINGS.get(name, name)


def includes(names: Collection[str], name: str) -> bool:
    """Whether a language is among `names`, itself or (`javascriptreact`) with its markup.

    `*` stands for all, and so does an empty list.
    """
    return not names or "*" in names or name in names or name.removesuffix("react") in names


def opens_block(name: str, line: str) -> bool:
    """Whether a line of that language ends with a block opener."""
    end = line.rstrip()
    for opener in language(name).block_openers:
        if end.endswith(opener):
            before = end[: -len(opener)]
            # A word such as `do` counts only as a whole word.
            return not (opener.isalpha() and (before[-1:].isalnum() or before.endswith("_")))
    return False
