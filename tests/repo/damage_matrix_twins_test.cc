// SPDX-License-Identifier: Apache-2.0
// Each kind of damage to each kind of object that stands twice: configuration, records, folds,
// keys.
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "core/repo/keys.h"
#include "core/store/key_ring.h"
#include "tests/repo/damage_matrix.h"

namespace cairn::testing {
namespace {

// Where the copies lie in a twin's file of `size` bytes.
std::vector<MatrixSection> SectionsOfTwin(size_t size) {
  const size_t second = (size / 2 + kTwinSectorBytes - 1) / kTwinSectorBytes * kTwinSectorBytes;
  const size_t copy = size - second;
  return {
      {"first copy", 0, copy}, {"between the copies", copy, second}, {"second copy", second, size}};
}

class DamageMatrixTwinTest : public DamageMatrixTest {
 protected:
  // What is common to all objects that stand twice. `lost` are the snapshots that go with it where
  // both copies are damaged.
  void TryTwin(const std::string& object, const std::string& path, const std::set<SnapshotId>& lost,
               bool stops_writers) {
    const Bytes& whole = image_.at(path);
    const std::vector<MatrixSection> sections = SectionsOfTwin(whole.size());
    MatrixCell cell;
    cell.object = object;
    cell.named = {path};
    const auto attempt = [&](const std::string& damage, bool is_lost,
                             const std::function<void(MemoryFileSystem&)>& edit) {
      cell.damage = path + " " + damage;
      cell.edit = edit;
      cell.lost = is_lost ? lost : std::set<SnapshotId>();
      cell.is_covered = !is_lost;
      cell.stops_writers = is_lost && stops_writers;
      Try(cell);
    };
    for (const MatrixSection& section : sections) {
      for (const SectionDamage& damage : DamagesOf(section)) {
        const bool is_lost = damage.cuts && section.name == "first copy";
        attempt(section.name + ", " + damage.name, is_lost, Edit(path, damage.edit));
      }
    }
    for (size_t i = 0; i < 3; ++i) {
      const size_t copy = sections[0].end;
      const size_t at = i == 0 ? 0 : i == 1 ? copy / 2 : copy - 1;
      attempt("both copies, bit " + std::to_string(at), true,
              Edit(path, [at, second = sections[2].begin](Bytes& bytes) {
                bytes[at] ^= 4;
                bytes[second + at] ^= 4;
              }));
    }
    for (const auto& [name, edit] : Extensions()) attempt(name, false, Edit(path, edit));
    attempt("empty", true, Edit(path, [](Bytes& bytes) { bytes.clear(); }));
    attempt("of zeros", true,
            Edit(path, [](Bytes& bytes) { std::ranges::fill(bytes, uint8_t{0}); }));
  }
  // Another repository's object of the same kind.
  void TryForeign(const std::string& object, const std::string& path,
                  const std::string& foreign_path, const std::set<SnapshotId>& lost,
                  bool stops_writers) {
    MemoryFileSystem other;
    RepositoryConfig config;
    config.id = RandomId<RepositoryId>();
    ASSERT_OK(CreateTestRepository(other, config));
    ASSERT_OK_AND_ASSIGN(const auto repository, Repository::Open(other, TestRepositoryOptions()));
    RecordEntries entries;
    entries.ended = {RandomId<SessionId>()};
    ASSERT_OK(repository->journal().Append({}, entries));
    Files files = FilesOf(other);
    ASSERT_OK_AND_ASSIGN(const JournalState state, repository->journal().ReadState());
    ASSERT_OK(
        repository->journal().FoldIfDue(state, {.min_records = 0, .ratio = 1, .keep_single = 0}));
    files.merge(FilesOf(other));
    const Bytes foreign = files.at(foreign_path);
    Try({.object = object,
         .damage = path + " of another repository",
         .edit = Edit(path, [foreign](Bytes& bytes) { bytes = foreign; }),
         .named = {path},
         .lost = lost,
         .stops_writers = stops_writers});
  }
};

TEST_F(DamageMatrixTwinTest, Configuration) {
  MakeHistory();
  HideSources();
  KeepImage();
  const std::string object = "the configuration";
  TryTwin(object, "config", {}, /*stops_writers=*/true);
  TryForeign(object, "config", "config", {}, /*stops_writers=*/true);
  Try({.object = object,
       .damage = "missing",
       .edit = Remove("config"),
       .named = {"config"},
       .stops_writers = true});
}

TEST_F(DamageMatrixTwinTest, FirstMiddleAndLastRecord) {
  MakeHistory();
  HideSources();
  KeepImage();
  const std::vector<std::string> records = Named("journal/0");
  ASSERT_EQ(records.size(), order_.size());
  for (const size_t i : {size_t{0}, records.size() / 2, records.size() - 1}) {
    const bool is_last = i + 1 == records.size();
    const std::string object = i == 0    ? "the first record"
                               : is_last ? "the last record"
                                         : "a record between";
    const std::set<SnapshotId> lost = {order_[i]};
    TryTwin(object, records[i], lost, /*stops_writers=*/true);
    TryForeign(object, records[i], RecordName({}), lost, /*stops_writers=*/true);
    Try({.object = object,
         .damage = records[i] + " missing",
         .edit = Remove(records[i]),
         .named = {is_last ? "record 5 has been seen" : records[i].substr(0, 28)},
         .lost = lost,
         .only_seen_by_witness = is_last,
         .stops_writers = !is_last});
    const size_t neighbour = is_last ? i - 1 : i + 1;
    Try({.object = object,
         .damage = records[i] + " exchanged with its neighbour",
         .edit = Exchange(records[i], records[neighbour]),
         .named = {records[i], records[neighbour]},
         .lost = {order_[i], order_[neighbour]},
         .stops_writers = true});
  }
}

// The same name, and another record: of a copy that went another way.
TEST_F(DamageMatrixTwinTest, RecordsOfACopyThatWentAnotherWay) {
  MakeHistory();
  HideSources();
  KeepImage();
  const std::vector<std::string> records = Named("journal/0");
  for (const size_t i : {size_t{1}, records.size() - 1}) {
    const bool is_last = i + 1 == records.size();
    const auto copy = repository_files_.CrashedAt(repository_files_.operation_count(),
                                                  {.policy = CrashPolicy::kKeepAll});
    for (size_t j = i; j < records.size(); ++j) ASSERT_OK(copy->Unlink(records[j]));
    ASSERT_OK_AND_ASSIGN(const auto other, Repository::Open(*copy, Options()));
    ASSERT_OK_AND_ASSIGN(const JournalState state, other->journal().ReadState());
    RecordEntries entries;
    entries.hold = {order_[0]};
    ASSERT_OK(other->journal().Append(state.head(), entries));
    ASSERT_OK_AND_ASSIGN(const Bytes forked, ReadWholeFile(*copy, records[i], kGiB));
    Try({.object = is_last ? "the last record" : "a record between",
         .damage = records[i] + " of a copy that went another way",
         .edit = Edit(records[i], [forked](Bytes& bytes) { bytes = forked; }),
         .named = {is_last ? "is not the one that has been seen" : "journal"},
         .lost = {order_[i]},
         .only_seen_by_witness = is_last,
         .stops_writers = !is_last});
  }
}

TEST_F(DamageMatrixTwinTest, FoldAndRecordsBesideIt) {
  MakeHistory();
  const Files unfolded = FilesOf(repository_files_);
  Fold(/*keep_single=*/2);
  const Files older = FilesOf(repository_files_);
  for (uint64_t i = 0; i < 3; ++i) {
    Write(Source("changing"), Noise(3000, 200 + i));
    TakeNoted();
    if (i == 1) Fold(/*keep_single=*/1);
  }
  HideSources();
  KeepImage();
  const std::vector<std::string> folds = Named("journal/folds/");
  const std::vector<std::string> records = Named("journal/0");
  ASSERT_EQ(folds.size(), 1U);
  ASSERT_EQ(records.size(), 2U);
  const std::string object = "a fold";
  const std::set<SnapshotId> lost(order_.begin(), order_.end() - 2);
  TryTwin(object, folds[0], lost, /*stops_writers=*/true);
  TryForeign(object, folds[0], "journal/folds/00000000000000000001", lost, /*stops_writers=*/true);
  Try({.object = object,
       .damage = "missing",
       .edit = Remove(folds[0]),
       .named = {"is missing"},
       .lost = lost,
       .stops_writers = true});
  Try({.object = object,
       .damage = "an older one under the newer's name",
       .edit = Edit(folds[0], [bytes = older.at("journal/folds/00000000000000000003")](
                                  Bytes& now) { now = bytes; }),
       .named = {folds[0]},
       .lost = lost,
       .stops_writers = true});
  TryTwin("a record after a fold", records[0], {order_.end()[-2]}, /*stops_writers=*/true);

  // One that was to be removed, and says nothing that the fold does not.
  for (const auto& [path, content] : unfolded) {
    if (!path.starts_with("journal/00000000000000000005")) continue;
    ASSERT_OK_AND_ASSIGN(const auto file, repository_files_.CreateNew(path));
    ASSERT_OK(file->Append(content));
    KeepImage();
    TryTwin("a record that a fold covers", path, {}, /*stops_writers=*/false);
  }
}

// Of an encrypted repository with a second key, which opens it all the time.
class DamageMatrixKeyTest : public DamageMatrixTwinTest {
 protected:
  void SetUp() override {
    RepositoryConfig config;
    config.id.bytes = {'k', 'e', 'y', 's'};
    ASSERT_OK(
        Repository::CreateEncrypted(repository_files_, config, TestKeyFile(1), kLeastPasswordCost));
    ASSERT_OK_AND_ASSIGN(repository_, Repository::Open(repository_files_, OpenedBy(1)));
    tree_.MakeDirectory("src");
  }
  static RepositoryOptions OpenedBy(uint8_t key) {
    RepositoryOptions options;
    options.credential = [key]() -> StatusOr<Credential> { return TestKeyFile(key); };
    return options;
  }
  RepositoryOptions Options() const override { return OpenedBy(2); }
  bool Opens(MemoryFileSystem& disk, uint8_t key) {
    return Repository::Open(disk, OpenedBy(key)).ok();
  }
};

TEST_F(DamageMatrixKeyTest, KeyObject) {
  Write(Source("file"), Noise(3000, 1));
  TakeNoted();
  ASSERT_OK_AND_ASSIGN(const KeyId second, AddKey(*repository_, TestKeyFile(2), {}, {10, 0}));
  const std::string former_key = KeyObjectName(*repository_->opened_by());
  const Files older = FilesOf(repository_files_);
  ASSERT_OK_AND_ASSIGN(const KeyId now, ReplaceKey(*repository_, TestKeyFile(3), {}, {20, 0}));
  HideSources();
  KeepImage();
  const std::string object = "a key";
  const std::string key = KeyObjectName(now);
  const std::string other = KeyObjectName(second);
  TryTwin(object, key, {}, /*stops_writers=*/false);
  Try({.object = object,
       .damage = "an older one under the newer's name",
       .edit = Edit(key, [bytes = older.at(former_key)](Bytes& was) { was = bytes; }),
       .named = {key, "has another name"}});
  MemoryFileSystem foreign;
  RepositoryConfig config;
  config.id = RandomId<RepositoryId>();
  ASSERT_OK(Repository::CreateEncrypted(foreign, config, TestKeyFile(2), kLeastPasswordCost));
  for (const auto& [path, content] : FilesOf(foreign)) {
    if (!path.starts_with("keys/")) continue;
    Try({.object = object,
         .damage = "of another repository",
         .edit = Edit(key, [bytes = content](Bytes& was) { was = bytes; }),
         .named = {key}});
  }
}

// Keys that are gone or exchanged may be the ones that somebody has.
TEST_F(DamageMatrixKeyTest, KeysThatAreGoneOrComeBackOpenWhatTheyShould) {
  Write(Source("file"), Noise(3000, 1));
  TakeNoted();
  ASSERT_OK(AddKey(*repository_, TestKeyFile(2), {}, {10, 0}).status());
  const KeyId first = *repository_->opened_by();
  const Files older = FilesOf(repository_files_);
  ASSERT_OK(ReplaceKey(*repository_, TestKeyFile(3), {}, {20, 0}).status());
  KeepImage();
  const auto copy = [&] {
    return repository_files_.CrashedAt(repository_files_.operation_count(),
                                       {.policy = CrashPolicy::kKeepAll});
  };
  {
    const auto disk = copy();
    EXPECT_TRUE(Opens(*disk, 3));
    EXPECT_FALSE(Opens(*disk, 1));
    // One that was removed, put back: it opens, as docs/design.md says.
    ASSERT_OK_AND_ASSIGN(const auto file, disk->CreateNew(KeyObjectName(first)));
    ASSERT_OK(file->Append(older.at(KeyObjectName(first))));
    EXPECT_TRUE(Opens(*disk, 1));
    EXPECT_TRUE(LookAt(*disk).check.clean());
  }
  const std::vector<std::string> keys = Named("keys/");
  ASSERT_EQ(keys.size(), 2U);
  {
    const auto disk = copy();
    Exchange(keys[0], keys[1])(*disk);
    EXPECT_TRUE(Opens(*disk, 2));
    EXPECT_TRUE(Opens(*disk, 3));
    EXPECT_THAT(LookAt(*disk).check.damages,
                UnorderedElementsAre(::testing::Field(&Damage::object, keys[0]),
                                     ::testing::Field(&Damage::object, keys[1])));
  }
  const auto disk = copy();
  for (const std::string& key : keys) Remove(key)(*disk);
  for (const uint8_t key : {uint8_t{2}, uint8_t{3}}) {
    EXPECT_THAT(Repository::Open(*disk, OpenedBy(key)), StatusIs(StatusCode::kDataLoss));
  }
  RepositoryOptions options = OpenedBy(2);
  options.beside_damage = true;
  EXPECT_THAT(Repository::Open(*disk, options), StatusIs(StatusCode::kDataLoss));
}

}  // namespace
}  // namespace cairn::testing
