#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""CRIU's zdtm in the guest, in one phase or in two.

	guest.py before|after SESSION

SESSION is a file of JSON, a list of groups of tests: the flavor, the tests, the controls
(CONTROLS below) and how many tests to run at a time. "before" does all that comes before the kexec,
"after" what comes behind it. For each test and control a line is printed,

	zdtm FLAVOR CONTROL TEST pass|fail|skip SECONDS REASON

zdtm.py is imported and does what it always does, with its own functions and in its
own order; only that a dump and its restore can be in different phases. What differs
from ./zdtm.py run -a:

- Each test has a directory tree of its own. zdtm.py runs all in one directory, which
  files that CRIU links for unlinked ones (--link-remap) make a mess of as soon as
  several dumps exist at a time. It is on a disk, at the same path in both phases.
- The container that zdtm_ct makes for each test is made here, with the same
  namespaces: an interpreter that starts anew for each test costs seconds where the
  processor is emulated. The commands that make would run are known already.
- Pids begin at FIRST_PID, for in the second phase there are other processes in the
  test's pid namespace that need some: python, criu, what hooks call.
- Time limits are longer, for an emulated processor.
"""
import ctypes
import fcntl
import glob
import importlib.util
import json
import os
import pickle
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

TOP = "/zdtm"
CRIU = TOP + "/criu"
TREES = TOP + "/trees"
LOGS = TOP + "/logs"
PLUGIN_DIR = TOP + "/plugin"
NO_PLUGIN_DIR = CRIU + "/test/plugins"

# Which phases there are, and whether through PRAM.
CONTROLS = {
    "plain": (("oneshot",), (), False),
    "pram": (("oneshot",), (), True),
    "two_phase": (("dump", "restore"), (), False),
    "kexec": (("dump",), ("restore",), True),
    # As kexec, but criu is called as container runtimes do: "criu swrk" and RPC.
    "rpc": (("dump",), ("restore",), True),
}

# Whether to keep the trees, with CRIU's logs, of tests that pass.
KEEP = os.environ.get("ZDTM_KEEP") == "1"

FIRST_PID = 1000
# Times as long as zdtm.py, which is made for machines that are not emulated.
SLOWNESS = 5
# After this many seconds a phase of a test is killed.
PHASE_LIMIT = 400

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_NEWTIME = 0x00000080
MS_BIND = 0x1000
MS_REC = 0x4000
MS_SLAVE = 1 << 19
MNT_DETACH = 2
SIOCSIFFLAGS = 0x8914
IFF_UP_RUNNING = 0x41

libc = ctypes.CDLL(None, use_errno=True)
zdtm = None
start_commands = {}


def load_zdtm():
    """zdtm.py as a module. Its package of the same name has to be found, too."""
    global zdtm
    sys.path.insert(0, CRIU + "/test")
    spec = importlib.util.spec_from_file_location("zdtm_main", CRIU + "/test/zdtm.py")
    zdtm = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(zdtm)
    sys.argv = ["zdtm.py", "run", "-a", "--keep-img", "always", "--ignore-taint",
                "--criu-bin", CRIU + "/criu/criu"]
    zdtm.opts = zdtm.get_cli_args()

    def run(action, args, criu_bin, *more, **options):
        options["timeout"] = 60 * SLOWNESS
        return real_run(action, args, criu_bin, *more, **options)

    real_run = zdtm.criu_cli.run
    zdtm.criu_cli.run = staticmethod(run)
    zdtm.zdtm_test._zdtm_test__make_action = make_action
    # All libraries are in the tree's root directory already.
    zdtm.ns_flavor._ns_flavor__copy_libs = lambda self, binary: None
    with open(TOP + "/start") as commands:
        for line in commands:
            test, command = line.rstrip("\n").split(" ", 1)
            start_commands["zdtm/" + test] = command


def make_action(test, act, env=None, root=None):
    """What "make NAME.pid" does; NAME.cleanout has nothing to do in a new tree."""
    if act == "cleanout":
        return
    sys.stdout.flush()
    name = test.getname()
    child = subprocess.Popen(start_commands[name], shell=True, close_fds=True,
                             env=dict(os.environ, **(env or {})),
                             cwd=os.path.join(root or ".", os.path.dirname(name)))
    if act == "pid":
        zdtm.try_run_hook(test, ["--post-start"])
    if child.wait(timeout=30 * SLOWNESS):
        raise zdtm.test_fail_exc("the test does not start")


def stamp(what):
    """A moment, for whoever looks for where the time goes in the log."""
    print("[%.2f] %s" % (time.clock_gettime(time.CLOCK_MONOTONIC_RAW), what))


def checked(result, what):
    if result:
        error = ctypes.get_errno()
        raise OSError(error, "%s: %s" % (what, os.strerror(error)))


def mount(source, target, fstype, flags=0, data=None):
    checked(libc.mount(*(arg and arg.encode() for arg in (source, target, fstype)),
                       ctypes.c_ulong(flags), data and data.encode()), "mount " + target)


def setup_container():
    """As zdtm_ct does, in the first process of the new pid namespace."""
    checked(libc.unshare(CLONE_NEWTIME), "unshare")
    for clock, days in (("monotonic", 110), ("boottime", 40)):
        with open("/proc/self/timens_offsets", "w") as offsets:
            offsets.write("%s %d 0" % (clock, days * 24 * 60 * 60))
    fd = os.open("/proc/self/ns/time_for_children", os.O_RDONLY)
    checked(libc.setns(fd, 0), "setns")
    os.close(fd)
    mount(None, "/", None, MS_REC | MS_SLAVE)
    libc.umount2(b"/proc", MNT_DETACH)
    libc.umount2(b"/dev/pts", MNT_DETACH)
    mount("zdtm_proc", "/proc", "proc")
    mount("zdtm_devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666")
    mount("zdtm_binfmt", "/proc/sys/fs/binfmt_misc", "binfmt_misc")
    mount("/dev/pts/ptmx", "/dev/ptmx", None, MS_BIND)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP_RUNNING))


def reap_all_until(pid):
    while True:
        child, status = os.wait()
        if child == pid:
            return os.waitstatus_to_exitcode(status)


def in_container(function):
    """Run it in namespaces of its own: the pid of the process outside."""
    outside = os.fork()
    if outside:
        return outside
    code = 1
    try:
        os.setsid()
        checked(libc.unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC), "unshare")
        first = os.fork()
        if first == 0:
            setup_container()
            worker = os.fork()
            if worker == 0:
                function()
                code = 0
            else:
                code = reap_all_until(worker)
        else:
            code = reap_all_until(first)
    except BaseException:  # pylint: disable=broad-except
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code if 0 <= code < 256 else 1)


class Surroundings:
    """What is around a test and not dumped with it, but has to be there again for the
    second phase, as somebody who restores after a reboot would have to see to:

    - mounts that the test or its hook made outside of the test's mount namespace, with
      what is in them if they are in memory, and the device files of zdtm's /dev;
    - mounts of the container that were made shared;
    - control groups (of version 2: those of zdtm's own hierarchies are CRIU's task);
    - the rules by which CRIU locks the connections of a network namespace that is not
      dumped, bridges of hooks, and what else is set there.
    """

    SYSCTLS = ("/proc/sys/net/ipv4/ping_group_range",)
    CGROUPS = "/sys/fs/cgroup"

    @staticmethod
    def mounts():
        """mountinfo of this process, by mount id, in the order of mounting."""
        found = {}
        with open("/proc/self/mountinfo") as file:
            for line in file:
                words = line.split()
                dash = words.index("-")
                found[words[0]] = {
                    "parent": words[1], "device": words[2], "root": words[3], "where": words[4],
                    "flags": words[5], "shared": any(w.startswith("shared:") for w in words[6:dash]),
                    "type": words[dash + 1], "source": words[dash + 2], "options": words[dash + 3]}
        return found

    @classmethod
    def cgroups(cls):
        """The control groups by their paths, with the controllers of their children."""
        found = {}
        for path, _dirs, _files in os.walk(cls.CGROUPS):
            try:
                with open(path + "/cgroup.subtree_control") as file:
                    found[path] = file.read().split()
            except OSError:
                # Another test's, and gone meanwhile.
                continue
        return found

    def __init__(self, keep):
        self.keep = keep
        self.before = self.mounts()
        self.cgroups_before = self.cgroups()
        os.makedirs(keep, exist_ok=True)

    def record(self, test):
        """After the dump, in the first phase."""
        root = zdtm.tests_root[1] if zdtm.tests_root else None
        now = self.mounts()
        made = []
        for number, one in now.items():
            ours = root and (one["where"] + "/").startswith(root + "/")
            # A network namespace with a name is as empty as any other after a reboot.
            if number in self.before or ours or one["type"] == "nsfs":
                continue
            # Part of what is mounted already, or of the disk: to be bound again.
            for other in () if one["type"] in ("cgroup", "cgroup2") else now.values():
                if other is one or other["device"] != one["device"]:
                    continue
                inside = os.path.relpath(one["root"], other["root"])
                if not inside.startswith("..") and (other["where"] != one["where"]) and \
                   (other in self.before.values() or other in made):
                    one["bind"] = os.path.normpath(os.path.join(other["where"], inside))
                    break
            if "bind" not in one and one["type"] == "tmpfs":
                one["kept"] = "%s/%d" % (self.keep, len(made))
                if os.path.isdir(one["where"]):
                    one["kept"] += ".tar"
                    status = subprocess.call(["tar", "--xattrs", "--one-file-system", "-C", one["where"],
                                              "-cf", one["kept"], "."])
                    # 1: a file or directory has changed meanwhile. Control groups below are another
                    # test's as well, and make its directory's link count change.
                    if status > 1:
                        raise zdtm.test_fail_exc("tar of %s: status %d" % (one["where"], status))
                else:
                    subprocess.check_call(["cp", "-a", one["where"], one["kept"]])
            made.append(one)
        saved = {"mounts": made, "root": root, "sysctls": {}, "bridges": []}
        saved["shared"] = [one["where"] for number, one in now.items()
                           if one["shared"] and not self.before.get(number, one)["shared"]]
        saved["cgroups"] = [(path, controllers) for path, controllers in self.cgroups().items()
                            if controllers != self.cgroups_before.get(path)]
        if os.access(test.getname() + ".hook", os.X_OK):
            links = subprocess.run(["ip", "-j", "addr", "show", "type", "bridge"],
                                   stdout=subprocess.PIPE, check=True).stdout
            saved["bridges"] = [
                (link["ifname"], "UP" in link["flags"],
                 ["%s/%d" % (addr["local"], addr["prefixlen"]) for addr in link["addr_info"]
                  if addr["scope"] != "link"])
                for link in json.loads(links or b"[]") if link.get("ifname")]
        if root:
            subprocess.check_call(["tar", "-C", root + "/dev", "-cf", self.keep + "/dev.tar", "."])
        for path in self.SYSCTLS:
            with open(path) as file:
                saved["sysctls"][path] = file.read()
        if not test.ns() and any("tcp" in opt or "network" in opt for opt in test.getdopts()):
            for tool in ("iptables", "ip6tables"):
                with open("%s/%s" % (self.keep, tool), "w") as file:
                    subprocess.check_call([tool + "-save"], stdout=file)
            with open(self.keep + "/nft", "w") as file:
                tables = subprocess.run(["nft", "list", "tables"], stdout=subprocess.PIPE, text=True,
                                        check=True).stdout
                for table in re.findall(r"^table (inet CRIU\S*)$", tables, re.M):
                    subprocess.check_call(["nft", "list", "table"] + table.split(), stdout=file)
        return saved

    def mount_again(self, one):
        where, kept = one["where"], one.get("kept")
        is_file = not os.path.isdir(one.get("bind") or where) if not kept else not self.is_tar(kept)
        if is_file:
            if os.path.isdir(where):
                os.rmdir(where)
            os.close(os.open(where, os.O_CREAT))
        else:
            os.makedirs(where, exist_ok=True)
        source = one.get("bind")
        above = None
        if not source and one["root"] != "/":
            # Of a file system that is mounted as a whole nowhere.
            above = tempfile.mkdtemp(prefix="zdtm-")
            subprocess.check_call(["mount", "-t", one["type"], one["source"], above])
            source = above + one["root"]
            os.makedirs(os.path.dirname(source) if is_file else source, exist_ok=True)
            if is_file:
                subprocess.check_call(["cp", "-a", kept, source])
        if source:
            subprocess.check_call(["mount", "--bind", source, where])
        else:
            options = one["flags"]
            if one["type"] == "cgroup":
                options += "," + one["options"]
            subprocess.check_call(["mount", "-t", one["type"], "-o", options, one["source"], where])
        if kept and not is_file:
            subprocess.check_call(["tar", "--xattrs", "-C", where, "-xpf", kept])
        if above:
            subprocess.check_call(["mount", "--make-private", above])
            subprocess.check_call(["umount", "-l", above])
            os.rmdir(above)
        subprocess.check_call(["mount", "--make-shared" if one["shared"] else "--make-private", where])

    @staticmethod
    def is_tar(path):
        return path.endswith(".tar")

    def replay(self, saved):
        """Before the restore, in the second phase."""
        for where in saved["shared"]:
            subprocess.check_call(["mount", "--make-shared", where])
        for one in saved["mounts"]:
            self.mount_again(one)
        for path, controllers in saved["cgroups"]:
            os.makedirs(path, exist_ok=True)
            for controller in controllers:
                with open(path + "/cgroup.subtree_control", "w") as file:
                    file.write("+" + controller)
        for name, is_up, addresses in saved["bridges"]:
            subprocess.check_call(["ip", "link", "add", name, "type", "bridge"])
            for address in addresses:
                subprocess.check_call(["ip", "addr", "add", address, "dev", name])
            if is_up:
                subprocess.check_call(["ip", "link", "set", name, "up"])
        if saved["root"]:
            # The same directory again, with what the test has put into its /dev.
            zdtm.tests_root = (os.getpid(), saved["root"])
            subprocess.check_call(["mount", "-t", "tmpfs", "criu-test-dev", saved["root"] + "/dev"])
            subprocess.check_call(["tar", "-C", saved["root"] + "/dev", "-xpf", self.keep + "/dev.tar"])
        for path, value in saved["sysctls"].items():
            with open(path, "w") as file:
                file.write(value)
        for tool in ("iptables", "ip6tables"):
            if os.path.exists("%s/%s" % (self.keep, tool)):
                with open("%s/%s" % (self.keep, tool)) as file:
                    subprocess.check_call([tool + "-restore"], stdin=file)
        if os.path.exists(self.keep + "/nft"):
            subprocess.check_call(["nft", "-f", self.keep + "/nft"])


class Job:
    """One test of one control, in one of its phases."""

    def __init__(self, session, control, phase, test):
        self.flavor = session["flavor"]
        self.control = control
        self.phase = phase
        self.test = test
        self.through_pram = CONTROLS[control][2]
        self.desc = zdtm.get_test_desc(CRIU + "/test/" + test)
        self.desc["timeout"] = int(self.desc.get("timeout") or 30) * SLOWNESS
        # Short: tests have sockets there, whose paths may have 107 bytes.
        key = "%s.%s/%s" % (self.flavor, control, test[len("zdtm/"):].replace("static/", "").replace("/", "."))
        # Hooks look for CRIU's python modules in ../lib.
        self.tree = "%s/%s/test" % (TREES, key)
        self.log = "%s/%s.%s.log" % (LOGS, key, phase)
        self.state = "%s/%s/state" % (TREES, key)
        self.around = "%s/%s/around" % (TREES, key)
        self.outcome = "%s/%s/outcome" % (TREES, key)
        self.started = time.monotonic()

    def make_tree(self):
        above = os.path.dirname(self.tree)
        shutil.rmtree(above, ignore_errors=True)
        os.makedirs(above)
        os.symlink(CRIU + "/lib", above + "/lib")
        # With the same inodes: what nobody writes to need not be there twice.
        subprocess.check_call(["cp", "-al", TOP + "/template", self.tree])
        where = os.path.join(self.tree, os.path.dirname(self.test))
        os.makedirs(where)
        for path in glob.glob(glob.escape(CRIU + "/test/" + self.test) + "*"):
            rest = path[len(CRIU + "/test/" + self.test):]
            if rest == "" or rest[0] == ".":
                # Some hooks and descriptions are symlinks to those of another test.
                os.link(os.path.realpath(path), os.path.join(where, os.path.basename(path)))
        for path in glob.glob(CRIU + "/test/" + os.path.dirname(self.test) + "/*.so"):
            os.link(path, os.path.join(where, os.path.basename(path)))
        if zdtm.test_flag(self.desc, "crlib"):
            # CRIU takes plugins from one directory: there the test's own is, and PRAM's has to be.
            os.mkdir(where + "/lib")
            plugins = glob.glob(CRIU + "/test/" + os.path.dirname(self.test) + "/lib/*.so")
            if self.through_pram:
                plugins += glob.glob(PLUGIN_DIR + "/*.so")
            for path in plugins:
                os.link(os.path.realpath(path), where + "/lib/" + os.path.basename(path))
        os.makedirs(self.tree + "/zdtm/static", exist_ok=True)
        # zdtm.py's functions take a lock on it, and tests look for these.
        for name in ("zdtm.py", "zdtm_mount_cgroups", "zdtm_umount_cgroups", "pycriu",
                     "empty-netns-prep.sh"):
            source = CRIU + "/test/" + name
            os.link(source, os.path.join(self.tree, name), follow_symlinks=False)
        # Tests that have given up root leave their verdict there.
        for path in (above, self.tree, where):
            os.chmod(path, 0o777)

    def run(self):
        """In the container."""
        fd = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(fd, 1)
        os.dup2(fd, 2)
        os.close(fd)
        os.chdir(self.tree)
        zdtm.PLUGINS_DIR = PLUGIN_DIR if self.through_pram else NO_PLUGIN_DIR
        if self.control == "rpc":
            # RPC has no message for the directory of plugins.
            zdtm.opts["rpc"] = True
            os.environ["CRIU_LIBS_DIR"] = zdtm.PLUGINS_DIR
        if self.through_pram:
            # It sums the sizes of page images, which are not in the directory.
            zdtm.criu.check_pages_counts = lambda self: None
        result, reason = "fail", ""
        try:
            result, reason = getattr(self, "phase_" + self.phase)()
        except BaseException as error:  # pylint: disable=broad-except
            traceback.print_exc()
            reason = str(error) or type(error).__name__
        sys.stdout.flush()
        with open(self.outcome + ".new", "w") as out:
            json.dump((result, self.explain(reason) if result == "fail" else reason), out)
        os.rename(self.outcome + ".new", self.outcome)
        if result != "dumped":
            zdtm.clean_tests_root()

    def objects(self):
        flavor = zdtm.flavors[self.flavor](zdtm.opts)
        test = zdtm.zdtm_test(self.test, self.desc, flavor, zdtm.noop_freezer(), False)
        return flavor, test, zdtm.criu(zdtm.opts)

    def start_it(self, test):
        """The test runs: what zdtm.py compares with after the restore."""
        stamp("start")
        with open("/proc/sys/kernel/ns_last_pid", "w") as last:
            last.write(str(FIRST_PID))
        test.start()
        stamp("started")
        return zdtm.get_visible_state(test)

    def nothing_on_disk(self, api):
        """Nothing of a checkpoint in PRAM is in its images directory."""
        if zdtm.test_flag(self.desc, "crlib"):
            # The test's own plugin writes there, as plugins do; PRAM's sees nothing of it.
            return
        images = [name for name in glob.glob(api.logs() + "/*/*")
                  if not re.search(r"\.(log|cropt)$|/stats-(dump|restore)$", name)]
        if images:
            raise zdtm.test_fail_exc("the dump wrote " + ", ".join(map(os.path.basename, images)))

    def name_it(self, api):
        """The mount namespace here ends with the kernel: the path means nothing then."""
        if self.through_pram:
            os.environ["CRIU_PRAM_NAME"] = os.path.realpath(api.logs())

    def dump_it(self, test, api):
        api.set_test(test)
        self.name_it(api)
        os.environ["ZDTM_TEST_PID"] = str(test.getpid())
        zdtm.try_run_hook(test, ["--pre-dump"])
        stamp("dump")
        api.dump("dump")
        stamp("dumped")
        if self.through_pram:
            self.nothing_on_disk(api)
        test.gone()
        stamp("gone")

    def restore_it(self, test, api):
        self.name_it(api)
        zdtm.try_run_hook(test, ["--pre-restore"])
        stamp("restore")
        api.restore()
        stamp("restored")
        os.environ["ZDTM_TEST_PID"] = str(test.getpid())
        os.environ["ZDTM_IMG_DIR"] = api.logs()
        zdtm.try_run_hook(test, ["--post-restore"])

    def check_it(self, test, api, state):
        zdtm.check_visible_state(test, state, zdtm.opts)
        stamp("checked")
        test.stop()
        stamp("stopped")
        api.fini()
        zdtm.try_run_hook(test, ["--clean"])
        if test.blocking():
            raise zdtm.test_fail_exc("unexpected success")

    def nothing_left(self, api):
        nodes = subprocess.run(["pramctl", "list", "--json"], stdout=subprocess.PIPE, check=True)
        path = os.path.realpath(api.logs())
        if path in nodes.stdout.decode():
            raise zdtm.test_fail_exc("nodes are left in PRAM")

    def failed(self, test, api, error):
        traceback.print_exc()
        test.print_output()
        try:
            test.kill()
            api.kill()
            zdtm.try_run_hook(test, ["--clean"])
        except Exception:  # pylint: disable=broad-except
            traceback.print_exc()
        return "fail", str(error)

    def phase_oneshot(self):
        _flavor, test, api = self.objects()
        try:
            state = self.start_it(test)
            try:
                self.dump_it(test, api)
                self.restore_it(test, api)
            except zdtm.test_fail_expected_exc as expected:
                if expected.cr_action == "dump":
                    test.stop()
                if self.through_pram:
                    self.nothing_left(api)
                return "pass", "refused, as it should be"
            self.check_it(test, api, state)
            if self.through_pram:
                self.nothing_left(api)
        except Exception as error:  # pylint: disable=broad-except
            return self.failed(test, api, error)
        return "pass", ""

    def phase_dump(self):
        around = Surroundings(self.around)
        flavor, test, api = self.objects()
        try:
            state = self.start_it(test)
            try:
                self.dump_it(test, api)
            except zdtm.test_fail_expected_exc as expected:
                if expected.cr_action != "dump":
                    raise
                test.stop()
                if self.through_pram:
                    self.nothing_left(api)
                return "pass", "refused, as it should be"
            with open(self.state, "wb") as out:
                pickle.dump((state, api.logs(), test._env, around.record(test)), out)
            flavor.fini()
        except Exception as error:  # pylint: disable=broad-except
            return self.failed(test, api, error)
        return "dumped", ""

    def phase_restore(self):
        with open(self.state, "rb") as file:
            state, path, env, saved = pickle.load(file)
        Surroundings(self.around).replay(saved)
        flavor, test, api = self.objects()
        test._env = env
        api._criu__test = test
        api._criu__dump_path = path
        api._criu__iter = 1
        try:
            flavor.init(test._bins, test._deps)
            if flavor.ns:
                os.chmod(os.path.dirname(flavor.root), 0o700)
            self.restore_it(test, api)
            self.check_it(test, api, state)
            if self.through_pram:
                self.nothing_left(api)
        except zdtm.test_fail_expected_exc:
            return "pass", "refused, as it should be"
        except Exception as error:  # pylint: disable=broad-except
            return self.failed(test, api, error)
        return "pass", ""

    def explain(self, reason):
        """What went wrong, with the first error that CRIU or the test reports."""
        words = [reason]
        logs = sorted(glob.glob(self.tree + "/dump/" + self.test + "/*/*/*.log"),
                      key=os.path.getmtime)
        for path in reversed(logs):
            with open(path, errors="replace") as log:
                found = re.search(r"Error \(.*", log.read())
            if found:
                words.append(found.group(0))
                break
        for path in glob.glob(self.tree + "/" + self.test + ".out*"):
            if not os.path.isfile(path):
                continue
            with open(path, errors="replace") as out:
                found = re.search(r".*(FAIL:|ERR:).*", out.read())
            if found:
                words.append(found.group(0).strip())
                break
        return "; ".join(words)

    def end(self, code):
        """Out of the container: the outcome of the phase."""
        try:
            with open(self.outcome) as out:
                result, reason = json.load(out)
            os.unlink(self.outcome)
        except (OSError, ValueError):
            result, reason = "fail", "ended with status %d in phase %s" % (code, self.phase)
        if result == "dumped":
            print("dumped %s %s %s %d s" % (self.flavor, self.control, self.test,
                                            time.monotonic() - self.started))
        else:
            reason = re.sub(r"[\x00-\x1f]+", " ", reason)
            print("zdtm %s %s %s %s %d %s" % (
                self.flavor, self.control, self.test[len("zdtm/"):], result,
                time.monotonic() - self.started, reason))
            if result == "pass" and not KEEP:
                shutil.rmtree(os.path.dirname(self.tree), ignore_errors=True)
        return result


class Runner:
    """Jobs, several at a time, those that want to be alone alone."""

    def __init__(self, parallel):
        self.parallel = parallel
        self.running = {}
        self.dumped = []

    def collect(self, at_most):
        while len(self.running) > at_most:
            limit = min(job.started for job in self.running.values()) + PHASE_LIMIT
            signal.alarm(max(1, int(limit - time.monotonic())))
            try:
                pid, status = os.wait()
            except InterruptedError:
                for pid, job in self.running.items():
                    if job.started + PHASE_LIMIT <= time.monotonic() + 1:
                        os.kill(pid, signal.SIGKILL)
                continue
            finally:
                signal.alarm(0)
            job = self.running.pop(pid, None)
            if job and job.end(os.waitstatus_to_exitcode(status)) == "dumped":
                self.dumped.append(job.test)

    def start(self, job):
        alone = zdtm.test_flag(job.desc, "excl")
        self.collect(0 if alone else self.parallel - 1)
        os.makedirs(os.path.dirname(job.log), exist_ok=True)
        if job.phase != "restore":
            job.make_tree()
        job.started = time.monotonic()
        sys.stdout.flush()
        self.running[in_container(job.run)] = job
        if alone:
            self.collect(0)


def skip_reason(test, flavor, features):
    """Why zdtm.py would not run it, or None; as in its run_tests()."""
    desc = zdtm.get_test_desc(test)
    if flavor not in desc.get("flavor", "h ns uns").split():
        return ""
    if desc.get("arch", "x86_64") and "x86_64" not in desc.get("arch", "x86_64").split():
        return "arch " + desc["arch"]
    if zdtm.test_flag(desc, "noauto"):
        return "manual run only"
    if test not in start_commands:
        return "not built"
    for feature in desc.get("feature", "").split():
        if feature not in features:
            features[feature] = zdtm.criu.check(feature)
        if not features[feature]:
            return "no %s feature" % feature
    if zdtm.self_checkskip(test):
        return "checkskip failed"
    return None


def choose(session, features):
    """The tests that can be run; for the others, say why not. @features: what is known of criu."""
    chosen = []
    for name in session["tests"]:
        reason = skip_reason("zdtm/" + name, session["flavor"], features)
        if reason is None:
            chosen.append("zdtm/" + name)
        elif reason:
            for control in session["controls"]:
                print("zdtm %s %s %s skip 0 %s" % (session["flavor"], control, name, reason))
    return chosen


def on_alarm(_number, _frame):
    raise InterruptedError


def run_phase(group, control, phase, tests):
    """Return: the tests that are to be restored."""
    began = time.monotonic()
    runner = Runner(group["jobs"])
    for test in tests:
        runner.start(Job(group, control, phase, test))
    runner.collect(0)
    print("phase %s %s %s: %d s" % (group["flavor"], control, phase, time.monotonic() - began))
    return runner.dumped


def main():
    _, half, path = sys.argv
    with open(path) as file:
        groups = json.load(file)
    os.environ["TMPDIR"] = "/tmp"
    signal.signal(signal.SIGALRM, on_alarm)
    load_zdtm()
    os.chdir(CRIU + "/test")
    subprocess.check_call(["./zdtm_mount_cgroups", str(zdtm.uuid)])
    zdtm.set_nr_hugepages(20)

    features = {}
    for group in groups:
        tests = choose(group, features) if half == "before" else []
        for control in group["controls"]:
            dumped = "%s/%s.%s" % (TOP, group["flavor"], control)
            now = tests
            if half == "after":
                with open(dumped) as file:
                    now = json.load(file)
            for phase in CONTROLS[control][half == "after"]:
                left = run_phase(group, control, phase, now)
                if half == "before":
                    now = left
            if half == "before":
                with open(dumped, "w") as file:
                    json.dump(now, file)
    if half == "before":
        os.sync()


main()
