#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Encrypted repositories: init --encrypt, where passwords come from, key, exit code 12."""

import os
import pty
import select
import shutil
import stat

from harness import BINARY, FAILED, NO_REPOSITORY, USAGE, WRONG_PASSWORD, CairnTest, main

LOW = ("--key-cost", "low")


class KeyTest(CairnTest):
    MAKES_REPO = False

    def setUp(self):
        super().setUp()
        self.password = self.root / "password"
        self.password.write_text("correct horse\n")
        self.other = self.root / "other"
        self.other.write_text("battery staple")
        self.by_file = ("--password-file", self.password)
        self.write("dir/telling-name", "telling content\n" * 100)

    def init(self):
        self.cairn("init", "-q", "--encrypt", *LOW, *self.by_file)

    def bytes_of_repository(self):
        return b"".join(path.read_bytes() + bytes(path)
                        for path in sorted(self.repo.rglob("*")) if path.is_file())

    def on_terminal(self, answers, *arguments):
        """Runs cairn on a terminal of its own and answers its questions; exit code and output."""
        for end in self.open_terminal():  # which tells whether there are any
            os.close(end)
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(BINARY, [BINARY, *map(os.fspath, arguments)], self.env)
        output = b""
        while True:
            readable, _, _ = select.select([terminal], [], [], 60)
            self.assertTrue(readable, output)
            try:
                got = os.read(terminal, 4096)
            except OSError:
                break
            if not got:
                break
            output += got
            if got.endswith(b": ") and answers:
                os.write(terminal, answers.pop(0).encode() + b"\n")
        _, status = os.waitpid(pid, 0)
        os.close(terminal)
        return os.waitstatus_to_exitcode(status), output.decode()

    def test_remove_needs_to_be_told_which(self):
        self.init()
        for arguments in ([], [""], ["abc"]):
            self.fails(USAGE, "key", "remove", *arguments, *self.by_file)

    def test_everything_works_with_its_password(self):
        made = self.json("init", "--encrypt", *LOW, *self.by_file)
        self.assertTrue(made["encrypted"])
        self.cairn("snapshot", "-q", self.source, "--host", "telling-host", *self.by_file)
        self.write("dir/second", "more")
        self.cairn("snapshot", "-q", self.source, *self.by_file)
        self.cairn("forget", "-q", "--keep-last", "1", "--prune", *self.by_file)
        self.cairn("index", "rebuild", *self.by_file)
        self.cairn("check", "--read-data", *self.by_file)
        self.cairn("repair", *self.by_file)
        self.cairn("restore", f"latest:{self.source}", "-t", self.root / "out", *self.by_file)
        self.assertEqual((self.root / "out/dir/telling-name").read_text(), "telling content\n" * 100)
        stored = self.bytes_of_repository()
        for text in (b"telling", b"source", b"correct horse"):
            self.assertFalse(text in stored, text)

    def test_a_wrong_password_is_exit_code_12(self):
        self.init()
        for command in (("snapshots",), ("snapshot", self.source), ("check",), ("key", "list"),
                        ("index", "rebuild"), ("prune",)):
            error = self.fails(WRONG_PASSWORD, *command, "--password-file", self.other)
            self.assertIn("wrong password", error)
        self.assertIn("wrong", self.fails(WRONG_PASSWORD, "snapshots",
                                          env={"CAIRN_PASSWORD": "nonsense"}))

    def test_without_a_password_it_says_what_to_give(self):
        self.init()
        error = self.fails(WRONG_PASSWORD, "snapshots", start_new_session=True)
        for word in ("--password-file", "--password-command", "CAIRN_PASSWORD", "--key-file"):
            self.assertIn(word, error)

    def test_sources_of_passwords(self):
        self.init()
        self.cairn("snapshots", env={"CAIRN_PASSWORD": "correct horse"})
        self.cairn("snapshots", "--password-command", f"cat '{self.password}'")
        self.cairn("snapshots", "--password-command", "echo correct horse")
        # An option goes before the variable.
        self.cairn("snapshots", *self.by_file, env={"CAIRN_PASSWORD": "nonsense"})
        self.fails(USAGE, "snapshots", *self.by_file, "--password-command", "echo x")
        self.fails(USAGE, "snapshots", env={"CAIRN_PASSWORD": ""})
        self.assertIn("failed", self.fails(WRONG_PASSWORD, "snapshots", "--password-command", "false"))
        self.fails(WRONG_PASSWORD, "snapshots", "--password-file", self.root / "missing")
        empty = self.root / "empty"
        empty.write_text("\n")
        self.fails(USAGE, "snapshots", "--password-file", empty)
        lines = self.root / "lines"
        lines.write_text("one\ntwo\n")
        self.fails(USAGE, "snapshots", "--password-file", lines)

    def test_a_password_command_takes_nothing_of_the_stream(self):
        self.init()
        self.cairn("snapshot", "-q", "--stdin", "--stdin-name", "stream", "--password-command",
                   "cat; echo correct horse", input=b"the stream")
        done = self.run_raw("cat", "latest:/stream", *self.by_file)
        self.assertEqual(done.stdout, b"the stream")

    def test_commands_do_not_get_the_password(self):
        self.init()
        self.env["CAIRN_PASSWORD"] = "correct horse"
        self.cairn("snapshot", "-q", "--stdin-name", "out", "--stdin-from-command", "--", "env")
        stored = self.run_raw("cat", "latest:/out").stdout
        self.assertIn(b"PATH=", stored)
        self.assertNotIn(b"horse", stored)

    def test_a_password_for_one_that_is_not_encrypted_is_refused(self):
        self.cairn("init", "-q")
        before = self.bytes_of_repository()
        error = self.fails(WRONG_PASSWORD, "snapshot", self.source, *self.by_file)
        self.assertIn("not encrypted", error)
        self.fails(WRONG_PASSWORD, "snapshots", env={"CAIRN_PASSWORD": "x"})
        self.assertEqual(self.bytes_of_repository(), before)
        self.fails(FAILED, "key", "list")
        self.cairn("snapshot", "-q", self.source)

    def test_init_takes_a_password_only_to_encrypt(self):
        self.fails(USAGE, "init", *self.by_file)
        self.fails(USAGE, "init", env={"CAIRN_PASSWORD": "x"})
        self.assertFalse(self.repo.exists() and any(self.repo.iterdir()))
        error = self.fails(USAGE, "init", "--encrypt", start_new_session=True)
        self.assertIn("--password-file", error)
        self.fails(NO_REPOSITORY, "snapshots", *self.by_file)

    def test_a_key_file(self):
        key = self.root / "key"
        self.cairn("init", "-q", "--encrypt", "--new-key-file", key)
        self.assertEqual(stat.S_IMODE(key.stat().st_mode), 0o600)
        self.assertEqual(key.stat().st_size, 32)
        self.cairn("snapshot", "-q", self.source, "--key-file", key)
        self.fails(WRONG_PASSWORD, "snapshots", *self.by_file)
        self.fails(USAGE, "snapshots", "--key-file", self.password)
        other = self.root / "key2"
        other.write_bytes(os.urandom(32))
        self.assertIn("wrong key file", self.fails(WRONG_PASSWORD, "snapshots", "--key-file", other))
        # It is never written over.
        before = key.read_bytes()
        self.fails(USAGE, "key", "add", "--new-key-file", key, "--key-file", key)
        self.assertEqual(key.read_bytes(), before)
        self.fails(FAILED, "key", "passwd", "--new-password-file", self.other, "--key-file", key)

    def test_keys_are_added_listed_changed_and_removed(self):
        self.init()
        key = self.root / "key"
        self.cairn("key", "add", "--new-key-file", key, *self.by_file)
        self.cairn("key", "add", "--new-password-file", self.other, *LOW, *self.by_file)
        keys = self.json("key", "list", "--key-file", key)
        self.assertEqual([each["kind"] for each in keys], ["password", "key_file", "password"])
        self.assertEqual([each["current"] for each in keys], [False, True, False])
        self.assertIn("*", self.cairn("key", "list", "--key-file", key))
        # The one that opened stays.
        error = self.fails(FAILED, "key", "remove", keys[0]["id"], *self.by_file)
        self.assertIn("opened", error)
        self.cairn("key", "remove", keys[0]["id"][:12], "--key-file", key)
        self.fails(WRONG_PASSWORD, "snapshots", *self.by_file)
        self.cairn("key", "passwd", "--new-password-file", self.password, *LOW,
                   "--password-file", self.other)
        self.fails(WRONG_PASSWORD, "snapshots", "--password-file", self.other)
        self.cairn("snapshots", *self.by_file)
        self.fails(FAILED, "key", "remove", "0123456789abcdef", *self.by_file)
        self.fails(USAGE, "key", "remove", "01", *self.by_file)
        self.assertEqual(len(list((self.repo / "keys").iterdir())), 2)

    def test_passwords_are_asked_for_on_a_terminal(self):
        code, output = self.on_terminal(["open", "opem"], "init", "--encrypt", *LOW)
        self.assertEqual(code, USAGE, output)
        self.assertIn("differ", output)
        code, output = self.on_terminal(["open sesame", "open sesame"], "init", "--encrypt", *LOW)
        self.assertEqual(code, 0, output)
        self.assertNotIn("sesame", output)
        code, output = self.on_terminal(["open sesame"], "snapshot", self.source)
        self.assertEqual(code, 0, output)
        self.assertEqual(self.on_terminal(["sesame"], "snapshots")[0], WRONG_PASSWORD)
        self.cairn("check", env={"CAIRN_PASSWORD": "open sesame"})

    def test_an_older_state_is_noticed(self):
        self.init()
        self.cairn("snapshot", "-q", self.source, *self.by_file)
        old = self.root / "old"
        self.run_ok("cp", "-a", self.repo, old)
        self.write("more", "more")
        self.cairn("snapshot", "-q", self.source, *self.by_file)
        self.run_ok("rm", "-r", self.repo)
        self.run_ok("cp", "-a", old, self.repo)
        self.cairn("snapshots", *self.by_file)
        self.assertIn("older state", self.last_error)

    def run_ok(self, *command):
        import subprocess
        subprocess.run([*map(str, command)], check=True)

    def test_an_interrupted_init_can_be_done_again(self):
        self.init()
        (self.repo / "config").unlink()
        shutil.rmtree(self.repo / "reserve", ignore_errors=True)
        self.cairn("init", "-q", "--encrypt", *LOW, "--password-file", self.other)
        self.fails(WRONG_PASSWORD, "snapshots", *self.by_file)
        self.cairn("snapshots", "--password-file", self.other)


if __name__ == "__main__":
    main()
