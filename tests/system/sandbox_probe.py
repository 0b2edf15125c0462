"""Tries what a unit's process can and cannot do; run inside the unit, as one who has taken it over.

Prints one JSON object: for each probe "done", or the error that stopped it; and the
sockets that take a connection. Each probe is a process of its own. Strange numbers
are those of Linux's ABI.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import glob
import json
import mmap
import os
import signal
import socket
import sqlite3
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path

OUTSIDE = "192.0.2.1"
"""This host's address on an interface that is not loopback."""
SECONDS = 3.0
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
PTRACE_SEIZE = 0x4206
MS_REMOUNT, MS_BIND = 0x20, 0x1000
BAD_ARGUMENTS = {errno.EINVAL, errno.EFAULT, errno.EBADF, errno.ENOEXEC}
"""The kernel's answer to arguments that mean nothing, from one who would be allowed to."""
SYSTEM_CALLS = {"x86_64": {"bpf": 321, "finit_module": 313, "perf_event_open": 298}}
WHOAMI = "/usr/local/bin/whoami-"


def call(name, *arguments):
    """A function of the C library. OSError when it is refused."""
    if getattr(LIBC, name)(*arguments) < 0 and ctypes.get_errno() not in BAD_ARGUMENTS:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def system_call(name, *arguments):
    call("syscall", SYSTEM_CALLS[os.uname().machine][name], *arguments)


def run(*command):
    """What a program prints. OSError when it fails."""
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise OSError(f"status {done.returncode}: {said[-200:]}")
    return done.stdout


def write(directory):
    file = Path(directory, f".sandbox-probe-{os.getpid()}")
    file.write_text("x")
    file.unlink()


def append(file):
    with open(file, "ab"):
        pass


def read(path):
    with open(path, "rb") as file:
        file.read(1)


def talk(address, port=25):
    """A connection that is answered."""
    with socket.create_connection((address, port), SECONDS) as connection:
        connection.settimeout(SECONDS)
        if not connection.recv(4).startswith(b"220"):
            raise OSError("no answer")


def send_udp(address):
    """A datagram that arrives."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(SECONDS)
        sender.connect((address, 7))
        sender.send(b"x")
        sender.recv(1)


def open_socket(family, kind, protocol=0):
    socket.socket(family, kind, protocol).close()


def bind(port):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))


def connect(path):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        with socket.socket(socket.AF_UNIX, kind) as one:
            one.settimeout(SECONDS)
            try:
                one.connect(path)
            except OSError as error:
                last = error
                continue
            return
    raise last


@contextlib.contextmanager
def new_file():
    file = Path(f"/tmp/sandbox-probe-{os.getpid()}")
    file.write_bytes(b"")
    try:
        yield file
    finally:
        file.unlink()


def set_user_bit():
    with new_file() as file:
        file.chmod(0o4755)


def give_away():
    with new_file() as file:
        os.chown(file, 1, 1)


def other_user(program):
    """A program that is to run as its owner."""
    if run(program, "-u") == run("/usr/bin/id", "-u"):
        raise OSError("runs as who starts it")


def no_capability():
    lines = Path("/proc/self/status").read_text().splitlines()
    found = dict(line.split(":\t") for line in lines if ":\t" in line)
    held = [name for name in found if name.startswith("Cap") and int(found[name], 16)]
    if held or found["NoNewPrivs"] != "1" or found["Seccomp"] != "2":
        raise OSError(f"{held}, NoNewPrivs {found['NoNewPrivs']}, Seccomp {found['Seccomp']}")


def write_and_execute():
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def execute_what_was_written():
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    page.write(b"\xc3")
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    call("mprotect", ctypes.c_void_p(address), 4096, mmap.PROT_READ | mmap.PROT_EXEC)


def process_of(user, name):
    """A process outside, whether it can be seen or not: the test has written its number."""
    return int(Path(f"/usr/local/lib/sandbox-{user}-{name}").read_text())


def trace(process):
    call("ptrace", PTRACE_SEIZE, process, None, None)


def read_memory(process):
    with open(f"/proc/{process}/mem", "rb"):
        pass


def see(process):
    os.stat(f"/proc/{process}")


def set_clock():
    time.clock_settime(time.CLOCK_REALTIME, time.time())


def be_real_time():
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def raise_priority():
    os.setpriority(os.PRIO_PROCESS, 0, -5)


def lift_limit():
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20))


def log_to_syslog():
    import syslog

    syslog.openlog("sandbox-probe", 0, syslog.LOG_MAIL)
    syslog.syslog("sandbox-probe was here")
    connect("/dev/log")


def log_to_journal():
    from systemd import journal

    journal.send("sandbox-probe was here", SYSLOG_IDENTIFIER="sandbox-probe")


def read_journal():
    """A line that another user's process wrote."""
    from systemd import journal

    with journal.Reader() as reader:
        reader.add_match(_TRANSPORT="syslog")
        reader.add_match(SYSLOG_FACILITY="2")
        if not reader.get_next():
            raise OSError("the journal shows nothing")


