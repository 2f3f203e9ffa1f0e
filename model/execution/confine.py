"""Give up every right but to compute, then become the program; run by `model.execution` alone.

    python -I -S confine.py '{"folder": …, "readable": […], …}' PROGRAM ARGUMENT…

The program can read system files and those of `readable`, and write into `folder`. It has:
- no other process: it cannot fork, signal, trace or change another (seccomp), so that nothing
  outlives it and killing it ends it all; threads it may start;
- no network, no Unix sockets, no shared memory or queues that outlive it (seccomp);
- no files outside its folder: opening, making, removing (Landlock, Linux 5.13 and later), nor
  modes, owners, times and attributes, of which Landlock knows nothing (seccomp);
- limits of memory, processor time, file size and open files (rlimits); no capabilities for root.
None of it needs privileges. If a step fails, it is written to the file descriptor `report`, and the
program is not started. Standard library only: it must start fast.
"""

import ctypes
import errno
import json
import os
import resource
import struct
import sys
from typing import Any

# <linux/prctl.h>, <linux/capability.h>
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
CAPABILITY_VERSION_3 = 0x20080522
CAPABILITIES = 64

# <linux/landlock.h>; the system calls have these numbers on every architecture.
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
LANDLOCK_CREATE_RULESET_VERSION, LANDLOCK_RULE_PATH_BENEATH = 1, 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
#: Rights that a kernel's version of Landlock knows: the first 13, then REFER, TRUNCATE, IOCTL_DEV.
RIGHTS_OF_VERSION = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}

SYSTEM = (
    "/bin", "/lib", "/lib32", "/lib64", "/sbin", "/usr", "/opt", "/nix/store", "/proc",
    "/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime", "/etc/ssl",
    "/sys/devices/system/cpu", "/sys/fs/cgroup", "/sys/kernel/mm",
)  # fmt: skip
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

# <seccomp.h>
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
NOT_EQUAL, MASKED_EQUAL = 1, 7
CLONE_THREAD = 0x00010000
READ_AND_TRUNCATE = (os.O_TRUNC | os.O_ACCMODE, os.O_TRUNC | os.O_RDONLY)

#: Answered with "not permitted" (or not implemented, where the C library then knows another way).
FORBIDDEN = {
    "processes": "fork vfork ptrace tkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_open"
    " pidfd_send_signal pidfd_getfd process_vm_readv process_vm_writev process_madvise kcmp setns"
    " unshare setpriority ioprio_set sched_setattr sched_setparam sched_setscheduler",
    "network": "socket connect bind sendmsg sendmmsg io_uring_setup io_uring_enter"
    " io_uring_register",
    "what outlives a process": "shmget msgget semget mq_open memfd_create memfd_secret keyctl"
    " add_key request_key",
    "files, beside what Landlock knows": "chmod fchmod fchmodat fchmodat2 chown fchown lchown"
    " fchownat utime utimes futimesat utimensat setxattr lsetxattr fsetxattr setxattrat removexattr"
    " lremovexattr fremovexattr removexattrat file_setattr truncate flock mount umount2 move_mount"
    " open_tree fsopen fsconfig fsmount fspick pivot_root chroot swapon swapoff quotactl"
    " quotactl_fd name_to_handle_at open_by_handle_at fanotify_init",
    "the kernel": "bpf perf_event_open userfaultfd reboot kexec_load kexec_file_load init_module"
    " finit_module delete_module acct settimeofday clock_settime adjtimex clock_adjtime sethostname"
    " setdomainname syslog vhangup lookup_dcookie",
}


class Argument(ctypes.Structure):
    """struct scmp_arg_cmp"""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


