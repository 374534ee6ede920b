#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cairn snapshot: sources, excludes, labels, outcome."""

import json
import os
import random
import subprocess
import time
import unittest

from harness import BINARY, DONE, FAILED, SOURCES_UNREAD, USAGE, CairnTest, main


class SourcesTest(CairnTest):
    def test_summary_counts_new_changed_and_unchanged(self):
        self.write("a", "1234")
        self.write("sub/b", "12")
        first = self.summary("snapshot", self.source)
        self.assertEqual((first["files_new"], first["files_changed"], first["files_unmodified"]),
                         (2, 0, 0))
        self.assertEqual((first["total_files_processed"], first["total_dirs_processed"],
                          first["total_bytes_processed"], first["bytes_read"]), (2, 2, 6, 6))
        self.assertGreater(first["data_added"], 0)
        self.assertGreater(first["data_added_packed"], 0)
        self.assertRegex(first["snapshot_id"], "^[0-9a-f]{64}$")
        self.assertNotIn("parent", first)
        self.write("a", "4321+")
        second = self.summary("snapshot", self.source)
        self.assertEqual((second["files_new"], second["files_changed"]), (0, 1))
        self.assertEqual(second["parent"], first["snapshot_id"])
        self.assertFalse(second["unchanged"])
        third = self.summary("snapshot", self.source)
        # Read again or not: a file may be too young to be known by its times.
        self.assertEqual((third["data_added"], third["unchanged"]), (0, True))

    def test_text_summary_ends_with_the_id(self):
        self.write("a")
        text = self.cairn("snapshot", self.source)
        self.assertIn("1 new, 0 changed, 0 unchanged", text)
        self.assertRegex(text, rf"snapshot {self.ids()[0][:8]} saved\n$")

    def test_relative_paths_become_absolute_and_clean(self):
        self.write("sub/a")
        for path in ("source/sub", "./source//sub/", "source/../source/sub/.", "../source/sub"):
            cwd = self.source if path.startswith("..") else self.root
            self.cairn("snapshot", path, cwd=cwd)
        for snapshot in self.json("snapshots"):
            self.assertEqual(snapshot["paths"], [str(self.source / "sub")])

    def test_the_working_directory_is_as_the_user_sees_it(self):
        self.write("sub/a")
        (self.root / "link").symlink_to(self.source)
        self.cairn("snapshot", "sub", cwd=self.root / "link",
                   env={"PWD": str(self.root / "link")})
        self.cairn("snapshot", "sub", cwd=self.root / "link", env={"PWD": "/nonsense"})
        self.assertEqual([snapshot["paths"] for snapshot in self.json("snapshots")],
                         [[f"{self.root}/link/sub"], [f"{self.source}/sub"]])

    def test_dotdot_out_of_a_symlink_is_where_the_kernel_goes(self):
        self.write("deep/er/x")
        self.write("deep/y")
        (self.root / "link").symlink_to(self.source / "deep/er")
        self.cairn("snapshot", self.root / "link/../y")
        self.assertEqual(self.json("snapshots")[0]["paths"], [f"{self.source}/deep/y"])

    def test_several_sources_and_one_that_is_missing(self):
        self.write("one/a")
        self.write("two/b")
        done = self.summary("snapshot", self.source / "one", self.source / "two")
        self.assertEqual(done["paths"], [f"{self.source}/one", f"{self.source}/two"])
        lines = self.lines("snapshot", self.source / "one", self.source / "three",
                           code=SOURCES_UNREAD)
        self.assertEqual(lines[-1]["error_count"], 1)
        error = [line for line in lines if line["message_type"] == "error"][0]
        self.assertEqual(error["item"], f"{self.source}/three")
        self.assertIn("No such file", error["error"]["message"])
        self.assertEqual(len(self.ids()), 2)

    def test_without_any_source_there_is_no_snapshot(self):
        self.fails(USAGE, "snapshot")
        self.fails(USAGE, "snapshot", "")
        self.assertIn("No such file", self.fails(FAILED, "snapshot", self.root / "nowhere"))
        self.assertEqual(self.ids(), [])

    def test_a_source_that_is_a_symlink_is_said_to_be_one(self):
        (self.root / "link").symlink_to(self.source)
        self.cairn("snapshot", self.root / "link")
        self.assertIn("is a symlink", self.last_error)

    def test_names_like_commands_and_options_are_names(self):
        for name in ("find", "--json", "++", "[a,b]", "-x", "{}"):
            self.write(name)
        self.cairn("snapshot", "find", "[a,b]", "++", "{}", "--", "--json", "-x", cwd=self.source)
        self.assertEqual(self.json("snapshots")[0]["paths"],
                         sorted(f"{self.source}/{name}"
                                for name in ("find", "--json", "++", "[a,b]", "-x", "{}")))

    def test_files_from_takes_lines_or_nuls(self):
        for name in ("a", "b c", "d\ne"):
            self.write(name)
        (self.root / "lines").write_text(f"{self.source}/a\n\n{self.source}/b c\n")
        self.cairn("snapshot", "--files-from", self.root / "lines")
        self.assertEqual(self.json("snapshots")[-1]["paths"],
                         [f"{self.source}/a", f"{self.source}/b c"])
        self.cairn("snapshot", "--files-from", "-", input=b"source/d\ne\0source/a\0")
        self.assertEqual(self.json("snapshots")[-1]["paths"],
                         [f"{self.source}/a", f"{self.source}/d\ne"])
        self.fails(FAILED, "snapshot", "--files-from", self.root / "missing")
        self.fails(USAGE, "snapshot", "--files-from", "/dev/null")

    def test_the_repository_leaves_itself_out(self):
        self.write("a")
        self.cairn("snapshot", "-v", self.root)
        self.assertIn(f"leaving out cairn's own {self.repo}\n", self.last_error)
        self.assertIn(f"leaving out cairn's own {self.cache}/", self.last_error)
        names = {entry["path"] for entry in self.json("ls", "-R", "latest")["entries"]}
        self.assertIn(f"{self.source}/a", names)
        self.assertFalse([name for name in names
                          if name.startswith((f"{self.repo}", f"{self.cache}/"))])
        self.assertIn("cannot hold itself", self.fails(USAGE, "snapshot", self.repo / "packs"))
        self.assertIn("cannot hold itself", self.fails(USAGE, "snapshot", self.repo))

    def test_a_repository_with_a_strange_name_leaves_itself_out_too(self):
        strange = self.root / "a[b]*?!\\c"
        self.cairn("init", "-r", strange)
        self.write("a")
        self.cairn("snapshot", "-r", strange, self.root)
        names = [entry["path"] for entry in self.json("ls", "-R", "-r", strange, "latest")["entries"]]
        self.assertFalse([name for name in names if name.startswith(str(strange))])

    def test_an_emptied_source_is_warned_of(self):
        path = self.write("a")
        self.cairn("snapshot", self.source)
        self.assertEqual(self.last_error, "")
        path.unlink()
        self.cairn("snapshot", self.source)
        self.assertIn("is empty, and was not", self.last_error)
        self.cairn("snapshot", self.source)
        self.assertEqual(self.last_error, "")


