#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Looking into snapshots: snapshots, ls, find, log, cat, diff, and how snapshots are named."""

import os

from harness import FAILED, USAGE, CairnTest, main


class SnapshotsTest(CairnTest):
    def setUp(self):
        super().setUp()
        self.write("one/a", "12345")
        self.write("two/b")
        self.first = self.snapshot("--host", "alpha", "-T", "x", "--time", "2024-01-01T00:00:00Z",
                                   of=self.source / "one")
        self.second = self.snapshot("--host", "alpha", "-T", "x,y", "-m", "words",
                                    "--time", "2024-01-02T00:00:00Z", of=self.source / "one")
        self.third = self.snapshot("--host", "beta", "--time", "2024-01-03T00:00:00Z",
                                   of=self.source / "two")

    def test_lists_oldest_first(self):
        text = self.cairn("snapshots")
        self.assertRegex(text, r"(?m)^ID +Time +Host +Tags +Size +Files +Paths +Message$")
        self.assertRegex(text, rf"(?m)^{self.second[:8]}  2024-01-02 00:00:00  alpha  x +5 B +1  "
                               rf"{self.source}/one  words\n +y$")
        self.assertTrue(text.endswith("\n3 snapshots\n"))
        self.assertEqual(self.ids(), [self.first, self.second, self.third])
        self.assertEqual(self.cairn("list"), text)

    def test_json_has_what_scripts_need(self):
        listed = self.json("snapshots")[1]
        self.assertEqual(
            {name: listed[name] for name in ("id", "short_id", "hostname", "paths", "tags",
                                             "message", "held", "parent", "record")},
            {"id": self.second, "short_id": self.second[:8], "hostname": "alpha",
             "paths": [f"{self.source}/one"], "tags": ["x", "y"], "message": "words", "held": False,
             "parent": self.first, "record": 2})
        self.assertEqual(listed["time"], "2024-01-02T00:00:00.000000000+00:00")
        self.assertEqual(listed["summary"]["total_bytes_processed"], 5)

    def test_filters(self):
        self.assertEqual(self.ids("--host", "beta"), [self.third])
        self.assertEqual(self.ids("--host", "alpha", "--host", "beta"), self.ids())
        self.assertEqual(self.ids("--tag", "x"), [self.first, self.second])
        self.assertEqual(self.ids("--tag", "x,y"), [self.second])
        self.assertEqual(self.ids("--tag", "y", "--tag", ""), [self.second, self.third])
        self.assertEqual(self.ids("--path", self.source / "two"), [self.third])
        self.assertEqual(self.ids("--path", "source/one/"), [self.first, self.second])
        self.assertEqual(self.ids("--host", "nobody"), [])
        self.assertIn("0 snapshots", self.cairn("snapshots", "--host", "nobody"))
        self.fails(USAGE, "snapshots", "--tag", "a,,b")

    def test_named_ones_only(self):
        self.assertEqual(self.ids(self.second[:6], "latest"), [self.second, self.third])

    def test_latest_counts_in_each_group(self):
        self.assertEqual(self.ids("--latest", "1"), [self.second, self.third])
        self.assertEqual(self.ids("--latest=1", "--host", "alpha"), [self.second])
        for bad in ("0", "-1", "x"):
            self.fails(USAGE, "snapshots", "--latest", bad)

    def test_groups(self):
        groups = self.json("snapshots", "--group-by", "host")
        self.assertEqual([(group["group_key"], [s["id"] for s in group["snapshots"]])
                          for group in groups],
                         [({"hostname": "alpha"}, [self.first, self.second]),
                          ({"hostname": "beta"}, [self.third])])
        keys = [group["group_key"] for group in self.json("snapshots", "-g", "paths,tags")]
        self.assertIn({"paths": [f"{self.source}/one"], "tags": ["x", "y"]}, keys)
        text = self.cairn("snapshots", "--group-by", "host,paths")
        self.assertIn(f"host alpha, paths {self.source}/one\n", text)
        self.assertEqual(len(self.json("snapshots", "-g", "host", "--latest", "1")[0]["snapshots"]), 1)
        self.fails(USAGE, "snapshots", "--group-by", "colour")


