// SPDX-License-Identifier: Apache-2.0
// Snapshots of trees that no writer makes, of nodes made by hand.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "core/repo/check.h"
#include "core/tree/builder.h"
#include "core/tree/node.h"
#include "tests/repo/test_repository.h"
#include "tests/support/memory_blobs.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {

class HostileRepository : public TestRepository {
 public:
  TestBlob TreeBlob(const TreeNode& node) const {
    return Keep(Blob(BlobKind::kTree, EncodeTreeNode(node)));
  }
  TestBlob ListBlob(const ListNode& node) const {
    return Keep(Blob(BlobKind::kList, EncodeListNode(node)));
  }
  TestBlob LinksBlob(const LinksNode& node) const {
    return Keep(Blob(BlobKind::kLinks, EncodeLinksNode(node)));
  }
  // A chunk that is stored with the nodes.
  TestBlob StoredChunk(uint64_t seed, size_t size = 64) const { return Keep(Chunk(seed, size)); }

  static Entry Directory(const std::string& name, const BlobId& node) {
    Entry entry;
    entry.name = name;
    entry.type = EntryType::kDirectory;
    entry.mode = 0755;
    entry.node = node;
    return entry;
  }
  static Entry File(const std::string& name, const TestBlob& chunk) {
    Entry entry;
    entry.name = name;
    entry.mode = 0644;
    entry.size = chunk.bytes.size();
    entry.content.items = {{entry.size, false, chunk.ref.id}};
    return entry;
  }
  static Entry EmptyFile(const std::string& name) {
    Entry entry;
    entry.name = name;
    entry.mode = 0644;
    return entry;
  }
  static Entry ListFile(const std::string& name, uint64_t size, const BlobId& list) {
    Entry entry = EmptyFile(name);
    entry.size = size;
    entry.content.is_list = true;
    entry.content.list = list;
    return entry;
  }
  // An inner item for a part with these entries.
  NamedChild Part(const std::vector<Entry>& entries) const {
    return {entries.back().name, entries.size(), TreeBlob({0, entries, {}}).ref.id};
  }
  // By the rules.
  BlobId Built(const std::vector<Entry>& entries) const {
    TreeBuilder builder(blobs_);
    for (const Entry& entry : entries) MustBeOk(builder.Add(entry));
    return Must(builder.Finish());
  }
  MemoryBlobs& blobs() const { return blobs_; }

  // Everything that was made so far goes into a pack.
  SnapshotId Snapshot(const BlobId& top, const std::optional<BlobId>& links = std::nullopt) {
    const TestBlob root = Keep(Blob(BlobKind::kRoot, EncodeRoot({Directory("", top), links})));
    return SnapshotOfRoot(root);
  }
  SnapshotId SnapshotOfRoot(const TestBlob& root) {
    std::vector<std::vector<TestBlob>> frames;
    size_t bytes = 0;
    for (const BlobRef& ref : blobs_.All()) {
      Bytes content = Must(blobs_.ReadBlob(ref));
      if (frames.empty() || bytes + content.size() > kMaxBlobBytes / 2 ||
          IsNode(frames.back().front().ref.kind) != IsNode(ref.kind)) {
        frames.emplace_back();
        bytes = 0;
      }
      bytes += content.size();
      frames.back().push_back({ref, std::move(content)});
    }
    RecordEntries entries;
    entries.packs = {WritePack(RandomId<SessionId>(), frames)};
    entries.snapshots = {SnapshotOf(root)};
    Append(entries);
    MustBeOk(repository().Refresh().status());
    return entries.snapshots.front().id;
  }

  CheckResult Checked() {
    CheckOptions options;
    options.threads = 1;
    options.read_data.kind = ReadSubset::Kind::kAll;
    return Must(Check(repository(), options));
  }
  // What the check finds, a line each.
  std::string Findings() {
    std::string text;
    for (const Damage& damage : Checked().damages)
      text += damage.object + ": " + damage.what + "\n";
    return text;
  }

 private:
  TestBlob Keep(TestBlob blob) const {
    Must(blobs_.WriteBlob(blob.ref.kind, blob.bytes));
    return blob;
  }

  mutable MemoryBlobs blobs_;
};

}  // namespace cairn::testing