class ExcludeTest(CairnTest):
    def setUp(self):
        super().setUp()
        for name in ("keep.c", "drop.o", "sub/drop.o", "sub/keep.o", "cache/x", "sub/cache/y"):
            self.write(name)

    def test_patterns(self):
        self.snapshot("-e", "*.o", "--exclude", "!keep.o", "--exclude=/nowhere")
        self.assertEqual(self.paths(), {"keep.c", "sub", "sub/keep.o", "cache", "cache/x",
                                        "sub/cache", "sub/cache/y"})
        self.snapshot("-e", f"{self.source}/cache", "-e*.[oO]", "-e", "[z]")
        self.assertEqual(self.paths(), {"keep.c", "sub", "sub/cache", "sub/cache/y"})
        self.fails(USAGE, "snapshot", self.source, "-e", "")
        self.fails(USAGE, "snapshot", self.source, "-e", "[a")

    def test_patterns_are_bytes_whatever_the_locale(self):
        self.write("\u00e9.o")
        self.snapshot("-e", "?.o")
        self.assertIn("\u00e9.o", self.paths())
        self.snapshot("-e", "??.o")
        self.assertNotIn("\u00e9.o", self.paths())

    def test_patterns_from_a_file(self):
        rules = self.root / "rules"
        rules.write_text("# comment\n\n*.o\ncache/\n")
        self.snapshot("--exclude-from", rules)
        self.assertEqual(self.paths(), {"keep.c", "sub"})
        rules.write_text("*.o\n[a\n")
        self.assertIn("2", self.fails(USAGE, "snapshot", self.source, "--exclude-from", rules))
        self.fails(FAILED, "snapshot", self.source, "--exclude-from", self.root / "missing")

    def test_caches(self):
        self.write("cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n")
        self.write("sub/cache/CACHEDIR.TAG", "something else")
        self.snapshot()
        self.assertIn("cache/x", self.paths())
        self.snapshot("--exclude-caches")
        self.assertNotIn("cache/x", self.paths())
        self.assertIn("sub/cache/y", self.paths())

    def test_if_present(self):
        self.write("sub/.nobackup")
        self.snapshot("--exclude-if-present", ".nobackup")
        self.assertNotIn("sub/keep.o", self.paths())
        self.assertIn("cache/x", self.paths())
        for bad in ("", "a/b"):
            self.fails(USAGE, "snapshot", self.source, "--exclude-if-present", bad)

    def test_larger_than(self):
        self.write("large", "x" * 2000)
        self.write("small", "x" * 1024)
        for size in ("1K", "1KiB", "1024", "1.0k"):
            self.snapshot("--exclude-larger-than", size)
            self.assertIn("small", self.paths(), size)
            self.assertNotIn("large", self.paths(), size)
        self.snapshot("--exclude-larger-than", "1kB")
        self.assertNotIn("small", self.paths())
        for bad in ("", "K", "1X", "-1", "1.2.3"):
            self.fails(USAGE, "snapshot", self.source, "--exclude-larger-than", bad)

    @unittest.skipUnless(os.path.ismount("/dev/shm") and
                         os.stat("/dev/shm").st_dev != os.stat("/dev").st_dev,
                         "needs a file system mounted at /dev/shm")
    def test_one_file_system(self):
        inside = f"/dev/shm/cairn-test-{os.getpid()}"
        with open(inside, "w", encoding="utf-8") as file:
            self.addCleanup(os.unlink, inside)
            file.write("x")
        rules = ["-e", "/dev/*", "-e", "!/dev/shm", "-e", "/dev/shm/*", "-e", f"!{inside}"]
        self.cairn("snapshot", "/dev", *rules)
        self.assertIn(inside, self.cairn("ls", "-R", "latest"))
        for option in ("-x", "--one-file-system"):
            self.cairn("snapshot", "/dev", option, *rules)
            self.assertNotIn(inside, self.cairn("ls", "-R", "latest"))

    @unittest.skipUnless(os.geteuid() == 0, "only root may mount")
    def test_a_source_is_judged_by_what_is_mounted_there(self):
        if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("no mounts of its own, as in a chroot")
        # Nobody knows how fine the times of a ramfs are, so that a file which is younger than two
        # seconds is read again; on the file system below, it would be after some milliseconds.
        script = """mount -t ramfs none "$1" || exit 77; echo content >"$1/file"
                    "$2" -q snapshot "$1" && "$2" -q snapshot "$1" && "$2" --json snapshot "$1" """
        for _ in range(5):
            begin = time.monotonic()
            done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", self.source, BINARY],
                                  env=self.env, capture_output=True, check=False)
            if done.returncode == 77 or time.monotonic() < begin + 1.5:
                break
        else:
            self.skipTest("too slow: the file was two seconds old")
        if done.returncode == 77:
            self.skipTest("may not mount")
        self.assertEqual(done.returncode, DONE, done.stderr)
        self.assertEqual(json.loads(done.stdout.splitlines()[-1])["bytes_read"], len("content\n"))


