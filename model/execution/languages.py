"""Python, JavaScript and Java, as far as this machine has them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from model.execution import SECONDS, ExecutionError, Language, Limits

#: Imported by every Java problem of MultiPL-E.
JAVATUPLES = "/usr/share/java/javatuples.jar"
_JVM = (
    "-Xmx512m",
    "-Xss8m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:CompressedClassSpaceSize=64m",
    "-XX:ReservedCodeCacheSize=64m",
    "-XX:-UsePerfData",
)


def python() -> Language:
    """The interpreter that runs this, without its packages."""
    executable = os.path.realpath(sys.executable)
    return Language(
        "python",
        "program.py",
        ((executable, "-I", "-S", "-B", "program.py"),),
        end="print('{token}')",
        readable=(sys.base_prefix,),
    )


def javascript() -> Language:
    node = _find("node", "Node.js")
    return Language(
        "javascript",
        "program.js",
        ((str(node), "program.js"),),
        end="console.log('{token}')",
        readable=(str(node.parents[1]),),
        limits=Limits(address_space=16 << 30),
    )


def java() -> Language:
    """javac and java of one JDK; assertions are on."""
    javac = _find("javac", "a JDK")
    tuples = os.environ.get("JAVATUPLES", JAVATUPLES)
    if not Path(tuples).is_file():
        raise ExecutionError(
            f"Java problems import javatuples, which is not at {tuples} "
            "(Debian: libjavatuples-java; or set JAVATUPLES to the jar)"
        )
    run = [str(javac.with_name("java")), *_JVM, "-ea", "-cp", f".:{tuples}", "Problem"]
    options = [f"-J{option}" for option in _JVM]
    compile_ = [str(javac), *options, "-nowarn", "-proc:none", "-cp", tuples, "Problem.java"]
    configured = [str(path) for path in Path("/etc").glob("java*")]
    return Language(
        "java",
        "Problem.java",
        (tuple(compile_), tuple(run)),
        readable=(str(javac.parents[1]), os.path.realpath(tuples), tuples, *configured),
        limits=Limits(address_space=8 << 30),
    )


LANGUAGES: dict[str, Callable[[], Language]] = {
    "python": python,
    "javascript": javascript,
    "java": java,
}


def find(name: str, seconds: int = SECONDS) -> Language:
    """A language with a time limit. Raises ExecutionError when the machine does not have it."""
    language = LANGUAGES[name]()
    return replace(language, limits=replace(language.limits, seconds=seconds))


def _find(command: str, what: str) -> Path:
    found = shutil.which(command)
    if found is None:
        raise ExecutionError(f"{what} is not on this machine: there is no {command} in PATH")
    return Path(os.path.realpath(found))
