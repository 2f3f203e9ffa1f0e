"""The corpus from its manifest to its shards, with clients that the tests put on PATH."""

from __future__ import annotations

import errno
import gzip
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from model.corpus import CorpusError, Document, iter_documents
from model.corpus.__main__ import main
from model.corpus.build import build
from model.corpus.documents import Corpus, write_shards
from model.corpus.fetch import sha256_of
from model.corpus.manifest import DEFAULT_MANIFEST, read_manifest
from tests.support.registry import APACHE, Registry, java_source, js_source, python_source, wheel

TASK = "return the sum of all the even numbers that stand at odd positions of a list"


@pytest.fixture
def full(registry: Registry) -> Registry:
    """A registry with a project of each kind."""
    registry.pypi(
        "apples",
        {
            "apples/tree.py": python_source("tree"),
            "apples/_vendor/six.py": python_source("six"),
            "apples-1.0.dist-info/LICENSE": "Copyright (c) 2020 Ada Lovelace\nMIT\n",
        },
    )
    registry.npm(
        "@fruit/pears",
        {"src/pear.mjs": js_source("pear"), "test/pear.js": js_source("peeled")},
        extra=', only=["src"]',
    )
    registry.debian("cherries", {"src/Cherry.java": java_source("Cherry")})
    return registry


def test_every_document_says_where_it_is_from(full: Registry) -> None:
    assert full.build() == 0
    assert set(full.documents) == {
        ("apples", "apples/tree.py"),
        ("@fruit/pears", "src/pear.mjs"),
        ("cherries", "src/Cherry.java"),
    }
    assert full.documents["cherries", "src/Cherry.java"] == Document(
        text=java_source("Cherry"),
        language="java",
        package="cherries",
        version="1:3.0-1",
        registry="debian",
        licence="Apache-2.0",
        path="src/Cherry.java",
    )