class NamingTest(CairnTest):
    def setUp(self):
        super().setUp()
        self.made = []
        for day, host in ((1, "alpha"), (2, "beta"), (3, "alpha")):
            self.write("file", f"day {day}\n")
            self.made.append(self.snapshot("--time", f"2024-01-0{day}T12:00:00Z", "--host", host,
                                           "-T", f"day{day}"))

    def content(self, snapshot, *options):
        return self.cairn("cat", f"{snapshot}:{self.source}/file", *options)

    def test_by_age(self):
        self.assertEqual(self.content("latest"), "day 3\n")
        self.assertEqual(self.content("latest~2"), "day 1\n")
        self.fails(FAILED, "cat", f"latest~3:{self.source}/file")
        self.fails(USAGE, "ls", "latest~x")

    def test_by_id(self):
        self.assertEqual(self.content(self.made[1]), "day 2\n")
        self.assertEqual(self.content(self.made[1][:8].upper()), "day 2\n")
        self.fails(USAGE, "ls", self.made[0][:3])
        self.assertIn("cairn snapshots", self.fails(FAILED, "ls", "0123456789abcdef"))

    def test_by_time(self):
        self.assertEqual(self.content("@2024-01-02"), "day 2\n")
        self.assertEqual(self.content("@2024-01-02T11:59"), "day 1\n")
        self.assertEqual(self.content("@2024-01-02 12:00:00Z"), "day 2\n")
        self.assertEqual(self.content("@-1d"), "day 3\n")
        self.assertEqual(self.content("@yesterday"), "day 3\n")
        self.fails(FAILED, "ls", "@2023-12-31")
        self.fails(USAGE, "ls", "@someday")

    def test_filters_narrow_latest_and_times(self):
        self.assertEqual(self.content("latest", "--host", "beta"), "day 2\n")
        self.assertEqual(self.content("latest~1", "--host", "alpha"), "day 1\n")
        self.assertEqual(self.content("@2024-01-09", "--tag", "day1"), "day 1\n")
        self.assertEqual(self.content("latest", "--path", self.source), "day 3\n")
        self.assertEqual(self.content(self.made[0], "--host", "beta"), "day 1\n")
        self.fails(FAILED, "ls", "latest", "--host", "gamma")
        self.fails(FAILED, "ls", "latest", "--path", "/elsewhere")
        self.fails(FAILED, "diff", "latest", "latest~1", "--tag", "day2")

    def test_every_command_that_takes_a_snapshot_takes_the_filters(self):
        beta = self.made[1]
        document = self.json("ls", "latest", "--tag", "day2", "--path", self.source)
        self.assertEqual(document["snapshot"]["id"], beta)
        self.assertEqual(self.json("stats", "latest", "--host", "beta", "--tag", "day2", "--path",
                                   self.source)["snapshot_id"], beta)
        self.cairn("restore", "latest", "--host", "beta", "--tag", "day2", "--path", self.source,
                   "-t", self.root / "out")
        self.assertEqual((self.root / f"out{self.source}/file").read_text(), "day 2\n")
        for command in ("hold", "release"):
            self.assertIn(beta[:8], self.cairn(command, "latest", "--host", "beta", "--tag", "day2",
                                               "--path", self.source))
        found = self.json("find", "file", "--host", "beta", "--tag", "day2", "--path", self.source)
        self.assertEqual([item["snapshot"] for item in found], [beta])
        history = self.json("log", self.source / "file", "--host", "beta", "--tag", "day2", "--path",
                            self.source)
        self.assertEqual([s["id"] for v in history["versions"] for s in v["snapshots"]], [beta])
        changes = self.json("diff", "latest", "latest", "--host", "beta", "--tag", "day2", "--path",
                            self.source)
        self.assertEqual((changes["source_snapshot"], changes["changes"]), (beta, []))


