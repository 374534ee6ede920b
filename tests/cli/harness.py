# SPDX-License-Identifier: Apache-2.0
"""Runs the real program, CAIRN_BINARY, in a world of its own: home, cache, repository and sources
in a temporary directory."""

import json
import os
import pathlib
import pty
import shutil
import subprocess
import tempfile
import unittest

BINARY = os.environ.get("CAIRN_BINARY", "cairn")

DONE, FAILED, USAGE, SOURCES_UNREAD, NO_REPOSITORY, NOT_LOCKED, WRONG_PASSWORD, INTERRUPTED = (
    0, 1, 2, 3, 10, 11, 12, 130)


class CairnTest(unittest.TestCase):
    """A test with `self.root` (temporary), `self.repo` (made by `init` unless MAKES_REPO is false)
    and `self.source` (an empty directory)."""

    MAKES_REPO = True

    def setUp(self):
        self.root = pathlib.Path(os.path.realpath(tempfile.mkdtemp(prefix="cairn-cli-")))
        self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)
        self.repo = self.root / "repo"
        self.cache = self.root / "cache"
        self.source = self.root / "source"
        self.source.mkdir()
        home = self.root / "home"
        home.mkdir()
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TZ": "UTC",
            "CAIRN_REPOSITORY": str(self.repo),
            "CAIRN_CACHE_DIR": str(self.cache),
        }
        for name in ("ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS", "LD_LIBRARY_PATH"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        if self.MAKES_REPO:
            self.cairn("init", "-q")

    def run_raw(self, *arguments, input=b"", cwd=None, env=None, **more):
        """The finished process, with bytes for output."""
        changed = dict(self.env)
        for name, value in (env or {}).items():
            if value is None:
                changed.pop(name, None)
            else:
                changed[name] = value
        return subprocess.run(
            [BINARY, *map(os.fspath, arguments)],
            input=input,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd or self.root,
            env=changed,
            check=False,
            **more,
        )

    def cairn(self, *arguments, code=DONE, **more):
        """Standard output as text; the exit code must be `code`."""
        done = self.run_raw(*arguments, **more)
        self.last_error = done.stderr.decode("utf-8", "replace")
        self.assertEqual(
            done.returncode,
            code,
            f"cairn {' '.join(map(str, arguments))}\n{done.stdout[:2000]!r}\n{self.last_error}",
        )
        return done.stdout.decode("utf-8", "replace")

    def fails(self, code, *arguments, **more):
        """Standard error of a command that must end with `code`."""
        self.cairn(*arguments, code=code, **more)
        self.assertIn("cairn: ", self.last_error)
        return self.last_error

    def json(self, *arguments, **more):
        """The one JSON document of a command."""
        return json.loads(self.cairn("--json", *arguments, **more))

    def lines(self, *arguments, **more):
        """The JSON lines of a command."""
        output = self.cairn("--json", *arguments, **more)
        lines = [json.loads(line) for line in output.splitlines()]
        for line in lines:
            self.assertIn(line["message_type"], ("status", "verbose", "error", "summary"))
            self.assertEqual(line["schema_version"], 1)
        return lines

    def summary(self, *arguments, **more):
        """The last JSON line, which is the summary."""
        last = self.lines(*arguments, **more)[-1]
        self.assertEqual(last["message_type"], "summary")
        return last

    def write(self, name, content="content\n"):
        """Writes a file below the source directory, and returns its path."""
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def snapshot(self, *options, of=None):
        """Snapshots the source directory, or `of`; its id."""
        return self.summary("snapshot", of or self.source, *options)["snapshot_id"]

    def open_terminal(self):
        """Both ends of a new terminal. A chroot may have none to give."""
        try:
            return pty.openpty()
        except OSError as error:
            self.skipTest(f"no terminal to be had here: {error}")

    def paths(self, snapshot="latest"):
        """The names in a snapshot of the source directory, relative to it."""
        prefix = f"{self.source}/"
        entries = self.json("ls", "-R", snapshot)["entries"]
        return {entry["path"].removeprefix(prefix) for entry in entries}

    def ids(self, *arguments):
        """Of the snapshots that are listed, oldest first."""
        return [snapshot["id"] for snapshot in self.json("snapshots", *arguments)]


def main():
    unittest.main(verbosity=1)
