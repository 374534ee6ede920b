// SPDX-License-Identifier: Apache-2.0
// Deltas that snapshots make, and what becomes of them.
#include <random>
#include <set>

#include "core/base/profile.h"
#include "core/repo/browse.h"
#include "core/repo/check.h"
#include "core/repo/delta_bases.h"
#include "core/repo/forget.h"
#include "core/repo/place_finder.h"
#include "core/repo/prune.h"
#include "core/repo/stats.h"
#include "tests/repo/restore_fixture.h"
#include "tests/repo/test_repository.h"
#include "tests/support/encryption.h"

namespace cairn::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DeltaTest : public RestoreTest {
 protected:
  RepositoryStats Stats() {
    StatusOr<RepositoryStats> stats = StatsOfRepository(*repository_);
    EXPECT_OK(stats.status());
    return *stats;
  }
  // Bytes that one more snapshot took.
  uint64_t BytesOf(const std::function<void()>& step) {
    const uint64_t before = Stats().stored_bytes;
    step();
    return Stats().stored_bytes - before;
  }
  // The source's files as the snapshot has them.
  std::map<std::string, std::string> ReadAll(const SnapshotId& id) {
    const SnapshotView view = Must(repository_->FindSnapshot(id));
    std::map<std::string, std::string> files;
    MustBeOk(ListPath(*repository_, view, "/", /*recursive=*/true, nullptr,
                      [&](const LocatedEntry& located) -> StatusOr<bool> {
                        if (located.entry.type != EntryType::kFile) return true;
                        std::string& content = files[located.path];
                        RETURN_IF_ERROR(ReadFileContent(*repository_, located.entry, nullptr,
                                                        [&](ByteSpan bytes) {
                                                          content += AsText(bytes);
                                                          return OkStatus();
                                                        }));
                        return true;
                      }));
    return files;
  }
  void ExpectClean() {
    CheckOptions options;
    options.read_data.kind = ReadSubset::Kind::kAll;
    ASSERT_OK_AND_ASSIGN(const CheckResult result, Check(*repository_, options));
    for (const Damage& damage : result.damages) ADD_FAILURE() << damage.object << damage.what;
  }
  // What another process would have: nothing is cached.
  void Reopen() {
    repository_.reset();
    ASSERT_OK_AND_ASSIGN(repository_, Repository::Open(repository_files_, TestRepositoryOptions()));
  }
  static std::string Edited(std::string text, size_t at) {
    ++text[at];
    return text;
  }
  // Of each delta frame: the frames that it rests on, with their raw bytes.
  std::vector<std::map<FrameAddress, uint64_t>> BaseFrames() {
    const auto reader = Must(repository_->index().Read());
    std::vector<IndexPack> packs;
    MustBeOk(reader->ForEachPack([&](const IndexPack& pack) {
      packs.push_back(pack);
      return true;
    }));
    std::vector<std::map<FrameAddress, uint64_t>> all;
    for (const IndexPack& pack : packs) {
      for (uint32_t number = 0; number < pack.frames; ++number) {
        const FrameInfo frame = *Must(reader->FindFrame(pack.number, number));
        std::map<FrameAddress, uint64_t> frames;
        for (const BaseId& base : frame.bases) {
          const FramedPlace place = Must(PlaceFinder(*reader).FindBase(base)).front();
          frames[{place.pack.info.name, place.place.frame}] = place.frame.raw_bytes;
        }
        if (!frames.empty()) all.push_back(std::move(frames));
      }
    }
    return all;
  }
  // Of each delta frame: the raw bytes of the frames that it rests on.
  std::vector<uint64_t> BaseFrameBytes() {
    std::vector<uint64_t> bytes;
    for (const auto& frames : BaseFrames()) {
      uint64_t& sum = bytes.emplace_back();
      for (const auto& [address, raw_bytes] : frames) sum += raw_bytes;
    }
    return bytes;
  }
  // How many delta frames rest on the one on which most do.
  uint32_t MostDependents() {
    std::map<FrameAddress, uint32_t> dependents;
    uint32_t most = 0;
    for (const auto& frames : BaseFrames()) {
      for (const auto& [address, raw_bytes] : frames) {
        most = std::max(most, ++dependents[address]);
      }
    }
    return most;
  }
};

