#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""repair, with what it mends by, and parity as others see it."""

import fcntl
import os
import pathlib
import shutil

from harness import FAILED, NO_REPOSITORY, NOT_LOCKED, USAGE, CairnTest, main


class RepairTest(CairnTest):
    def setUp(self):
        super().setUp()
        self.content = os.urandom(3000000)
        self.write("file", self.content)
        self.write("other", "text")
        self.id = self.snapshot()

    def files(self, suffix):
        return [pathlib.Path(folder) / name for folder, _, names in os.walk(self.repo / "packs")
                for name in names if name.endswith(".par") == (suffix == ".par")]

    def largest(self):
        return max(self.files(""), key=lambda path: path.stat().st_size)

    def overwrite(self, path, offset, size):
        with open(path, "r+b") as file:
            file.seek(offset)
            wrong = bytes(byte ^ 0xFF for byte in file.read(size))
            file.seek(offset)
            file.write(wrong)

    def expect_sound(self):
        done = self.summary("check", "--read-data")
        self.assertEqual((done["num_errors"], done["packs_without_parity"]), (0, 0))
        self.assertEqual(self.run_raw("cat", f"latest:{self.source}/file").stdout, self.content)

    def test_a_sound_repository(self):
        done = self.summary("repair")
        self.assertEqual((done["damages_found"], done["blobs_missing"]), (0, 0))
        self.assertIn("Found:", self.cairn("repair"))

    def test_parity_costs_a_few_per_cent(self):
        parity = sum(path.stat().st_size for path in self.files(".par"))
        self.assertGreater(parity, 0)
        self.assertLess(parity, 3000000 * 0.05)

    def test_parity_mends_bit_for_bit(self):
        pack = self.largest()
        whole = pack.read_bytes()
        shutil.rmtree(self.source)
        for offset, size in ((0, 4096), (5000, 1), (1000000, 65536), (len(whole) - 4096, 4096)):
            self.overwrite(pack, offset, size)
            found = self.summary("check", "--read-data", code=FAILED)
            self.assertTrue(all(damage["mendable"] for damage in found["damages"]
                                if damage["object"].startswith("pack ")), found["damages"])
            self.assertIn("`cairn repair` mends it", self.cairn("check", "--read-data", code=FAILED))
            self.assertEqual(self.summary("repair", "--dry-run")["packs_mended"], 1)
            self.assertNotEqual(pack.read_bytes(), whole)
            done = self.summary("repair")
            self.assertEqual((done["packs_mended"], done["blobs_missing"]), (1, 0))
            self.assertEqual(pack.read_bytes(), whole)
        self.expect_sound()

    def test_beyond_parity_the_sources_help(self):
        self.overwrite(self.largest(), 100000, 1500000)
        done = self.summary("repair")
        self.assertGreater(done["blobs_from_sources"], 50)
        self.assertEqual((done["blobs_missing"], done["damages_left"]), (0, []))
        self.expect_sound()

    def test_a_missing_pack_is_mended_from_another_repository(self):
        copy = self.root / "copy"
        shutil.copytree(self.repo, copy)
        shutil.rmtree(self.source)
        for pack in self.files(""):
            pack.unlink()
        dry = self.summary("repair", "-n", "--from", copy)
        self.assertTrue(dry["dry_run"])
        self.assertEqual(self.files(""), [])
        done = self.summary("repair", "--from", copy)
        self.assertGreater(done["blobs_from_others"], 50)
        self.assertEqual(done["blobs_missing"], 0)
        self.expect_sound()

    def exchange(self, one, other):
        aside = self.root / "aside"
        one.rename(aside)
        other.rename(one)
        aside.rename(other)

    def test_packs_that_changed_places_get_their_names_back(self):
        first = self.largest()
        self.write("more", os.urandom(4000000))
        self.snapshot()
        second = self.largest()
        whole = {path: path.read_bytes() for path in (first, second)}
        shutil.rmtree(self.source)
        self.exchange(first, second)
        self.assertIn("`cairn repair` mends it", self.cairn("check", code=FAILED))
        dry = self.summary("repair", "-n")
        self.assertEqual((dry["packs_renamed"], dry["blobs_missing"]), (2, 0))
        self.assertIn("To rename:", self.cairn("repair", "-n"))
        self.assertNotEqual(first.read_bytes(), whole[first])
        self.assertIn("Renamed:", self.cairn("repair"))
        for path, content in whole.items():
            self.assertEqual(path.read_bytes(), content)
        self.expect_sound()

    def test_prune_keeps_a_file_that_is_another_pack(self):
        first = self.largest()
        self.write("more", os.urandom(4000000))
        last = self.snapshot()
        second = self.largest()
        whole = first.read_bytes()
        self.exchange(first, second)
        self.cairn("forget", last)
        for _ in range(2):
            self.cairn("prune", "--max-unused", "0%")
            self.assertIn(f"is pack {first.name}", self.last_error)
            self.assertEqual(second.read_bytes(), whole)
        self.assertEqual(self.summary("repair")["packs_renamed"], 1)
        self.assertEqual(first.read_bytes(), whole)
        self.expect_sound()

    def test_what_nothing_has_is_named_and_stays(self):
        shutil.rmtree(self.source)
        self.overwrite(self.largest(), 100000, 1500000)
        done = self.summary("repair", code=FAILED)
        self.assertGreater(done["blobs_missing"], 0)
        self.assertEqual(done["affected_snapshots"], [self.id])
        self.assertEqual(done["affected_paths"],
                         [{"snapshot": self.id, "path": f"{self.source}/file"}])
        text = self.cairn("repair", code=FAILED)
        self.assertIn(f"affected: {self.id[:8]}:{self.source}/file\n", text)
        self.assertIn("cannot be mended", self.last_error)
        self.assertEqual(self.ids(), [self.id])
        self.assertEqual(self.cairn("cat", f"latest:{self.source}/other"), "text")

    def test_what_is_below_a_lost_directory_cannot_be_judged(self):
        shutil.rmtree(self.source)
        for pack in self.files(""):
            if pack != self.largest():
                pack.unlink()
        for command in (["check"], ["repair", "--dry-run"], ["repair"]):
            done = self.summary(*command, code=FAILED)
            self.assertEqual(done["affected_paths"], [{
                "snapshot": self.id, "path": str(self.source), "unknown_below": True}])
            self.assertIn("cannot be judged", self.cairn(*command, code=FAILED))

    def test_lost_directories_are_made_anew_from_the_live_ones(self):
        for pack in self.files(""):
            if pack != self.largest():
                pack.unlink()
        dry = self.summary("repair", "-n")
        self.assertGreater(dry["blobs_from_sources"], 0)
        done = self.summary("repair")
        self.assertGreater(done["blobs_from_sources"], 1)
        self.assertEqual((done["blobs_missing"], done["damages_left"]), (0, []))
        self.expect_sound()

    def records(self):
        return sorted((self.repo / "journal").glob("0*"))

    def copy(self):
        copy = self.root / "copy"
        shutil.copytree(self.repo, copy)
        return copy

    def test_what_is_lost_in_both_copies_comes_from_a_copy_of_the_repository(self):
        self.write("other", "more")
        self.snapshot()
        copy = self.copy()
        for path in [self.repo / "config", *self.records()]:
            whole = path.read_bytes()
            self.overwrite(path, 100, 8)
            self.overwrite(path, 4196, 8)
            self.fails(FAILED, "repair")
            dry = self.summary("repair", "--dry-run", "--from", copy)
            self.assertEqual(dry["objects_from_others"], 1)
            self.assertNotEqual(path.read_bytes(), whole)
            done = self.summary("repair", "--from", copy)
            self.assertEqual((done["objects_from_others"], done["damages_left"]), (1, []))
            self.assertEqual(path.read_bytes(), whole)
        self.records()[0].unlink()
        (self.repo / "config").unlink()
        self.assertIn("Put back", self.cairn("repair", "--from", copy))
        self.expect_sound()

    def test_check_says_that_a_copy_helps(self):
        for path in [self.repo / "config", self.records()[-1]]:
            whole = path.read_bytes()
            path.write_bytes(bytes(len(whole)))
            self.assertIn("`cairn repair --from COPY`", self.cairn("check", code=FAILED))
            path.write_bytes(whole)

    def test_another_repository_puts_nothing_back(self):
        other = self.root / "other"
        self.cairn("init", "-q", "-r", other)
        self.cairn("snapshot", "-q", "-r", other, self.source)
        for path in [self.repo / "config", self.records()[-1]]:
            whole = path.read_bytes()
            path.write_bytes(bytes(len(whole)))
            self.fails(FAILED, "repair", "--from", other)
            self.assertEqual(path.read_bytes(), bytes(len(whole)))
            path.write_bytes(whole)
        self.expect_sound()

    def test_a_snapshot_that_only_the_copy_has_stays_there(self):
        self.write("other", "more")
        self.snapshot()
        copy = self.copy()
        shutil.rmtree(self.cache)
        self.records()[-1].unlink()
        self.assertEqual(self.summary("repair", "--from", copy)["objects_from_others"], 0)
        self.assertEqual(self.ids(), [self.id])

    def test_of_an_encrypted_repository_too(self):
        key = self.root / "key"
        shutil.rmtree(self.repo)
        self.cairn("init", "-q", "--encrypt", "--new-key-file", key)
        self.cairn("snapshot", "-q", "--key-file", key, self.source)
        copy = self.copy()
        damaged = [self.repo / "config", *self.records(), *(self.repo / "keys").iterdir()]
        for path in damaged:
            whole = path.read_bytes()
            path.write_bytes(whole[:96] + bytes(len(whole) - 96))
            self.fails(FAILED, "repair", "--key-file", key)
            done = self.summary("repair", "--key-file", key, "--from", copy)
            self.assertEqual((done["objects_from_others"], done["damages_left"]), (1, []))
            self.assertEqual(path.read_bytes(), whole)
        for path in damaged[:1] + damaged[2:]:
            path.unlink()
        done = self.summary("repair", "--key-file", key, "--from", copy)
        self.assertEqual((done["objects_from_others"], done["damages_left"]), (2, []))

    def test_the_configuration_and_the_journal_are_mended(self):
        for path in [self.repo / "config", *sorted((self.repo / "journal").glob("0*"))]:
            whole = path.read_bytes()
            self.overwrite(path, 100, 8)
            self.assertEqual(self.summary("repair")["copies_mended"], 1)
            self.assertEqual(path.read_bytes(), whole)

    def test_parity_is_made_anew(self):
        for path in self.files(".par"):
            path.unlink()
        lacking = self.summary("check")["packs_without_parity"]
        self.assertGreater(lacking, 0)
        self.assertIn("lack parity", self.cairn("check"))
        self.assertEqual(self.summary("repair")["parity_made"], lacking)
        self.expect_sound()

    def test_without_parity(self):
        self.write("more", os.urandom(100000))
        before = len(self.files(".par"))
        self.snapshot("--no-parity")
        self.assertEqual(len(self.files(".par")), before)
        self.assertEqual(self.summary("check")["packs_without_parity"], 0)
        self.assertEqual(self.summary("repair")["parity_made"], 0)

    def test_prune_takes_parity_with_its_pack(self):
        self.write("file", os.urandom(10000))
        self.snapshot()
        self.cairn("forget", self.id, "--prune")
        self.cairn("prune", "--max-unused", "0%")
        packs = {path.name for path in self.files("")}
        self.assertEqual({path.stem for path in self.files(".par")}, packs)

    def test_usage(self):
        self.fails(NO_REPOSITORY, "repair", "--from", self.root / "nowhere")
        self.fails(NO_REPOSITORY, "repair", "--from", self.source)
        self.fails(USAGE, "repair", "more")
        with open(self.repo / "prune.lock", "a+b") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.assertIn("another repair", self.fails(NOT_LOCKED, "repair"))
            self.cairn("repair", "--dry-run")


if __name__ == "__main__":
    main()