def keep_records(directory):
    path = Path(directory, "sandbox-probe.sqlite")
    try:
        with contextlib.closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("CREATE TABLE x (y)")
            database.commit()
    finally:
        for one in glob.glob(f"{path}*"):
            os.unlink(one)


def watch_file(path):
    number = LIBC.inotify_init1(os.O_CLOEXEC)
    if LIBC.inotify_add_watch(number, os.fsencode(path), ctypes.c_uint32(2)) < 0:
        raise OSError("no watch")


def use_mailbox(path):
    """As the reader of its probes does: lock, look for what is new, take a message out."""
    with open(path, "r+b") as box:
        fcntl.lockf(box, fcntl.LOCK_EX | fcntl.LOCK_NB)
        length = os.fstat(box.fileno()).st_size
        os.pwrite(box.fileno(), b"x", length)
        os.ftruncate(box.fileno(), length)
        os.fsync(box.fileno())
        fcntl.lockf(box, fcntl.LOCK_UN)


def use_cryptography():
    from cryptography import x509  # noqa: F401


def edit_main_cf():
    """As postkeel and postconf do: lock, write, rename, sync; the same bytes again."""
    path = "/etc/postfix/main.cf"
    with open(f"{path}.tmp", "wb") as new:
        fcntl.flock(new, fcntl.LOCK_EX)
        new.write(Path(path).read_bytes())
        os.fchmod(new.fileno(), stat.S_IMODE(os.stat(path).st_mode))
        os.fsync(new.fileno())
        os.rename(new.name, path)
    directory = os.open("/etc/postfix", os.O_RDONLY)
    os.fsync(directory)


def ask_master():
    from postkeel.shell.master_process import is_running

    if not is_running("/var/spool/postfix"):
        raise OSError("Postfix's master is not to be signalled")


def ask_dpkg_lock():
    with open("/var/lib/dpkg/lock-frontend", "rb") as file:
        asked = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        fcntl.fcntl(file, fcntl.F_GETLK, asked)


def ask_for_check():
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
        channel.settimeout(SECONDS)
        channel.connect("/run/postkeel/ask/socket")
        channel.send(b"check now")
        if channel.recv(16) not in (b"ok", b"no", b"busy"):
            raise OSError("no answer")


def take_over_channel():
    """Another socket in its place, and back."""
    os.rename("/run/postkeel/ask/socket", "/run/postkeel/ask/old")
    os.rename("/run/postkeel/ask/old", "/run/postkeel/ask/socket")


def set_host_name():
    name = os.uname().nodename.encode()
    call("sethostname", name, len(name))


def make_device():
    with new_file() as file:
        os.mknod(f"{file}-null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        os.unlink(f"{file}-null")


def hold_instance():
    """As an agent does, and as anybody can who may read the directory."""
    directory = os.open("/etc/postfix", os.O_RDONLY)
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)


def probes():
    yield from ((f"write {one}", write, one) for one in WRITE)
    yield from ((f"read {one}", read, one) for one in READ)
    yield from ((f"append {one}", append, one) for one in APPEND)
    yield from ((f"connect {one}", connect, one) for one in SOCKETS)
    yield from PROBES


