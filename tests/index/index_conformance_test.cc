// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/index_conformance.h"

#include "core/index/lmdb_index.h"
#include "core/index/memory_index.h"
#include "tests/conformance/index_snapshots_conformance.h"

namespace cairn::testing {
namespace {

std::unique_ptr<Index> MakeMemoryIndex(const std::string&) { return NewMemoryIndex(); }

std::unique_ptr<Index> MakeLmdbIndex(const std::string& directory) {
  auto index = OpenLmdbIndex({.directory = directory + "/index",
                              .repository = TestId<RepositoryId>(1),
                              .map_bytes = kGiB});
  if (!index.ok()) ADD_FAILURE() << index.status();
  return *std::move(index);
}

INSTANTIATE_TEST_SUITE_P(Memory, IndexConformanceTest,
                         ::testing::Values(IndexMaker{MakeMemoryIndex}));
INSTANTIATE_TEST_SUITE_P(Lmdb, IndexConformanceTest, ::testing::Values(IndexMaker{MakeLmdbIndex}));

}  // namespace
}  // namespace cairn::testing
