// SPDX-License-Identifier: Apache-2.0
#include "core/repo/verified_times.h"

#include <set>

#include "core/repo/check.h"
#include "core/repo/prune.h"
#include "core/repo/stats.h"
#include "core/store/pack.h"
#include "tests/repo/restore_fixture.h"

namespace cairn::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kDay = 86'400;

class SetClock : public Clock {
 public:
  Timestamp Now() const override { return now; }
  Timestamp now = {20'000 * kDay, 0};
};

// A second goes by between any two looks at it.
class TickingClock : public Clock {
 public:
  Timestamp Now() const override { return {seconds_++, 0}; }

 private:
  mutable int64_t seconds_ = 7;
};

class VerifiedTimesTest : public RestoreTest {
 protected:
  void SetUp() override {
    RestoreTest::SetUp();
    RepositoryOptions options = TestRepositoryOptions();
    options.clock = &clock_;
    options.location = "/here";
    ASSERT_OK_AND_ASSIGN(repository_, Repository::Open(repository_files_, options));
    Write(Source("0"), Noise(3000, 1));
    ids_.push_back(Take());
  }

  // Another snapshot, and so another pack.
  void TakeMore() {
    Write(Source(std::to_string(ids_.size())), Noise(3000, ids_.size() + 1));
    ids_.push_back(Take());
  }
  std::set<PackName> Packs() {
    std::set<PackName> packs;
    const StatusOr<JournalState> state = repository_->journal().ReadState();
    EXPECT_OK(state);
    for (const auto& [name, entry] : state->packs()) {
      if (entry.state != PackState::kPurged) packs.insert(name);
    }
    return packs;
  }
  CheckResult Run(CheckOptions options = {}) {
    if (options.read_data.kind == ReadSubset::Kind::kNone) {
      options.read_data.kind = ReadSubset::Kind::kAll;
    }
    options.threads = 1;
    StatusOr<CheckResult> result = Check(*repository_, options);
    EXPECT_OK(result);
    return result.ok() ? *std::move(result) : CheckResult{};
  }
  // What was not read for 30 days.
  CheckResult RunDue() {
    CheckOptions options;
    options.read_before = Timestamp{clock_.now.seconds - 30 * kDay, 0};
    return Run(options);
  }
  // One pack, as the clock ticks.
  CheckResult RunBriefly() {
    const TickingClock ticking;
    CheckOptions options;
    options.read_seconds = 2;
    options.steady_clock = &ticking;
    return Run(options);
  }
  std::optional<Timestamp> TimeOf(const PackName& pack) {
    const auto reader = repository_->index().Read();
    EXPECT_OK(reader);
    return FindVerifiedTime(**reader, *repository_, pack, clock_.now);
  }
  std::set<PackName> Verified() {
    std::set<PackName> verified = Packs();
    std::erase_if(verified, [this](const PackName& pack) { return !TimeOf(pack).has_value(); });
    return verified;
  }
  void Flip(const PackName& pack) {
    ASSERT_OK(repository_files_.Damage(
        PackObjectName(pack), [](Bytes& bytes) { bytes[kPackHeaderBytes + 100] ^= 0x20; }));
  }

