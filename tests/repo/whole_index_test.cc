// SPDX-License-Identifier: Apache-2.0
#include "core/repo/whole_index.h"

#include <gtest/gtest.h>

#include "core/index/memory_index.h"
#include "tests/repo/test_repository.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

class WholeIndexTest : public ::testing::Test {
 protected:
  void SetHead(uint64_t number) {
    const auto writer = Must(index_.filled().Write());
    MustBeOk(writer->SetHead({number, {}}));
    MustBeOk(writer->Commit());
  }

  int calls_ = 0;
  std::function<void()> bring_up_ = [] {};
  WholeIndex index_{NewMemoryIndex(), [this] {
                      ++calls_;
                      bring_up_();
                      return OkStatus();
                    }};
};

TEST_F(WholeIndexTest, OneThatHasComeAsFarAsExpectedIsReadAsItIs) {
  SetHead(3);
  index_.Expect(2);
  EXPECT_EQ(Must(Must(index_.Read())->Head()).number, 3U);
  EXPECT_EQ(calls_, 0);
}

TEST_F(WholeIndexTest, OneThatHasNotIsBroughtUpFirst) {
  SetHead(0);
  index_.Expect(3);
  // The first time, another empties it again at once.
  bring_up_ = [this] {
    if (calls_ == 2) SetHead(4);
  };
  EXPECT_EQ(Must(Must(index_.Read())->Head()).number, 4U);
  EXPECT_EQ(calls_, 2);
}

TEST_F(WholeIndexTest, AnOlderJournalIsNoReasonToWait) {
  SetHead(1);
  index_.Expect(3);
  bring_up_ = [this] { index_.Expect(1); };
  EXPECT_EQ(Must(Must(index_.Read())->Head()).number, 1U);
}

TEST_F(WholeIndexTest, OneThatIsNeverWholeIsAnError) {
  index_.Expect(1);
  EXPECT_THAT(index_.Read(), StatusIs(StatusCode::kAborted));
}

}  // namespace
}  // namespace cairn::testing
