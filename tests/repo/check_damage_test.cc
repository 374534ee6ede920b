// SPDX-License-Identifier: Apache-2.0
// What is said and what is still known where something of the journal is lost, and what is no
// damage. (Every kind of object, damaged in every way: damage_matrix.h.)
#include <algorithm>
#include <map>
#include <set>

#include "core/base/random.h"
#include "core/repo/check.h"
#include "core/repo/forget.h"
#include "core/repo/salvage.h"
#include "core/store/journal_state.h"
#include "core/store/pack.h"
#include "tests/repo/restore_fixture.h"
#include "tests/support/encryption.h"

namespace cairn::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class CheckDamageTest : public RestoreTest {
 protected:
  static constexpr int kSnapshots = 5;

  // Snapshots of a source that grows, with a file of its own in each, and one that always changes.
  void MakeHistory() {
    for (int i = 0; i < kSnapshots; ++i) {
      Write(Source("changing"), Noise(3000, 100 + static_cast<uint64_t>(i)));
      Write(Source("own" + std::to_string(i)), Noise(2000, static_cast<uint64_t>(i)));
      const SnapshotId id = Take();
      order_.push_back(id);
      std::map<std::string, std::string>& files = content_[id];
      files["changing"] = Read(Source("changing"));
      for (int j = 0; j <= i; ++j) {
        const std::string name = "own" + std::to_string(j);
        files[name] = Read(Source(name));
      }
    }
  }

  // A disk with what there was, as another process finds it: its index is empty.
  std::unique_ptr<MemoryFileSystem> CopyOfDisk() const {
    return repository_files_.CrashedAt(repository_files_.operation_count(),
                                       {.policy = CrashPolicy::kKeepAll});
  }
  static std::vector<std::string> FilesOf(const MemoryFileSystem& disk, const std::string& prefix) {
    std::vector<std::string> files;
    for (const std::string& path : disk.AllPaths()) {
      const bool is_folder =
          path == "journal/folds" ||
          (path.starts_with("packs/") && path.size() == std::string("packs/xx").size());
      const bool is_parity = path.ends_with(".par");
      if (path.starts_with(prefix) && !is_folder && !is_parity && path != prefix) {
        files.push_back(path);
      }
    }
    return files;
  }
  // Of a small twin the second copy begins with the second sector.
  static void DamageBothCopies(MemoryFileSystem& disk, const std::string& path) {
    ASSERT_OK(disk.Damage(path, [](Bytes& bytes) {
      bytes[100] ^= 1;
      bytes[kTwinSectorBytes + 100] ^= 1;
    }));
  }

  struct Outcome {
    CheckResult result;
    std::unique_ptr<Repository> repository;
  };
  Outcome CheckDisk(MemoryFileSystem& disk) {
    Outcome outcome;
    RepositoryOptions options = TestRepositoryOptions();
    options.beside_damage = true;
    StatusOr<std::unique_ptr<Repository>> opened = Repository::Open(disk, options);
    EXPECT_OK(opened);
    if (!opened.ok()) return outcome;
    outcome.repository = *std::move(opened);
    CheckOptions check;
    check.threads = 1;
    check.read_data.kind = ReadSubset::Kind::kAll;
    StatusOr<CheckResult> result = Check(*outcome.repository, check);
    EXPECT_OK(result);
    if (result.ok()) outcome.result = *std::move(result);
    return outcome;
  }
  static bool Names(const CheckResult& result, const std::string& object) {
    return std::ranges::any_of(result.damages, [&](const Damage& damage) {
      return damage.object.find(object) != std::string::npos ||
             damage.what.find(object) != std::string::npos;
    });
  }