  SetClock clock_;
  std::vector<SnapshotId> ids_;
};

TEST_F(VerifiedTimesTest, APackIsReadAgainWhenItsTimeHasCome) {
  TakeMore();
  const CheckResult first = RunDue();
  EXPECT_EQ(first.packs_read, 2U);
  EXPECT_EQ(first.packs_recent, 0U);
  clock_.now.seconds += 20 * kDay;
  TakeMore();
  const CheckResult second = RunDue();
  EXPECT_EQ(second.packs_read, 1U);
  EXPECT_EQ(second.packs_recent, 2U);
  EXPECT_GT(second.bytes_recent, 6000U);
  EXPECT_LT(second.bytes_read, first.bytes_read);
  clock_.now.seconds += 11 * kDay;
  EXPECT_EQ(RunDue().packs_read, 2U);
  EXPECT_EQ(RunDue().packs_read, 0U);
}

TEST_F(VerifiedTimesTest, WithATimeBudgetTheLongestUnreadComesFirst) {
  TakeMore();
  TakeMore();
  std::set<PackName> before;
  for (int i = 0; i < 3; ++i) {
    clock_.now.seconds += 1;
    const CheckResult result = RunBriefly();
    EXPECT_TRUE(result.clean());
    EXPECT_EQ(result.packs_read, 1U);
    EXPECT_EQ(result.packs_left, 2U);
    EXPECT_GT(result.bytes_left, 6000U);
    before = Verified();
    EXPECT_EQ(before.size(), static_cast<size_t>(i) + 1);
  }
  // All are read: the first one's turn comes again.
  PackName oldest = *before.begin();
  for (const PackName& pack : before) {
    if (TimeOf(pack) < TimeOf(oldest)) oldest = pack;
  }
  clock_.now.seconds += 1;
  RunBriefly();
  EXPECT_EQ(TimeOf(oldest), clock_.now);
}

TEST_F(VerifiedTimesTest, BudgetAndAgeCombine) {
  TakeMore();
  TakeMore();
  RunBriefly();
  const TickingClock ticking;
  CheckOptions options;
  options.read_before = clock_.now;
  options.read_seconds = 2;
  options.steady_clock = &ticking;
  const CheckResult result = Run(options);
  EXPECT_EQ(result.packs_recent, 1U);
  EXPECT_EQ(result.packs_read, 1U);
  EXPECT_EQ(result.packs_left, 1U);
}

TEST_F(VerifiedTimesTest, WithoutTimeNothingIsRead) {
  CheckOptions options;
  options.read_seconds = 0;
  const CheckResult result = Run(options);
  EXPECT_EQ(result.packs_read, 0U);
  EXPECT_EQ(result.packs_left, 1U);
  EXPECT_TRUE(result.clean());
  EXPECT_THAT(Verified(), IsEmpty());
}

TEST_F(VerifiedTimesTest, EveryReadingIsRemembered) {
  TakeMore();
  CheckOptions options;
  options.read_data.kind = ReadSubset::Kind::kPart;
  options.read_data.part = 2;
  options.read_data.parts = 2;
  Run(options);
  EXPECT_THAT(Verified(), ElementsAre(*Packs().rbegin()));
  options.read_data.kind = ReadSubset::Kind::kPacks;
  options.read_data.packs = {*Packs().begin()};
  Run(options);
  EXPECT_EQ(Verified(), Packs());
}

TEST_F(VerifiedTimesTest, ADamagedPackCountsAsNeverRead) {
  TakeMore();
  Run();
  const PackName damaged = *Packs().rbegin();
  Flip(damaged);
  EXPECT_EQ(RunDue().packs_read, 0U);
  clock_.now.seconds += 31 * kDay;
  EXPECT_FALSE(RunDue().clean());
  EXPECT_THAT(Verified(), ElementsAre(*Packs().begin()));
  const CheckResult again = RunDue();
  EXPECT_EQ(again.packs_read, 1U);
  EXPECT_FALSE(again.clean());
  Flip(damaged);
  EXPECT_TRUE(RunDue().clean());
  EXPECT_EQ(Verified(), Packs());
}

TEST_F(VerifiedTimesTest, ATimeInTheFutureCountsAsNever) {
  Run();
  clock_.now.seconds -= 1;
  EXPECT_THAT(Verified(), IsEmpty());
  EXPECT_EQ(RunDue().packs_read, 1U);
  EXPECT_EQ(TimeOf(*Packs().begin()), clock_.now);
}

TEST_F(VerifiedTimesTest, APurgedPackDropsOut) {
  TakeMore();
  Run();
  const std::set<PackName> before = Packs();
  ASSERT_OK(repository_->journal().Append(repository_->journal().ReadState()->head(),
                                          {.forget = {ids_[0], ids_[1]}}));
  ASSERT_OK(Prune(*repository_, {}));
  EXPECT_THAT(Packs(), IsEmpty());
  ASSERT_OK(repository_->Refresh());
  for (const PackName& pack : before) EXPECT_EQ(TimeOf(pack), std::nullopt);
}

TEST_F(VerifiedTimesTest, AnIndexThatIsMadeAnewKeepsThem) {
  Run();
  ASSERT_OK(repository_->RebuildIndex());
  EXPECT_EQ(Verified(), Packs());
}

TEST_F(VerifiedTimesTest, StatsTellHowMuchWasReadWithinHowLong) {
  clock_.now.seconds -= 100 * kDay;
  Run();
  clock_.now.seconds += 60 * kDay;
  TakeMore();
  RunDue();
  clock_.now.seconds += 20 * kDay;
  TakeMore();
  CheckOptions options;
  options.read_before = Timestamp{clock_.now.seconds - 25 * kDay, 0};
  EXPECT_EQ(Run(options).packs_read, 1U);
  clock_.now.seconds += 20 * kDay;
  TakeMore();
  ASSERT_OK_AND_ASSIGN(const RepositoryStats stats, StatsOfRepository(*repository_));
  // The first two were read 40 days ago, the third 20 days ago, the last one never.
  EXPECT_THAT(stats.verified.within,
              ElementsAre(0U, 0U, ::testing::Gt(3000U), ::testing::Gt(9000U)));
  EXPECT_EQ(stats.verified.longer_ago, 0U);
  EXPECT_GT(stats.verified.never, 3000U);
  EXPECT_EQ(stats.verified.within[3] + stats.verified.never, stats.stored_bytes);
  clock_.now.seconds += 60 * kDay;
  ASSERT_OK_AND_ASSIGN(const RepositoryStats later, StatsOfRepository(*repository_));
  EXPECT_EQ(later.verified.longer_ago, stats.verified.within[3] - stats.verified.within[2]);
}

}  // namespace
}  // namespace cairn::testing
