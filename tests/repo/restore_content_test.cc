// SPDX-License-Identifier: Apache-2.0
#include "core/repo/restore_content.h"

#include <fcntl.h>

#include "tests/fs/temp_tree.h"
#include "tests/repo/test_repository.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {
namespace {

// A file of a chunk, zeros, and another chunk.
class VerifyContentTest : public ::testing::Test {
 protected:
  static constexpr size_t kZeros = 100'000;

  void SetUp() override {
    const TestBlob first = test_.Chunk(1, 5000);
    const TestBlob last = test_.Chunk(2, 3000);
    entry_.content.items = {
        {5000, false, first.ref.id}, {kZeros, true, {}}, {3000, false, last.ref.id}};
    entry_.size = 8000 + kZeros;
    content_ = first.bytes;
    content_.resize(content_.size() + kZeros);
    Append(content_, last.bytes);
  }
  Status Verify(ByteSpan content) {
    tree_.Write("file", AsText(content));
    const UniqueFd file(::open(tree_.Path("file").c_str(), O_RDONLY | O_CLOEXEC));
    return VerifyContent(test_.repository(), entry_, file.get());
  }

  TestRepository test_;
  TempTree tree_;
  Entry entry_;
  Bytes content_;
};

TEST_F(VerifyContentTest, TakesWhatTheEntrySays) { EXPECT_OK(Verify(content_)); }

TEST_F(VerifyContentTest, FindsAnyByteThatDiffers) {
  for (const size_t at : {size_t{0}, size_t{4999}, size_t{5000}, 5000 + kZeros / 2,
                          5000 + kZeros - 1, 5000 + kZeros, content_.size() - 1}) {
    Bytes content = content_;
    content[at] ^= 1;
    EXPECT_THAT(Verify(content), StatusIs(StatusCode::kDataLoss)) << at;
  }
}

TEST_F(VerifyContentTest, FindsAnotherLength) {
  Bytes longer = content_;
  longer.push_back(0);
  EXPECT_THAT(Verify(longer), StatusIs(StatusCode::kDataLoss));
  for (const size_t size : {size_t{0}, size_t{4999}, size_t{5000}, 5000 + kZeros / 2, 5000 + kZeros,
                            content_.size() - 1}) {
    EXPECT_THAT(Verify(ByteSpan(content_).first(size)), StatusIs(StatusCode::kDataLoss)) << size;
  }
}

}  // namespace
}  // namespace cairn::testing