def test_the_table_counts_what_was_kept_and_what_was_removed(
    full: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    full.pypi("more", {"more/tree.py": python_source("tree"), "more/a.py": python_source("leaf")})
    assert full.build() == 0
    size = len(python_source("tree").encode()) + len(python_source("leaf").encode())
    assert full.table["languages"]["python"] == {"MIT": {"files": 2, "bytes": size}}
    assert full.table["removed"] == {"exact duplicate": 1, "vendored": 1}
    assert full.table["evaluation"] is None
    row = next(row for row in full.table["packages"] if row["package"] == "more")
    assert (row["files"], row["removed"]) == (1, {"exact duplicate": 1})
    printed = capsys.readouterr().out
    assert ["python", "MIT", "2", "0.0"] in [line.split() for line in printed.splitlines()]
    assert "exact duplicate" in printed


def test_the_notice_names_licences_and_copyright_holders(full: Registry) -> None:
    assert full.build() == 0
    notice = (full.out / "NOTICE").read_text()
    assert "apples 1.0 (pypi): MIT\n    Copyright (c) 2020 Ada Lovelace\n" in notice
    assert "cherries 1:3.0-1 (debian): Apache-2.0\n    Copyright (c) 2021 Cherry" in notice


def test_the_notice_has_every_licence_text_once(full: Registry) -> None:
    full.debian("damsons", {"src/Damson.java": java_source("Damson")}, text=f"  {APACHE}")
    full.debian("nothing", {"src/A.java": ""}, text="not this one")
    assert full.build() == 0
    notice = (full.out / "NOTICE").read_text()
    assert notice.count(APACHE.strip()) == 1
    users = "cherries 1:3.0-1 (debian), LICENSE.txt\ndamsons 1:3.0-1 (debian), LICENSE.txt\n"
    assert users in notice
    assert "not this one" not in notice


def test_clients_never_run_code_of_a_package(full: Registry) -> None:
    assert full.build() == 0
    pip = next(call for call in full.calls if call.startswith("python"))
    assert "-m pip download" in pip
    assert "--only-binary=:all:" in pip
    assert "--no-deps" in pip
    assert "--ignore-scripts" in next(call for call in full.calls if call.startswith("npm"))
    assert "--download-only" in next(call for call in full.calls if call.startswith("apt-get"))


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_same_inputs_give_the_same_bytes(full: Registry, tmp_path: Path) -> None:
    assert full.build() == 0
    assert full.build("--jobs", "2", out=tmp_path / "again") == 0
    assert shards(full.out) == shards(tmp_path / "again")
    assert set(shards(full.out)) == {
        "shard-00000.jsonl.zst",
        "corpus.json", "NOTICE",
    }  # fmt: skip


def test_the_order_of_the_manifest_does_not_order_the_shards(
    registry: Registry, tmp_path: Path
) -> None:
    for name in ("plum", "quince", "rowan", "sloe", "tamarind"):
        registry.pypi(name, {f"{name}.py": python_source(name)})
    assert registry.build() == 0
    registry.rows.reverse()
    assert registry.build(out=tmp_path / "again") == 0
    shard = "shard-00000.jsonl.zst"
    assert shards(registry.out)[shard] == shards(tmp_path / "again")[shard]


def test_a_second_build_downloads_nothing(full: Registry) -> None:
    assert full.build() == 0
    n_calls = len(full.calls)
    assert full.build() == 0
    assert len(full.calls) == n_calls == 3


def test_a_stopped_build_resumes_with_what_is_missing(full: Registry) -> None:
    assert full.build("--only", "apples") == 0
    assert full.build() == 0
    assert len([call for call in full.calls if "apples" in call]) == 1


def test_a_failed_fetch_is_an_error_unless_it_may_be_skipped(
    full: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    full.list("debian", "gone", "9-1", "MIT", "0" * 64)
    assert full.build() == 1
    error = capsys.readouterr().err
    assert "1 of 4 projects could not be fetched" in error
    assert "python -m model.corpus pin debian gone" in error
    assert not full.out.exists()
    assert full.build("--skip-missing") == 0
    assert len(full.documents) == 3


def test_apt_without_source_packages(full: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    message = "E: You must put some 'deb-src' URIs in your sources.list"
    (full.root / "error").write_text(message)
    assert full.build("--only", "cherries") == 1
    error = capsys.readouterr().err
    assert "Types: deb deb-src" in error
    assert "apt-get update" in error


def test_a_missing_client_is_named(
    full: Registry, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert full.build("--only", "@fruit/pears") == 1
    assert "needs npm" in capsys.readouterr().err


def test_an_archive_of_another_hash_is_refused(
    full: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    row = full.rows[0]
    start = row.index('sha256="') + 8
    full.rows[0] = row[:start] + "0" * 64 + '" },'
    assert full.build() == 1
    assert f"the manifest says {'0' * 64}" in capsys.readouterr().err


def test_an_archive_of_another_version_is_refused(
    registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = wheel(registry.folder("odd=1.0") / "odd-1.1-py3-none-any.whl", {})
    registry.list("pypi", "odd", "1.0", "MIT", sha256_of(archive))
    assert registry.build() == 1
    assert "brought 1.1 for 1.0" in capsys.readouterr().err


def test_a_damaged_archive_is_an_error(full: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    folder = full.folder("broken=1.0")
    archive = folder / "broken-1.0-py3-none-any.whl"
    archive.write_bytes(b"damaged")
    full.list("pypi", "broken", "1.0", "MIT", sha256_of(archive))
    assert full.build() == 1
    assert "delete it and build again" in capsys.readouterr().err
    assert not full.out.exists()


def test_near_duplicates_across_packages_are_removed_and_the_first_stays(
    full: Registry,
) -> None:
    full.pypi("later", {"later/t.py": python_source("tree").replace("tree_7", "branch")})
    assert full.build() == 0
    assert full.table["removed"]["near duplicate"] == 1
    assert ("apples", "apples/tree.py") in full.documents


@pytest.fixture
def eval_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "eval" / "humaneval"
    folder.mkdir(parents=True)
    with gzip.open(folder / "tasks.jsonl.gz", "wt") as lines:
        lines.write(json.dumps({"id": 7, "tests": [{"prompt": TASK}]}) + "\n")
    return folder.parent


COPIED = {"b/stolen.py": python_source("stolen") + f"# {TASK}\n"}


def test_files_with_evaluation_text_are_removed(
    full: Registry, eval_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full.pypi("b", COPIED)
    assert full.build("--eval-dir", str(eval_dir)) == 0
    assert ("b", "b/stolen.py") not in full.documents
    assert full.table["removed"]["evaluation overlap"] == 1
    assert full.table["evaluation"] == {"humaneval/tasks.jsonl.gz": {"runs": 4, "files": 1}}
    row = next(row for row in full.table["packages"] if row["package"] == "b")
    assert row["contaminated"] == {
        "b/stolen.py": {"words": " ".join(TASK.split()[:13]), "sets": ["humaneval/tasks.jsonl.gz"]}
    }
    output = capsys.readouterr().out
    assert re.search(r"^humaneval/tasks\.jsonl\.gz +4 +1$", output, re.MULTILINE)


def test_the_evaluation_folder_can_come_from_the_environment(
    full: Registry, eval_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SANTA_EVAL_DIR", str(eval_dir))
    full.pypi("b", COPIED)
    assert full.build("--jobs", "2") == 0
    assert full.table["removed"]["evaluation overlap"] == 1


def test_without_evaluation_data_it_warns(
    full: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert full.build() == 0
    captured = capsys.readouterr()
    assert "not decontaminated" in captured.err
    assert "not decontaminated" in captured.out


@pytest.mark.parametrize("content", [None, b"not gzip"])
def test_bad_evaluation_data_is_an_error(
    content: bytes | None, full: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    if content:
        (folder / "tasks.jsonl.gz").write_bytes(content)
    assert full.build("--eval-dir", str(folder)) == 1
    assert str(folder) in capsys.readouterr().err


def test_check_finds_what_a_build_let_in(
    full: Registry, eval_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full.pypi("b", COPIED)
    assert full.build() == 0
    check = ["check", str(full.out), "--eval-dir", str(eval_dir)]
    assert main([*check, "--manifest", str(full.manifest)]) == 1
    assert "pypi:b b/stolen.py: return the sum" in capsys.readouterr().out
    assert full.build("--eval-dir", str(eval_dir)) == 0
    assert main([*check, "--manifest", str(full.manifest)]) == 0
    full.manifest.write_text('held_out = ["npm:@fruit/pears"]\n')
    assert main([*check, "--manifest", str(full.manifest)]) == 1
    assert "npm:@fruit/pears src/pear.mjs: held out" in capsys.readouterr().out


def test_held_out_projects_are_never_trained_on(
    full: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert full.build(held_out='["pypi:apples"]') == 1
    assert "never trained on: pypi:apples" in capsys.readouterr().err
    assert not full.downloads.exists()
    assert full.build(held_out='["pypi:oranges"]') == 0
    assert "held out, never trained on: pypi:oranges" in capsys.readouterr().out


def test_a_folder_that_is_no_corpus_is_left_alone(
    full: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    full.out.mkdir()
    (full.out / "thesis.txt").write_text("years of work")
    assert full.build() == 1
    assert "something other than a corpus" in capsys.readouterr().err
    assert not full.downloads.exists()
    with pytest.raises(CorpusError, match="something other than a corpus"):
        build(full.out, [], None)
    assert (full.out / "thesis.txt").read_text() == "years of work"


def test_a_failed_build_leaves_the_older_corpus(full: Registry) -> None:
    assert full.build() == 0
    before = shards(full.out)
    full.rows.clear()
    full.pypi("empty", {"a.py": ""})
    assert full.build() == 1
    assert shards(full.out) == before
    assert full.build("--only", "nothing") == 1


def test_a_full_disk_leaves_the_older_corpus(
    full: Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert full.build() == 0
    before = shards(full.out)

    def full_disk(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full_disk)
        full.pypi("more", {"more.py": python_source("more")})
        assert full.build() == 1
    error = capsys.readouterr().err
    assert "No space left on device" in error
    assert "left as it was" in error
    assert shards(full.out) == before
    assert full.build() == 0
    assert ("more", "more.py") in full.documents


def test_pin_prints_a_line_that_the_manifest_takes(
    registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.npm("@fruit/pears", {"a.js": js_source("a")}, licence="MIT")
    registry.debian("cherries", {"A.java": java_source("A")})
    (registry.root / "@fruit+pears=2.0.0").rename(registry.root / "@fruit+pears")
    (registry.root / "cherries=1:3.0-1").rename(registry.root / "cherries")
    for kind, name, row in zip(
        ("npm", "debian"), ("@fruit/pears", "cherries"), registry.rows, strict=True
    ):
        assert main(["pin", kind, name]) == 0
        assert capsys.readouterr().out.split() == row.split()


ROW = '{ registry="pypi", name="a", version="1", licence="MIT", sha256="' + "0" * 64 + '" }'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("projects = [", "not valid TOML"),
        (f"projects = [{ROW}, {ROW}]", "listed twice: pypi:a"),
        (f"projects = [{ROW.replace('MIT', 'GPL-3.0')}]", "not a permissive licence"),
        (f"projects = [{ROW.replace('pypi', 'cran')}]", "unknown registry"),
        (f"projects = [{ROW.replace('0', '')}]", "needs the archive's sha256"),
        (f"projects = [{ROW.replace('name', 'nom')}]", "an entry has registry, name"),
        ("projects = [" + ROW.replace('version="1"', "version=1") + "]", "every value is a string"),
    ],
)
def test_a_bad_manifest_is_an_error_that_names_the_entry(
    text: str, message: str, tmp_path: Path
) -> None:
    manifest = tmp_path / "corpus.toml"
    manifest.write_text(text)
    with pytest.raises(CorpusError, match=message):
        read_manifest(manifest)


def test_our_own_manifest_is_good() -> None:
    manifest = read_manifest(DEFAULT_MANIFEST)
    registries = {project.registry for project in manifest.projects}
    assert registries == {"pypi", "npm", "debian", "python-stdlib"}
    assert manifest.held_out


def test_the_standard_library_is_a_source(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "python3"
    for name in ("shutil.py", "site-packages/other.py"):
        (library / name).parent.mkdir(parents=True, exist_ok=True)
        (library / name).write_text(python_source(Path(name).stem))
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(library))
    registry.rows.append(
        '{ registry="python-stdlib", name="python-stdlib", version="3", licence="PSF-2.0" }'
    )
    assert registry.build() == 0
    document = registry.documents["python-stdlib", "shutil.py"]
    assert len(registry.documents) == 1
    assert document.version == ".".join(map(str, sys.version_info[:3]))


def own_repository(folder: Path) -> Path:
    files = {
        "app.py": python_source("app"),
        "secret.py": python_source("secret"),
        "out/gen.py": python_source("gen"),
        "lib/deep/skip.js": js_source("skip"),
        "lib/deep/keep.js": js_source("keep"),
        ".gitignore": "secret.py\n/out/\n",
        "lib/.gitignore": "skip.js\n",
        "notes.txt": "no source",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "link.py").symlink_to(folder / "app.py")
    return folder


def with_git(folder: Path) -> None:
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    (folder / "private.py").write_text(python_source("private"))
    (folder / ".git" / "info").mkdir(exist_ok=True)
    (folder / ".git" / "info" / "exclude").write_text("private.py\n")  # a rule only git knows


@pytest.mark.parametrize("prepare", [with_git, lambda folder: None], ids=["git", "plain"])
def test_a_folder_of_ones_own_follows_its_ignore_rules(
    prepare: Callable[[Path], None], registry: Registry, tmp_path: Path
) -> None:
    folder = own_repository(tmp_path / "mine")
    prepare(folder)
    assert registry.build("--from-dir", str(folder)) == 0
    assert set(registry.documents) == {("mine", "app.py"), ("mine", "lib/deep/keep.js")}
    document = registry.documents["mine", "app.py"]
    assert (document.registry, document.licence) == ("local", None)
    assert registry.table["languages"]["python"]["own"]["files"] == 1
    same = {(document.package, document.path) for document in iter_documents(folder)}
    assert same == set(registry.documents)


def test_what_is_no_text_or_too_large_is_left_out(registry: Registry, tmp_path: Path) -> None:
    folder = own_repository(tmp_path / "mine")
    (folder / "latin.py").write_bytes(python_source("latin").encode() + b"# caf\xe9\n")
    (folder / "large.py").write_text(python_source("large") + "# more and more\n" * 2**16)
    assert registry.build("--from-dir", str(folder)) == 0
    assert set(registry.documents) == {("mine", "app.py"), ("mine", "lib/deep/keep.js")}
    assert registry.table["removed"] == {"not UTF-8": 1}


def test_a_folder_without_sources_is_an_error(
    registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def error(folder: Path) -> str:
        assert registry.build("--from-dir", str(folder)) == 1
        assert not registry.out.exists()
        return capsys.readouterr().err

    assert "is not a folder" in error(tmp_path / "nowhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("no source")
    assert "no .py, .java, .js, .mjs, .cjs file found" in error(empty)
    (empty / "a.py").write_text("a = 1\n")
    assert "passed the filters, nothing to write: too short 1" in error(empty)


def test_the_working_state_of_a_repository_counts(registry: Registry, tmp_path: Path) -> None:
    """Files that git still tracks but that are gone, new files, a part of a repository."""
    folder = tmp_path / "mine"
    own_repository(folder)
    with_git(folder)
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    (folder / "gone.py").write_text(python_source("gone"))
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "all"], check=True)
    (folder / "gone.py").unlink()
    (folder / "lib" / "new.py").write_text(python_source("new"))
    assert registry.build("--from-dir", str(folder)) == 0
    names = {path for _, path in registry.documents}
    assert names == {"app.py", "lib/new.py", "lib/deep/keep.js"}
    assert registry.build("--from-dir", str(folder / "lib")) == 0
    assert set(registry.documents) == {("lib", "new.py"), ("lib", "deep/keep.js")}


def test_own_code_is_kept_whatever_its_licence_and_comments(
    registry: Registry, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "gpl.py").write_text("# GNU General Public License\n" + python_source("gpl"))
    (folder / "bare.py").write_text("value = compute(other, values)\n" * 20)
    assert registry.build("--from-dir", str(folder)) == 0
    assert set(registry.documents) == {("mine", "gpl.py"), ("mine", "bare.py")}


def test_own_folders_and_projects_together(full: Registry, tmp_path: Path) -> None:
    folder = own_repository(tmp_path / "mine")
    assert full.build("--from-dir", str(folder), "--only", "apples") == 0
    assert {package for package, _ in full.documents} == {"mine", "apples"}


def test_tokens_are_counted_with_a_tokenizer(
    full: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import tokenizers

    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    n_tokens = len(java_source("Cherry").split())
    for command in (["build"], ["build", "--tokenizer"], ["table"], ["table", "--tokenizer"]):
        tokenizer_option = [*command[1:], *[str(tmp_path / "tokenizer.json")] * (len(command) - 1)]
        if command[0] == "build":
            assert full.build(*tokenizer_option) == 0
        else:
            assert main(["table", str(full.out), *tokenizer_option]) == 0
        printed = capsys.readouterr().out
        counted = command != ["build"]
        assert full.table["languages"]["java"]["Apache-2.0"].get("tokens") == (
            n_tokens if counted else None
        )
        assert (f"{n_tokens}\n" in printed) == counted


def test_a_bad_tokenizer_is_an_error(
    full: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert full.build("--tokenizer", str(tmp_path / "nowhere.json")) == 1
    assert "nowhere.json" in capsys.readouterr().err


def test_iter_documents_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="does not exist"):
        list(iter_documents(tmp_path / "nowhere"))
    with pytest.raises(CorpusError, match=r"no \.py, \.java, \.js, \.mjs, \.cjs file"):
        list(iter_documents(tmp_path))


@pytest.mark.parametrize("damage", [lambda data: b"damaged" + data, lambda data: data[:-50]])
def test_a_damaged_shard_is_an_error(full: Registry, damage: Callable[[bytes], bytes]) -> None:
    assert full.build() == 0
    shard = full.out / "shard-00000.jsonl.zst"
    content = shard.read_bytes()
    shard.write_bytes(damage(content))
    with pytest.raises(CorpusError, match=r"shard-00000\.jsonl\.zst is damaged"):
        list(iter_documents(full.out))


def test_shards_have_a_size_and_keep_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.corpus.documents.SHARD_BYTES", 1000)
    documents = [
        Document(f"{i}\u2028é\r" * 50, "python", "p", "1", "pypi", "MIT", f"{i}.py")
        for i in range(30)
    ]
    names = write_shards(tmp_path, (document.to_json() for document in documents))
    assert len(names) == 15
    (tmp_path / "corpus.json").write_text('{"languages": {}}')
    corpus = Corpus(tmp_path)
    assert list(corpus) == list(corpus) == documents
    (tmp_path / names[0]).unlink()  # a subset is a corpus too
    assert list(corpus) == documents[2:]
