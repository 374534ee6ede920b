#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Caring for the repository: prune, check, stats, index; and signals."""

import errno
import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import time
import unittest

from harness import (BINARY, DONE, FAILED, INTERRUPTED, NOT_LOCKED, NO_REPOSITORY, USAGE, CairnTest,
                     main)


class PruneTest(CairnTest):
    def setUp(self):
        super().setUp()
        self.write("file", os.urandom(2000000))
        self.cairn("snapshot", self.source)
        self.kept = os.urandom(300000)
        self.write("file", self.kept)
        self.cairn("snapshot", self.source)
        self.cairn("forget", "latest~1")

    def stored(self):
        return sum(os.path.getsize(os.path.join(folder, name))
                   for folder, _, names in os.walk(self.repo / "packs") for name in names
                   if not name.endswith(".par"))

    def test_frees_what_no_snapshot_needs(self):
        before = self.stored()
        done = self.summary("prune")
        self.assertEqual(done["bytes"]["total"], before)
        self.assertGreater(done["bytes"]["freed"], 1900000)
        self.assertEqual(done["bytes"]["remaining"], self.stored())
        self.assertLess(self.stored(), before - 1900000)
        self.assertEqual(self.run_raw("cat", f"latest:{self.source}/file").stdout, self.kept)
        self.assertEqual(self.summary("prune")["bytes"]["freed"], 0)

    def parity(self):
        return sum(os.path.getsize(os.path.join(folder, name))
                   for folder, _, names in os.walk(self.repo / "packs") for name in names
                   if name.endswith(".par"))

    def test_parity_is_counted_apart(self):
        before = self.parity()
        dry = self.summary("prune", "-n")["parity_bytes"]
        self.assertEqual(dry["total"], before)
        self.assertGreater(dry["freed"], 0)
        self.assertEqual(dry["remaining"], dry["total"] + dry["written"] - dry["freed"])
        done = self.summary("prune")["parity_bytes"]
        self.assertEqual((done["total"], done["freed"]), (before, dry["freed"]))
        self.assertEqual(done["remaining"], self.parity())
        self.assertEqual(done["remaining"], done["total"] + done["written"] - done["freed"])
        stats = self.json("stats")
        self.assertEqual((stats["parity_bytes"], stats["stored_bytes"]),
                         (self.parity(), self.stored()))
        self.assertIn("Parity:", self.cairn("stats"))
        self.assertIn("Parity:", self.cairn("prune"))
        next((self.repo / "packs").glob("*/*.par")).unlink()
        self.assertEqual(self.json("stats")["parity_bytes"], self.parity())

    def test_a_dry_run_changes_nothing(self):
        before = self.stored()
        for option in ("-n", "--dry-run"):
            done = self.summary("prune", option)
            self.assertTrue(done["dry_run"])
            self.assertGreater(done["packfiles"]["remove"] + done["packfiles"]["repack"], 0)
        self.assertIn("dry run: nothing was changed", self.cairn("prune", "-n"))
        self.assertEqual(self.stored(), before)

    def test_text_and_phases(self):
        text = self.cairn("prune", "-v")
        for word in ("Before:", "In use:", "Dropped:", "Rewritten:", "Freed:", "After:"):
            self.assertIn(word, text)
        self.assertIn("marking", self.last_error)

    def test_max_unused(self):
        for limit in ("0%", "5%", "100%", "unlimited", "0", "10M", "1.5GiB"):
            self.cairn("prune", "-n", "--max-unused", limit)
        for bad in ("", "%", "101%", "-1%", "some"):
            self.fails(USAGE, "prune", "--max-unused", bad)

    def test_max_repack_size(self):
        done = self.summary("prune", "--max-unused", "0%", "--max-repack-size", "0")
        self.assertEqual(done["packfiles"]["repack"], 0)
        self.cairn("prune", "--max-repack-size", "10G")
        self.fails(USAGE, "prune", "--max-repack-size", "5%")

    def test_now(self):
        self.assertEqual(self.summary("prune", "--now")["packfiles"]["waiting"], 0)

    def test_a_second_prune_is_code_11(self):
        self.cairn("prune")
        with open(self.repo / "prune.lock", "r+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            message = self.fails(NOT_LOCKED, "prune")
            self.assertIn("another prune", message)
            self.fails(NOT_LOCKED, "forget", "--keep-last", "1", "--prune")


class CheckTest(CairnTest):
    def setUp(self):
        super().setUp()
        self.write("file", os.urandom(300000))
        self.write("other", "text")
        self.id = self.snapshot()

    def packs(self):
        return [os.path.join(folder, name)
                for folder, _, names in os.walk(self.repo / "packs") for name in names
                if not name.endswith(".par")]

    def damage(self, pack):
        """Turns a byte in the middle of the pack."""
        with open(pack, "r+b") as file:
            file.seek(os.path.getsize(pack) // 2)
            byte = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte[0] ^ 0xFF]))

    def test_a_sound_repository(self):
        self.assertIn("no damage found", self.cairn("check"))
        done = self.summary("check")
        self.assertEqual((done["num_errors"], done["snapshots"], done["affected_paths"]), (0, 1, []))
        self.assertFalse(done["suggest_prune"])

    def test_read_data_finds_a_turned_bit(self):
        sound = self.summary("check", "--read-data")
        self.assertGreaterEqual(sound["bytes_read"], 300000)
        self.damage(max(self.packs(), key=os.path.getsize))
        lines = self.lines("check", "--read-data", code=FAILED)
        self.assertGreaterEqual(lines[-1]["num_errors"], 1)
        self.assertIn("error", [line["message_type"] for line in lines])
        self.assertEqual(len(lines[-1]["broken_packs"]), 1)
        self.assertEqual(lines[-1]["affected_snapshots"], [self.id])
        self.assertIn({"snapshot": self.id, "path": f"{self.source}/file"},
                      lines[-1]["affected_paths"])
        text = self.cairn("check", "--read-data", code=FAILED)
        self.assertIn("damage: pack ", text)
        self.assertIn(f"affected: {self.id[:8]}:{self.source}/file\n", text)

    def test_harmless_damage_is_said_to_be_harmless(self):
        config = self.repo / "config"
        with open(config, "r+b") as file:
            file.seek(120)
            byte = file.read(1)
            file.seek(120)
            file.write(bytes([byte[0] ^ 1]))
        done = self.summary("check", code=FAILED)
        self.assertEqual([(damage["object"], damage["harmless"]) for damage in done["damages"]],
                         [("config", True)])
        self.assertFalse(done["suggest_repair_index"])
        self.assertIn("nothing is lost", self.fails(FAILED, "check"))

    def test_structure_alone_misses_nothing_that_is_missing(self):
        shutil.rmtree(self.repo / "packs")
        done = self.summary("check", code=FAILED)
        self.assertGreaterEqual(done["num_errors"], 1)
        self.assertEqual(done["affected_snapshots"], [self.id])

    def test_read_data_subset(self):
        self.write("more", os.urandom(100000))
        self.cairn("snapshot", self.source)
        whole = self.summary("check", "--read-data-subset", "100%")["bytes_read"]
        parts = [self.summary("check", "--read-data-subset", f"{part}/3")["bytes_read"]
                 for part in (1, 2, 3)]
        base = self.summary("check")["bytes_read"]
        self.assertEqual(sum(part - base for part in parts), whole - base)
        self.cairn("check", "--read-data-subset", "5%")
        for bad in ("", "0%", "101%", "0/3", "4/3", "1/0", "1", "x/y"):
            self.fails(USAGE, "check", "--read-data-subset", bad)
        self.fails(USAGE, "check", "--read-data", "--read-data-subset", "1/2")

    def make_packs(self):
        for number in range(3):
            self.write(f"more{number}", os.urandom(100000))
            self.cairn("snapshot", self.source)
        return len(self.packs())

    def test_max_age(self):
        packs = self.make_packs()
        self.cairn("check", "--read-data-subset", "1/2")
        half = (packs + 1) // 2
        due = self.summary("check", "--max-age", "30d")
        self.assertEqual((due["packs_recent"], due["packs_read"], due["packs_left"]),
                         (half, packs - half, 0))
        self.assertGreater(due["bytes_recent"], 100000)
        text = self.cairn("check", "--max-age", "1h")
        self.assertIn(f"{packs} packs", text.partition("Read lately:")[2])
        self.assertIn("no damage found", text)
        # Damage in what was read lately is not seen, and is when its time comes.
        self.damage(max(self.packs(), key=os.path.getsize))
        self.assertEqual(self.summary("check", "--max-age", "30d")["packs_read"], 0)
        self.assertEqual(self.summary("check", "--max-age", "0s", code=FAILED)["packs_read"], packs)
        self.assertEqual(self.summary("check", "--max-age", "30d", code=FAILED)["packs_read"], 1)
        for bad in ("", "30", "x", "-1d"):
            self.fails(USAGE, "check", "--max-age", bad)
        self.fails(USAGE, "check", "--max-age", "1d", "--read-data-subset", "1/2")

    def test_time_budget(self):
        packs = self.make_packs()
        none = self.summary("check", "--time-budget", "0s")
        self.assertEqual((none["packs_read"], none["packs_left"]), (0, packs))
        self.assertGreater(none["bytes_left"], 600000)
        self.assertIn(f"{packs} packs", self.cairn("check", "--time-budget", "0m").partition(
            "Left:")[2])
        done = self.summary("check", "--time-budget", "10m", "--max-age", "1d", "--read-data")
        self.assertEqual((done["packs_read"], done["packs_left"]), (packs, 0))
        self.damage(self.packs()[0])
        self.cairn("check", "--time-budget", "0s")
        self.cairn("check", "--time-budget", "1h30m", code=FAILED)
        for bad in ("", "10", "1d", "-1m"):
            self.fails(USAGE, "check", "--time-budget", bad)
        self.fails(USAGE, "check", "--time-budget", "1m", "--read-data-subset", "5%")

    def test_what_was_read_is_remembered_of_this_copy_only(self):
        self.cairn("check", "--read-data")
        stats = self.json("stats")
        self.assertEqual(stats["verified_bytes"]["within_days_1"], stats["stored_bytes"])
        self.assertEqual(stats["verified_bytes"]["never"], 0)
        self.assertIn("100% within 1 day", self.cairn("stats"))
        shutil.copytree(self.repo, self.root / "copy")
        copy = self.json("-r", self.root / "copy", "stats")
        self.assertEqual(copy["verified_bytes"]["never"], copy["stored_bytes"])
        self.assertEqual(self.summary("-r", "copy", "check", "--max-age", "1d")["packs_recent"], 0)
        self.assertGreater(self.summary("check", "--max-age", "1d")["packs_recent"], 0)
        shutil.rmtree(self.cache)
        self.assertEqual(self.summary("check", "--max-age", "1d")["packs_recent"], 0)


