#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What holds for every command: help, environment, output, exit codes; init, version, completion."""

import json
import os
import pathlib
import re
import shutil
import subprocess

from harness import BINARY, FAILED, NO_REPOSITORY, USAGE, CairnTest, main

# Every command and every option that scripts may rely on.
CONTRACT = {
    "init": ["--compression"],
    "snapshot": [
        "-e,--exclude", "--exclude-from", "--exclude-caches", "--exclude-if-present",
        "--exclude-larger-than", "-x,--one-file-system", "--files-from", "-T,--tag", "-m,--message",
        "--host", "--time", "-n,--dry-run", "--rescan", "--no-delta", "--no-parity",
        "--skip-if-unchanged", "--stdin", "--stdin-name", "--stdin-from-command",
    ],
    "snapshots": ["-g,--group-by", "--latest", "--host", "--tag", "--path"],
    "ls": ["-l,--long", "-R,--recursive", "--host", "--tag", "--path"],
    "find": ["-l,--long", "-s,--snapshot", "--host", "--tag", "--path"],
    "log": ["--host", "--tag", "--path"],
    "cat": ["--host", "--tag", "--path"],
    "diff": ["--host", "--tag", "--path"],
    "restore": [
        "-t,--target", "--in-place", "-i,--include", "-e,--exclude", "--overwrite", "--delete",
        "-n,--dry-run", "--verify", "--host", "--tag", "--path",
    ],
    "rollback": ["--to", "-f,--force", "-n,--dry-run", "--host", "--tag", "--path"],
    "forget": [
        "-l,--keep-last", "-H,--keep-hourly", "-d,--keep-daily", "-w,--keep-weekly",
        "-m,--keep-monthly", "-y,--keep-yearly", "--keep-within", "--keep-within-hourly",
        "--keep-within-daily", "--keep-within-weekly", "--keep-within-monthly",
        "--keep-within-yearly", "--keep-tag", "-g,--group-by", "-n,--dry-run", "--prune", "--host",
        "--tag", "--path",
    ],
    "prune": ["--max-unused", "--max-repack-size", "--now", "--no-parity", "-n,--dry-run"],
    "hold": ["--host", "--tag", "--path"],
    "release": ["--host", "--tag", "--path"],
    "tag": ["--add", "--remove", "--set", "--host", "--tag", "--path"],
    "check": ["--read-data", "--read-data-subset", "--max-age", "--time-budget"],
    "repair": ["--from", "-n,--dry-run"],
    "stats": ["--host", "--tag", "--path"],
    "index": [],
    "version": [],
    "completion": [],
}
EVERYWHERE = ["-r,--repo", "--json", "-q,--quiet", "-v,--verbose", "--threads", "--color",
              "--progress", "--profile"]


class HelpTest(CairnTest):
    MAKES_REPO = False

    def test_help_names_every_command_and_global_option(self):
        text = self.cairn("--help")
        for command in CONTRACT:
            self.assertRegex(text, rf"(?m)^  {command}[, ]")
        for option in EVERYWHERE:
            self.assertIn(f"  {option}", text)

    def test_each_command_explains_itself_and_its_options(self):
        for command, options in CONTRACT.items():
            text = self.cairn(command, "--help")
            self.assertTrue(text.startswith(f"Usage: cairn {command}"), text)
            for option in options:
                self.assertRegex(text, rf"(?m)^  {re.escape(option)}( |$)", f"{command} {option}")

    def test_the_man_page_has_every_command_and_option(self):
        page = (pathlib.Path(__file__).parents[2] / "docs/man/cairn.1").read_text(encoding="utf-8")
        for command, options in CONTRACT.items():
            self.assertRegex(page, rf"(?m)^\.It Cm {command}\b")
            for option in options + EVERYWHERE:
                for name in option.split(","):
                    self.assertRegex(page, rf"(?m)^\.It (.* )?Fl {name[1:]}( |$)", name)

    def test_without_a_command_help_goes_to_stderr_and_the_code_is_2(self):
        self.assertEqual(self.cairn(code=USAGE), "")
        self.assertIn("Usage: cairn", self.last_error)

    def test_what_is_not_known_is_wrong_usage(self):
        for arguments in (["frobnicate"], ["snapshots", "--frobnicate"], ["ls"],
                          ["snapshot", "--password-fil", "x", "."], ["mend"],
                          ["index"], ["index", "frobnicate"]):
            self.fails(USAGE, *arguments)

    def test_aliases_are_the_same_commands(self):
        self.assertTrue(self.cairn("backup", "--help").startswith("Usage: cairn snapshot"))
        self.assertTrue(self.cairn("list", "--help").startswith("Usage: cairn snapshots"))