WRITE = (
    *("/", "/boot", "/dev", "/dev/shm", "/etc", "/etc/postfix", "/etc/postkeel"),
    *("/etc/postkeel/conf.d", "/etc/ssl/private", "/etc/systemd/system", "/home", "/home/alice"),
    *("/opt", "/root", "/run", "/run/lock", "/run/postkeel", "/run/postkeel/ask"),
    *("/run/postkeel/monitor", "/run/systemd", "/run/systemd/system", "/srv", "/tmp", "/usr"),
    *("/usr/bin", "/usr/lib/python3/dist-packages/postkeel", "/usr/share/postkeel", "/var/lib"),
    *("/var/lib/dpkg", "/var/lib/postfix", "/var/lib/postkeel", "/var/lib/postkeel/monitor"),
    *(
        "/var/lib/postkeel/home",
        "/var/lib/postkeel/home/Maildir",
        "/var/lib/postkeel/outbox",
        "/var/log",
        "/var/mail",
        "/var/spool/postfix",
        "/var/spool/postfix/maildrop",
        "/var/spool/postfix/pid",
    ),
    "/var/tmp",
)
READ = (
    *("/dev/kmsg", "/etc/postfix/main.cf", "/etc/shadow", "/etc/ssl/private/key.pem"),
    *("/home/alice/.profile", "/proc/1/environ", "/proc/kallsyms", "/proc/locks"),
    *("/var/lib/postkeel/of-root", "/var/lib/postkeel/outbox/of-root", "/var/log/mail.log"),
    "/var/mail/alice",
)
APPEND = (
    "/etc/postfix/main.cf",
    "/etc/postkeel/postkeel.toml",
    "/proc/sys/kernel/core_pattern",
    "/var/mail/alice",
)
SOCKETS = (
    "/run/dbus/system_bus_socket",
    "/run/systemd/private",
    "/run/systemd/journal/io.systemd.journal",
    "/run/of-root",
    "/var/spool/postfix/private/smtp",
    "/var/spool/postfix/public/pickup",
)
PROBES = (
    ("mail to 127.0.0.1", talk, "127.0.0.1"),
    ("mail to ::1", talk, "::1"),
    ("mail to another address", talk, OUTSIDE),
    ("UDP to 127.0.0.1", send_udp, "127.0.0.1"),
    ("UDP to another address", send_udp, OUTSIDE),
    ("a port below 1024", bind, 99),
    ("a port above 1024", bind, 9999),
    ("a raw socket", open_socket, socket.AF_INET, socket.SOCK_RAW, 1),
    ("a packet socket", open_socket, socket.AF_PACKET, socket.SOCK_RAW),
    ("a netlink socket", open_socket, socket.AF_NETLINK, socket.SOCK_RAW),
    ("a vsock socket", open_socket, socket.AF_VSOCK, socket.SOCK_STREAM),
    ("systemctl", run, "systemctl", "restart", "rsyslog"),
    ("systemd-run", run, "systemd-run", "--wait", "true"),
    ("no capability", no_capability),
    ("a set-user-ID program of root", other_user, f"{WHOAMI}root"),
    ("a set-user-ID program of alice", other_user, f"{WHOAMI}alice"),
    ("set the user ID bit", set_user_bit),
    ("give a file away", give_away),
    ("become alice", os.setuid, 1),
    ("drop groups", os.setgroups, []),
    ("unshare users", call, "unshare", CLONE_NEWUSER),
    ("unshare mounts", call, "unshare", CLONE_NEWNS),
    ("unshare network", call, "unshare", CLONE_NEWNET),
    ("chroot", os.chroot, "/"),
    ("mount", call, "mount", b"x", b"/tmp", b"tmpfs", 0, None),
    ("remount /etc writable", call, "mount", None, b"/etc", None, MS_REMOUNT | MS_BIND, None),
    ("umount", call, "umount2", b"/etc/postfix", 2),
    ("make a device", make_device),
    ("memory to write and execute", write_and_execute),
    ("execute what was written", execute_what_was_written),
    ("load a module", system_call, "finit_module", 0, b"", 0),
    ("bpf", system_call, "bpf", 0, None, 0),
    ("perf", system_call, "perf_event_open", None, 0, -1, -1, 0),
    ("set the clock", set_clock),
    ("set the host name", set_host_name),
    ("reboot", call, "reboot", 0),
    ("be real-time", be_real_time),
    ("raise the priority", raise_priority),
    ("lift a limit", lift_limit),
    ("personality", call, "personality", 0x0040000),
    ("kernel log", call, "klogctl", 3, b"x", 1),
    *(
        (f"{what.__name__} {name}", what, *arguments)
        for name, process in (
            ("systemd", 1),
            ("root's process", process_of("root", "sleep")),
            ("alice's process", process_of("alice", "sleep")),
        )
        for what, *arguments in (
            (see, process),
            (trace, process),
            (read_memory, process),
            (os.kill, process, 0),
        )
    ),
    ("log to syslog", log_to_syslog),
    ("log to the journal", log_to_journal),
    ("read the journal", read_journal),
    ("records of root's", keep_records, "/var/lib/postkeel"),
    ("records of the monitor's", keep_records, "/var/lib/postkeel/monitor"),
    ("watch the mail log", watch_file, "/var/log/mail.log"),
    ("watch the spool of mailboxes", watch_file, "/var/mail"),
    ("the mailbox of the monitor's", use_mailbox, "/var/mail/_postkeel"),
    ("the mailbox of alice", use_mailbox, "/var/mail/alice"),
    ("cryptography", use_cryptography),
    ("postconf -n", run, "postconf", "-n"),
    ("postconf -d", run, "postconf", "-d", "mynetworks"),
    ("postfix status", run, "postfix", "status"),
    ("openssl", run, "openssl", "ciphers", "-v"),
    ("edit main.cf", edit_main_cf),
    ("signal Postfix's master", ask_master),
    ("ask who has dpkg's lock", ask_dpkg_lock),
    ("ask for a check", ask_for_check),
    ("take the channel over", take_over_channel),
    ("lock the instance", hold_instance),
)


def outcome(probe, *arguments):
    """What came of it in a process of its own, which keeps what it gained to itself."""
    receiver, sender = os.pipe()
    process = os.fork()
    if process == 0:
        signal.alarm(20)
        said = "done"
        try:
            probe(*arguments)
        except Exception as error:  # noqa: BLE001  whatever stopped it
            said = f"{type(error).__name__}: {error}"
        os.write(sender, said.encode())
        os._exit(0)
    os.close(sender)
    with open(receiver) as answer:
        said = answer.read()
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return said or f"ended with {status}"


def reachable():
    """Every socket of the file system that takes a connection from here."""
    found = set()
    for top in ("/run", "/var", "/dev", "/tmp"):
        for directory, _, files in os.walk(top):
            for path in (os.path.join(directory, one) for one in files):
                with contextlib.suppress(OSError):
                    if stat.S_ISSOCK(os.stat(path).st_mode):
                        connect(path)
                        found.add(path)
    return sorted(found)


def main():
    found = {name: outcome(*probe) for name, *probe in probes()}
    json.dump({"probes": found, "sockets": reachable()}, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
