// SPDX-License-Identifier: Apache-2.0
// Nodes, each behind two bytes of its length; the first is a root, the second another. Every id
// means one of them, so that the input is a graph of nodes as no honest program makes it, cycles
// included. Readers end, keep the order that they promise, and never crash.
#include <algorithm>
#include <string>
#include <vector>

#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/tree/reader.h"
#include "core/tree/walk.h"
#include "core/tree/xattrs.h"

namespace cairn {
namespace {

// Of one input: a cycle has no end of its own.
constexpr int kMaxReads = 3000;
constexpr int kMaxVisits = 1000;

class HostileBlobs : public BlobSource {
 public:
  explicit HostileBlobs(ByteSpan bytes) {
    Decoder input(bytes);
    while (input.remaining() > 2) {
      const size_t size = input.Fixed16();
      const ByteSpan blob = input.Raw(std::min(size, input.remaining()));
      blobs_.emplace_back(blob.begin(), blob.end());
    }
  }

  bool empty() const { return blobs_.empty(); }
  StatusOr<Bytes> ReadBlob(const BlobRef& ref) override {
    if (++reads_ > kMaxReads) return Unavailable("read too often");
    return blobs_[ref.id.bytes[0] % blobs_.size()];
  }

 private:
  std::vector<Bytes> blobs_;
  int reads_ = 0;
};

void ReadContent(BlobSource& source, const Entry& entry) {
  ContentReader reader(source, entry.content);
  uint64_t bytes = 0;
  for (int i = 0; i < kMaxVisits; ++i) {
    const auto item = reader.Next();
    if (!item.ok() || !item->has_value()) break;
    CHECK((*item)->bytes > 0);
    bytes += (*item)->bytes;
  }
  for (const uint64_t offset : {bytes / 2, uint64_t{0}, bytes}) {
    const auto begin = reader.Seek(offset);
    CHECK(!begin.ok() || *begin <= offset);
  }
}

void ReadDirectory(BlobSource& source, const Entry& directory) {
  DirectoryReader reader(source, directory.node);
  std::string last;
  int errors = 0;
  for (int i = 0; i < kMaxVisits && errors < 10; ++i) {
    const auto entry = reader.Next();
    if (!entry.ok()) {
      ++errors;
      continue;
    }
    if (*entry == nullptr) break;
    CHECK(last < (*entry)->name);
    last = (*entry)->name;
  }
  if (last.empty()) return;
  if (!reader.Seek(last).ok()) return;
  const auto found = reader.Next();
  CHECK(!found.ok() || *found == nullptr || (*found)->name >= last);
  FindEntry(source, directory.node, last).IgnoreError();
}

void Walk(BlobSource& source, const Entry& top) {
  int visits = 0;
  const auto enter = [&](const std::string&, const Entry& entry) -> StatusOr<WalkStep> {
    if (entry.type == EntryType::kFile && !entry.unread) ReadContent(source, entry);
    if (IsAnyDirectory(entry.type) && visits < 20) ReadDirectory(source, entry);
    for (const Xattr& xattr : entry.xattrs) ReadXattrValue(source, xattr).IgnoreError();
    return ++visits < kMaxVisits ? WalkStep::kContinue : WalkStep::kStop;
  };
  int unreadable = 0;
  const auto go_on = [&](const std::string&, const Entry&, Status error) {
    return ++unreadable < kMaxVisits ? OkStatus() : error;
  };
  WalkTree(source, top, {.enter = enter, .leave = {}, .unreadable = go_on}).IgnoreError();
}

void ReadLinks(BlobSource& source, const Root& root) {
  LinksReader reader(source, root.links);
  std::string last;
  for (int i = 0; i < kMaxVisits; ++i) {
    const auto path = reader.Next();
    if (!path.ok() || !path->has_value()) break;
    CHECK((*path)->first || ComparePaths(last, (*path)->path) < 0);
    last = (*path)->path;
  }
}

}  // namespace
}  // namespace cairn

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace cairn;  // NOLINT(google-build-using-namespace)
  HostileBlobs source({data, size});
  if (source.empty()) return 0;
  const auto root = ReadRoot(source, BlobId{});
  if (!root.ok()) return 0;
  const auto top = FindPath(source, *root, "");
  if (!top.ok()) return 0;
  Walk(source, *top);
  ReadLinks(source, *root);
  FindPath(source, *root, "a/b").IgnoreError();

  const auto other = ReadRoot(source, BlobId{.bytes = {1}});
  if (!other.ok()) return 0;
  const auto other_top = FindPath(source, *other, "");
  if (!other_top.ok()) return 0;
  int visits = 0;
  DiffTrees(source, *top, source, *other_top, [&](const std::string&, const DiffItem& item) {
    CHECK((item.before == nullptr) == (item.change == Change::kAdded));
    CHECK((item.after == nullptr) == (item.change == Change::kRemoved));
    return StatusOr<bool>(++visits < kMaxVisits);
  }).IgnoreError();
  return 0;
}
