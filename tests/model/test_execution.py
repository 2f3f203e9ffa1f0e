"""What a program can do in the sandbox, and above all what not. The real programs really run."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from model import execution
from model.execution import ExecutionError, Language, Outcome, Sandbox, languages

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="programs are run on Linux only")
PYTHON = languages.find("python", seconds=1)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        try:
            made.check()
        except ExecutionError as error:
            if "has no Landlock" in str(error) or "libseccomp is missing" in str(error):
                pytest.skip(str(error))  # an old kernel, a bare machine
            raise
        yield made


@pytest.fixture
def precious(tmp_path: Path) -> Iterator[Path]:
    """A file of the user's; what is in its folder must be the same afterwards."""
    file = tmp_path / "precious.txt"
    file.write_text("precious")
    file.chmod(0o640)
    before = file.stat()
    yield file
    assert file.read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    after = file.stat()
    assert (after.st_mode, after.st_uid, after.st_mtime) == (
        before.st_mode,
        before.st_uid,
        before.st_mtime,
    )


def installed(name: str) -> Language:
    try:
        return languages.find(name)
    except ExecutionError as error:
        pytest.skip(str(error))


def refused(outcome: Outcome, *words: str) -> None:
    """The program failed by itself, at the thing it must not do."""
    assert outcome.verdict == "failed"
    assert any(word in outcome.output for word in words), outcome.output


def test_a_program_passes_only_after_its_last_line(sandbox: Sandbox) -> None:
    assert sandbox.run(PYTHON, "print(6 * 7)") == Outcome("passed", "42")
    assert sandbox.run(PYTHON, "assert 1 == 2").verdict == "failed"
    assert sandbox.run(PYTHON, "import sys; sys.exit(0)").verdict == "failed"
    assert sandbox.run(PYTHON, "import os; os._exit(0)").verdict == "failed"
    assert "SyntaxError" in sandbox.run(PYTHON, "def").output


def test_a_program_can_use_its_own_folder(sandbox: Sandbox) -> None:
    text = "open('a', 'w').write('x')\nimport os\nos.mkdir('b'); os.rename('a', 'b/a')\n"
    assert sandbox.run(PYTHON, text + "assert open('b/a').read() == 'x'").passed


ENDLESS = {
    "loops": "while True: pass",
    "sleeps": "import time; time.sleep(60)",
    "ignores signals": "import signal\nfor n in range(1, 32):\n"
    "    try: signal.signal(n, signal.SIG_IGN)\n    except OSError: pass\nwhile True: pass",
    "loops in threads": "import threading\ndef f():\n    while True: pass\n"
    "for _ in range(9): threading.Thread(target=f, daemon=True).start()\nf()",
}


def test_what_never_ends_is_ended(sandbox: Sandbox) -> None:
    started = time.monotonic()
    with Sandbox(confined=False) as open_box, ThreadPoolExecutor(len(ENDLESS) + 1) as pool:
        forks = pool.submit(open_box.run, PYTHON, "import os; os.fork()\nwhile True: pass")
        outcomes = pool.map(lambda text: sandbox.run(PYTHON, text), ENDLESS.values())
        verdicts = dict(zip(ENDLESS, (outcome.verdict for outcome in outcomes), strict=True))
        # Without confinement the limit of time is still there, and for the whole group.
        assert forks.result().verdict == "timed out"
    assert verdicts == dict.fromkeys(ENDLESS, "timed out")
    assert time.monotonic() - started < 30  # generous: the machine may be busy


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos.fork()",
        "import os\nwhile True:\n    os.fork()",
        "import subprocess\nsubprocess.run(['/bin/true'])",
        "import os\nos.posix_spawn('/bin/true', ['true'], {})",
        "import os\nos.kill(os.getppid(), 9)",
        "import os\nos.kill(-1, 9)",
        "import os\nos.killpg(os.getpgid(os.getppid()), 9)",
        "import os\nos.setpriority(os.PRIO_USER, os.getuid(), 19)",
        "import os, resource\nresource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))",
        "import ctypes\nlibc = ctypes.CDLL(None, use_errno=True)\n"
        "assert libc.unshare(0x10000000) == 0, f'PermissionError {ctypes.get_errno()}'",
    ],
    ids=lambda text: text.split("\n")[-1].strip(),
)
def test_other_processes_are_out_of_reach(sandbox: Sandbox, text: str) -> None:
    refused(sandbox.run(PYTHON, text), "PermissionError")


@pytest.mark.parametrize(
    "text",
    [
        "x = bytearray(3 << 30)",
        "x = []\nwhile True: x.append(bytearray(1 << 24))",
        "import mmap\nx = [mmap.mmap(-1, 1 << 30) for _ in range(4)]",
        "import os\nos.memfd_create('x')",
        "open('/dev/shm/x', 'w')",
        "import threading, time\n"
        "for _ in range(2000): threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
    ],
    ids=["at once", "bit by bit", "shared", "in a file of memory", "in /dev/shm", "with threads"],
)
def test_memory_is_limited(sandbox: Sandbox, text: str) -> None:
    said = ("MemoryError", "PermissionError", "Cannot allocate", "can't start new thread")
    limits = replace(languages.find("python").limits, memory=1 << 28, address_space=1 << 29)
    refused(sandbox.run(replace(PYTHON, limits=limits), text), *said)


def test_disk_space_is_limited(sandbox: Sandbox) -> None:
    refused(sandbox.run(PYTHON, "open('a', 'wb').write(bytes(1 << 28))"), "File too large")
    many = "import itertools\nfor n in itertools.count(): open(str(n), 'wb').write(bytes(1 << 23))"
    refused(sandbox.run(languages.find("python"), many), "wrote too much")
    refused(sandbox.run(PYTHON, "while True: print('x' * 100000)"), "x")