@unittest.skipUnless(os.geteuid() == 0, "only root may mount")
class FullDiskTest(CairnTest):
    """The repository and the cache are alone on a small file system of their own."""

    MAKES_REPO = False

    def setUp(self):
        super().setUp()
        self.disk = self.root / "disk"
        self.disk.mkdir()
        self.env["CAIRN_REPOSITORY"] = str(self.disk / "repo")
        self.env["CAIRN_CACHE_DIR"] = str(self.disk / "cache")

    def mount(self, script, *arguments):
        """Runs the script, which mounts something at its $1, in a namespace that ends with the test
        and in which `cairn` is run from then on."""
        if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("no mounts of its own, as in a chroot")
        holder = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", f"{script} || exit 77; echo mounted; read line", "sh",
             self.disk, *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(holder.communicate)
        if holder.stdout.readline() != b"mounted\n":
            self.skipTest("may not mount")
        self.holder = holder.pid
        # The same directory, seen from here.
        self.seen = pathlib.Path(f"/proc/{holder.pid}/root{self.disk}")

    def run_raw(self, *arguments, **more):
        # With its root: setns alone would lead out of a chroot.
        enter = ["nsenter", "-t", str(self.holder), "-m", "-r", "--", BINARY]
        return subprocess.run([*enter, *map(os.fspath, arguments)], capture_output=True,
                              env=self.env, check=False, **more)

    def free(self):
        return os.statvfs(self.seen).f_bavail * os.statvfs(self.seen).f_frsize

    def fill(self):
        """Takes every byte that there is."""
        with open(self.seen / "fill", "wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError as error:
                    self.assertEqual(error.errno, errno.ENOSPC)
                try:
                    os.fsync(file.fileno())
                except OSError as error:
                    self.assertEqual(error.errno, errno.ENOSPC)
        self.assertEqual(self.free(), 0)

    def fill_and_free(self, noise, forget_first=False):
        self.cairn("init", "-q")
        taken = []
        for _ in range(15):
            content = os.urandom(noise)
            self.write("file", content)
            if self.run_raw("snapshot", self.source).returncode != DONE:
                break
            taken.append(content)
        self.assertIn("No space left", self.fails(FAILED, "snapshot", self.source))
        self.assertGreater(len(taken), 2)
        self.assertEqual(len(self.ids()), len(taken))
        for step in ("forget", "fill") if forget_first else ("fill", "forget"):
            if step == "fill":
                self.fill()
            else:
                self.cairn("forget", "--keep-last", "1")
        self.cairn("prune")
        self.assertGreater(self.free(), (len(taken) - 1) * noise)
        self.assertIn("no damage found", self.cairn("check", "--read-data"))
        self.assertEqual(len(self.ids()), 1)
        self.cairn("restore", f"latest:{self.source}", "-t", self.root / "out")
        self.assertEqual((self.root / "out" / "file").read_bytes(), taken[-1])
        # What could not be stored before can be now.
        self.cairn("snapshot", self.source)

    def test_in_memory(self):
        self.mount('mount -t tmpfs -o size=24m none "$1"')
        self.fill_and_free(3 << 20)

    def test_in_memory_that_is_full_once_all_is_forgotten(self):
        self.mount('mount -t tmpfs -o size=24m none "$1"')
        self.fill_and_free(3 << 20, forget_first=True)

    def test_on_a_disk(self):
        image = self.root / "image"
        with open(image, "wb") as file:
            file.truncate(64 << 20)
        if not shutil.which("mkfs.ext4") or subprocess.run(
                ["mkfs.ext4", "-q", "-F", "-m", "0", image], capture_output=True,
                check=False).returncode != 0:
            self.skipTest("no mkfs.ext4")
        self.mount('mount -t ext4 -o loop "$2" "$1"', image)
        self.fill_and_free(6 << 20)


class ReserveTest(CairnTest):
    def test_it_grows_with_the_repository(self):
        reserve = self.repo / "reserve"
        self.assertEqual(len(list(reserve.iterdir())), 4)
        self.cairn("snapshot", "-q", "--stdin", input=os.urandom(270_000_000))
        self.assertEqual(len(list(reserve.iterdir())), 5)


class StatsTest(CairnTest):
    def test_of_the_repository(self):
        self.write("a", "x" * 100000)
        self.write("b", "x" * 100000)
        self.cairn("snapshot", self.source)
        self.cairn("snapshot", self.source)
        self.cairn("hold", "latest")
        stats = self.json("stats")
        self.assertEqual((stats["snapshots"], stats["held"], stats["logical_files"],
                          stats["logical_bytes"]), (2, 1, 4, 400000))
        self.assertLess(stats["unique_bytes"], 110000)
        self.assertLess(stats["stored_bytes"], stats["unique_bytes"])
        self.assertGreater(stats["dedup_ratio"], 3)
        self.assertGreater(stats["compression_ratio"], 1)
        self.assertEqual(stats["blobs"], stats["chunks"] + stats["nodes"])
        for name in ("packs", "frames", "journal_records", "journal_bytes", "index_bytes"):
            self.assertGreater(stats[name], 0, name)
        text = self.cairn("stats")
        for word in ("2 (1 held)", "Logical:", "Unique:", "Stored:", "Packs:", "Index:"):
            self.assertIn(word, text)

    def test_of_one_snapshot(self):
        self.write("a", os.urandom(50000))
        self.cairn("snapshot", self.source)
        self.write("sub/b", os.urandom(30000))
        second = self.snapshot()
        stats = self.json("stats", "latest")
        self.assertEqual((stats["snapshot_id"], stats["files"], stats["dirs"],
                          stats["logical_bytes"]), (second, 2, 2, 80000))
        self.assertTrue(30000 <= stats["own_bytes"] < 40000, stats)
        self.assertIn("no other snapshot has", self.cairn("stats", "latest"))
        self.fails(USAGE, "stats", "latest:/x")


class IndexTest(CairnTest):
    def index_files(self):
        return [os.path.join(folder, name)
                for folder, _, names in os.walk(self.cache) for name in names if name == "data.mdb"]

    def test_rebuild(self):
        self.write("file")
        made = self.snapshot()
        self.assertIn("1 snapshot", self.cairn("index", "rebuild"))
        self.assertEqual(self.json("index", "rebuild")["snapshots"], 1)
        self.assertEqual(self.ids(), [made])
        self.assertEqual(self.cairn("cat", f"latest:{self.source}/file"), "content\n")

    def test_rebuild_helps_against_a_damaged_index(self):
        self.write("file")
        made = self.snapshot()
        (index,) = self.index_files()
        with open(index, "r+b") as file:
            file.truncate(3 * 4096)
            file.write(os.urandom(3 * 4096))
        self.cairn("index", "rebuild")
        self.assertEqual(self.ids(), [made])

    def test_without_an_index_nothing_is_lost(self):
        self.write("file")
        made = self.snapshot()
        shutil.rmtree(self.cache)
        self.assertEqual(self.ids(), [made])
        self.cairn("index", "rebuild")
        self.fails(NO_REPOSITORY, "-r", self.root / "none", "index", "rebuild")


class DamagedJournalTest(CairnTest):
    def setUp(self):
        super().setUp()
        for number in range(3):
            self.write(f"file{number}", f"{number}\n")
            self.snapshot()
        self.records = sorted((self.repo / "journal").glob("0*"))

    def damage(self, path):
        """Flips a bit in both copies."""
        content = bytearray(path.read_bytes())
        content[100] ^= 1
        content[-10] ^= 1
        path.write_bytes(content)
        shutil.rmtree(self.cache)

    def test_a_lost_record_is_named_and_the_rest_can_be_restored(self):
        self.damage(self.records[1])
        summary = self.summary("check", code=FAILED)
        objects = [damage["object"] for damage in summary["damages"]]
        self.assertIn(f"journal/{self.records[1].name}", objects)
        self.assertIn("journal", objects)
        self.assertEqual(summary["snapshots"], 2)
        self.assertEqual(summary["affected_paths"], [])
        self.assertIn("up to record 1 of 3", self.cairn("check", code=FAILED))
        self.cairn("restore", f"latest:{self.source}", "-t", self.root / "out")
        self.assertIn("damaged", self.last_error)
        self.assertEqual((self.root / "out" / "file1").read_text(), "1\n")

    def test_nothing_is_written_then(self):
        self.damage(self.records[1])
        before = sorted((self.repo / "journal").iterdir())
        for command in (["snapshot", self.source], ["forget", "--keep-last", "1"], ["prune"],
                        ["tag", "--add", "t", "latest"]):
            self.assertIn("neither copy is whole", self.fails(FAILED, *command))
        self.assertEqual(sorted((self.repo / "journal").iterdir()), before)

    def test_a_lost_configuration_is_named_and_all_can_be_restored(self):
        (self.repo / "config").write_bytes(b"")
        summary = self.summary("check", code=FAILED)
        self.assertEqual([damage["object"] for damage in summary["damages"]], ["config"])
        self.assertEqual(len(self.ids()), 3)
        self.fails(FAILED, "snapshot", self.source)


class SignalTest(CairnTest):
    def start(self, **more):
        """A snapshot of a stream that stays open; returns once it is being read."""
        fifo = self.root / "ready"
        os.mkfifo(fifo)
        process = subprocess.Popen(
            [BINARY, "snapshot", "--stdin-from-command", "--", "sh", "-c",
             f"echo some data; echo ready > {fifo}; exec cat 2>/dev/null"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env,
            cwd=self.root, **more)
        self.assertEqual(fifo.read_text(), "ready\n")
        return process

    def test_sigint_and_sigterm_stop_cleanly(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = self.start()
            process.send_signal(number)
            process.wait()
            output, error = process.communicate()
            self.assertEqual(process.returncode, INTERRUPTED, error)
            self.assertEqual(output, b"")
            self.assertIn(b"interrupted: no snapshot was made", error)
            self.assertEqual(self.ids(), [])
            self.assertEqual(os.listdir(self.repo / "sessions"), [])
            (self.root / "ready").unlink()

    def test_a_second_signal_ends_it_at_once(self):
        # The command does not end, so that the clean stop waits for it.
        fifo = self.root / "ready"
        os.mkfifo(fifo)
        process = subprocess.Popen(
            [BINARY, "snapshot", "--stdin-from-command", "--", "sh", "-c",
             f"trap '' TERM; echo ready > {fifo}; read line"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=self.env,
            cwd=self.root)
        self.assertEqual(fifo.read_text(), "ready\n")
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            time.sleep(0.01)
        self.assertEqual(process.returncode, -signal.SIGINT)
        process.communicate()

    @staticmethod
    def state(process):
        stat = pathlib.Path(f"/proc/{process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0]

    def test_ctrl_z_is_taken_by_one_thread_and_stops_all(self):
        # In a group of its own: the system stops none that has nobody to continue it.
        process = self.start(process_group=0)
        open_to_stop = 0
        for task in pathlib.Path(f"/proc/{process.pid}/task").iterdir():
            blocked = next(line for line in (task / "status").read_text().splitlines()
                           if line.startswith("SigBlk:"))
            open_to_stop += not int(blocked.split()[1], 16) >> (signal.SIGTSTP - 1) & 1
        self.assertEqual(open_to_stop, 1)
        process.send_signal(signal.SIGTSTP)
        while self.state(process) != "T":
            self.assertIsNone(process.poll())
            time.sleep(0.01)
        process.send_signal(signal.SIGCONT)
        process.stdin.close()
        process.wait()
        self.assertEqual(process.returncode, DONE, process.stderr.read())
        process.stdout.close()
        process.stderr.close()
        self.assertEqual(len(self.ids()), 1)

    def test_sigbus_is_explained(self):
        process = self.start()
        process.send_signal(signal.SIGBUS)
        process.wait()
        _, error = process.communicate()
        self.assertEqual(process.returncode, FAILED)
        self.assertIn(b"cairn index rebuild", error)


if __name__ == "__main__":
    main()