class EnvironmentTest(CairnTest):
    MAKES_REPO = False

    def test_repo_option_beats_the_environment(self):
        other = self.root / "other"
        self.cairn("init", "-r", other)
        self.assertEqual(self.json("snapshots", "--repo", other), [])
        self.cairn("snapshots", f"--repo={other}")
        self.cairn("-r", other, "snapshots")
        self.fails(NO_REPOSITORY, "snapshots")

    def test_without_either_the_repository_is_in_the_data_directory(self):
        self.cairn("init", env={"CAIRN_REPOSITORY": None})
        self.assertTrue((self.root / "home/.local/share/cairn/config").is_file())
        data = self.root / "data"
        self.cairn("init", env={"CAIRN_REPOSITORY": None, "XDG_DATA_HOME": str(data)})
        self.assertTrue((data / "cairn/config").is_file())

    def test_the_index_lies_in_the_cache_directory(self):
        self.cairn("init")
        self.cairn("snapshots")
        self.assertTrue(any(self.cache.iterdir()))
        self.cairn("snapshots", env={"CAIRN_CACHE_DIR": None})
        self.assertTrue(any((self.root / "home/.cache/cairn").iterdir()))
        cache = self.root / "xdg"
        self.cairn("snapshots", env={"CAIRN_CACHE_DIR": None, "XDG_CACHE_HOME": str(cache)})
        self.assertTrue(any((cache / "cairn").iterdir()))

    def test_bad_values_in_the_environment_are_errors(self):
        self.cairn("init")
        for name in ("CAIRN_REPOSITORY", "CAIRN_CACHE_DIR"):
            self.assertIn(name, self.fails(USAGE, "snapshots", env={name: ""}))
        self.assertIn("XDG_DATA_HOME", self.fails(
            USAGE, "snapshots", env={"CAIRN_REPOSITORY": None, "XDG_DATA_HOME": "relative"}))
        self.assertIn("XDG_CACHE_HOME", self.fails(
            USAGE, "snapshots", env={"CAIRN_CACHE_DIR": None, "XDG_CACHE_HOME": "relative"}))

    def test_no_repository_is_code_10_and_says_what_to_do(self):
        message = self.fails(NO_REPOSITORY, "snapshots")
        self.assertIn(str(self.repo), message)
        self.assertIn("cairn init", message)
        self.repo.mkdir()
        self.fails(NO_REPOSITORY, "snapshot", self.source)
        self.fails(NO_REPOSITORY, "index", "rebuild")

    def test_remote_repositories_are_refused_clearly(self):
        for url in ("s3:bucket/x", "sftp:host:/x"):
            self.assertIn("not available yet", self.fails(USAGE, "-r", url, "snapshots"))
            self.assertIn("not available yet", self.fails(USAGE, "-r", url, "init"))
        self.assertEqual(list(self.root.glob("s*:*")), [])