  // Restores every snapshot that is listed: what the check does not name comes back as it was, what
  // it names does not. Returns how many snapshots were listed.
  size_t ExpectTheRestRestores(Repository& repository, const CheckResult& result) {
    StatusOr<std::vector<SnapshotView>> snapshots = repository.Snapshots();
    EXPECT_OK(snapshots);
    if (!snapshots.ok()) return 0;
    for (const SnapshotView& view : *snapshots) {
      const SnapshotId& id = view.info.id;
      std::set<std::string> affected;
      for (const AffectedPath& path : result.affected) {
        if (path.snapshot == id) affected.insert(path.path);
      }
      std::filesystem::remove_all(Target());
      RestoreOptions options;
      Mutex mutex;
      std::set<std::string> failed;
      options.threads = 1;
      options.on_problem = [&](const std::string& path, const std::string&) {
        MutexLock lock(mutex);
        failed.insert(path);
      };
      const StatusOr<RestoreResult> restored = Restore(repository, Place(id), options);
      if (!restored.ok()) {
        EXPECT_THAT(result.affected_snapshots, Contains(id)) << restored.status();
        continue;
      }
      EXPECT_EQ(failed.empty(), affected.empty()) << id.ShortHex();
      for (const auto& [name, content] : content_.at(id)) {
        if (affected.contains(Source(name)) || affected.contains(Source())) continue;
        EXPECT_TRUE(Read(Target(name)) == content) << name << " of " << id.ShortHex();
      }
    }
    return snapshots->size();
  }

  std::vector<SnapshotId> order_;
  std::map<SnapshotId, std::map<std::string, std::string>> content_;
};

TEST_F(CheckDamageTest, SaysUpToWhereTheStateIsKnownAndWhatToDo) {
  MakeHistory();
  const std::vector<std::string> records = FilesOf(repository_files_, "journal/");
  const auto disk = CopyOfDisk();
  DamageBothCopies(*disk, records[2]);
  const Outcome outcome = CheckDisk(*disk);
  EXPECT_THAT(outcome.result.damages,
              Contains(AllOf(Field(&Damage::object, "journal"),
                             Field(&Damage::what, HasSubstr("up to record 2 of 5")),
                             Field(&Damage::what, HasSubstr("from a copy of the repository")))));
}

TEST_F(CheckDamageTest, OnlyWhoReadsOpensARepositoryBesideDamage) {
  MakeHistory();
  const std::vector<std::string> records = FilesOf(repository_files_, "journal/");
  const auto disk = CopyOfDisk();
  DamageBothCopies(*disk, records[2]);
  EXPECT_THAT(Repository::Open(*disk, TestRepositoryOptions()), StatusIs(StatusCode::kDataLoss));
  const size_t operations = disk->operation_count();
  {
    RepositoryOptions options = TestRepositoryOptions();
    options.beside_damage = true;
    ASSERT_OK_AND_ASSIGN(const auto repository, Repository::Open(*disk, options));
    SnapshotOptions snapshot;
    EXPECT_THAT(TakeSnapshot(*repository, {Source()}, snapshot), StatusIs(StatusCode::kDataLoss));
    EXPECT_FALSE(ForgetSnapshots(*repository, {order_[0]}).ok());
    EXPECT_THAT(repository->RebuildIndex(), StatusIs(StatusCode::kDataLoss));
  }
  for (const DiskOperation& operation : disk->operations()) {
    EXPECT_FALSE(operation.to.starts_with("journal/")) << operation.to;
  }
  EXPECT_GE(disk->operation_count(), operations);
}

TEST_F(CheckDamageTest, TheIndexRemembersSnapshotsOfALostRecord) {
  MakeHistory();
  const std::vector<std::string> records = FilesOf(repository_files_, "journal/");
  DamageBothCopies(repository_files_, records[2]);
  ASSERT_OK_AND_ASSIGN(const Salvage salvage,
                       SalvageJournal(repository_->journal(), repository_->store(),
                                      repository_->keys(), &repository_->index()));
  EXPECT_EQ(salvage.sound_to, 2U);
  EXPECT_EQ(salvage.lost_records, 1U);
  EXPECT_EQ(salvage.found_packs, 1U);
  EXPECT_EQ(salvage.found_snapshots, 1U);
  EXPECT_EQ(salvage.state.snapshots().size(), size_t{kSnapshots});
  EXPECT_EQ(salvage.state.head().number, uint64_t{kSnapshots});
  // And so does a check in a process that was at work before.
  CheckOptions options;
  ASSERT_OK_AND_ASSIGN(const CheckResult result, Check(*repository_, options));
  EXPECT_FALSE(result.clean());
  EXPECT_EQ(result.snapshots, size_t{kSnapshots});
  EXPECT_EQ(result.affected_count, 0U);
}

