// SPDX-License-Identifier: Apache-2.0
#include "core/store/twin_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "core/store/twin.h"
#include "tests/store/store_data.h"
#include "tests/support/memory_object_store.h"

namespace cairn {
namespace {

using ::cairn::testing::IsOkAndHolds;
using ::cairn::testing::StatusIs;
using ::testing::HasSubstr;

// A disk that refuses some sectors, and every read that touches one of them.
class StoreWithBadSectors : public testing::MemoryObjectStore {
 public:
  StatusOr<size_t> ReadAt(const std::string& name, uint64_t offset, MutableByteSpan out) override {
    if (is_bad(offset / kTwinSectorBytes)) return Unavailable("bad sector");
    return MemoryObjectStore::ReadAt(name, offset, out);
  }
  StatusOr<Bytes> ReadAll(const std::string&, uint64_t) override {
    return Unavailable("bad sector");
  }

  std::function<bool(uint64_t sector)> is_bad;
};

TEST(TwinFileTest, ZerosStandForWhatTheDiskRefuses) {
  StoreWithBadSectors store;
  store.Set("it", Bytes(2 * kTwinSectorBytes + 10, 7));
  store.is_bad = [](uint64_t sector) { return sector == 1; };
  Bytes expected(2 * kTwinSectorBytes + 10, 7);
  std::fill_n(expected.begin() + kTwinSectorBytes, kTwinSectorBytes, uint8_t{0});
  EXPECT_THAT(ReadTwinFile(store, "it", kMiB), IsOkAndHolds(expected));
}

TEST(TwinFileTest, WhereNothingCanBeReadTheErrorIsTheDisks) {
  StoreWithBadSectors store;
  store.Set("it", Bytes(2 * kTwinSectorBytes + 10, 7));
  store.is_bad = [](uint64_t) { return true; };
  EXPECT_THAT(ReadTwinFile(store, "it", kMiB),
              StatusIs(StatusCode::kUnavailable, HasSubstr("bad sector")));
}

}  // namespace
}  // namespace cairn
