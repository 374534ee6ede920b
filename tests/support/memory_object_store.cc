// SPDX-License-Identifier: Apache-2.0
#include "tests/support/memory_object_store.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace cairn::testing {

class MemoryObjectStore::Writer : public ObjectWriter {
 public:
  Writer(MemoryObjectStore& store, std::string name, std::string tmp, bool replace)
      : store_(store), name_(std::move(name)), tmp_(std::move(tmp)), replace_(replace) {}
  ~Writer() override { Close(); }

  Status Append(ByteSpan bytes) override {
    if (tmp_.empty()) return FailedPrecondition("write " + name_ + ": it is closed");
    cairn::Append(bytes_, bytes);
    return OkStatus();
  }
  Status Drain() override {
    if (tmp_.empty()) return FailedPrecondition("write " + name_ + ": it is closed");
    return OkStatus();
  }
  Status Commit() override {
    if (tmp_.empty()) return FailedPrecondition("commit " + name_ + ": it is closed");
    Close();
    if (replace_) {
      store_.Set(name_, std::move(bytes_));
      return OkStatus();
    }
    return store_.Place(name_, std::move(bytes_));
  }

 private:
  void Close() {
    MutexLock lock(store_.mutex_);
    store_.unfinished_.erase(tmp_);
    tmp_.clear();
  }

  MemoryObjectStore& store_;
  const std::string name_;
  std::string tmp_;  // empty once closed
  const bool replace_;
  Bytes bytes_;
};

StatusOr<std::unique_ptr<ObjectWriter>> MemoryObjectStore::Create(const std::string& name,
                                                                  const std::string& owner) {
  return NewWriter(name, owner, /*replace=*/false);
}

StatusOr<std::unique_ptr<ObjectWriter>> MemoryObjectStore::CreateReplacement(
    const std::string& name, const std::string& owner) {
  return NewWriter(name, owner, /*replace=*/true);
}

std::unique_ptr<ObjectWriter> MemoryObjectStore::NewWriter(const std::string& name,
                                                           const std::string& owner, bool replace) {
  MutexLock lock(mutex_);
  const std::string tmp = "tmp/" + owner + "-" + std::to_string(++created_);
  unfinished_[tmp] = owner;
  return std::make_unique<Writer>(*this, name, tmp, replace);
}

Status MemoryObjectStore::SyncNames() { return OkStatus(); }

Status MemoryObjectStore::Place(const std::string& name, Bytes bytes) {
  MutexLock lock(mutex_);
  if (!objects_.try_emplace(name, std::move(bytes)).second) return AlreadyExists("place " + name);
  return OkStatus();
}

Status MemoryObjectStore::PutIfAbsent(const std::string& name, ByteSpan bytes, bool* placed) {
  Status status = Place(name, Bytes(bytes.begin(), bytes.end()));
  if (placed != nullptr) *placed = status.ok();
  return status;
}

StatusOr<size_t> MemoryObjectStore::ReadAt(const std::string& name, uint64_t offset,
                                           MutableByteSpan out) {
  MutexLock lock(mutex_);
  ++reads_;
  const auto found = objects_.find(name);
  if (found == objects_.end()) return NotFound("read " + name);
  const ByteSpan bytes(found->second);
  if (offset >= bytes.size()) return size_t{0};
  const size_t size = std::min(out.size(), bytes.size() - static_cast<size_t>(offset));
  std::copy_n(bytes.begin() + static_cast<ptrdiff_t>(offset), size, out.begin());
  return size;
}

StatusOr<Bytes> MemoryObjectStore::ReadAll(const std::string& name, uint64_t max_bytes) {
  MutexLock lock(mutex_);
  ++reads_;
  const auto found = objects_.find(name);
  if (found == objects_.end()) return NotFound("read " + name);
  if (found->second.size() > max_bytes) return ResourceExhausted("read " + name + ": too large");
  return found->second;
}

StatusOr<uint64_t> MemoryObjectStore::Size(const std::string& name) {
  MutexLock lock(mutex_);
  ++reads_;
  const auto found = objects_.find(name);
  if (found == objects_.end()) return NotFound("size of " + name);
  return found->second.size();
}

StatusOr<std::vector<std::string>> MemoryObjectStore::List(const std::string& folder) {
  std::function<void(const std::string&)> hook;
  {
    MutexLock lock(mutex_);
    hook = list_hook_;
  }
  if (hook) hook(folder);
  MutexLock lock(mutex_);
  std::set<std::string> names;
  for (const auto& [name, bytes] : objects_) {
    if (!name.starts_with(folder + "/")) continue;
    const std::string rest = name.substr(folder.size() + 1);
    names.insert(rest.substr(0, rest.find('/')));
  }
  return std::vector<std::string>(names.begin(), names.end());
}

Status MemoryObjectStore::Delete(const std::string& name) {
  MutexLock lock(mutex_);
  if (objects_.erase(name) + unfinished_.erase(name) == 0) return NotFound("delete " + name);
  return OkStatus();
}

Status MemoryObjectStore::Rename(const std::string& from, const std::string& to) {
  MutexLock lock(mutex_);
  auto object = objects_.extract(from);
  if (object.empty()) return NotFound("rename " + from);
  objects_[to] = std::move(object.mapped());
  return OkStatus();
}

StatusOr<std::vector<ObjectStore::Unfinished>> MemoryObjectStore::ListUnfinished() {
  MutexLock lock(mutex_);
  std::vector<Unfinished> all;
  for (const auto& [name, owner] : unfinished_) all.push_back({name, owner});
  return all;
}

void MemoryObjectStore::SetListHook(std::function<void(const std::string&)> hook) {
  MutexLock lock(mutex_);
  list_hook_ = std::move(hook);
}

void MemoryObjectStore::Damage(const std::string& name, const std::function<void(Bytes&)>& edit) {
  MutexLock lock(mutex_);
  const auto found = objects_.find(name);
  CHECK(found != objects_.end());
  edit(found->second);
}

void MemoryObjectStore::Set(const std::string& name, Bytes bytes) {
  MutexLock lock(mutex_);
  objects_[name] = std::move(bytes);
}

size_t MemoryObjectStore::reads() const {
  MutexLock lock(mutex_);
  return reads_;
}

void MemoryObjectStore::ResetCounts() {
  MutexLock lock(mutex_);
  reads_ = 0;
}

}  // namespace cairn::testing
