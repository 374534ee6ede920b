// SPDX-License-Identifier: Apache-2.0
// Four small repositories, the files of which the fuzz target of repository files changes: plain,
// encrypted, with deltas, with a fold.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/base/memory_file_system.h"
#include "core/base/random.h"
#include "core/repo/commit.h"
#include "core/repo/repository.h"
#include "core/store/frame.h"
#include "core/store/journal.h"
#include "core/store/pack.h"
#include "core/store/parity.h"
#include "core/store/record.h"
#include "core/tree/node.h"
#include "tests/support/noise.h"

namespace cairn {

// Nothing stands there, so that a repair finds no sources.
inline constexpr char kGoldenSource[] = "/nonexistent/cairn-fuzz";
inline constexpr int kGoldenCommits = 4;

using Files = std::map<std::string, Bytes>;

// A repository as it was made, and what it takes to make its hashes hold again.
struct Golden {
  Files files;
  RepositoryOptions options;
  RepositoryKeys keys;
  // By kind and age, as names of packs are random.
  std::vector<std::string> objects;
};

struct Blob {
  BlobRef ref;
  Bytes bytes;
};

inline Blob MakeBlob(const BlobHasher& hasher, BlobKind kind, Bytes bytes) {
  return {{kind, hasher.Hash(kind, bytes)}, std::move(bytes)};
}

inline Blob NoiseChunk(const BlobHasher& hasher, uint64_t seed, size_t size) {
  const std::string noise = testing::Noise(size, seed);
  return MakeBlob(hasher, BlobKind::kChunk, Bytes(noise.begin(), noise.end()));
}

inline RawFrame FrameOf(const std::vector<Blob>& blobs) {
  RawFrame frame;
  for (const Blob& blob : blobs) frame.Add(blob.ref, blob.bytes);
  return frame;
}

// One commit: a pack of a chunk of its own (of the first one's, with deltas), and of its nodes.
class GoldenMaker {
 public:
  GoldenMaker(bool encrypted, bool deltas) : deltas_(deltas) {
    RepositoryConfig config;
    config.id.bytes = {'f', 'i', 'l', 'e', 's'};
    fs_.SetCapacityBytes(64 * kMiB);
    if (encrypted) {
      golden_.options.credential = []() -> StatusOr<Credential> {
        return Credential{KeyKind::kKeyFile, SecretBytes(kKeyFileBytes)};
      };
      CHECK(Repository::CreateEncrypted(fs_, config, *golden_.options.credential(), {}).ok());
    } else {
      CHECK(Repository::Create(fs_, config).ok());
    }
    auto repository = Repository::Open(fs_, golden_.options);
    CHECK(repository.ok());
    repository_ = *std::move(repository);
    golden_.keys = repository_->keys();
  }

  Golden Make(bool fold) {
    for (int i = 0; i < kGoldenCommits; ++i) {
      Commit(i);
      if (fold && i + 2 == kGoldenCommits) Fold();
    }
    repository_.reset();
    for (const std::string& path : fs_.AllPaths()) {
      auto bytes = ReadWholeFile(fs_, path, kGiB);
      if (bytes.ok() && !path.starts_with("reserve/")) golden_.files[path] = *std::move(bytes);
    }
    for (const auto& [path, bytes] : golden_.files) {
      if (!path.starts_with("packs/") && !path.ends_with(".lock")) golden_.objects.push_back(path);
    }
    for (const std::string& pack : packs_) {
      golden_.objects.push_back(pack);
      golden_.objects.push_back(pack + ".par");
    }
    return std::move(golden_);
  }

