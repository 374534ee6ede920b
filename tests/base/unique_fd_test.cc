// SPDX-License-Identifier: Apache-2.0
#include "core/base/unique_fd.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <utility>

namespace cairn {
namespace {

TEST(UniqueFdTest, HasOneOwnerAndCloses) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  UniqueFd reader(ends[0]);
  {
    UniqueFd writer(ends[1]);
    const UniqueFd moved = std::move(writer);
    EXPECT_FALSE(writer.valid());
    EXPECT_EQ(moved.get(), ends[1]);
  }
  char byte = 0;
  EXPECT_EQ(::read(reader.get(), &byte, 1), 0);  // end of file: the writing end is closed
  const int number = reader.Release();
  EXPECT_FALSE(reader.valid());
  EXPECT_EQ(::close(number), 0);
}

}  // namespace
}  // namespace cairn
