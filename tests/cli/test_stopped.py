#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A snapshot that is stopped (SIGSTOP) for as long as others take to forget and to prune."""

import os
import random
import signal
import subprocess

from harness import BINARY, DONE, FAILED, CairnTest, main

# More than a pack, so that the writer has one of its own when it is stopped.
NEW_BYTES = 40_000_000


class StoppedTest(CairnTest):
    def setUp(self):
        super().setUp()
        noise = random.Random(1)
        self.known = noise.randbytes(5_000_000)
        self.new = noise.randbytes(NEW_BYTES)
        self.cairn("snapshot", "-q", "--stdin", "--stdin-name", "known", input=self.known)

    def begin(self):
        """A writer that has found what `known` holds, and is stopped."""
        writer = subprocess.Popen(
            [BINARY, "snapshot", "-q", "--stdin", "--stdin-name", "all"], env=self.env,
            stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(writer.kill)
        # When the last of it fits into the pipe, the rest was read.
        writer.stdin.write(self.known + self.new)
        writer.stdin.flush()
        os.kill(writer.pid, signal.SIGSTOP)
        return writer

    @staticmethod
    def finish(writer):
        os.kill(writer.pid, signal.SIGCONT)
        _, error = writer.communicate()
        return writer.returncode, error.decode()

    def test_it_goes_on_where_prune_has_waited_for_it(self):
        writer = self.begin()
        self.cairn("forget", "-q", "latest")
        waited = self.summary("prune")
        self.assertEqual(len(waited["waits_for"]), 1)
        self.assertEqual(self.finish(writer), (DONE, ""))
        self.cairn("prune", "-q")
        self.assertEqual(self.run_raw("cat", "latest:/all").stdout, self.known + self.new)
        self.cairn("check", "-q", "--read-data")

    def test_it_fails_cleanly_where_prune_did_not_wait(self):
        writer = self.begin()
        self.cairn("forget", "-q", "latest")
        self.cairn("prune", "-q", "--now")
        code, error = self.finish(writer)
        self.assertEqual(code, FAILED)
        self.assertIn("conflict", error)
        self.assertEqual(self.json("snapshots"), [])
        self.cairn("prune", "-q")
        self.cairn("check", "-q", "--read-data")
        self.cairn("snapshot", "-q", "--stdin", "--stdin-name", "all", input=self.known + self.new)
        self.assertEqual(self.run_raw("cat", "latest:/all").stdout, self.known + self.new)


if __name__ == "__main__":
    main()