class LabelsTest(CairnTest):
    def test_tags_message_host_and_time(self):
        self.snapshot("-T", "a,b", "--tag", "c", "-m", "first\tone", "--host", "elsewhere",
                      "--time", "2021-02-03T04:05:06Z")
        listed = self.json("snapshots")[0]
        self.assertEqual(listed["tags"], ["a", "b", "c"])
        self.assertEqual(listed["message"], "first\tone")
        self.assertEqual(listed["hostname"], "elsewhere")
        self.assertTrue(listed["time"].startswith("2021-02-03T04:05:06.000000000"))
        self.assertEqual((listed["uid"], listed["gid"]), (os.geteuid(), os.getegid()))
        self.assertTrue(listed["program_version"].startswith("cairn "))
        self.snapshot("--message=", "--time", "-90min")
        self.assertEqual(self.json("snapshots")[-1]["message"], "")
        self.assertEqual(self.json("snapshots")[-1]["hostname"], os.uname().nodename)

    def test_labels_that_make_no_sense(self):
        for arguments in (["--tag", ""], ["--tag", "a,,b"], ["--time", "soon"], ["--host", ""]):
            self.fails(USAGE, "snapshot", self.source, *arguments)
        self.assertEqual(self.ids(), [])


class OutcomeTest(CairnTest):
    def test_a_dry_run_stores_nothing(self):
        self.write("a", "new content")
        for option in ("-n", "--dry-run"):
            done = self.summary("snapshot", option, self.source)
            self.assertNotIn("snapshot_id", done)
            self.assertTrue(done["dry_run"])
            self.assertEqual(done["files_new"], 1)
            self.assertGreater(done["data_added"], 0)
        self.assertIn("dry run", self.cairn("snapshot", "-n", self.source))
        self.assertEqual(self.ids(), [])
        self.assertFalse([name for _, _, names in os.walk(self.repo / "packs") for name in names])

    def test_rescan_reads_every_file(self):
        self.write("a", "12345")
        # A file that is as young as the clock's tick is read once more.
        self.assertIn(0, (self.summary("snapshot", self.source)["bytes_read"] for _ in range(100)))
        again = self.summary("snapshot", "--rescan", self.source)
        self.assertEqual((again["bytes_read"], again["files_unmodified"]), (5, 1))

    def test_a_changed_file_takes_what_changed(self):
        first = random.Random(1).randbytes(100_000)
        second = first[:50_000] + b"x" + first[50_001:]
        third = second[:70_000] + b"x" + second[70_001:]
        self.write("a", first)
        self.snapshot()
        self.assertEqual(self.json("stats")["delta_frames"], 0)
        self.write("a", second)
        self.assertLess(self.summary("snapshot", self.source)["data_added_packed"], 2000)
        stats = self.json("stats")
        self.assertGreater(stats["delta_frames"], 0)
        self.assertLess(stats["delta_bytes"], 2000)
        self.assertIn("Deltas:", self.cairn("stats"))
        self.write("a", third)
        plain = self.summary("snapshot", "--no-delta", self.source)
        self.assertGreater(plain["data_added_packed"], 4000)
        self.assertEqual(self.json("stats")["delta_frames"], stats["delta_frames"])
        for snapshot, content in zip(self.ids(), (first, second, third)):
            done = self.run_raw("cat", f"{snapshot}:{self.source}/a")
            self.assertEqual(done.stdout, content)
        self.cairn("check", "--read-data")

    def test_skip_if_unchanged(self):
        self.write("a")
        first = self.snapshot("--skip-if-unchanged")
        again = self.summary("snapshot", "--skip-if-unchanged", self.source)
        self.assertNotIn("snapshot_id", again)
        self.assertTrue(again["unchanged"])
        self.assertIn(f"nothing changed since snapshot {first[:8]}",
                      self.cairn("snapshot", "--skip-if-unchanged", self.source))
        self.write("b")
        self.snapshot("--skip-if-unchanged")
        self.assertEqual(len(self.ids()), 2)