TEST_F(CheckDamageTest, WhatALaterRecordForgetsAndPurgesIsNotMissed) {
  MakeHistory();
  const std::vector<std::string> records = FilesOf(repository_files_, "journal/");
  RecordEntries entries;
  entries.forget = {order_[4]};
  ASSERT_OK_AND_ASSIGN(const JournalState state, repository_->journal().ReadState());
  std::vector<PackName> last;
  for (const auto& [name, entry] : state.packs()) {
    if (entry.named_at == 5) last.push_back(name);
  }
  ASSERT_EQ(last.size(), 1U);
  entries.condemn = last;
  ASSERT_OK_AND_ASSIGN(const Record condemned,
                       repository_->journal().Append(state.head(), entries));
  entries = {};
  entries.purge = last;
  ASSERT_OK(repository_->journal().Append({condemned.number, condemned.hash}, entries));
  ASSERT_OK(repository_files_.Unlink(PackObjectName(last[0])));
  DamageBothCopies(repository_files_, records[1]);
  const Outcome outcome = CheckDisk(repository_files_);
  ASSERT_NE(outcome.repository, nullptr);
  EXPECT_EQ(outcome.result.snapshots, 3U);
  EXPECT_FALSE(Names(outcome.result, last[0].Hex()));
  EXPECT_THAT(outcome.result.affected, IsEmpty());
}

TEST_F(CheckDamageTest, ABadSectorCostsOneCopyOnly) {
  MakeHistory();
  for (const std::string& path :
       {std::string("config"), FilesOf(repository_files_, "journal/")[1]}) {
    SCOPED_TRACE(path);
    const auto disk = CopyOfDisk();
    // A read of the whole file fails, and of those of single sectors the first.
    int sector = 0;
    disk->SetHook([&](const DiskOperation& operation) -> Status {
      if (operation.kind != DiskOperation::Kind::kRead || operation.path != path) return OkStatus();
      if (operation.bytes > kTwinSectorBytes) {
        sector = 0;
        return Unavailable("bad sector");
      }
      return sector++ == 0 ? Unavailable("bad sector") : OkStatus();
    });
    const Outcome outcome = CheckDisk(*disk);
    ASSERT_NE(outcome.repository, nullptr);
    EXPECT_THAT(outcome.result.damages,
                ElementsAre(AllOf(Field(&Damage::object, path), Field(&Damage::harmless, true))));
    EXPECT_EQ(outcome.result.snapshots, size_t{kSnapshots});
  }
}

TEST_F(CheckDamageTest, StrayFilesAreNoDamage) {
  MakeHistory();
  const auto create = [&](const std::string& path) {
    ASSERT_OK_AND_ASSIGN(const auto file, repository_files_.CreateNew(path));
    ASSERT_OK(file->Append(Bytes(50, 'x')));
  };
  create("notes.txt");
  create("journal/README");
  create("journal/00000000000000000001");
  create("journal/00000000000000000009-ABCDEF0123456789");  // nobody writes capitals
  create(FilesOf(repository_files_, "packs/")[0].substr(0, 8) + "/short");
  create("packs/README");
  const Outcome outcome = CheckDisk(repository_files_);
  ASSERT_NE(outcome.repository, nullptr);
  EXPECT_THAT(outcome.result.damages, IsEmpty());
  EXPECT_EQ(ExpectTheRestRestores(*outcome.repository, outcome.result), size_t{kSnapshots});
}

// A record that says of itself to be far ahead makes nobody ask for memory.
TEST_F(CheckDamageTest, ARecordOfAnAbsurdNumberIsBoundedDamage) {
  MakeHistory();
  Record record;
  record.number = uint64_t{1} << 60;
  record.predecessor.bytes[0] = 1;
  record.entries.ended = {RandomId<SessionId>()};
  const Bytes file = EncodeRecord(repository_->keys(), record);
  ASSERT_OK_AND_ASSIGN(
      const auto created,
      repository_files_.CreateNew(RecordName({record.number - 1, record.predecessor})));
  ASSERT_OK(created->Append(file));
  const Outcome outcome = CheckDisk(repository_files_);
  ASSERT_NE(outcome.repository, nullptr);
  EXPECT_FALSE(outcome.result.clean());
  EXPECT_EQ(outcome.result.snapshots, size_t{kSnapshots});
  EXPECT_EQ(ExpectTheRestRestores(*outcome.repository, outcome.result), size_t{kSnapshots});
}

}  // namespace
}  // namespace cairn::testing