TEST_F(DeltaTest, AChangedFileTakesWhatHasChangedInIt) {
  const std::string first = Noise(300'000, 1);
  Write(Source("file"), first);
  Take();
  EXPECT_EQ(Stats().delta_frames, 0U);
  Write(Source("file"), Edited(first, 150'000));
  SnapshotId second;
  EXPECT_LT(BytesOf([&] { second = Take(); }), 3000U);
  EXPECT_GT(Stats().delta_frames, 0U);
  Reopen();
  EXPECT_EQ(ReadAll(second)[Source("file")], Edited(first, 150'000));
  RestoreAll(Place(second));
  EXPECT_EQ(Read(Target("file")), Edited(first, 150'000));
  ExpectClean();
}

TEST_F(DeltaTest, CanBeSwitchedOff) {
  Write(Source("file"), Noise(300'000, 1));
  Take();
  Write(Source("file"), Edited(Noise(300'000, 1), 150'000));
  SnapshotOptions options;
  options.deltas = false;
  EXPECT_GT(BytesOf([&] { Take(options); }), 4000U);
  EXPECT_EQ(Stats().delta_frames, 0U);
}

TEST_F(DeltaTest, ADryRunComesToTheSameRoot) {
  Write(Source("file"), Noise(300'000, 1));
  Take();
  Write(Source("file"), Edited(Noise(300'000, 1), 150'000));
  SnapshotOptions options;
  options.labels.host = "host";
  options.dry_run = true;
  ASSERT_OK_AND_ASSIGN(const SnapshotResult dry, TakeSnapshot(*repository_, {Source()}, options));
  options.dry_run = false;
  ASSERT_OK_AND_ASSIGN(const SnapshotResult wet, TakeSnapshot(*repository_, {Source()}, options));
  EXPECT_EQ(dry.root, wet.root);
  EXPECT_EQ(dry.statistics.blobs_added, wet.statistics.blobs_added);
  EXPECT_EQ(dry.statistics.raw_bytes_added, wet.statistics.raw_bytes_added);
}

TEST_F(DeltaTest, ChangesAllOverALargeFileAreFound) {
  std::string content = Noise(12 << 20, 1);
  Write(Source("image"), content);
  Take();
  for (size_t at = 100'000; at < content.size(); at += 300'000) ++content[at];
  content.insert(5'000'000, Noise(40'000, 2));
  Write(Source("image"), content);
  SnapshotId second;
  // 40 chunks changed, of some 20 KB.
  EXPECT_LT(BytesOf([&] { second = Take(); }), 40'000 + 60'000U);
  Reopen();
  EXPECT_EQ(ReadAll(second)[Source("image")], content);
}

// So that reading one file stays cheap: a plain frame has some 2 MiB.
TEST_F(DeltaTest, AFrameRestsOnNoMoreThanAPlainFrameHolds) {
  constexpr int kFiles = 20;
  const auto content = [](int i) { return Noise(400'000, static_cast<uint64_t>(i)); };
  const auto name = [this](int i) { return Source("f" + std::to_string(i)); };
  for (int i = 0; i < kFiles; ++i) Write(name(i), content(i));
  Take();
  for (int i = 0; i < kFiles; ++i) Write(name(i), Edited(content(i), 200'000));
  EXPECT_LT(BytesOf([&] { Take(); }), kFiles * 2000U);
  const std::vector<uint64_t> bytes = BaseFrameBytes();
  EXPECT_GE(bytes.size(), 4U);
  EXPECT_LT(bytes.size(), static_cast<size_t>(kFiles));
  EXPECT_LE(std::ranges::max(bytes), kChunkFrameBytes);
  ExpectClean();
}

TEST_F(DeltaTest, AFrameOfALargeFileRestsOnFewOthersToo) {
  std::string content = Noise(12 << 20, 1);
  Write(Source("image"), content);
  Take();
  for (size_t at = 100'000; at < content.size(); at += 300'000) ++content[at];
  Write(Source("image"), content);
  const SnapshotId second = Take();
  // One change may stand where two frames meet, and a frame ends with the chunk that fills it.
  for (const uint64_t bytes : BaseFrameBytes()) {
    EXPECT_LE(bytes, 2 * (kChunkFrameBytes + kMaxBlobBytes / 64));
  }
  Reopen();
  EXPECT_EQ(ReadAll(second)[Source("image")], content);
  ExpectClean();
}

TEST_F(DeltaTest, ARestoreDecodesABaseOnceForAllThatRestsOnIt) {
  // Enough that the frames between two that share a base would push it out of the cache.
  constexpr int kFiles = 120;
  const auto content = [](int i) { return Noise(500'000, static_cast<uint64_t>(i)); };
  const auto name = [](int i) { return "f" + std::to_string(1000 + i); };
  for (int i = 0; i < kFiles; ++i) Write(Source(name(i)), content(i));
  Take();
  for (int i = 0; i < kFiles; i += 5) Write(Source(name(i)), Edited(content(i), 250'000));
  const SnapshotId second = Take();
  const RepositoryStats stats = Stats();
  Reopen();
  Profile::Start();
  Profile::Take();
  RestoreAll(Place(second));
  uint64_t decoded = 0;
  for (const StageTime& time : Profile::Take()) {
    if (time.stage == Stage::kDecompress) decoded = time.calls;
  }
  EXPECT_LE(decoded, stats.frames);
  for (int i = 0; i < kFiles; ++i) {
    EXPECT_EQ(Read(Target(name(i))), i % 5 == 0 ? Edited(content(i), 250'000) : content(i));
  }
}

TEST_F(DeltaTest, AStreamIsComparedWithTheLastOneOfItsName) {
  std::string content = Noise(2 << 20, 1);
  const auto take = [&] {
    Write(Path("stream"), content);
    const int file = ::open(Path("stream").c_str(), O_RDONLY | O_CLOEXEC);
    SnapshotOptions options;
    options.labels.host = "host";
    const auto taken =
        SnapshotStream(*repository_, file, "dump", options, [] { return OkStatus(); });
    ::close(file);
    EXPECT_OK(taken.status());
  };
  take();
  for (size_t at = 100'000; at < content.size(); at += 300'000) ++content[at];
  EXPECT_LT(BytesOf(take), 15'000U);
}

// The former version is itself a delta from the second change on.
TEST_F(DeltaTest, AFileThatChangesInEverySnapshotStaysCheap) {
  std::string content = Noise(200'000, 1);
  Write(Source("log"), content);
  Take();
  std::map<SnapshotId, std::string> snapshots;
  uint64_t bytes = 0;
  constexpr int kGenerations = 120;
  for (int i = 0; i < kGenerations; ++i) {
    content[static_cast<size_t>(i) * 1500 % content.size()] ^= 1;
    content += Noise(100, static_cast<uint64_t>(i) + 7);
    Write(Source("log"), content);
    bytes += BytesOf([&] { snapshots[Take()] = content; });
  }
  // A chunk of some 20 KB, or two, changes each time.
  EXPECT_LT(bytes / kGenerations, 6000U);
  Reopen();
  for (const auto& [id, expected] : snapshots) EXPECT_EQ(ReadAll(id)[Source("log")], expected);
  ExpectClean();
  // Its first version serves many of the others, and yet not all: damage to it must not reach them.
  EXPECT_LE(MostDependents(), DependentCounts::kMax);
  EXPECT_GT(MostDependents(), DependentCounts::kMax / 2);
}

TEST_F(DeltaTest, AFrameServesNoMoreThanItsShareOfOthers) {
  DependentCounts counts;
  const FrameAddress frame(PackName{{1}}, 3);
  const FrameAddress other(PackName{{1}}, 4);
  for (uint32_t i = 0; i < DependentCounts::kMax; ++i) {
    EXPECT_TRUE(counts.HasRoom(frame, 0));
    counts.Add({frame});
  }
  EXPECT_FALSE(counts.HasRoom(frame, 0));
  EXPECT_TRUE(counts.HasRoom(other, 0));
  ASSERT_OK(counts.Remember(repository_->index()));
  ASSERT_OK(counts.Remember(repository_->index()));
  const auto remembered = [&] {
    const auto reader = Must(repository_->index().Read());
    return Must(DependentCounts::Remembered(*reader, frame));
  };
  EXPECT_EQ(remembered(), DependentCounts::kMax);
  EXPECT_FALSE(counts.HasRoom(frame, remembered()));
  {
    const auto writer = Must(repository_->index().Write());
    ASSERT_OK(DependentCounts::Forget(*writer, frame.first));
    ASSERT_OK(writer->Commit());
  }
  EXPECT_EQ(remembered(), 0U);
}

TEST_F(DeltaTest, DamageToABaseNamesTheFilesThatNeedIt) {
  // One chunk.
  const std::string first = Noise(3000, 1);
  const auto bytes = AsBytes(first);
  const BlobRef base{BlobKind::kChunk, repository_->hasher().Hash(BlobKind::kChunk, bytes)};
  Write(Source("file"), first);
  SnapshotOptions one_thread;
  one_thread.threads = 1;
  const SnapshotId old = Take(one_thread);
  Write(Source("file"), Edited(first, 2000));
  Write(Source("other"), Noise(5000, 2));
  const SnapshotId second = Take(one_thread);
  // No snapshot has the base any more.
  ASSERT_OK(ForgetSnapshots(*repository_, {old}).status());
  ASSERT_OK(Prune(*repository_, PruneEverything()).status());
  const std::vector<FramedPlace> places = Must(repository_->Locate(base));
  ASSERT_EQ(places.size(), 1U);
  MustBeOk(repository_files_.Damage(PackObjectName(places[0].pack.info.name), [&](Bytes& pack) {
    pack[places[0].frame.offset + places[0].frame.stored_bytes / 2] ^= 1;
  }));
  Reopen();
  CheckOptions options;
  options.read_data.kind = ReadSubset::Kind::kAll;
  ASSERT_OK_AND_ASSIGN(const CheckResult result, Check(*repository_, options));
  EXPECT_THAT(result.damages, Contains(Field(&Damage::what, HasSubstr("base"))));
  EXPECT_THAT(result.affected_snapshots, ElementsAre(second));
  EXPECT_THAT(result.affected, ElementsAre(Field(&AffectedPath::path, Source("file"))));
  EXPECT_THAT(repository_->ReadBlob(base), StatusIs(StatusCode::kDataLoss));
}

// Edits, snapshots, forgets and prunes in a random order; every live snapshot comes back.
class DeltaHistoryTest : public DeltaTest, public ::testing::WithParamInterface<int> {};

TEST_P(DeltaHistoryTest, LosesNothing) {
  std::mt19937 random(static_cast<unsigned>(GetParam()));
  const auto pick = [&](size_t n) { return random() % n; };
  std::map<std::string, std::string> now;
  std::map<SnapshotId, std::map<std::string, std::string>> live;
  uint64_t deltas = 0;
  const auto edit = [&](std::string& content) {
    const size_t at = pick(content.size());
    switch (pick(4)) {
      case 0:
        content.insert(at, Noise(1 + pick(3000), random()));
        break;
      case 1:
        content.erase(at, 1 + pick(3000));
        break;
      case 2:
        content += Noise(1 + pick(3000), random());
        break;
      default:
        for (int i = 0; i < 5; ++i) ++content[pick(content.size())];
    }
    if (content.size() < 100) content = Noise(50'000, random());
  };
  for (int step = 0; step < 60; ++step) {
    if (now.size() < 6 && pick(3) == 0) {
      now[Source("f" + std::to_string(pick(8)))] = Noise(1000 + pick(90'000), random());
    }
    for (auto& [path, content] : now) {
      if (pick(2) == 0) edit(content);
    }
    if (now.empty()) continue;
    for (const auto& [path, content] : now) Write(path, content);
    SnapshotOptions options;
    options.rescan = true;
    live[Take(options)] = now;
    while (live.size() > 1 + pick(8)) {
      const auto gone = std::next(live.begin(), static_cast<ptrdiff_t>(pick(live.size())));
      ASSERT_OK(ForgetSnapshots(*repository_, {gone->first}).status());
      live.erase(gone);
    }
    deltas += Stats().delta_frames;
    if (pick(3) == 0) {
      PruneOptions prune = PruneEverything();
      prune.max_unused_share = pick(2) == 0 ? 0 : 0.3;
      ASSERT_OK(Prune(*repository_, prune).status());
    }
    if (pick(4) == 0) Reopen();
    if (step % 4 != 0) continue;
    for (const auto& [id, files] : live) EXPECT_EQ(ReadAll(id), files) << step;
    ExpectClean();
    if (HasFailure()) return;
  }
  EXPECT_GT(deltas, 100U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, DeltaHistoryTest, ::testing::Range(0, 4));

}  // namespace
}  // namespace cairn::testing