class StreamTest(CairnTest):
    def test_standard_input_becomes_a_file(self):
        self.cairn("snapshot", "--stdin", input=b"from\0a pipe")
        self.assertEqual(self.run_raw("cat", "latest:/stdin").stdout, b"from\0a pipe")
        entry = self.json("ls", "latest")["entries"][0]
        self.assertEqual((entry["mode"], entry["uid"], entry["gid"], entry["size"]),
                         (0o600, os.geteuid(), os.getegid(), 11))
        self.cairn("snapshot", "--stdin", "--stdin-name", "all.sql", "--time", "2024-05-06T07:08:09Z",
                   input=b"x")
        entry = self.json("ls", "@2024-05-07")["entries"][0]
        self.assertEqual(entry["path"], "/all.sql")
        self.assertTrue(entry["mtime"].startswith("2024-05-06T07:08:09.000000000"))

    def test_what_a_command_writes_becomes_a_file(self):
        self.cairn("snapshot", "--stdin-name", "out", "--stdin-from-command", "--tag", "t", "--",
                   "sh", "-c", "printf '%s|' \"$@\"; cat; echo note >&2", "sh", "--json", "-x",
                   input=b"input")
        self.assertEqual(self.last_error, "note\n")
        self.assertEqual(self.cairn("cat", "latest:/out"), "--json|-x|input")
        self.assertEqual(self.json("snapshots")[0]["tags"], ["t"])

    def test_a_large_stream_is_whole(self):
        self.cairn("snapshot", "--stdin-from-command", "--", "seq", "1", "400000")
        expected = "".join(f"{number}\n" for number in range(1, 400001))
        self.assertEqual(self.cairn("cat", "latest:/stdin"), expected)

    def test_a_command_that_fails_makes_no_snapshot(self):
        for script, words in (("echo much; exit 3", "exit code 3"), ("kill -9 $$", "signal 9")):
            message = self.fails(FAILED, "snapshot", "--stdin-from-command", "--", "sh", "-c", script)
            self.assertIn(words, message)
            self.assertIn("no snapshot", message)
        self.assertIn("/no/such/command",
                      self.fails(FAILED, "snapshot", "--stdin-from-command", "--", "/no/such/command"))
        self.assertEqual(self.ids(), [])

    def test_unchanged_streams_are_skipped_by_content(self):
        self.cairn("snapshot", "--stdin", "--skip-if-unchanged", input=b"same")
        self.cairn("snapshot", "--stdin", "--skip-if-unchanged", input=b"same")
        self.assertEqual(len(self.ids()), 1)
        self.cairn("snapshot", "--stdin", "--skip-if-unchanged", input=b"other")
        self.assertEqual(len(self.ids()), 2)

    def test_what_does_not_go_together(self):
        for arguments in (["--stdin", self.source], ["--stdin-name", "x", self.source],
                          ["--stdin", "--stdin-from-command", "--", "true"],
                          ["--stdin-from-command"], ["--stdin", "--files-from", "x"],
                          ["--stdin", "--stdin-name", "a/b"], ["--stdin", "--stdin-name", ""],
                          ["--stdin", "--stdin-name", ".."]):
            self.fails(USAGE, "snapshot", *arguments)