class OutputTest(CairnTest):
    def on_terminal(self, *arguments, env=None):
        """Runs with a terminal as standard output and error; what it showed."""
        master, slave = self.open_terminal()
        process = subprocess.Popen([BINARY, *map(str, arguments)], stdin=subprocess.DEVNULL,
                                   stdout=slave, stderr=slave, cwd=self.root,
                                   env={**self.env, "TERM": "xterm", **(env or {})})
        os.close(slave)
        shown = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:  # EIO: the other side is closed
                break
            if not piece:
                break
            shown += piece
        os.close(master)
        self.assertEqual(process.wait(), 0, shown)
        return shown

    def test_colours_only_on_a_terminal_unless_asked_for(self):
        self.snapshot()
        escape = b"\033["
        self.assertNotIn("\033", self.cairn("snapshots"))
        self.assertIn("\033[", self.cairn("--color", "always", "snapshots"))
        self.assertIn(escape, self.on_terminal("snapshots"))
        self.assertNotIn(escape, self.on_terminal("snapshots", "--color=never"))
        self.assertNotIn(escape, self.on_terminal("snapshots", env={"NO_COLOR": "1"}))
        self.assertIn(escape, self.on_terminal("snapshots", "--color=always",
                                               env={"NO_COLOR": "1"}))
        self.assertNotIn("\033", self.cairn("--json", "--color", "always", "snapshots"))
        self.fails(USAGE, "--color", "sometimes", "snapshots")

    def test_progress_stays_off_a_pipe_unless_asked_for(self):
        self.write("file")
        self.cairn("snapshot", self.source)
        self.assertEqual(self.last_error, "")
        self.cairn("snapshot", "--progress", "always", self.source)
        self.assertIn("1 file", self.last_error)
        self.cairn("snapshot", "--progress", "never", self.source)
        self.assertEqual(self.last_error, "")
        self.fails(USAGE, "--progress", "sometimes", "snapshots")

    def test_the_progress_line_is_erased_at_the_end(self):
        self.write("file")
        shown = self.on_terminal("snapshot", "--progress=always", self.source)
        line = shown.rfind(b"1 file")
        self.assertGreaterEqual(line, 0)
        self.assertIn(b"\r\033[K", shown[shown.find(b"1 file"):])
        self.assertNotIn(b"\033[K", self.on_terminal("snapshot", "--progress=never", self.source))

    def test_json_has_status_lines_and_nothing_else(self):
        self.write("file")
        lines = self.lines("snapshot", "--progress=always", self.source)
        status = [line for line in lines if line["message_type"] == "status"]
        self.assertGreaterEqual(len(status), 1)
        for name in ("seconds_elapsed", "files_done", "bytes_done", "error_count"):
            self.assertIn(name, status[-1])
        self.assertEqual(self.lines("snapshot", "--progress=never", self.source)[0]["message_type"],
                         "summary")

    def test_quiet_says_nothing_but_errors(self):
        self.assertEqual(self.cairn("-q", "snapshot", self.source), "")
        self.assertEqual(self.last_error, "")
        self.assertEqual(self.cairn("--quiet", "restore", "latest", "-t", self.root / "out"), "")
        self.fails(FAILED, "-q", "ls", "latest:/nowhere")
        self.fails(USAGE, "-q", "-v", "snapshots")

    def test_verbose_names_what_is_done(self):
        self.write("fresh")
        self.cairn("snapshot", "-v", self.source)
        self.assertRegex(self.last_error, r"(?m)^new +\S+/fresh$")
        self.cairn("-v", "snapshot", self.source)
        self.assertEqual(self.last_error, "")
        self.cairn("-vv", "snapshot", "--rescan", self.source)
        self.assertRegex(self.last_error, r"(?m)^unchanged +\S+/fresh$")
        self.write("fresh", "other")
        verbose = [line for line in self.lines("--verbose", "snapshot", self.source)
                   if line["message_type"] == "verbose"]
        self.assertEqual([(line["action"], line["item"]) for line in verbose],
                         [("modified", f"{self.source}/fresh")])

    def test_threads_are_a_number(self):
        for name in range(20):
            self.write(f"file{name}")
        self.assertEqual(self.summary("snapshot", "--threads", "3", self.source)["files_new"], 20)
        for bad in ("0", "-1", "many", "100000"):
            self.fails(USAGE, "--threads", bad, "snapshots")

    def test_a_profile_goes_to_standard_error(self):
        self.write("file")
        done = self.run_raw("--profile", "snapshot", self.source)
        self.assertEqual(done.returncode, 0)
        text = done.stderr.decode()
        for row in ("walk", "read", "wall", "user", "memory"):
            self.assertRegex(text, rf"(?m)^{row} +[0-9]")
        self.assertNotIn("walk", done.stdout.decode())

    def test_errors_of_line_commands_are_lines_too(self):
        done = self.run_raw("--json", "snapshot", self.root / "nowhere")
        self.assertEqual(done.returncode, FAILED)
        last = json.loads(done.stdout.decode().splitlines()[-1])
        self.assertEqual((last["message_type"], last["code"]), ("error", 1))
        self.assertIn("nowhere", last["error"]["message"])
        self.assertEqual(self.run_raw("--json", "ls", "latest").stdout, b"")

    def test_a_reader_that_goes_away_is_no_error(self):
        for name in range(2000):
            self.write(f"{name:0100}")
        self.snapshot()
        process = subprocess.Popen([BINARY, "ls", "latest"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=self.env, cwd=self.root)
        process.stdout.readline()
        process.stdout.close()
        error = process.stderr.read()
        process.stderr.close()
        self.assertEqual((process.wait(), error), (0, b""))

    def test_results_that_cannot_be_written_are_an_error(self):
        self.write("file", "x" * 100000)
        self.snapshot()
        with open("/dev/full", "wb") as full:
            for arguments in (["cat", f"latest:{self.source}/file"], ["snapshots"], ["--help"]):
                done = subprocess.run([BINARY, *arguments], stdout=full, stderr=subprocess.PIPE,
                                      env=self.env, check=False)
                self.assertEqual(done.returncode, FAILED, arguments)
                self.assertIn(b"standard output", done.stderr)


class InitTest(CairnTest):
    MAKES_REPO = False

    def test_makes_a_repository_where_there_is_none(self):
        text = self.cairn("init")
        self.assertIn(str(self.repo), text)
        self.assertTrue((self.repo / "config").is_file())
        self.assertEqual(self.json("snapshots"), [])

    def test_json_gives_the_id(self):
        made = self.json("init", "-r", self.root / "deep/er/repo")
        self.assertRegex(made["id"], r"^[0-9a-f]{32}$")
        self.assertEqual(made["repository"], str(self.root / "deep/er/repo"))

    def test_never_touches_what_is_there(self):
        self.cairn("init")
        before = (self.repo / "config").read_bytes()
        self.assertIn("already", self.fails(FAILED, "init"))
        self.assertEqual((self.repo / "config").read_bytes(), before)
        self.assertIn("not empty", self.fails(FAILED, "init", "-r", self.root))

    def test_compression_is_a_name_or_a_level(self):
        levels = {"fastest": -5, "fast": 1, "default": 3, "better": 9, "best": 19, "7": 7, "-3": -3}
        for name, level in levels.items():
            made = self.json("init", "-r", self.root / f"r{name}", "--compression", name)
            self.assertEqual(made["compression_level"], level)
        for bad in ("0", "20", "-8", "huge", ""):
            self.fails(USAGE, "init", "--compression", bad)
        self.assertFalse(self.repo.exists())


class ProgramTest(CairnTest):
    MAKES_REPO = False

    def test_version(self):
        text = self.cairn("version")
        self.assertRegex(text, r"^cairn \d+\.\d+\.\d+\n")
        self.assertIn("format 1", text)
        document = self.json("version")
        self.assertEqual(document["format_version"], 1)
        self.assertIn(document["version"], text)
        self.assertIn(document["chunker"], ("scalar", "avx512", "avx512-vbmi"))
        self.assertTrue(document["features"])
        self.assertEqual(self.cairn("--version"), text)

    def test_completion_knows_every_command_and_option(self):
        for shell in ("bash", "zsh", "fish"):
            script = self.cairn("completion", shell)
            for command, options in CONTRACT.items():
                self.assertIn(command, script)
                for option in options:
                    long = option.split(",")[-1]
                    self.assertIn(long if shell != "fish" else f"-l {long[2:]}", script)
        self.fails(USAGE, "completion", "tcsh")
        self.fails(USAGE, "completion")

    def test_the_bash_script_completes(self):
        script = self.cairn("completion", "bash")
        def complete(*words):
            test = script + "\nCOMP_WORDS=(%s); COMP_CWORD=%d; _cairn; printf '%%s\\n' \"${COMPREPLY[@]}\"" % (
                " ".join(f"'{word}'" for word in words), len(words) - 1)
            done = subprocess.run(["bash", "-c", test], stdout=subprocess.PIPE, check=True)
            return done.stdout.decode().split()
        self.assertEqual(complete("cairn", "res"), ["restore"])
        self.assertEqual(complete("cairn", "-r", "x", "snapshot", "--exclude-c"),
                         ["--exclude-caches"])
        self.assertIn("--json", complete("cairn", "ls", "--j"))
        # Values of options are no commands, whichever options have values.
        self.assertEqual(complete("cairn", "--threads", "3", "--color", "never", "sta"), ["stats"])
        self.assertEqual(complete("cairn", "backup", "--exclude-c"), ["--exclude-caches"])
        self.assertEqual(complete("cairn", "index", "re"), ["rebuild"])
        self.assertEqual(complete("cairn", "completion", "z"), ["zsh"])
        self.assertIn("--threads", complete("cairn", "--th"))

    def test_shells_that_are_here_can_read_their_scripts(self):
        for shell in ("bash", "zsh", "fish"):
            if shutil.which(shell) is None:
                continue
            script = self.root / f"completion.{shell}"
            script.write_text(self.cairn("completion", shell), encoding="utf-8")
            done = subprocess.run([shell, "-n", script], capture_output=True, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, b""), shell)


if __name__ == "__main__":
    main()