 private:
  void Commit(int number) {
    const BlobHasher& hasher = repository_->hasher();
    Blob chunk = NoiseChunk(hasher, 1, 6000);
    const Blob base = chunk;
    const bool delta = deltas_ && number > 0;
    if (delta) {
      chunk.bytes[static_cast<size_t>(number) * 1000] ^= 1;
      chunk = MakeBlob(hasher, BlobKind::kChunk, chunk.bytes);
    } else if (number > 0) {
      chunk = NoiseChunk(hasher, static_cast<uint64_t>(number) + 1, 3000);
    }
    files_["file" + std::to_string(number)] = chunk.ref.id;
    sizes_.push_back(chunk.bytes.size());
    const std::vector<Blob> nodes = Nodes(hasher);

    uint8_t content = kPackHasChunks | kPackHasNodes | kPackHasParity;
    if (delta) content |= kPackHasDeltas;
    auto pack = PackWriter::Create(repository_->store(), repository_->keys(), RandomId<SessionId>(),
                                   content);
    CHECK(pack.ok());
    FrameCodecContext codec(3);
    const auto frame =
        delta ? codec.SealDelta(FrameOf({chunk}), {{BaseIdOf(base.ref.id)}, base.bytes}, 1)
              : codec.Seal(FrameOf({chunk}));
    CHECK(frame.ok() && (*pack)->Add(*frame).ok());
    const auto node_frame = codec.Seal(FrameOf(nodes));
    CHECK(node_frame.ok() && (*pack)->Add(*node_frame).ok());
    const auto info = (*pack)->Finish();
    CHECK(info.ok() && repository_->store().SyncNames().ok());

    SnapshotObject object;
    object.root = nodes.back().ref.id;
    object.paths = {kGoldenSource};
    object.program = "fuzz";
    object.nonce[0] = static_cast<uint8_t>(number);
    RecordEntries entries;
    entries.packs = {*info};
    SnapshotEntry snapshot;
    snapshot.object = EncodeSnapshotObject(object);
    snapshot.id = HashSnapshotObject(repository_->keys(), snapshot.object);
    entries.snapshots = {snapshot};
    auto state = repository_->journal().ReadState();
    CHECK(state.ok());
    CHECK(CommitWithState(repository_->journal(), *state,
                          [&](const JournalState&) -> StatusOr<RecordEntries> { return entries; })
              .ok());
    const auto parity = (*pack)->TakeParity();
    CHECK(parity != nullptr && parity->Place().ok());
    packs_.push_back(PackObjectName(info->name));
  }

  // A directory with all files so far, and one in it.
  std::vector<Blob> Nodes(const BlobHasher& hasher) const {
    const Blob empty = MakeBlob(hasher, BlobKind::kTree, EncodeTreeNode({}));
    TreeNode tree;
    Entry directory;
    directory.name = "directory";
    directory.type = EntryType::kDirectory;
    directory.mode = 0755;
    directory.node = empty.ref.id;
    tree.entries.push_back(directory);
    size_t i = 0;
    for (const auto& [name, id] : files_) {
      Entry entry;
      entry.name = name;
      entry.type = EntryType::kFile;
      entry.mode = 0644;
      entry.size = sizes_[i++];
      entry.content.items = {{entry.size, false, id}};
      tree.entries.push_back(entry);
    }
    Blob top = MakeBlob(hasher, BlobKind::kTree, EncodeTreeNode(tree));
    directory.name.clear();
    directory.node = top.ref.id;
    Blob root = MakeBlob(hasher, BlobKind::kRoot, EncodeRoot({directory, std::nullopt}));
    return {empty, std::move(top), std::move(root)};
  }

  void Fold() {
    const auto state = repository_->journal().ReadState();
    CHECK(state.ok());
    CHECK(repository_->journal()
              .FoldIfDue(*state, {.min_records = 0, .ratio = 1, .keep_single = 1})
              .ok());
  }

  const bool deltas_;
  MemoryFileSystem fs_;
  std::unique_ptr<Repository> repository_;
  Golden golden_;
  std::map<std::string, BlobId> files_;
  std::vector<uint64_t> sizes_;
  std::vector<std::string> packs_;
};

inline const std::vector<Golden>& Goldens() {
  static const std::vector<Golden> goldens = [] {
    std::vector<Golden> made;
    made.push_back(GoldenMaker(/*encrypted=*/false, /*deltas=*/false).Make(/*fold=*/false));
    made.push_back(GoldenMaker(/*encrypted=*/true, /*deltas=*/false).Make(/*fold=*/true));
    made.push_back(GoldenMaker(/*encrypted=*/false, /*deltas=*/true).Make(/*fold=*/false));
    made.push_back(GoldenMaker(/*encrypted=*/false, /*deltas=*/false).Make(/*fold=*/true));
    return made;
  }();
  return goldens;
}

}  // namespace cairn