class LsTest(CairnTest):
    def setUp(self):
        super().setUp()
        self.write("a", "12345")
        self.write("sub/b").chmod(0o4755)
        os.symlink("to where", self.source / "link")
        os.mkfifo(self.source / "pipe", 0o600)
        os.utime(self.source / "a", (1700000000, 1700000000))
        self.cairn("snapshot", self.source)

    def test_without_a_path_it_lists_the_source(self):
        self.assertEqual(self.cairn("ls", "latest").splitlines(),
                         [f"{self.source}/{name}" for name in ("a", "link", "pipe", "sub")])

    def test_a_path_in_it(self):
        self.assertEqual(self.cairn("ls", f"latest:{self.source}/sub"), f"{self.source}/sub/b\n")
        self.assertEqual(self.cairn("ls", f"latest:{self.source}/sub/b"), f"{self.source}/sub/b\n")
        self.assertEqual(self.cairn("ls", "latest:/"), f"/{self.source.parts[1]}\n")
        self.assertIn("nowhere", self.fails(FAILED, "ls", f"latest:{self.source}/nowhere"))
        self.fails(USAGE, "ls", "latest:relative")

    def test_recursive(self):
        text = self.cairn("ls", "-R", "latest")
        self.assertEqual(text, self.cairn("ls", "latest", "--recursive"))
        self.assertEqual(text.splitlines()[-1], f"{self.source}/sub/b")

    def test_long(self):
        lines = self.cairn("ls", "-lR", "latest").splitlines()
        self.assertEqual(lines, self.cairn("ls", "--long", "-R", "latest").splitlines())
        owner = rf"{os.geteuid()} +{os.getegid()}"
        self.assertRegex(lines[0], rf"^-rw-r--r-- +{owner} +5 2023-11-14 22:13:20 {self.source}/a$")
        self.assertRegex(lines[1], rf"^lrwxrwxrwx .* {self.source}/link -> to where$")
        self.assertRegex(lines[2], r"^prw-------")
        self.assertRegex(lines[3], r"^drwxr-xr-x")
        self.assertRegex(lines[4], r"^-rwsr-xr-x")
        self.assertIn("2023-11-15 03:13:20",
                      self.cairn("ls", "-l", "latest", env={"TZ": "XYZ-5"}).splitlines()[0])

    def test_json(self):
        document = self.json("ls", "-R", "latest")
        self.assertEqual(document["schema_version"], 1)
        self.assertEqual(document["path"], str(self.source))
        self.assertEqual(document["snapshot"]["paths"], [str(self.source)])
        entries = {entry["name"]: entry for entry in document["entries"]}
        self.assertEqual({name: entry["type"] for name, entry in entries.items()},
                         {"a": "file", "b": "file", "link": "symlink", "pipe": "fifo", "sub": "dir"})
        self.assertEqual(entries["link"]["linktarget"], "to where")
        self.assertEqual((entries["b"]["mode"], entries["b"]["permissions"]), (0o4755, "-rwsr-xr-x"))

    def test_several_sources_are_listed_from_what_holds_them_all(self):
        self.cairn("snapshot", self.source / "a", self.source / "sub")
        self.assertEqual(self.cairn("ls", "latest").split(),
                         [f"{self.source}/a", f"{self.source}/sub"])


class FindTest(CairnTest):
    def setUp(self):
        super().setUp()
        self.write("notes.txt", "1")
        self.write("sub/todo.txt", "22")
        self.first = self.snapshot()
        (self.source / "notes.txt").unlink()
        self.second = self.snapshot()

    def test_snapshot_by_snapshot(self):
        text = self.cairn("find", "*.txt")
        blocks = text.split("\n\n")
        self.assertEqual(len(blocks), 2)
        self.assertRegex(blocks[0], rf"^snapshot {self.second[:8]} of .*\n{self.source}/sub/todo.txt$")
        self.assertEqual(blocks[1].splitlines()[1:],
                         [f"{self.source}/notes.txt", f"{self.source}/sub/todo.txt"])

    def test_several_patterns_and_whole_paths(self):
        found = self.json("find", "notes*", f"{self.source}/*/todo.txt")
        self.assertEqual([(item["snapshot"], item["hits"]) for item in found],
                         [(self.second, 1), (self.first, 2)])
        match = found[0]["matches"][0]
        self.assertEqual((match["name"], match["size"]), ("todo.txt", 2))
        self.assertEqual(self.json("find", "nothing"), [])
        self.assertEqual(self.cairn("find", "nothing"), "")

    def test_in_named_snapshots(self):
        for option in ("-s", "--snapshot"):
            found = self.json("find", option, "latest~1", "notes.txt")
            self.assertEqual([item["snapshot"] for item in found], [self.first])
        self.assertEqual(self.json("find", "-s", "latest", "notes.txt"), [])

    def test_long(self):
        for option in ("-l", "--long"):
            self.assertRegex(self.cairn("find", option, "todo.txt"), r"(?m)^-rw-.* 2 .*todo\.txt$")

    def test_bad_patterns(self):
        self.fails(USAGE, "find")
        self.fails(USAGE, "find", "[a")