def limit(config: dict[str, Any]) -> None:
    """Memory in bytes counts what may be written to; `address_space` also what is only reserved."""
    for kind, value in (
        (resource.RLIMIT_CPU, config["seconds"]),
        (resource.RLIMIT_DATA, config["memory"]),
        (resource.RLIMIT_AS, config["address_space"]),
        (resource.RLIMIT_FSIZE, config["file_size"]),
        (resource.RLIMIT_NOFILE, config["open_files"]),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def drop_capabilities(libc: ctypes.CDLL) -> None:
    """Root without capabilities owns its files and little else."""
    for capability in range(CAPABILITIES):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # only root can, only root needs to
    header = struct.pack("Ii", CAPABILITY_VERSION_3, 0)
    checked(libc.capset(header, bytes(24)), "capset")
    checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def restrict_files(libc: ctypes.CDLL, readable: list[str], folder: str) -> None:
    version = libc.syscall(LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_CREATE_RULESET_VERSION)
    if version < 1:
        raise OSError(errno.ENOSYS, "this kernel has no Landlock (Linux 5.13 and later have)")
    every = (1 << RIGHTS_OF_VERSION.get(version, 16)) - 1
    rules = struct.pack("Q", every)
    ruleset = libc.syscall(LANDLOCK_CREATE_RULESET, rules, len(rules), 0)
    checked(ruleset, "Landlock")
    rights = {
        **dict.fromkeys((*SYSTEM, *readable), EXECUTE | READ_FILE | READ_DIR),
        **dict.fromkeys(DEVICES, READ_FILE | WRITE_FILE),
        folder: every,
    }
    for path, allowed in rights.items():
        if not os.path.exists(path):
            continue
        if not os.path.isdir(path):
            allowed &= EXECUTE | READ_FILE | WRITE_FILE
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = struct.pack("=Qi", allowed, opened)
        added = libc.syscall(LANDLOCK_ADD_RULE, ruleset, LANDLOCK_RULE_PATH_BENEATH, rule, 0)
        checked(added, f"Landlock, {path}")
        os.close(opened)
    checked(libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0), "Landlock")
    os.close(ruleset)


def restrict_calls() -> None:
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError as error:
        raise OSError(errno.ENOENT, "libseccomp is missing (Debian: libseccomp2)") from error
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    library.seccomp_rule_add_array.argtypes = (
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(Argument),
    )  # fmt: skip
    library.seccomp_load.argtypes = (ctypes.c_void_p,)
    rules = library.seccomp_init(ALLOW)

    def forbid(call: str, error: int, *condition: int) -> None:
        """`condition`: which argument, comparison, one or two values."""
        number = library.seccomp_syscall_resolve_name(call.encode())
        if number == -1:
            return  # newer than this libseccomp
        arguments = (Argument * 1)(Argument(*condition)) if condition else None
        failed = library.seccomp_rule_add_array(
            rules, ERRNO | error, number, 1 if condition else 0, arguments
        )
        # EDOM, EACCES: a call that this architecture does not have.
        if failed and -failed not in (errno.EDOM, errno.EACCES, errno.EOPNOTSUPP):
            raise OSError(-failed, f"seccomp rule for {call}")

    own = os.getpid()
    for calls in FORBIDDEN.values():
        for call in calls.split():
            forbid(call, errno.EPERM)
    forbid("clone", errno.EPERM, 0, MASKED_EQUAL, CLONE_THREAD, 0)
    forbid("clone3", errno.ENOSYS)  # its flags are out of sight; the C library goes on to clone
    for call in ("kill", "tgkill"):
        forbid(call, errno.EPERM, 0, NOT_EQUAL, own)
    forbid("sendto", errno.EPERM, 4, NOT_EQUAL, 0)  # what a socketpair has no need of
    forbid("prlimit64", errno.EPERM, 0, NOT_EQUAL, 0)
    # Emptying a file that is only read needs no right to write before version 3 of Landlock.
    forbid("open", errno.EPERM, 1, MASKED_EQUAL, *READ_AND_TRUNCATE)
    forbid("openat", errno.EPERM, 2, MASKED_EQUAL, *READ_AND_TRUNCATE)
    forbid("openat2", errno.ENOSYS)
    failed = library.seccomp_load(rules)
    if failed:
        raise OSError(-failed, f"seccomp: {os.strerror(-failed)}")


def checked(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def main() -> None:
    config, argv = json.loads(sys.argv[1]), sys.argv[2:]
    os.set_inheritable(config["report"], False)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0)
        os.chdir(config["folder"])
        if config["confined"]:
            drop_capabilities(libc)
            restrict_files(libc, config["readable"], config["folder"])
        limit(config)
        if config["confined"]:
            restrict_calls()
        os.execve(argv[0], argv, config["environment"])
    except OSError as error:
        os.write(config["report"], (error.strerror or str(error)).encode())
        os._exit(126)


main()
