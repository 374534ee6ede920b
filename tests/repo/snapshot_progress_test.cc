// SPDX-License-Identifier: Apache-2.0
// What a snapshot counts while it runs.
#include <string>

#include "tests/repo/restore_fixture.h"

namespace cairn::testing {
namespace {

using SnapshotProgressTest = RestoreTest;

TEST_F(SnapshotProgressTest, WhatTheLastOneCountedIsExpectedAgain) {
  for (int i = 0; i < 40; ++i) {
    Write(Source("d/" + std::to_string(i)), Noise(5000, static_cast<uint64_t>(i)));
  }
  SnapshotProgress first;
  SnapshotOptions options;
  options.progress = &first;
  Take(options);
  EXPECT_EQ(first.bytes_expected, 0U);
  EXPECT_EQ(first.bytes, 40U * 5000);
  Write(Source("d/new"), Noise(700, 99));
  SnapshotProgress second;
  options.progress = &second;
  Take(options);
  EXPECT_EQ(second.bytes_expected, first.bytes);
  EXPECT_EQ(second.bytes, first.bytes + 700);
}

}  // namespace
}  // namespace cairn::testing
