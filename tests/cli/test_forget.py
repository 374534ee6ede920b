#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Choosing what is kept: forget, hold, release, tag."""

import os

from harness import FAILED, USAGE, CairnTest, main


class ForgetTest(CairnTest):
    def at(self, *times, path=None):
        """Snapshots of these times; their ids."""
        self.write("a/file")
        return [self.snapshot("--time", time, of=path or self.source / "a") for time in times]

    def plan(self, *arguments, code=0):
        return self.json("forget", "--dry-run", *arguments, code=code)

    def kept(self, *arguments):
        """What the rules keep, by id, with the reasons."""
        before = self.ids()
        groups = self.plan(*arguments)
        self.assertEqual(self.ids(), before)
        reasons = {reason["snapshot"]["id"]: reason["matches"]
                   for group in groups for reason in group["reasons"]}
        keep = {snapshot["id"] for group in groups for snapshot in group["keep"]}
        remove = {snapshot["id"] for group in groups for snapshot in group["remove"]}
        self.assertEqual(keep | remove, set(before))
        self.assertEqual(set(reasons), keep)
        return reasons

    def test_named_ones(self):
        ids = self.at("2024-01-01", "2024-01-02", "2024-01-03")
        text = self.cairn("forget", "latest~1", ids[0][:8], ids[0])
        self.assertIn("2 snapshots forgotten", text)
        self.assertEqual(self.ids(), [ids[2]])
        self.fails(FAILED, "forget", ids[0])
        self.fails(FAILED, "forget", "latest", "0123456789")
        self.assertEqual(self.ids(), [ids[2]])

    def test_refuses_to_guess(self):
        self.at("2024-01-01")
        self.assertIn("--keep", self.fails(USAGE, "forget"))
        self.fails(USAGE, "forget", "--keep-last", "0")
        self.fails(USAGE, "forget", "--host", "x")
        self.fails(USAGE, "forget", "latest", "--keep-last", "1")
        self.fails(USAGE, "forget", "latest", "--group-by", "host")
        self.fails(USAGE, "forget", "latest:/a")
        self.assertIn("no snapshot matches",
                      self.fails(FAILED, "forget", "--keep-last", "1", "--host", "nobody"))
        self.assertEqual(len(self.ids()), 1)

    def test_an_empty_repository_has_nothing_to_forget(self):
        self.assertEqual(self.json("forget", "--keep-last", "1"), [])

    def test_keep_last_counts_by_the_journal(self):
        ids = self.at("2024-01-03", "2024-01-01", "2024-01-02")
        for option in ("-l", "--keep-last"):
            self.assertEqual(self.kept(option, "2"), {ids[1]: ["last 2"], ids[2]: ["last 1"]})
        self.assertEqual(set(self.kept("--keep-last", "unlimited")), set(ids))
        self.assertEqual(set(self.kept("--keep-last", "-1")), set(ids))
        self.fails(USAGE, "forget", "--keep-last", "some")

    def test_keep_by_calendar(self):
        ids = self.at("2023-12-31T10:00:00", "2024-01-01T10:00:00", "2024-01-01T10:30:00",
                      "2024-02-05T08:00:00", "2024-02-05T09:00:00")
        self.assertEqual(set(self.kept("--keep-hourly", "2")), {ids[3], ids[4]})
        self.assertEqual(set(self.kept("-H", "3")), {ids[2], ids[3], ids[4]})
        for option in ("-d", "--keep-daily"):
            self.assertEqual(self.kept(option, "2"),
                             {ids[4]: ["daily 2024-02-05"], ids[2]: ["daily 2024-01-01"]})
        for option in ("-w", "--keep-weekly"):
            self.assertEqual(set(self.kept(option, "2")), {ids[4], ids[2]})
        for option in ("-m", "--keep-monthly"):
            self.assertEqual(set(self.kept(option, "2")), {ids[4], ids[2]})
        for option in ("-y", "--keep-yearly"):
            self.assertEqual(set(self.kept(option, "1")), {ids[4]})
        self.assertEqual(set(self.kept("-y", "2")), {ids[4], ids[0]})

    def test_keep_within(self):
        ids = self.at("2024-01-01T10:00:00", "2024-03-01T09:00:00", "2024-03-01T09:30:00",
                      "2024-03-10T10:00:00")
        self.assertEqual(set(self.kept("--keep-within", "9d2h")), {ids[3], ids[2], ids[1]})
        self.assertEqual(set(self.kept("--keep-within", "1w")), {ids[3]})
        self.assertEqual(set(self.kept("--keep-within-hourly", "1m")), {ids[3], ids[2]})
        self.assertEqual(set(self.kept("--keep-within-daily", "1m")), {ids[3], ids[2]})
        self.assertEqual(set(self.kept("--keep-within-weekly", "1m")), {ids[3], ids[2]})
        self.assertEqual(set(self.kept("--keep-within-monthly", "1y")), {ids[3], ids[0]})
        self.assertEqual(self.kept("--keep-within-yearly", "1y"),
                         {ids[3]: ["yearly 2024 within 1y"], ids[0]: ["oldest yearly within 1y"]})
        for bad in ("", "5", "3 fortnights"):
            self.fails(USAGE, "forget", "--keep-within", bad)

    def test_keep_tag(self):
        self.write("file")
        ids = [self.snapshot("-T", tags, "--time", f"2024-01-0{day}")
               for day, tags in ((1, "a,b"), (2, "a"), (3, "c"))]
        self.assertEqual(self.kept("--keep-tag", "a,b"), {ids[0]: ["tag a,b"]})
        self.assertEqual(set(self.kept("--keep-tag", "a", "--keep-tag", "c")), set(ids))
        self.assertIn("nothing was forgotten",
                      self.fails(FAILED, "forget", "--keep-tag", "mistyped"))
        self.fails(USAGE, "forget", "--keep-tag", "a,,b")
        self.assertEqual(self.ids(), ids)

    def test_groups(self):
        one = self.at("2024-01-01", "2024-01-02")
        self.write("b/file")
        two = self.at("2024-01-03", "2024-01-04", path=self.source / "b")
        self.assertEqual(set(self.kept("--keep-last", "1")), {one[1], two[1]})
        self.assertEqual(set(self.kept("--keep-last", "1", "--group-by", "host")), {two[1]})
        self.assertEqual(set(self.kept("--keep-last", "1", "-g", "")), {two[1]})
        groups = self.plan("--keep-last", "1")
        self.assertEqual([group["paths"] for group in groups],
                         [[f"{self.source}/a"], [f"{self.source}/b"]])
        self.assertEqual(groups[0]["host"], os.uname().nodename)
        self.assertIsNone(groups[0]["tags"])
        self.fails(USAGE, "forget", "--keep-last", "1", "--group-by", "colour")

    def test_filters(self):
        self.write("a/file")
        ids = [self.snapshot("--host", host, "-T", tag, "--time", f"2024-01-0{day}",
                             of=self.source / "a")
               for day, host, tag in ((1, "x", "t"), (2, "x", "t"), (3, "y", "u"), (4, "y", "u"))]
        for arguments in (["--host", "x"], ["--tag", "t"]):
            groups = self.plan("--keep-last", "1", *arguments)
            self.assertEqual([[s["id"] for s in group["remove"]] for group in groups], [[ids[0]]])
        self.cairn("forget", "--keep-last", "1", "--host", "y", "--path", self.source / "a")
        self.assertEqual(self.ids(), [ids[0], ids[1], ids[3]])

    def test_text_tells_what_and_why(self):
        ids = self.at("2024-01-01", "2024-01-02")
        for option in ("-n", "--dry-run"):
            text = self.cairn("forget", "--keep-last", "1", option)
            self.assertRegex(text, rf"(?m)^keep +{ids[1][:8]} .* last 1$")
            self.assertRegex(text, rf"(?m)^remove +{ids[0][:8]} ")
            self.assertIn("dry run: 1 snapshot would be forgotten", text)
        self.assertEqual(self.ids(), ids)
        self.assertIn("1 snapshot forgotten", self.cairn("forget", "--keep-last", "1"))
        self.assertEqual(self.ids(), ids[1:])

    def test_prune_afterwards(self):
        self.write("a/file", os.urandom(200000))
        first = self.snapshot(of=self.source / "a")
        self.write("a/file", os.urandom(200000))
        self.cairn("snapshot", self.source / "a")
        text = self.cairn("forget", first, "--prune")
        self.assertIn("Freed:", text)
        self.assertNotIn("cairn prune", text)
        done = self.run_raw("--json", "forget", "--keep-last", "1", "--prune", "-n")
        import json
        lines = [json.loads(line) for line in done.stdout.decode().splitlines()]
        self.assertIsInstance(lines[0], list)
        self.assertEqual(lines[-1]["message_type"], "summary")
        self.assertTrue(lines[-1]["dry_run"])


