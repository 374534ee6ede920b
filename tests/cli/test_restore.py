#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cairn restore."""

import os
import shutil
import unittest

from harness import BINARY, FAILED, USAGE, CairnTest, main


class RestoreTest(CairnTest):
    def setUp(self):
        super().setUp()
        self.target = self.root / "target"
        self.write("a", "content of a")
        self.write("sub/b.txt", "b").chmod(0o640)
        self.write("sub/c.log", "c")
        os.symlink("a", self.source / "link")
        os.utime(self.source / "a", (1600000000, 1600000000))
        self.cairn("snapshot", self.source)

    def restored(self):
        """Names below the target, which has the source's own contents."""
        return {os.path.relpath(os.path.join(folder, name), self.target)
                for folder, folders, files in os.walk(self.target) for name in folders + files}

    def restore(self, *arguments, **more):
        return self.summary("restore", f"latest:{self.source}", "-t", self.target, *arguments, **more)

    def test_the_whole_path_is_rebuilt(self):
        text = self.cairn("restore", "latest", "--target", self.target)
        self.assertIn("3 files", text)
        inside = self.target / str(self.source).lstrip("/")
        self.assertEqual((inside / "a").read_text(), "content of a")
        self.assertEqual((inside / "a").stat().st_mtime, 1600000000)
        self.assertEqual((inside / "sub/b.txt").stat().st_mode & 0o7777, 0o640)
        self.assertEqual(os.readlink(inside / "link"), "a")

    def test_a_paths_own_contents_land_in_the_target(self):
        done = self.restore()
        self.assertEqual(self.restored(), {"a", "sub", "sub/b.txt", "sub/c.log", "link"})
        self.assertEqual((done["files_restored"], done["bytes_restored"], done["error_count"]),
                         (3, 14, 0))
        self.cairn("restore", f"latest:{self.source}/sub/b.txt", "-t", self.root / "single")
        self.assertEqual(os.listdir(self.root / "single"), ["b.txt"])

    def test_several_sources_are_rebuilt_from_the_root(self):
        self.cairn("snapshot", self.source / "a", self.source / "sub")
        self.cairn("restore", "latest", "-t", self.target)
        inside = self.target / str(self.source).lstrip("/")
        self.assertEqual(sorted(os.listdir(inside)), ["a", "sub"])

    def test_target_and_in_place(self):
        self.fails(USAGE, "restore", "latest")
        self.fails(USAGE, "restore", "latest", "-t", self.target, "--in-place")
        self.fails(USAGE, "restore", "latest", "-t", "")
        self.write("a", "spoilt")
        self.write("extra")
        shutil.rmtree(self.source / "sub")
        self.cairn("restore", "latest", "--in-place")
        self.assertEqual((self.source / "a").read_text(), "content of a")
        self.assertEqual((self.source / "sub/b.txt").read_text(), "b")
        self.assertTrue((self.source / "extra").exists())

    def test_include_and_exclude(self):
        self.restore("-i", "*.txt", "--include", "link")
        self.assertEqual(self.restored(), {"sub", "sub/b.txt", "link"})
        shutil.rmtree(self.target)
        self.restore("-e", "*.txt", "--exclude", "/nowhere", "-e", "link")
        self.assertEqual(self.restored(), {"a", "sub", "sub/c.log"})
        self.fails(USAGE, "restore", "latest", "-t", self.target, "-i", "[a")
        self.fails(USAGE, "restore", "latest", "-t", self.target, "-e", "")

    def overwrite(self, policy, content, mtime):
        self.target.mkdir(exist_ok=True)
        (self.target / "a").write_text(content)
        os.utime(self.target / "a", (mtime, mtime))
        self.restore("--overwrite", policy)
        return (self.target / "a").read_text()

    def test_overwrite(self):
        same = "CONTENT OF A"  # as long as the snapshot's
        self.assertEqual(self.overwrite("always", same, 1600000000), "content of a")
        self.assertEqual(self.overwrite("if-changed", same, 1600000000), same)
        self.assertEqual(self.overwrite("if-changed", same, 1700000000), "content of a")
        self.assertEqual(self.overwrite("if-newer", "older", 1500000000), "content of a")
        self.assertEqual(self.overwrite("if-newer", "newer", 1700000000), "newer")
        self.assertEqual(self.overwrite("never", "mine", 1500000000), "mine")
        self.fails(USAGE, "restore", "latest", "-t", self.target, "--overwrite", "maybe")

    def test_delete(self):
        self.restore()
        (self.target / "extra").mkdir()
        (self.target / "extra/file").write_text("x")
        self.restore()
        self.assertIn("extra/file", self.restored())
        self.assertGreaterEqual(self.restore("--delete")["files_deleted"], 1)
        self.assertEqual(self.restored(), {"a", "sub", "sub/b.txt", "sub/c.log", "link"})

    def test_delete_from_the_root_needs_a_filter(self):
        (self.root / "root").symlink_to("/")
        for target in ("/", "//", "/.", "/usr/..", self.root / "root"):
            self.assertIn("--delete", self.fails(USAGE, "restore", "latest", "-t", target, "--delete",
                                                 "--dry-run"))
        self.cairn("restore", "latest", "-t", "/", "--delete", "--dry-run", "-i", "/no/such/thing")

    def test_dry_run(self):
        for option in ("-n", "--dry-run"):
            done = self.restore(option)
            self.assertEqual(done["files_restored"], 3)
        self.assertFalse(self.target.exists())
        self.target.mkdir()
        (self.target / "extra").write_text("x")
        self.restore("-n", "--delete")
        self.assertEqual(self.restored(), {"extra"})

    def test_verify(self):
        self.assertEqual(self.restore("--verify")["files_verified"], 3)
        self.assertEqual(self.restore()["files_verified"], 0)

    def test_verbose_names_what_is_done(self):
        actions = {(line["action"], line["item"]) for line in
                   self.lines("restore", "-v", f"latest:{self.source}", "-t", self.target)
                   if line["message_type"] == "verbose"}
        self.assertIn(("restored", f"{self.source}/a"), actions)
        (self.target / "a").write_text("changed")
        self.cairn("restore", "-v", f"latest:{self.source}", "-t", self.target, "--overwrite",
                   "if-changed")
        self.assertRegex(self.last_error, r"(?m)^updated +\S+/a$")

    def test_missing_content_is_an_error(self):
        shutil.rmtree(self.target, ignore_errors=True)
        packs = [os.path.join(folder, name) for folder, _, names in os.walk(self.repo / "packs")
                 for name in names]
        for pack in packs:
            size = os.path.getsize(pack)
            with open(pack, "r+b") as file:
                file.seek(200)
                file.write(os.urandom(min(64, size - 200)))
        done = self.run_raw("restore", "latest", "-t", self.target)
        self.assertEqual(done.returncode, FAILED)
        self.assertIn(b"cairn: ", done.stderr)

    def test_what_is_not_there(self):
        self.fails(FAILED, "restore", f"latest:{self.source}/missing", "-t", self.target)
        self.fails(FAILED, "restore", "latest~5", "-t", self.target)
        (self.root / "file").write_text("x")
        self.fails(FAILED, "restore", "latest", "-t", self.root / "file")

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to become somebody else")
    def test_owners_that_cannot_be_set_are_no_error(self):
        somebody = 65534
        os.chown(self.source / "a", 12345, 12345)
        self.cairn("snapshot", self.source)
        for folder, folders, files in os.walk(self.root):
            for name in [folder] + [os.path.join(folder, name) for name in folders + files]:
                if not name.startswith(str(self.source)):
                    os.chown(name, somebody, somebody, follow_symlinks=False)
        try:
            done = self.run_raw("--json", "restore", "latest", "-t", self.target, user=somebody,
                                group=somebody, extra_groups=[])
        except PermissionError:
            self.skipTest(f"{BINARY} cannot be run by others")
        self.assertEqual(done.returncode, 0, done.stderr)
        import json
        summary = json.loads(done.stdout.decode().splitlines()[-1])
        self.assertGreaterEqual(summary["owners_not_set"], 1)
        self.assertEqual(summary["error_count"], 0)


if __name__ == "__main__":
    main()
