// SPDX-License-Identifier: Apache-2.0
// An object store in memory, for tests of what stands above it. For crashes and errors of single
// operations, use the local store on a MemoryFileSystem instead.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "core/store/object_store.h"

namespace cairn::testing {

// Thread-safe.
class MemoryObjectStore : public ObjectStore {
 public:
  StatusOr<std::unique_ptr<ObjectWriter>> Create(const std::string& name,
                                                 const std::string& owner) override;
  StatusOr<std::unique_ptr<ObjectWriter>> CreateReplacement(const std::string& name,
                                                            const std::string& owner) override;
  Status SyncNames() override;
  Status PutIfAbsent(const std::string& name, ByteSpan bytes, bool* placed) override;
  StatusOr<size_t> ReadAt(const std::string& name, uint64_t offset, MutableByteSpan out) override;
  StatusOr<Bytes> ReadAll(const std::string& name, uint64_t max_bytes) override;
  StatusOr<uint64_t> Size(const std::string& name) override;
  StatusOr<std::vector<std::string>> List(const std::string& folder) override;
  Status Delete(const std::string& name) override;
  Status Rename(const std::string& from, const std::string& to) override;
  StatusOr<std::vector<Unfinished>> ListUnfinished() override;

  // Called before each List with the folder, without locks: so a test lets others act between two
  // steps of what it tests.
  void SetListHook(std::function<void(const std::string& folder)> hook);
  // Changes an object's bytes behind everybody's back.
  void Damage(const std::string& name, const std::function<void(Bytes&)>& edit);
  // Places an object, replacing what is there.
  void Set(const std::string& name, Bytes bytes);
  // Calls of ReadAt, ReadAll and Size since the last ResetCounts, failed ones included.
  size_t reads() const;
  void ResetCounts();

 private:
  class Writer;

  Status Place(const std::string& name, Bytes bytes);
  std::unique_ptr<ObjectWriter> NewWriter(const std::string& name, const std::string& owner,
                                          bool replace);

  mutable Mutex mutex_;
  std::map<std::string, Bytes> objects_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> unfinished_ ABSL_GUARDED_BY(mutex_);  // name to owner
  uint64_t created_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t reads_ ABSL_GUARDED_BY(mutex_) = 0;
  std::function<void(const std::string&)> list_hook_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cairn::testing