class HoldTest(CairnTest):
    def setUp(self):
        super().setUp()
        self.write("file")
        self.made = [self.snapshot("--time", f"2024-01-0{day}") for day in (1, 2, 3)]

    def test_a_held_snapshot_is_never_forgotten(self):
        self.assertIn("is held", self.cairn("hold", "latest~2", self.made[1]))
        self.assertEqual([s["held"] for s in self.json("snapshots")], [True, True, False])
        self.assertIn("held", self.cairn("snapshots"))
        message = self.fails(FAILED, "forget", *self.made)
        self.assertIn(self.made[0][:8], message)
        self.assertIn(self.made[1][:8], message)
        self.assertEqual(self.ids(), self.made[:2])
        plan = self.json("forget", "--keep-last", "1", "-n")[0]
        self.assertEqual(sorted(reason["matches"] for reason in plan["reasons"]),
                         [["held"], ["held", "last 1"]])
        self.assertIn("is released", self.cairn("release", *self.made[:2]))
        self.cairn("forget", self.made[0])
        self.assertEqual(self.ids(), self.made[1:2])

    def test_json_shows_the_snapshots(self):
        self.assertEqual([(s["id"], s["held"]) for s in self.json("hold", "latest")],
                         [(self.made[2], True)])
        self.assertFalse(self.json("release", "latest")[0]["held"])

    def test_wrong_usage(self):
        for command in ("hold", "release"):
            self.fails(USAGE, command)
            self.fails(FAILED, command, "0123456789")
            self.fails(USAGE, command, "latest:/x")


