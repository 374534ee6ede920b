// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/object_store_conformance.h"

#include <stdlib.h>

#include <filesystem>

#include "core/base/check.h"
#include "core/base/memory_file_system.h"
#include "tests/support/memory_object_store.h"

namespace cairn::testing {
namespace {

class InMemory : public ObjectStoreFixture {
 public:
  ObjectStore& store() override { return store_; }

 private:
  MemoryObjectStore store_;
};

class LocalInMemory : public ObjectStoreFixture {
 public:
  ObjectStore& store() override { return *store_; }

 private:
  MemoryFileSystem fs_;
  std::unique_ptr<ObjectStore> store_ = NewLocalObjectStore(fs_);
};

class LocalOnDisk : public ObjectStoreFixture {
 public:
  LocalOnDisk() {
    std::string name = ::testing::TempDir() + "cairn-store-XXXXXX";
    CHECK(mkdtemp(name.data()) != nullptr);
    directory_ = name;
    auto fs = OpenPosixFileSystem(directory_, false);
    CHECK(fs.ok());
    fs_ = *std::move(fs);
    store_ = NewLocalObjectStore(*fs_);
  }
  ~LocalOnDisk() override { std::filesystem::remove_all(directory_); }
  ObjectStore& store() override { return *store_; }

 private:
  std::string directory_;
  std::unique_ptr<FileSystem> fs_;
  std::unique_ptr<ObjectStore> store_;
};

template <typename Fixture>
std::unique_ptr<ObjectStoreFixture> Make() {
  return std::make_unique<Fixture>();
}

INSTANTIATE_TEST_SUITE_P(Memory, ObjectStoreConformanceTest,
                         ::testing::Values(ObjectStoreMaker{&Make<InMemory>}));
INSTANTIATE_TEST_SUITE_P(LocalOnMemory, ObjectStoreConformanceTest,
                         ::testing::Values(ObjectStoreMaker{&Make<LocalInMemory>}));
INSTANTIATE_TEST_SUITE_P(LocalOnDisk, ObjectStoreConformanceTest,
                         ::testing::Values(ObjectStoreMaker{&Make<LocalOnDisk>}));

}  // namespace
}  // namespace cairn::testing
