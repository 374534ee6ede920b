// SPDX-License-Identifier: Apache-2.0
// A check while others change the index that it looks into.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <utility>

#include "core/repo/check_packs.h"
#include "tests/repo/test_repository.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

// Another one's, with something that happens before each look into it.
class HookedIndex : public Index {
 public:
  HookedIndex(Index& index, std::function<void()> before_read)
      : index_(index), before_read_(std::move(before_read)) {}
  StatusOr<std::unique_ptr<IndexReader>> Read() override {
    before_read_();
    return index_.Read();
  }
  StatusOr<std::unique_ptr<IndexWriter>> Write() override { return index_.Write(); }
  StatusOr<uint64_t> StoredBytes() override { return index_.StoredBytes(); }

 private:
  Index& index_;
  const std::function<void()> before_read_;
};

TEST(CheckBesideOthersTest, ADeltaThatIsCondemnedTogetherWithItsBaseIsNoDamage) {
  TestRepository test;
  const TestBlob base = test.Chunk(1);
  RecordEntries condemn;
  condemn.condemn = {test.AddPack({{base}}), test.AddDeltaPack({test.Variant(base, 1)}, {base})};
  MustBeOk(test.repository().Refresh().status());
  const JournalState state = test.State();
  const CheckOptions options;
  CheckFindings findings(options);
  KnownDamage damage(findings);
  ReadBudget budget(options);
  PackCheck check(test.repository(), state, options, budget, findings, damage);
  ASSERT_OK(check.Run());

  int reads = 0;
  HookedIndex index(test.repository().index(), [&] {
    if (++reads != 2) return;
    test.Append(condemn);
    MustBeOk(test.repository().Refresh().status());
  });
  ASSERT_OK(check.CheckContent(index, [] {}));
  EXPECT_GE(reads, 2);
  EXPECT_TRUE(findings.empty());
}

}  // namespace
}  // namespace cairn::testing
