// SPDX-License-Identifier: Apache-2.0
#include "core/repo/check.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/random.h"
#include "core/store/pack.h"
#include "tests/repo/restore_fixture.h"

namespace cairn::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class CheckTest : public RestoreTest {
 protected:
  // Two snapshots with hard links, a file of many chunks, and one of zeros.
  void TakeTwo() {
    Write(Source("one"), Noise(3000, 1));
    Write(Source("dir/two"), Noise(2000, 2));
    Write(Source("dir/zeros"), std::string(100'000, '\0'));
    std::filesystem::create_hard_link(Source("one"), Source("dir/same"));
    SnapshotOptions options;
    options.threads = 1;  // so that it is known what lies in which frame
    first_ = Take(options);
    Write(Source("three"), Noise(1000, 3));
    second_ = Take(options);
  }

  CheckResult Run(ReadSubset::Kind read = ReadSubset::Kind::kAll) {
    CheckOptions options;
    options.threads = 1;
    options.read_data.kind = read;
    StatusOr<CheckResult> result = Check(*repository_, options);
    EXPECT_OK(result);
    return result.ok() ? *std::move(result) : CheckResult{};
  }

  // Config, journal and packs.
  std::vector<std::string> Files() const {
    std::vector<std::string> files;
    for (const std::string& path : repository_files_.AllPaths()) {
      const bool is_record = path.starts_with("journal/0");
      const bool is_pack = path.starts_with("packs/") && path.size() > 9 && !path.ends_with(".par");
      if (path == "config" || is_record || is_pack) files.push_back(path);
    }
    return files;
  }
  std::vector<std::string> Packs() const {
    std::vector<std::string> packs = Files();
    std::erase_if(packs, [](const std::string& path) { return !path.starts_with("packs/"); });
    return packs;
  }
  Bytes ContentOf(const std::string& path) {
    const StatusOr<Bytes> bytes = ReadWholeFile(repository_files_, path, kGiB);
    EXPECT_OK(bytes);
    return bytes.ok() ? *bytes : Bytes{};
  }
  void Put(const std::string& path, const Bytes& content) {
    ASSERT_OK(repository_files_.Damage(path, [&](Bytes& bytes) { bytes = content; }));
  }
  void Flip(const std::string& path, size_t offset) {
    ASSERT_OK(repository_files_.Damage(path, [&](Bytes& bytes) { bytes[offset] ^= 0x20; }));
  }
  void Create(const std::string& path, const Bytes& content) {
    ASSERT_OK_AND_ASSIGN(const auto file, repository_files_.CreateNew(path));
    ASSERT_OK(file->Append(content));
    ASSERT_OK(file->Sync());
  }
  // The pack that holds the content of the files of the first snapshot.
  std::string FirstPack() {
    const JournalState state = State();
    for (const auto& [name, entry] : state.packs()) {
      if (entry.named_at == 1) return PackObjectName(name);
    }
    ADD_FAILURE() << "no pack was named by record 1";
    return "";
  }
  JournalState State() {
    StatusOr<JournalState> state = repository_->journal().ReadState();
    EXPECT_OK(state);
    return state.ok() ? *std::move(state) : JournalState{};
  }

  SnapshotId first_;
  SnapshotId second_;
};

TEST_F(CheckTest, FindsNothingInASoundRepository) {
  TakeTwo();
  const CheckResult result = Run();
  EXPECT_TRUE(result.clean()) << result.damages.front().object << result.damages.front().what;
  EXPECT_EQ(result.snapshots, 2U);
  EXPECT_EQ(result.packs, Packs().size());
  EXPECT_EQ(result.unused_packs, 0U);
  EXPECT_GT(result.nodes, 4U);
  EXPECT_GT(result.blobs, result.nodes);
  EXPECT_EQ(result.affected_count, 0U);
}

TEST_F(CheckTest, AFullDiskHindersItNot) {
  TakeTwo();
  repository_files_.SetCapacityBytes(0);
  EXPECT_TRUE(Run().clean());
}

TEST_F(CheckTest, FindsNothingInAnEmptyRepository) { EXPECT_TRUE(Run().clean()); }

TEST_F(CheckTest, FindsNothingInALargeDirectoryOrFile) {
  for (int i = 0; i < 300; ++i) Write(Source("many/" + std::to_string(i)), "x");
  Write(Source("large"), Noise(2'000'000, 9));
  Take();
  Write(Source("many/77"), "changed");
  Take();
  const CheckResult result = Run();
  EXPECT_THAT(result.damages, IsEmpty());
  EXPECT_GT(result.nodes, 10U);
}

TEST_F(CheckTest, FindsAChangedByteAnywhere) {
  TakeTwo();
  for (const std::string& path : Files()) {
    const Bytes content = ContentOf(path);
    // Every byte where structures lie, fewer in between.
    for (size_t at = 0; at < content.size(); at += at < 300 || at + 500 > content.size() ? 3 : 61) {
      Flip(path, at);
      EXPECT_FALSE(Run().clean()) << path << ", byte " << at << " of " << content.size();
      Put(path, content);
    }
  }
  EXPECT_TRUE(Run().clean());
}

TEST_F(CheckTest, FindsFilesOfAnotherLength) {
  TakeTwo();
  for (const std::string& path : Files()) {
    const Bytes content = ContentOf(path);
    for (const size_t size : {size_t{0}, size_t{1}, content.size() / 2, content.size() - 1,
                              content.size() + 1, content.size() + 5000}) {
      Bytes changed = content;
      changed.resize(size);
      Put(path, changed);
      EXPECT_FALSE(Run().clean()) << path << " of " << size << " bytes";
      Put(path, content);
    }
  }
  EXPECT_TRUE(Run().clean());
}

TEST_F(CheckTest, FindsMissingFiles) {
  TakeTwo();
  for (const std::string& path : Files()) {
    const Bytes content = ContentOf(path);
    ASSERT_OK(repository_files_.Unlink(path));
    EXPECT_FALSE(Run().clean()) << path;
    Create(path, content);
    // The index was perhaps made anew from what was left.
    ASSERT_OK(repository_->Refresh());
    EXPECT_TRUE(Run().clean()) << path;
  }
}

TEST_F(CheckTest, FindsFilesThatChangedPlaces) {
  TakeTwo();
  const std::vector<std::string> files = Files();
  for (size_t i = 0; i + 1 < files.size(); ++i) {
    const Bytes a = ContentOf(files[i]);
    const Bytes b = ContentOf(files[i + 1]);
    Put(files[i], b);
    Put(files[i + 1], a);
    EXPECT_FALSE(Run().clean()) << files[i] << " and " << files[i + 1];
    Put(files[i], a);
    Put(files[i + 1], b);
  }
}

TEST_F(CheckTest, LeavesWhatIsNotOfTheRepositoryAlone) {
  TakeTwo();
  const std::string pack = Packs().front();
  Create(pack.substr(0, 9) + pack.substr(6, 2) + std::string(30, '0'), Bytes(500, 1));
  for (const std::string folder : {"tmp", "sessions"}) {
    const Status made = repository_files_.CreateDirectory(folder);
    ASSERT_TRUE(made.ok() || made.code() == StatusCode::kAlreadyExists) << made;
    Create(folder + "/" + std::string(32, 'a'), Bytes(10, 7));
  }
  EXPECT_THAT(Run().damages, IsEmpty());
}

TEST_F(CheckTest, NamesThePathsThatDamageTouches) {
  TakeTwo();
  // The first frame has the content of the files.
  Flip(FirstPack(), kPackHeaderBytes + 100);
  const CheckResult result = Run();
  ASSERT_FALSE(result.clean());
  EXPECT_THAT(result.damages.front().object, HasSubstr(" frame 0"));
  EXPECT_FALSE(result.damages.front().harmless);
  std::set<std::string> paths;
  for (const AffectedPath& affected : result.affected) paths.insert(affected.path);
  EXPECT_THAT(paths, ElementsAre(Source("dir/same"), Source("dir/two"), Source("one")));
  EXPECT_EQ(result.affected_count, 6U);
  EXPECT_THAT(result.affected_snapshots, ElementsAre(first_, second_));
}

TEST_F(CheckTest, NamesTheSnapshotsOfAPackThatIsGone) {
  TakeTwo();
  ASSERT_OK(repository_files_.Unlink(FirstPack()));
  const CheckResult result = Run(ReadSubset::Kind::kNone);
  ASSERT_FALSE(result.clean());
  EXPECT_THAT(result.affected_snapshots, Contains(first_));
  EXPECT_GT(result.affected_count, 0U);
}

TEST_F(CheckTest, OfTwoCopiesOneIsEnough) {
  TakeTwo();
  Flip("config", 20);
  const CheckResult result = Run();
  EXPECT_THAT(result.damages,
              ElementsAre(AllOf(Field(&Damage::object, "config"), Field(&Damage::harmless, true))));
  EXPECT_EQ(result.affected_count, 0U);
}

TEST_F(CheckTest, DoesNotBelieveTheIndex) {
  TakeTwo();
  {
    ASSERT_OK_AND_ASSIGN(const auto writer, repository_->index().Write());
    const std::vector<PackName> gone = {State().packs().begin()->first};
    BlobId from;
    ASSERT_THAT(writer->RemovePacks(gone, from), IsOkAndHolds(true));
    ASSERT_OK(writer->Commit());
  }
  const CheckResult result = Run();
  EXPECT_THAT(result.damages, ElementsAre(AllOf(Field(&Damage::object, "index"),
                                                Field(&Damage::what, HasSubstr("index rebuild")))));
  EXPECT_EQ(result.affected_count, 0U);
}

TEST_F(CheckTest, FindsASnapshotOfAnotherTimeInTheIndex) {
  TakeTwo();
  {
    std::optional<IndexSnapshot> snapshot;
    {
      ASSERT_OK_AND_ASSIGN(const auto reader, repository_->index().Read());
      ASSERT_OK_AND_ASSIGN(snapshot, reader->FindSnapshot(first_));
    }
    ++snapshot->time.seconds;
    ASSERT_OK_AND_ASSIGN(const auto writer, repository_->index().Write());
    ASSERT_OK(writer->PutSnapshot(*snapshot));
    ASSERT_OK(writer->Commit());
  }
  EXPECT_THAT(Run().damages, ElementsAre(Field(&Damage::object, "index")));
}

TEST_F(CheckTest, FindsAPackInTheIndexThatTheJournalDoesNotName) {
  TakeTwo();
  {
    ASSERT_OK_AND_ASSIGN(const auto writer, repository_->index().Write());
    PackInfo info;
    info.name = RandomId<PackName>();
    ASSERT_OK(writer->AddPack(info, PackState::kLive, {}, {}));
    ASSERT_OK(writer->Commit());
  }
  EXPECT_THAT(Run().damages, ElementsAre(Field(&Damage::object, "index")));
}

TEST_F(CheckTest, ReadsEveryPackInOneOfItsParts) {
  TakeTwo();
  Flip(FirstPack(), kPackHeaderBytes + 100);
  EXPECT_TRUE(Run(ReadSubset::Kind::kNone).clean());
  CheckOptions options;
  options.read_data = {
      .kind = ReadSubset::Kind::kPart, .share = 0, .part = 1, .parts = 2, .packs = {}};
  ASSERT_OK_AND_ASSIGN(const CheckResult first_half, Check(*repository_, options));
  options.read_data.part = 2;
  ASSERT_OK_AND_ASSIGN(const CheckResult second_half, Check(*repository_, options));
  EXPECT_NE(first_half.clean(), second_half.clean());
}

TEST_F(CheckTest, CountsPacksThatNothingNeeds) {
  TakeTwo();
  RecordEntries entries;
  entries.forget = {second_};
  ASSERT_OK(repository_->journal().Append(State().head(), entries));
  const CheckResult result = Run();
  EXPECT_TRUE(result.clean());
  EXPECT_EQ(result.unused_packs, Packs().size() - 1);
}

// One thread looks at the trees when all is read, several do so meanwhile.
TEST_F(CheckTest, FindsTheSameWithAnyNumberOfThreads) {
  TakeTwo();
  const auto run = [&](int threads) {
    std::vector<std::string> told;
    Mutex mutex;
    CheckOptions options;
    options.threads = threads;
    options.read_data.kind = ReadSubset::Kind::kAll;
    options.on_finding = [&](const std::string& finding) {
      MutexLock lock(mutex);
      told.push_back(finding);
    };
    StatusOr<CheckResult> result = Check(*repository_, options);
    EXPECT_OK(result);
    std::ranges::sort(told);
    return std::pair(result.ok() ? *std::move(result) : CheckResult{}, told);
  };
  const auto expect_same = [&](bool clean) {
    const auto [one, told_by_one] = run(1);
    const auto [more, told_by_more] = run(3);
    EXPECT_EQ(one.clean(), clean);
    EXPECT_EQ(told_by_more, told_by_one);
    EXPECT_EQ(more.damages.size(), one.damages.size());
    EXPECT_EQ(more.affected_count, one.affected_count);
    EXPECT_EQ(more.nodes, one.nodes);
    EXPECT_EQ(more.blobs, one.blobs);
    EXPECT_EQ(more.snapshots, one.snapshots);
    EXPECT_EQ(more.unused_packs, one.unused_packs);
    EXPECT_EQ(more.lost, one.lost);
  };
  expect_same(/*clean=*/true);
  Flip(FirstPack(), kPackHeaderBytes + 100);
  expect_same(/*clean=*/false);
}

TEST_F(CheckTest, EndsWhenItIsStopped) {
  TakeTwo();
  StopFlag stop;
  stop.Request();
  CheckOptions options;
  options.stop = &stop;
  EXPECT_THAT(Check(*repository_, options), StatusIs(StatusCode::kCancelled));
}

TEST_F(CheckTest, TellsEachFindingAndItsProgress) {
  TakeTwo();
  Flip("config", 20);
  std::vector<std::string> told;
  CheckProgress progress;
  CheckOptions options;
  options.on_finding = [&](const std::string& finding) { told.push_back(finding); };
  options.progress = &progress;
  options.read_data.kind = ReadSubset::Kind::kAll;
  ASSERT_OK(Check(*repository_, options));
  EXPECT_THAT(told, ElementsAre(HasSubstr("config: ")));
  EXPECT_EQ(progress.snapshots, 2U);
  EXPECT_EQ(progress.packs, progress.total_packs);
  EXPECT_GT(progress.bytes_read, 0U);
}

}  // namespace
}  // namespace cairn::testing