@pytest.mark.parametrize(
    "text",
    [
        "open(path, 'w')",
        "open(path, 'a')",
        "open(path + '2', 'w')",
        "open(os.path.dirname(path) + '/./new', 'x')",
        "os.remove(path)",
        "os.rename(path, path + '2')",
        "os.rename(path, 'mine')",
        "os.truncate(path, 0)",
        "os.open(path, os.O_RDONLY | os.O_TRUNC)",
        "os.chmod(path, 0)",
        "os.chown(path, 1, 1)",
        "os.utime(path, (0, 0))",
        "os.setxattr(path, 'user.a', b'a')",
        "os.mkdir(path + '2')",
        "os.symlink(path, path + '2')",
        "os.link(path, 'mine')",
        "os.symlink(path, 'mine'); open('mine', 'w')",
        "os.mkfifo(path + '2')",
        "open(path)",
        "os.listdir(os.path.dirname(path))",
        "open('/etc/passwd')",
        "open('/proc/%d/environ' % os.getppid())",
        "open('/proc/%d/mem' % os.getppid(), 'r+b')",
    ],
)
def test_the_files_of_the_user_are_out_of_reach(
    sandbox: Sandbox, precious: Path, text: str
) -> None:
    outcome = sandbox.run(PYTHON, f"import os\npath = {str(precious)!r}\n{text}")
    refused(outcome, "PermissionError", "Invalid cross-device link", "Operation not supported")


@pytest.mark.parametrize(
    "text",
    [
        "socket.create_connection(('127.0.0.1', 1))",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "socket.socket(socket.AF_INET6)",
        "socket.socket(socket.AF_UNIX)",
        "socket.socketpair(type=socket.SOCK_DGRAM)[0].sendto(b'x', '/run/systemd/journal/socket')",
        "socket.socketpair(type=socket.SOCK_DGRAM)[0].connect('/run/systemd/journal/socket')",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    ],
)
def test_there_is_no_network(sandbox: Sandbox, text: str) -> None:
    refused(sandbox.run(PYTHON, f"import socket\n{text}"), "PermissionError")


def test_javascript_is_confined_too(sandbox: Sandbox, precious: Path) -> None:
    node = installed("javascript")
    assert sandbox.run(node, "process.exit(0)").verdict == "failed"
    text = f"""
        const why = f => {{ try {{ f(); return 'done' }} catch (error) {{ return error.code }} }}
        console.log(why(() => require('fs').writeFileSync('{precious}', '')))
        console.log(require('child_process').spawnSync('/bin/true').error.code)
        require('net').connect(1, '127.0.0.1').on('error', error => console.log(error.code))
    """
    outcome = sandbox.run(node, text)
    assert outcome.passed
    assert outcome.output.split() == ["EACCES", "EPERM", "EPERM"]


@pytest.mark.slow
def test_javascript_has_limited_memory(sandbox: Sandbox) -> None:
    node = installed("javascript")
    refused(sandbox.run(node, "x = []; while (true) x.push(new Array(1e6).fill(1))"), "memory")


def test_java_is_confined_too(sandbox: Sandbox, precious: Path) -> None:
    text = f"""
        import org.javatuples.*;
        class Problem {{
            interface Deed {{ void run() throws Exception; }}
            static void why(Deed deed) {{
                try {{ deed.run(); System.out.println("done"); }}
                catch (Throwable error) {{ System.out.println(error); }}
            }}
            public static void main(String[] a) {{
                why(() -> {{ assert Pair.with(1, 2).getValue0() == 1; }});
                why(() -> {{ assert 1 == 2; }});
                why(() -> java.nio.file.Files.writeString(java.nio.file.Path.of("{precious}"), ""));
                why(() -> new java.net.Socket("127.0.0.1", 1));
                why(() -> new ProcessBuilder("/bin/true").start());
            }}
        }}
    """
    outcome = sandbox.run(installed("java"), text)
    assert outcome.passed, outcome.output
    assert outcome.output.split("\n")[:2] == ["done", "java.lang.AssertionError"]
    assert "AccessDenied" in outcome.output
    assert outcome.output.count("not permitted") == 2
    assert "error:" in sandbox.run(installed("java"), "class").output


def test_a_machine_that_cannot_confine_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = execution.CONFINE.read_text()
    for text, other, words in (
        ("LANDLOCK_RESTRICT_SELF = 444,", "LANDLOCK_RESTRICT_SELF = 4440,", "has no Landlock"),
        ("libseccomp.so.2", "libnone.so.2", "libseccomp is missing"),
    ):
        assert text in source
        script = tmp_path / "confine.py"
        script.write_text(source.replace(text, other))
        monkeypatch.setattr(execution, "CONFINE", script)
        with Sandbox() as sandbox, pytest.raises(ExecutionError, match=words):
            sandbox.check()
        with Sandbox(confined=False) as sandbox:
            assert sandbox.run(PYTHON, "1").passed


def test_a_language_that_is_not_here_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ExecutionError, match=r"Node\.js is not on this machine"):
        languages.find("javascript")
    with pytest.raises(ExecutionError, match="a JDK is not on this machine"):
        languages.find("java")


def test_what_is_wrong_with_a_command_is_not_the_programs_fault(sandbox: Sandbox) -> None:
    broken = replace(PYTHON, commands=(("/no/such/program",),))
    with pytest.raises(ExecutionError, match="cannot be set up"):
        sandbox.run(broken, "1")