class TagTest(CairnTest):
    def setUp(self):
        super().setUp()
        self.write("file")
        self.made = [self.snapshot("-T", "a,b"), self.snapshot()]

    def tags(self):
        return [snapshot["tags"] for snapshot in self.json("snapshots")]

    def test_add_remove_set(self):
        self.cairn("tag", "--add", "c,d", "--remove", "a", "latest~1", "latest")
        self.assertEqual(self.tags(), [["b", "c", "d"], ["c", "d"]])
        self.cairn("tag", "--set", "z", self.made[0])
        self.assertEqual(self.tags(), [["z"], ["c", "d"]])
        shown = self.json("tag", "--set", "", "latest")
        self.assertEqual([(s["id"], s["tags"]) for s in shown], [(self.made[1], [])])
        self.assertEqual(self.ids(), self.made)

    def test_filters_choose_what_latest_means(self):
        self.cairn("tag", "--add", "x", "latest", "--tag", "a", "--path", self.source)
        self.assertEqual(self.tags(), [["a", "b", "x"], []])
        self.cairn("tag", "--add", "y", "latest", "--host", os.uname().nodename)
        self.assertEqual(self.tags(), [["a", "b", "x"], ["y"]])

    def test_wrong_usage(self):
        for arguments in (["latest"], ["--add", "x"], ["--add", "", "latest"],
                          ["--remove", "a,,b", "latest"], ["--set", "x", "--add", "y", "latest"]):
            self.fails(USAGE, "tag", *arguments)
        self.assertEqual(self.tags(), [["a", "b"], []])


if __name__ == "__main__":
    main()
