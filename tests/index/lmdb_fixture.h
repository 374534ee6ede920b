// SPDX-License-Identifier: Apache-2.0
// What the tests of the index on disk share.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "core/index/lmdb_index.h"
#include "tests/index/index_data.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {

inline Status AddPack(Index& index, const TestPack& pack, PackState state = PackState::kLive) {
  ASSIGN_OR_RETURN(auto writer, index.Write());
  RETURN_IF_ERROR(writer->AddPack(pack.info, state, pack.frames, pack.blobs));
  return writer->Commit();
}

inline Status SetHead(Index& index, uint64_t number) {
  ASSIGN_OR_RETURN(auto writer, index.Write());
  RETURN_IF_ERROR(writer->SetHead({number, TestId<RecordHash>(number)}));
  return writer->Commit();
}

inline StatusOr<uint64_t> HeadNumber(Index& index) {
  ASSIGN_OR_RETURN(auto reader, index.Read());
  ASSIGN_OR_RETURN(const IndexHead head, reader->Head());
  return head.number;
}

inline StatusOr<size_t> CountPlaces(Index& index, const BlobRef& ref) {
  ASSIGN_OR_RETURN(auto reader, index.Read());
  ASSIGN_OR_RETURN(const PlaceList places, reader->FindBlob(ref));
  return places.size();
}

class LmdbIndexTest : public ::testing::Test {
 protected:
  std::unique_ptr<Index> Open() {
    auto index = OpenLmdbIndex(options_);
    if (!index.ok()) ADD_FAILURE() << index.status();
    return *std::move(index);
  }
  std::string environment() const { return options_.directory + "/index-2"; }

  ScratchDirectory scratch_;
  LmdbIndexOptions options_{.directory = scratch_ / "cache/index",
                            .repository = TestId<RepositoryId>(1),
                            .map_bytes = kGiB};
};

}  // namespace cairn::testing
