// SPDX-License-Identifier: Apache-2.0
// A repository in memory, and packs and snapshots made for it by hand, so that a test decides what
// lies where.
//
//   TestRepository test;
//   const TestBlob chunk = test.Chunk(1);
//   const PackName pack = test.AddPack({{chunk}});      // one frame
//   const SnapshotId id = test.AddSnapshot({chunk});    // its nodes get a pack of their own
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/memory_file_system.h"
#include "core/base/random.h"
#include "core/repo/commit.h"
#include "core/repo/prune.h"
#include "core/repo/repository.h"
#include "core/repo/reserve.h"
#include "core/repo/snapshot_object.h"
#include "core/store/frame.h"
#include "core/store/pack.h"
#include "core/tree/node.h"
#include "tests/support/encryption.h"

namespace cairn::testing {

inline void MustBeOk(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "the test's own repository fails: %s\n", status.ToString().c_str());
  std::abort();
}

// For what a test prepares: an error there ends the program.
template <typename T>
T Must(StatusOr<T> value) {
  MustBeOk(value.status());
  return *std::move(value);
}

// Of a chunk: over a quarter of a pack's target, so that a pack of one is not merged.
inline constexpr size_t kBigChunk = 20'000;

// Whatever is unused goes, in an order that is the same in every run.
inline PruneOptions PruneEverything() {
  PruneOptions options;
  options.max_unused_share = 0;
  options.threads = 1;
  return options;
}

struct TestBlob {
  BlobRef ref;
  Bytes bytes;
};

class TestRepository {
 public:
  static constexpr uint64_t kPackTargetBytes = 64 * kKiB;
  // Too little for a reserve.
  static constexpr uint64_t kDiskBytes = kMinFreeForReserve - 1;

  explicit TestRepository(uint64_t disk_bytes = kDiskBytes) {
    fs_.SetCapacityBytes(disk_bytes);
    RepositoryConfig config;
    config.id = RandomId<RepositoryId>();
    config.pack_target_bytes = kPackTargetBytes;
    MustBeOk(CreateTestRepository(fs_, config));
    repository_ = Open();
  }

  MemoryFileSystem& fs() { return fs_; }
  Repository& repository() { return *repository_; }
  // What another process would have.
  std::unique_ptr<Repository> Open() {
    RepositoryOptions options = TestRepositoryOptions();
    options.warn = [this](const std::string& text) { warnings_.push_back(text); };
    return Must(Repository::Open(fs_, options));
  }
  const std::vector<std::string>& warnings() const { return warnings_; }

