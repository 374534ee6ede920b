// SPDX-License-Identifier: Apache-2.0
// Prune in random histories of one process, in which others' steps are done in a hook of the file
// system.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/repo/blob_writer.h"
#include "core/repo/forget.h"
#include "core/repo/prune.h"
#include "core/repo/stats.h"
#include "core/store/sessions.h"
#include "tests/repo/test_repository.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

// Writers, forgets and prunes in a random order, some of them within one another's steps.
class History {
 public:
  explicit History(uint32_t seed) : random_(seed) {}

  void Run(int steps) {
    test_.fs().SetHook([this](const DiskOperation& operation) {
      if (operation.kind == DiskOperation::Kind::kRename && operation.to.starts_with("journal/") &&
          Pick(3) == 0) {
        WriterStep();
      }
      return OkStatus();
    });
    for (int i = 0; i < steps; ++i) {
      Step();
      test_.ExpectWhole();
      deltas_ += Must(StatsOfRepository(test_.repository())).delta_frames;
      if (::testing::Test::HasFatalFailure()) return;
    }
  }
  int commits() const { return commits_; }
  int conflicts() const { return conflicts_; }
  uint64_t purged() const { return purged_; }
  uint64_t deltas() const { return deltas_; }  // that there were, summed over all steps

 private:
  struct Writer {
    std::unique_ptr<Repository> repository;
    std::unique_ptr<Session> session;
    std::unique_ptr<BlobWriter> writer;
    std::vector<TestBlob> chunks;
    // The lock was lost: others take it for dead.
    bool unseen = false;
  };

  uint32_t Pick(uint32_t n) { return static_cast<uint32_t>(random_() % n); }

  void Step() {
    switch (Pick(6)) {
      case 0:
        return RunPrune();
      case 1:
        return ForgetOne();
      default:
        return WriterStep();
    }
  }

  void WriterStep() {
    if (writers_.size() < 3 && Pick(3) == 0) return Begin();
    if (writers_.empty() || busy_) return;
    const size_t i = Pick(static_cast<uint32_t>(writers_.size()));
    busy_ = true;
    if (writers_[i].chunks.size() < 3 || Pick(2) == 0) {
      Store(writers_[i]);
    } else {
      Commit(writers_[i]);
      writers_.erase(writers_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    busy_ = false;
  }

  void Begin() {
    Writer writer;
    writer.repository = test_.Open();
    writer.session = Must(Session::Open(test_.fs(), "snapshot"));
    const JournalHead head = Must(writer.repository->Refresh());
    MustBeOk(writer.session->SetStart(head.number));
    writer.writer = std::make_unique<BlobWriter>(*writer.repository, writer.session->id(), head,
                                                 BlobWriter::Options());
    if (Pick(4) == 0) {
      for (const std::string& path : test_.fs().AllPaths()) {
        if (path == "sessions/" + writer.session->id().Hex()) MustBeOk(test_.fs().Unlink(path));
      }
    }
    writers_.push_back(std::move(writer));
  }

  void Store(Writer& writer) {
    BlobWriter::Lane lane(*writer.writer);
    for (int i = 0; i < 3; ++i) {
      // Few different ones, so that they are often found, and often die; and each much like others,
      // of which it is a delta where they are there.
      const TestBlob first = test_.Chunk(Pick(6), 3000);
      const TestBlob chunk = test_.Variant(first, static_cast<uint8_t>(Pick(5)));
      const TestBlob former = test_.Variant(first, static_cast<uint8_t>(Pick(5)));
      Content content;
      content.items = {{former.bytes.size(), false, former.ref.id}};
      MustBeOk(lane.BeginFile(chunk.bytes.size(), /*whole=*/true, &content));
      const Piece piece{.bytes = chunk.bytes.size(), .data = chunk.bytes};
      MustBeOk(
          lane.AddPieces({&piece, 1}, /*split=*/false, [](const auto&) { return OkStatus(); }));
      MustBeOk(lane.EndFile());
      writer.chunks.push_back(chunk);
      if (Pick(2) == 0) MustBeOk(lane.Flush());
    }
    MustBeOk(lane.Flush());
    if (Pick(3) != 0) return;
    // As every GiB: what is finished is named.
    if (!writer.writer->Flush().ok()) return;
    writer.writer->Commit({}, std::nullopt, std::nullopt).IgnoreError();
  }

  void Commit(Writer& writer) {
    const TestBlob tree = test_.Tree(writer.chunks);
    const TestBlob root = test_.Root(tree);
    Must(writer.writer->WriteBlob(BlobKind::kTree, tree.bytes));
    Must(writer.writer->WriteBlob(BlobKind::kRoot, root.bytes));
    MustBeOk(writer.writer->Flush());
    const SnapshotEntry snapshot = test_.SnapshotOf(root);
    const auto placed = writer.writer->Commit({snapshot}, std::nullopt, std::nullopt);
    if (placed.ok()) {
      ++commits_;
      snapshots_.push_back(snapshot.id);
    } else {
      EXPECT_THAT(placed, StatusIs(StatusCode::kAborted));
      ++conflicts_;
    }
  }

  void ForgetOne() {
    if (snapshots_.empty()) return;
    const size_t i = Pick(static_cast<uint32_t>(snapshots_.size()));
    ASSERT_OK(ForgetSnapshots(test_.repository(), {snapshots_[i]}));
    snapshots_.erase(snapshots_.begin() + static_cast<std::ptrdiff_t>(i));
  }

  void RunPrune() {
    PruneOptions options = PruneEverything();
    options.now = Pick(3) == 0;
    options.max_unused_share = Pick(2) == 0 ? 0 : 0.5;
    options.portion_bytes = Pick(2) == 0 ? 1 : kGiB;
    const auto result = Prune(test_.repository(), options);
    ASSERT_OK(result);
    purged_ += result->packs_purged;
  }

  TestRepository test_;
  std::mt19937 random_;
  std::vector<Writer> writers_;
  std::vector<SnapshotId> snapshots_;
  bool busy_ = false;
  int commits_ = 0;
  int conflicts_ = 0;
  uint64_t purged_ = 0;
  uint64_t deltas_ = 0;
};

TEST(PruneHistoryTest, NoHistoryLosesAnything) {
  int commits = 0;
  int conflicts = 0;
  uint64_t purged = 0;
  uint64_t deltas = 0;
  for (uint32_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    History history(seed);
    history.Run(60);
    if (::testing::Test::HasFailure()) return;
    commits += history.commits();
    conflicts += history.conflicts();
    purged += history.purged();
    deltas += history.deltas();
  }
  // The histories have what they are made for.
  EXPECT_GT(commits, 50);
  EXPECT_GT(conflicts, 5);
  EXPECT_GT(purged, 50U);
  EXPECT_GT(deltas, 1000U);
}

}  // namespace
}  // namespace cairn::testing
