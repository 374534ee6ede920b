#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Style and architecture as a test: who may include whom, and what is not written here."""

import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent

# A layer may include itself and these.
ALLOWED = {
    "core/base": [],
    "core/chunker": ["core/base"],
    "core/store": ["core/base"],
    "core/index": ["core/base"],
    "core/tree": ["core/base"],
    "core/fs": ["core/tree", "core/base"],
    "core/repo": ["core/fs", "core/tree", "core/store", "core/index", "core/chunker", "core/base"],
    "cli": ["cli", "core/repo", "core/fs", "core/tree", "core/store", "core/index", "core/chunker", "core/base"],
}

# Third-party headers, and the only files that may see them.
CONFINED = {
    r"lmdb\.h": ["core/index/"],
    r"zstd\.h": ["core/store/"],
    r"isa-l/.*": ["core/store/reed_solomon.cc"],
    r"blake3\.h": ["core/base/blake3.cc"],
    r"CLI/.*": ["cli/"],
    r"nlohmann/.*": ["cli/"],
}

# What is not written in core/ and cli/, and what is written instead.
BANNED = {
    r"absl/synchronization/": "core/base/mutex.h",
    r"\babsl::Mutex\b": "core/base/mutex.h",
    r"system_clock::now": "Clock (core/base/clock.h)",
    r"\b(TODO|FIXME|XXX|HACK)\b": "finish it, or say it in docs/design.md",
    r"\bassert\(": "CHECK for bugs, a Status for input",
}


def sources():
    for top in ("core", "cli"):
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix in (".h", ".cc"):
                yield path


def layer_of(relative):
    parts = relative.split("/")
    return parts[0] if parts[0] == "cli" else "/".join(parts[:2])


class LayeringTest(unittest.TestCase):
    def test_layers_include_only_what_is_below_them(self):
        wrong = []
        for path in sources():
            relative = path.relative_to(ROOT).as_posix()
            layer = layer_of(relative)
            for number, line in enumerate(path.read_text().splitlines(), 1):
                match = re.match(r'\s*#include "((?:core|cli|tests|bench|fuzz)/[^"]+)"', line)
                if not match:
                    continue
                included = layer_of(match.group(1))
                if included != layer and included not in ALLOWED[layer]:
                    wrong.append(f"{relative}:{number}: {layer} may not include {match.group(1)}")
        self.assertEqual(wrong, [])

    def test_third_party_headers_stay_where_they_belong(self):
        wrong = []
        for path in sources():
            relative = path.relative_to(ROOT).as_posix()
            for number, line in enumerate(path.read_text().splitlines(), 1):
                match = re.match(r"\s*#include <([^>]+)>", line)
                if not match:
                    continue
                for pattern, places in CONFINED.items():
                    if re.fullmatch(pattern, match.group(1)) and not any(relative.startswith(p) for p in places):
                        wrong.append(f"{relative}:{number}: <{match.group(1)}> belongs to {places}")
        self.assertEqual(wrong, [])

    def test_banned_words_are_not_used(self):
        wrong = []
        for path in sources():
            relative = path.relative_to(ROOT).as_posix()
            for number, line in enumerate(path.read_text().splitlines(), 1):
                code = line.split("//")[0] if "TODO" not in line and "FIXME" not in line else line
                for pattern, instead in BANNED.items():
                    if re.search(pattern, code):
                        wrong.append(f"{relative}:{number}: {pattern}: use {instead}")
        self.assertEqual(wrong, [])

    def test_every_layer_is_known(self):
        layers = {layer_of(path.relative_to(ROOT).as_posix()) for path in sources()}
        self.assertEqual(layers, set(ALLOWED))

    def test_every_header_is_guarded(self):
        for path in sources():
            if path.suffix == ".h":
                self.assertIn("#pragma once", path.read_text(), path)

    def test_every_source_shows_that_its_header_stands_alone(self):
        wrong = []
        for path in sources():
            header = path.with_suffix(".h").relative_to(ROOT).as_posix()
            if path.suffix == ".cc" and (ROOT / header).exists():
                included = re.search(r'^\s*#include ["<]([^">]+)[">]', path.read_text(), re.MULTILINE)
                if included is None or included.group(1) != header:
                    wrong.append(f"{path.relative_to(ROOT)}: its first include must be {header}")
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    sys.exit(unittest.main())