  TestBlob Blob(BlobKind kind, Bytes bytes) const {
    return {{kind, repository_->hasher().Hash(kind, bytes)}, std::move(bytes)};
  }
  // Bytes that do not compress, the same for the same seed.
  TestBlob Chunk(uint64_t seed, size_t size = 4096) const {
    Bytes bytes(size);
    uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
    for (uint8_t& byte : bytes) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      byte = static_cast<uint8_t>(state >> 32);
    }
    return Blob(BlobKind::kChunk, std::move(bytes));
  }
  // Little of it is other than in `of`.
  TestBlob Variant(const TestBlob& of, uint8_t number) const {
    Bytes bytes = of.bytes;
    bytes[bytes.size() / 2] = static_cast<uint8_t>(bytes[bytes.size() / 2] + number);
    return Blob(of.ref.kind, std::move(bytes));
  }
  // A directory of files of one chunk each, and of subdirectories.
  TestBlob Tree(const std::vector<TestBlob>& chunks,
                const std::vector<TestBlob>& directories = {}) const {
    TreeNode node;
    std::map<std::string, Entry> entries;
    for (size_t i = 0; i < chunks.size(); ++i) {
      Entry& entry = entries["file" + std::to_string(i)];
      entry.type = EntryType::kFile;
      entry.size = chunks[i].bytes.size();
      entry.content.items = {{entry.size, false, chunks[i].ref.id}};
    }
    for (size_t i = 0; i < directories.size(); ++i) {
      Entry& entry = entries["sub" + std::to_string(i)];
      entry.type = EntryType::kDirectory;
      entry.node = directories[i].ref.id;
    }
    for (auto& [name, entry] : entries) {
      entry.name = name;
      node.entries.push_back(std::move(entry));
    }
    return Blob(BlobKind::kTree, EncodeTreeNode(node));
  }
  TestBlob Root(const TestBlob& tree) const {
    Entry entry;
    entry.type = EntryType::kDirectory;
    entry.node = tree.ref.id;
    return Blob(BlobKind::kRoot, EncodeRoot({entry, std::nullopt}));
  }
  SnapshotEntry SnapshotOf(const TestBlob& root) const {
    SnapshotObject object;
    object.root = root.ref.id;
    object.host = "host";
    object.paths = {"/data"};
    object.program = "test";
    FillRandom(object.nonce);
    Bytes bytes = EncodeSnapshotObject(object);
    const SnapshotId id = HashSnapshotObject(repository_->keys(), bytes);
    return {id, std::move(bytes)};
  }

  // A file that no record names yet.
  PackInfo WritePack(const SessionId& session, const std::vector<std::vector<TestBlob>>& frames) {
    uint8_t content = 0;
    for (const auto& frame : frames) {
      content |= IsNode(frame.front().ref.kind) ? kPackHasNodes : kPackHasChunks;
    }
    ObjectStore& store = repository_->store();
    const auto writer = Must(PackWriter::Create(store, repository_->keys(), session, content));
    FrameCodecContext codec(3);
    for (const auto& blobs : frames) {
      RawFrame frame;
      for (const TestBlob& blob : blobs) frame.Add(blob.ref, blob.bytes);
      Must(writer->Add(Must(codec.Seal(frame))));
    }
    const PackInfo info = Must(writer->Finish());
    MustBeOk(store.SyncNames());
    return info;
  }
  // A pack of plain frames, and behind them one delta frame.
  PackInfo WriteDeltaPack(const SessionId& session, const std::vector<TestBlob>& blobs,
                          const std::vector<TestBlob>& bases,
                          const std::vector<std::vector<TestBlob>>& plain = {}) {
    const auto writer = Must(PackWriter::Create(repository_->store(), repository_->keys(), session,
                                                kPackHasChunks | kPackHasDeltas));
    FrameCodecContext codec(3);
    const auto frame_of = [](const std::vector<TestBlob>& of) {
      RawFrame frame;
      for (const TestBlob& blob : of) frame.Add(blob.ref, blob.bytes);
      return frame;
    };
    for (const auto& each : plain) {
      Must(writer->Add(Must(codec.Seal(frame_of(each)))));
    }
    FramePrefix prefix;
    for (const TestBlob& base : bases) {
      prefix.bases.push_back(BaseIdOf(base.ref.id));
      cairn::Append(prefix.bytes, base.bytes);
    }
    Must(writer->Add(Must(codec.SealDelta(frame_of(blobs), prefix, 1))));
    const PackInfo info = Must(writer->Finish());
    MustBeOk(repository_->store().SyncNames());
    return info;
  }
  PackName AddDeltaPack(const std::vector<TestBlob>& blobs, const std::vector<TestBlob>& bases,
                        const std::vector<std::vector<TestBlob>>& plain = {}) {
    RecordEntries entries;
    entries.packs = {WriteDeltaPack(RandomId<SessionId>(), blobs, bases, plain)};
    Append(entries);
    return entries.packs.front().name;
  }
  // Named by a record, of a session that is gone.
  PackName AddPack(const std::vector<std::vector<TestBlob>>& frames) {
    const PackInfo info = WritePack(RandomId<SessionId>(), frames);
    RecordEntries entries;
    entries.packs = {info};
    Append(entries);
    return info.name;
  }
  // Of a directory with these chunks, which must be in packs already.
  SnapshotId AddSnapshot(const std::vector<TestBlob>& chunks) {
    const TestBlob tree = Tree(chunks);
    const TestBlob root = Root(tree);
    RecordEntries entries;
    entries.packs = {WritePack(RandomId<SessionId>(), {{tree, root}})};
    entries.snapshots = {SnapshotOf(root)};
    Append(entries);
    return entries.snapshots.front().id;
  }
  void Forget(const SnapshotId& id) {
    RecordEntries entries;
    entries.forget = {id};
    Append(entries);
  }
  // A record at the head, as another process would place it.
  void Append(const RecordEntries& entries) {
    JournalState state = State();
    Must(CommitWithState(repository_->journal(), state,
                         [&](const JournalState&) -> StatusOr<RecordEntries> { return entries; }));
  }

  JournalState State() { return Must(repository_->journal().ReadState()); }
  bool IsNamed(const PackName& name) { return State().FindPack(name) != nullptr; }
  // State of a pack that the journal names.
  PackState StateOf(const PackName& name) { return State().FindPack(name)->state; }
  bool HasFile(const PackName& name) { return fs_.FileSize(PackObjectName(name)).ok(); }
  bool CanRead(const TestBlob& blob) {
    const StatusOr<Bytes> bytes = Open()->ReadBlob(blob.ref);
    return bytes.ok() && *bytes == blob.bytes;
  }
  // Packs, named or not.
  size_t PackFiles() {
    size_t files = 0;
    for (const std::string& path : fs_.AllPaths()) {
      files += path.starts_with("packs/") && path.size() > sizeof("packs/xx/") &&
               !path.ends_with(".par");
    }
    return files;
  }
  // Every blob of every snapshot can be read, by a process that has just come.
  void ExpectWhole() {
    const auto repository = Open();
    std::set<std::pair<BlobKind, BlobId>> seen;
    std::vector<BlobRef> todo;
    for (const SnapshotView& view : Must(repository->Snapshots())) {
      for (const BlobRef& ref : SnapshotReferences(view.object)) todo.push_back(ref);
    }
    while (!todo.empty()) {
      const BlobRef ref = todo.back();
      todo.pop_back();
      if (!seen.emplace(ref.kind, ref.id).second) continue;
      const StatusOr<Bytes> bytes = repository->ReadBlob(ref);
      ASSERT_TRUE(bytes.ok()) << bytes.status();
      for (const BlobRef& child : Must(NodeReferences(ref.kind, *bytes))) todo.push_back(child);
    }
  }

 private:
  MemoryFileSystem fs_;
  std::vector<std::string> warnings_;
  std::unique_ptr<Repository> repository_;
};

}  // namespace cairn::testing