class NamesTest(CairnTest):
    HOSTILE = b"\x1b[31mred\x07\n\xc2\x9b2J\xe2\x80\xaeback\\slash \xff\xfe"

    def setUp(self):
        super().setUp()
        with open(os.fsencode(self.source) + b"/" + self.HOSTILE, "wb") as file:
            file.write(b"x")
        self.cairn("snapshot", self.source)

    def test_text_escapes_what_drives_a_terminal(self):
        for arguments in (["ls", "latest"], ["ls", "-l", "latest"], ["find", "*red*"],
                          ["restore", "-v", "latest", "-t", self.root / "out"]):
            done = self.run_raw(*arguments)
            shown = done.stdout + done.stderr
            self.assertEqual(done.returncode, 0, shown)
            self.assertIn(rb"\033[31mred\a\n\302\2332J\342\200\256back\\slash \377\376", shown)
            for raw in (b"\x1b", b"\x07", b"\xc2\x9b", b"\xe2\x80\xae", b"\xff"):
                self.assertNotIn(raw, shown, arguments)

    def test_errors_escape_too(self):
        done = self.run_raw("ls", "latest:/\x1b[2J\u009b")
        self.assertNotIn(b"\x1b", done.stderr)
        self.assertNotIn(b"\xc2\x9b", done.stderr)
        self.assertIn(rb"\033[2J", done.stderr)
        done = self.run_raw("-r", "/no\x1bwhere", "snapshots")
        self.assertNotIn(b"\x1b", done.stderr)
        done = self.run_raw("snapshot", "--fro\x1bb")
        self.assertNotIn(b"\x1b", done.stderr)

    def test_json_keeps_every_byte(self):
        import base64
        entry = self.json("ls", "latest")["entries"][0]
        self.assertIn("\ufffd", entry["path"])
        self.assertEqual(base64.b64decode(entry["path_b64"]),
                         os.fsencode(self.source) + b"/" + self.HOSTILE)
        self.assertEqual(base64.b64decode(entry["name_b64"]), self.HOSTILE)
        listed = self.json("snapshots")[0]
        self.assertNotIn("paths_b64", listed)

    def test_a_source_that_is_not_utf8_is_found_again(self):
        import base64
        odd = os.fsencode(self.root) + b"/odd\xff"
        os.mkdir(odd)
        with open(odd + b"/file", "wb") as file:
            file.write(b"content")
        self.cairn("snapshot", os.fsdecode(odd))
        listed = self.json("snapshots")[-1]
        self.assertEqual([base64.b64decode(path) for path in listed["paths_b64"]], [odd])
        self.assertEqual(self.cairn("cat", "latest:" + os.fsdecode(odd) + "/file"), "content")

    def test_json_is_one_line_per_message_whatever_the_names(self):
        done = self.run_raw("--json", "-vv", "snapshot", "--rescan", self.source)
        for line in done.stdout.decode().splitlines():
            json.loads(line)


if __name__ == "__main__":
    main()
