#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cairn rollback."""

import os
import shutil
import signal
import subprocess

from harness import BINARY, FAILED, INTERRUPTED, USAGE, CairnTest, main


class RollbackTest(CairnTest):
    def setUp(self):
        super().setUp()
        self.write("a", "content of a")
        self.write("sub/b.txt", "b").chmod(0o640)
        self.write("sub/deep/c", os.urandom(200000))
        os.symlink("a", self.source / "link")
        os.symlink("a", self.source / "turned")
        os.symlink("a", self.source / "touched")
        os.link(self.source / "a", self.source / "sub/same")
        os.utime(self.source / "a", (1600000000, 1600000000))
        os.utime(self.source / "sub", (1500000000, 1500000000))
        self.first = self.snapshot()

    def spoil(self):
        """Every kind of change."""
        times = (self.source / "sub/deep/c").stat()
        # Of the same size and time: only a comparison of the content tells.
        self.write("sub/deep/c", os.urandom(200000))
        os.utime(self.source / "sub/deep/c", ns=(times.st_atime_ns, times.st_mtime_ns))
        (self.source / "sub/b.txt").chmod(0o600)
        (self.source / "link").unlink()
        self.write("link/is/now", "a directory")
        times = (self.source / "turned").lstat()
        (self.source / "turned").unlink()
        os.symlink("x", self.source / "turned")
        os.utime(self.source / "touched", (1, 1), follow_symlinks=False)
        os.utime(self.source / "turned", ns=(times.st_atime_ns, times.st_mtime_ns),
                 follow_symlinks=False)
        (self.source / "sub/same").unlink()
        self.write("extra", "not in the snapshot")
        self.write("more/extra/files", "x")

    def tree(self, snapshot):
        """The id of its root."""
        return next(each["tree"] for each in self.json("snapshots") if each["id"] == snapshot)

    def test_all_is_as_it_was_and_the_safety_snapshot_has_the_rest(self):
        self.spoil()
        spoilt = self.snapshot("--rescan")
        done = self.summary("rollback", self.source, "--to", self.first, "--force")
        self.assertEqual(done["snapshot_id"], self.first)
        self.assertEqual(done["error_count"], 0)
        self.assertGreater(done["deleted"], 3)
        safety = done["safety_snapshot_id"]
        self.assertEqual(self.tree(safety), self.tree(spoilt))
        self.assertEqual(self.tree(self.snapshot("--rescan")), self.tree(self.first))
        self.assertFalse((self.source / "extra").exists())
        self.assertEqual(os.stat(self.source / "a").st_nlink, 2)
        # And back again.
        self.cairn("rollback", self.source, "--to", safety, "-f")
        self.assertEqual((self.source / "link/is/now").read_text(), "a directory")
        self.assertEqual(self.tree(self.snapshot("--rescan")), self.tree(spoilt))

    def test_what_is_equal_is_not_written_anew(self):
        before = (self.source / "sub/deep/c").stat().st_ino
        os.utime(self.source / "sub/deep/c", (1, 1))
        self.write("extra")
        done = self.summary("rollback", self.source, "-f")
        self.assertEqual((done["deleted"], done["replaced"], done["bytes"]), (1, 1, 0))
        self.assertEqual((self.source / "sub/deep/c").stat().st_ino, before)
        self.assertEqual(self.tree(self.snapshot("--rescan")), self.tree(self.first))

    def test_nothing_to_do_takes_no_snapshot(self):
        text = self.cairn("rollback", self.source)
        self.assertIn("nothing to do", text)
        self.assertEqual(self.ids(), [self.first])
        done = self.summary("rollback", self.source)
        self.assertNotIn("safety_snapshot_id", done)

    def test_the_newest_snapshot_that_has_the_path_and_is_no_safety_snapshot(self):
        self.write("a", "second")
        second = self.snapshot()
        shutil.rmtree(self.source / "sub")
        self.snapshot()
        self.write("a", "third")
        self.assertEqual(self.summary("rollback", self.source / "sub")["snapshot_id"], second)
        self.assertEqual(self.summary("rollback", self.source / "a", "-f", "--to", second)[
            "snapshot_id"], second)
        # Again: the safety snapshot is newer, and is passed over.
        self.assertIn("nothing to do", self.cairn("rollback", self.source / "a"))
        tags = [each["tags"] for each in self.json("snapshots")]
        self.assertIn(["rollback"], tags)

    def test_a_single_file(self):
        self.write("a", "spoilt")
        self.write("extra")
        text = self.cairn("rollback", "a", "--force", cwd=self.source)
        self.assertRegex(text, "(?m)^safety snapshot [0-9a-f]{64}$")
        self.assertEqual((self.source / "a").read_text(), "content of a")
        self.assertEqual((self.source / "a").stat().st_mtime, 1600000000)
        self.assertTrue((self.source / "extra").exists())
        safety = self.ids()[-1]
        self.assertEqual(self.cairn("cat", f"{safety}:{self.source}/a"), "spoilt")

    def test_what_was_deleted_comes_back_without_a_question(self):
        before = self.tree(self.first)
        shutil.rmtree(self.source)
        done = self.summary("rollback", self.source)
        self.assertNotIn("safety_snapshot_id", done)
        self.assertEqual((done["replaced"], done["deleted"]), (0, 0))
        self.assertEqual(self.tree(self.snapshot("--rescan")), before)

    def test_without_a_terminal_it_refuses(self):
        path = self.source / "sub/b.txt"
        before = path.stat()
        path.write_text("spoilt")
        message = self.fails(FAILED, "rollback", self.source)
        self.assertIn("--force", message)
        self.assertIn("1 entry of", message)
        self.assertIn("0 entries deleted", message)
        self.assertEqual(path.read_text(), "spoilt")
        path.write_text("b")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        self.write("extra")
        self.assertIn("1 entry deleted", self.fails(FAILED, "rollback", self.source))
        self.assertTrue((self.source / "extra").exists())
        self.assertEqual(self.ids(), [self.first])

    def on_terminal(self, answer, *arguments, **more):
        """Exit code and what the terminal showed. Without an answer it is interrupted."""
        master, slave = self.open_terminal()
        process = subprocess.Popen([BINARY, "rollback", *map(str, arguments)], stdin=slave,
                                   stdout=subprocess.PIPE, stderr=slave, env=self.env, **more)
        os.close(slave)
        shown = b""
        while b"[y/N]" not in shown:
            shown += os.read(master, 1000)
        if answer:
            os.write(master, answer)
        else:
            process.send_signal(signal.SIGINT)
        process.communicate()
        os.close(master)
        return process.returncode, shown.decode()

    def test_on_a_terminal_it_asks(self):
        self.write("a", "spoilt")
        self.write("extra")
        for answer in (b"n\n", b"\n", b"yep\n"):
            code, shown = self.on_terminal(answer, self.source)
            self.assertEqual(code, FAILED)
            self.assertIn("1 entry", shown)
        self.assertEqual(self.ids(), [self.first])
        self.assertEqual(self.on_terminal(b"", self.source)[0], INTERRUPTED)
        self.assertTrue((self.source / "extra").exists())
        self.assertEqual(self.on_terminal(b"y\n", self.source)[0], 0)
        self.assertFalse((self.source / "extra").exists())
        self.assertEqual(self.tree(self.snapshot("--rescan")), self.tree(self.first))

    def test_a_dry_run_changes_nothing(self):
        self.spoil()
        spoilt = self.tree(self.snapshot("--rescan"))
        ids = self.ids()
        dry = self.summary("rollback", self.source, "--to", self.first, "--dry-run")
        text = self.cairn("rollback", self.source, "--to", self.first, "-n")
        self.assertIn("dry run: nothing was changed", text)
        self.cairn("rollback", self.source, "--to", self.first, "-n", "-v")
        self.assertIn(f"{self.source}/extra", self.last_error)
        self.assertEqual(self.ids(), ids)
        self.assertEqual(self.tree(self.snapshot("--rescan")), spoilt)
        done = self.summary("rollback", self.source, "--to", self.first, "-f")
        for name in ("made", "replaced", "deleted", "directories_changed"):
            self.assertEqual(dry[name], done[name], name)

    def test_what_the_snapshot_left_out_stays(self):
        self.write("cache/x", "x")
        self.write("b.o", "o")
        self.cairn("snapshot", self.source, "-e", "*.o", "-e", f"{self.source}/cache")
        self.write("b.o", "other")
        self.write("extra", "x")
        safety = self.summary("rollback", self.source, "-f")["safety_snapshot_id"]
        self.assertEqual((self.source / "b.o").read_text(), "other")
        self.assertTrue((self.source / "cache/x").exists())
        self.assertFalse((self.source / "extra").exists())
        self.assertNotIn("b.o", self.paths(safety))

    def test_the_repository_itself_is_left_alone(self):
        inside = self.source / "repo"
        self.cairn("init", "-r", inside)
        self.cairn("-r", inside, "snapshot", self.source)
        self.write("extra")
        self.cairn("-r", inside, "rollback", self.source, "-f")
        self.assertFalse((self.source / "extra").exists())
        self.assertEqual(len(self.json("-r", inside, "snapshots")), 2)
        self.cairn("-r", inside, "check", "--read-data")
        self.fails(FAILED, "-r", inside, "rollback", inside / "packs")

    def test_paths_that_are_in_no_snapshot(self):
        self.write("new")
        self.assertIn("no snapshot holds", self.fails(FAILED, "rollback", self.source / "new"))
        self.assertTrue((self.source / "new").exists())
        self.fails(FAILED, "rollback", self.source / "new", "--to", self.first)
        self.assertIn("on the way", self.fails(FAILED, "rollback", self.root, "--to", self.first))
        self.fails(FAILED, "rollback", self.source, "--to", "0123456789abcdef")
        self.fails(USAGE, "rollback")
        self.fails(USAGE, "rollback", "")
        self.fails(USAGE, "rollback", self.source, "--to", "latest:/x")

    def as_somebody(self):
        """What makes a process one that may not read everything."""
        if os.geteuid() != 0:
            return {}
        somebody = 65534
        for folder, folders, files in os.walk(self.root):
            for name in [folder] + [os.path.join(folder, name) for name in folders + files]:
                os.chown(name, somebody, somebody, follow_symlinks=False)
        more = {"user": somebody, "group": somebody, "extra_groups": []}
        try:
            self.run_raw("version", **more)
        except PermissionError:
            self.skipTest(f"{BINARY} cannot be run by others")
        return more

    def test_what_the_safety_snapshot_would_lack_needs_force(self):
        secret = self.write("secret")
        secret.chmod(0)
        more = self.as_somebody()
        code, shown = self.on_terminal(b"y\n", self.source, **more)
        self.assertEqual(code, FAILED)
        self.assertIn("1 entry deleted", shown)
        self.assertTrue(secret.exists())
        self.assertEqual(len(self.ids()), 2)
        done = self.run_raw("rollback", self.source, "--force", **more)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"secret", done.stderr)
        self.assertFalse(secret.exists())

    def test_what_cannot_be_looked_at_needs_force(self):
        self.write("closed/file")
        (self.source / "closed").chmod(0)
        self.addCleanup((self.source / "closed").chmod, 0o700)
        done = self.run_raw("rollback", self.source, **self.as_somebody())
        self.assertEqual(done.returncode, FAILED)
        self.assertIn(b"could not be looked at", done.stderr)
        self.assertIn(b"closed", done.stderr)
        self.assertEqual(self.ids(), [self.first])

    def test_a_failure_says_how_to_return(self):
        self.write("a", "spoilt")
        self.write("sub/deep/c", "spoilt too")
        # The content of what is to come back is lost.
        pack = max((path for path in (self.repo / "packs").glob("*/*")
                    if not path.name.endswith(".par")), key=lambda path: path.stat().st_size)
        content = bytearray(pack.read_bytes())
        content[1000:150000] = bytes(149000)
        pack.write_bytes(content)
        message = self.fails(FAILED, "rollback", self.source, "-f")
        safety = self.ids()[-1]
        self.assertIn(f"cairn rollback {self.source} --to {safety[:8]}", message)
        self.assertEqual((self.source / "sub/deep/c").read_text(), "spoilt too")


if __name__ == "__main__":
    main()
