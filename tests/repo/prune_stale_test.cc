// SPDX-License-Identifier: Apache-2.0
// What prune has marked, and is no longer so: snapshots that go while it marks, an index that is
// exchanged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include "core/repo/prune.h"
#include "core/store/sessions.h"
#include "tests/fs/temp_tree.h"
#include "tests/repo/test_repository.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

class PruneStaleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old_limit_), 0);
    old_handler_ = ::signal(SIGXFSZ, SIG_IGN);
  }
  void TearDown() override {
    ::setrlimit(RLIMIT_FSIZE, &old_limit_);
    ::signal(SIGXFSZ, old_handler_);
  }

  // Once, before the first operation for which `is_it` is true.
  void Before(std::function<bool(const DiskOperation&)> is_it, std::function<void()> action) {
    test_.fs().SetHook([this, is_it = std::move(is_it),
                        action = std::move(action)](const DiskOperation& operation) {
      if (!called_ && is_it(operation)) {
        called_ = true;
        action();
      }
      return OkStatus();
    });
  }
  void BeforeItsRecord(std::function<void()> action) {
    Before(
        [](const DiskOperation& operation) {
          return operation.kind == DiskOperation::Kind::kRename &&
                 operation.to.starts_with("journal/");
        },
        std::move(action));
  }
  // As another prune does that comes to its end.
  void Purge(const std::vector<PackName>& packs) {
    RecordEntries entries;
    entries.condemn = packs;
    test_.Append(entries);
    entries.purge = std::exchange(entries.condemn, {});
    test_.Append(entries);
    for (const PackName& pack : packs) MustBeOk(test_.fs().Unlink(PackObjectName(pack)));
    entries.swept = std::exchange(entries.purge, {});
    test_.Append(entries);
  }
  std::vector<PackName> LivePacks() {
    std::vector<PackName> packs;
    const JournalState state = test_.State();
    for (const auto& [name, entry] : state.packs()) {
      if (entry.state == PackState::kLive) packs.push_back(name);
    }
    return packs;
  }
  // With an index on disk.
  std::unique_ptr<Repository> OpenWithIndex() {
    RepositoryOptions options = TestRepositoryOptions();
    options.cache_directory = cache_.Path("cache");
    options.warn = [this](const std::string& text) { warnings_.push_back(text); };
    return Must(Repository::Open(test_.fs(), options));
  }
  // As on a full disk: whoever has to write to the index goes on with another one in memory.
  void LetIndexWritesFail() {
    const rlimit none{0, old_limit_.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &none), 0);
  }

  TestRepository test_;
  TempTree cache_;
  std::vector<std::string> warnings_;
  bool called_ = false;
  rlimit old_limit_{};
  sighandler_t old_handler_ = SIG_DFL;
};

TEST_F(PruneStaleTest, BeginsAnewWhereASnapshotGoesWhileItIsMarked) {
  const TestBlob chunk = test_.Chunk(1, kBigChunk);
  test_.AddPack({{chunk}});
  const SnapshotId id = test_.AddSnapshot({chunk});
  const std::vector<PackName> its = LivePacks();
  const PackName dead = test_.AddPack({{test_.Chunk(2, kBigChunk)}});
  OpenWithIndex();  // which the next has, and no pack open
  const auto repository = OpenWithIndex();
  Before(
      [](const DiskOperation& operation) {
        return operation.kind == DiskOperation::Kind::kOpenRead &&
               operation.path.starts_with("packs/");
      },
      [&] {
        test_.Forget(id);
        Purge(its);
      });
  EXPECT_OK(Prune(*repository, PruneEverything()).status());
  EXPECT_TRUE(called_);
  EXPECT_FALSE(test_.HasFile(dead));
}

TEST_F(PruneStaleTest, BeginsAnewWhereAnotherPrunePurgedWhatItMarked) {
  const TestBlob chunk = test_.Chunk(1, kBigChunk);
  test_.AddPack({{chunk}});
  const SnapshotId id = test_.AddSnapshot({chunk});
  const std::vector<PackName> its = LivePacks();
  const TestBlob kept = test_.Chunk(2, kBigChunk);
  test_.AddPack({{kept}});
  test_.AddSnapshot({kept});
  const PackName dead = test_.AddPack({{test_.Chunk(3, kBigChunk)}});
  BeforeItsRecord([&] {
    test_.Forget(id);
    Purge(its);
  });
  EXPECT_OK(Prune(test_.repository(), PruneEverything()).status());
  EXPECT_TRUE(called_);
  EXPECT_FALSE(test_.HasFile(dead));
  test_.ExpectWhole();
}

// The numbers of packs in the new index are others.
TEST_F(PruneStaleTest, BeginsAnewWhereTheIndexIsExchangedAndANewSnapshotComes) {
  const TestBlob chunk = test_.Chunk(1, kBigChunk);
  const PackName dead = test_.AddPack({{test_.Chunk(2, kBigChunk)}});
  const auto repository = OpenWithIndex();
  BeforeItsRecord([&] {
    LetIndexWritesFail();
    test_.AddPack({{chunk}});
    test_.AddSnapshot({chunk});
  });
  EXPECT_OK(Prune(*repository, PruneEverything()).status());
  EXPECT_TRUE(called_);
  EXPECT_THAT(warnings_, Contains(HasSubstr("kept in memory")));
  EXPECT_FALSE(test_.HasFile(dead));
  EXPECT_TRUE(test_.CanRead(chunk));
  test_.ExpectWhole();
}

TEST_F(PruneStaleTest, KeepsABaseThatAWriterTookWhileTheIndexWasExchanged) {
  const TestBlob base = test_.Chunk(1, kBigChunk);
  const TestBlob variant = test_.Variant(base, 1);
  const PackName plain = test_.AddPack({{base}});
  const auto repository = OpenWithIndex();
  const auto writer = Must(Session::Open(test_.fs(), "snapshot"));
  MustBeOk(writer->SetStart(test_.State().head().number));
  BeforeItsRecord([&] {
    LetIndexWritesFail();
    RecordEntries entries;
    entries.packs = {test_.WriteDeltaPack(writer->id(), {variant}, {base})};
    test_.Append(entries);
  });
  EXPECT_OK(Prune(*repository, PruneEverything()).status());
  EXPECT_TRUE(called_);
  EXPECT_THAT(warnings_, Contains(HasSubstr("kept in memory")));
  EXPECT_EQ(test_.StateOf(plain), PackState::kLive);
  EXPECT_TRUE(test_.CanRead(variant));
}

}  // namespace
}  // namespace cairn::testing