class LogTest(CairnTest):
    def test_versions_oldest_first(self):
        path = self.write("a", "1")
        ids = [self.snapshot(), self.snapshot()]
        self.write("a", "22")
        ids.append(self.snapshot())
        path.unlink()
        self.write("b")
        ids.append(self.snapshot())
        versions = self.json("log", path)["versions"]
        self.assertEqual([(version["present"], version.get("entry", {}).get("size"),
                           [snapshot["id"] for snapshot in version["snapshots"]])
                          for version in versions],
                         [(True, 1, ids[:2]), (True, 2, ids[2:3]), (False, None, ids[3:])])
        lines = self.cairn("log", "source/a").splitlines()
        self.assertRegex(lines[1], rf" 1 B +2  {ids[0][:8]} .* {ids[1][:8]} ")
        self.assertIn("not there", lines[3])

    def test_a_path_that_never_was(self):
        self.snapshot()
        self.assertIn("cairn find", self.fails(FAILED, "log", "/no/such/path"))
        self.fails(USAGE, "log", "")


class CatTest(CairnTest):
    def test_bytes_as_they_were(self):
        content = os.urandom(300000) + b"\0\n\xff"
        self.write("data", content)
        self.write("empty", "")
        self.cairn("snapshot", self.source)
        self.assertEqual(self.run_raw("cat", f"latest:{self.source}/data").stdout, content)
        self.assertEqual(self.run_raw("cat", f"latest:{self.source}/empty").stdout, b"")

    def test_what_is_no_file(self):
        self.write("sub/a")
        self.cairn("snapshot", self.source)
        self.fails(FAILED, "cat", f"latest:{self.source}/sub")
        self.fails(FAILED, "cat", f"latest:{self.source}/missing")
        self.assertIn("which file", self.fails(USAGE, "cat", "latest"))
        self.fails(USAGE, "--json", "cat", f"latest:{self.source}/sub/a")


class DiffTest(CairnTest):
    def setUp(self):
        super().setUp()
        for name, content in (("same", "="), ("changed", "1"), ("mode", "m"), ("gone", "123"),
                              ("type", "t")):
            self.write(f"d/{name}", content)
        self.cairn("snapshot", self.source)
        self.write("d/changed", "12345")
        (self.source / "d/mode").chmod(0o600)
        (self.source / "d/gone").unlink()
        (self.source / "d/type").unlink()
        os.symlink("x", self.source / "d/type")
        self.write("d/new/er", "12")
        self.cairn("snapshot", self.source)

    def test_json(self):
        document = self.json("diff", "latest~1", "latest")
        changes = {change["path"].removeprefix(f"{self.source}/"): change
                   for change in document["changes"]}
        self.assertEqual({path: change["modifier"] for path, change in changes.items()},
                         {"d": "U", "d/changed": "M", "d/mode": "U", "d/gone": "-", "d/type": "T",
                          "d/new": "+", "d/new/er": "+"})
        self.assertEqual((changes["d/changed"]["before"]["size"],
                          changes["d/changed"]["after"]["size"]), (1, 5))
        self.assertNotIn("before", changes["d/new"])
        statistics = document["statistics"]
        self.assertEqual(statistics["added"], {"files": 1, "dirs": 1, "others": 0, "bytes": 2})
        self.assertEqual(statistics["removed"], {"files": 1, "dirs": 0, "others": 0, "bytes": 3})
        self.assertEqual((statistics["changed_files"], statistics["changed_attributes"]), (2, 2))

    def test_text(self):
        text = self.cairn("diff", "latest~1", "latest")
        self.assertRegex(text, rf"(?m)^M +1 B -> 5 B  {self.source}/d/changed$")
        self.assertRegex(text, rf"(?m)^\+ +2 B  {self.source}/d/new/er$")
        self.assertRegex(text, rf"(?m)^\+ +{self.source}/d/new/$")
        self.assertRegex(text, rf"(?m)^- +3 B  {self.source}/d/gone$")
        self.assertIn("Added:", text)
        self.assertNotIn("same", text)

    def test_paths(self):
        self.cairn("snapshot", self.source / "d")
        self.assertEqual(self.json("diff", f"latest~1:{self.source}/d", "latest")["changes"], [])
        self.assertNotEqual(
            self.json("diff", f"latest~2:{self.source}/d", f"latest:{self.source}/d")["changes"], [])

    def test_wrong_usage(self):
        self.fails(USAGE, "diff", "latest")
        self.fails(USAGE, "diff", "latest", "latest", "latest")


if __name__ == "__main__":
    main()
