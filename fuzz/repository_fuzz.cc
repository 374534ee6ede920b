// SPDX-License-Identifier: Apache-2.0
// A whole repository whose hashes all hold and whose contents are hostile. Input: blobs, each
// behind a byte of its kind and two of its length. In a blob, 31 times 'R' and a byte stand for the
// id of an earlier blob. Each root becomes a snapshot; chunks may serve as its lists.
//
// Every operation ends, and none crashes; where `check` finds nothing, everything can be read, and
// a prune changes nothing of what can be read.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/base/memory_file_system.h"
#include "core/repo/browse.h"
#include "core/repo/check.h"
#include "core/repo/commit.h"
#include "core/repo/forget.h"
#include "core/repo/prune.h"
#include "fuzz/bounded_restore.h"

namespace cairn {
namespace {

constexpr size_t kMaxBlobs = 60;
constexpr size_t kMaxSnapshots = 3;
constexpr uint64_t kMaxContentBytes = 4 * kMiB;

struct HostileBlob {
  BlobRef ref;
  Bytes bytes;
};

std::vector<HostileBlob> ReadBlobs(ByteSpan bytes) {
  static const BlobHasher hasher;
  static const Bytes mark(BlobId::kBytes - 1, 'R');
  std::vector<HostileBlob> blobs;
  std::set<std::pair<BlobKind, BlobId>> seen;
  Decoder input(bytes);
  while (input.remaining() > 3 && blobs.size() < kMaxBlobs) {
    HostileBlob blob;
    blob.ref.kind = static_cast<BlobKind>(1 + input.Fixed8() % kBlobKinds);
    const size_t size = input.Fixed16();
    const ByteSpan raw = input.Raw(std::min(size, input.remaining()));
    blob.bytes.assign(raw.begin(), raw.end());
    if (blob.bytes.empty()) continue;
    auto at = blob.bytes.begin();
    while (!blobs.empty() &&
           (at = std::search(at, blob.bytes.end(), mark.begin(), mark.end())) != blob.bytes.end()) {
      if (blob.bytes.end() - at < static_cast<ptrdiff_t>(BlobId::kBytes)) break;
      const BlobId& id = blobs[at[BlobId::kBytes - 1] % blobs.size()].ref.id;
      at = std::ranges::copy(id.bytes, at).out;
    }
    blob.ref.id = hasher.Hash(blob.ref.kind, blob.bytes);
    if (seen.emplace(blob.ref.kind, blob.ref.id).second) blobs.push_back(std::move(blob));
  }
  return blobs;
}

// Its lists of rules, errors and skipped places are the first chunks of the input.
SnapshotEntry SnapshotOf(const BlobId& root, const std::vector<HostileBlob>& blobs) {
  SnapshotObject object;
  object.root = root;
  object.paths = {"/data"};
  object.program = "fuzz";
  std::vector<LongList*> lists = {&object.excludes, &object.errors, &object.skipped};
  for (const HostileBlob& blob : blobs) {
    if (lists.empty()) break;
    if (blob.ref.kind != BlobKind::kChunk || blob.bytes.size() > kMaxInlineListBytes) continue;
    lists.back()->inline_bytes = blob.bytes;
    lists.pop_back();
  }
  Bytes bytes = EncodeSnapshotObject(object);
  const SnapshotId id = HashSnapshotObject(RepositoryKeys(), bytes);
  return {id, std::move(bytes)};
}

// Nodes and chunks in a pack of their own, and a record that names both.
Status Store(Repository& repository, const std::vector<HostileBlob>& blobs) {
  FrameCodecContext codec(1);
  RecordEntries entries;
  for (const bool nodes : {false, true}) {
    RawFrame frame;
    for (const HostileBlob& blob : blobs) {
      if (IsNode(blob.ref.kind) == nodes) frame.Add(blob.ref, blob.bytes);
    }
    if (frame.empty()) continue;
    const uint8_t content = nodes ? kPackHasNodes : kPackHasChunks;
    ASSIGN_OR_RETURN(const auto pack, PackWriter::Create(repository.store(), repository.keys(),
                                                         SessionId{}, content));
    ASSIGN_OR_RETURN(const SealedFrame sealed, codec.Seal(frame));
    RETURN_IF_ERROR(pack->Add(sealed).status());
    ASSIGN_OR_RETURN(const PackInfo info, pack->Finish());
    entries.packs.push_back(info);
  }
  RETURN_IF_ERROR(repository.store().SyncNames());
  for (const HostileBlob& blob : blobs) {
    if (blob.ref.kind != BlobKind::kRoot || entries.snapshots.size() == kMaxSnapshots) continue;
    entries.snapshots.push_back(SnapshotOf(blob.ref.id, blobs));
  }
  ASSIGN_OR_RETURN(JournalState state, repository.journal().ReadState());
  return CommitWithState(repository.journal(), state,
                         [&](const JournalState&) -> StatusOr<RecordEntries> { return entries; })
      .status();
}

// What can be read of a snapshot, up to the limits: paths, and how many bytes each file gave.
struct Listing {
  std::map<std::string, uint64_t> paths;
  bool whole = true;  // nothing failed
  friend bool operator==(const Listing&, const Listing&) = default;
};

Listing ListAll(Repository& repository, const SnapshotView& snapshot) {
  Listing listing;
  uint64_t all_bytes = 0;
  const Status end_of_limit = Cancelled("enough");
  const auto visit = [&](const LocatedEntry& located) -> StatusOr<bool> {
    uint64_t& bytes = listing.paths[located.path];
    if (located.entry.type == EntryType::kFile && !located.entry.unread) {
      const auto count = [&](ByteSpan part) {
        bytes += part.size();
        all_bytes += part.size();
        return all_bytes < kMaxContentBytes ? OkStatus() : end_of_limit;
      };
      const Status read = ReadFileContent(repository, located.entry, nullptr, count);
      if (!read.ok() && read != end_of_limit) listing.whole = false;
    }
    return listing.paths.size() < kMaxVisits && all_bytes < kMaxContentBytes;
  };
  if (!ListPath(repository, snapshot, "/", /*recursive=*/true, nullptr, visit).ok()) {
    listing.whole = false;
  }
  return listing;
}

void Look(Repository& repository, const std::vector<SnapshotView>& snapshots) {
  PatternList patterns;
  CHECK(patterns.Add("*a*").ok());
  size_t visits = 0;
  const auto find = [&](const SnapshotView&, const LocatedEntry&) -> StatusOr<bool> {
    return ++visits < kMaxVisits;
  };
  FindEntries(repository, snapshots, patterns, nullptr, find).IgnoreError();
  PathHistory(repository, snapshots, "/data/a").IgnoreError();
  const auto differ = [&](const std::string&, const DiffItem&) -> StatusOr<bool> {
    return ++visits < 2 * kMaxVisits;
  };
  DiffSnapshots(repository, snapshots.front(), "/", snapshots.back(), "/", nullptr, differ)
      .IgnoreError();
}

bool IsClean(Repository& repository) {
  CheckOptions options;
  options.threads = 1;
  options.read_data.kind = ReadSubset::Kind::kAll;
  const auto result = Check(repository, options);
  return result.ok() && result->clean();
}

void UseRepository(Repository& repository) {
  const auto snapshots = repository.Snapshots();
  CHECK(snapshots.ok());
  if (snapshots->empty()) return;
  const bool clean = IsClean(repository);
  std::vector<Listing> listings;
  for (const SnapshotView& snapshot : *snapshots) {
    listings.push_back(ListAll(repository, snapshot));
    CHECK(!clean || listings.back().whole);
    RestoreBounded(repository, snapshot.info.id, "/nonexistent/cairn-fuzz", /*dry_run=*/true);
  }
  Look(repository, *snapshots);

  CHECK(ForgetSnapshots(repository, {snapshots->front().info.id}).ok());
  PruneOptions options;
  options.threads = 1;
  options.max_unused_bytes = 0;
  const bool pruned = Prune(repository, options).ok();
  CHECK(!clean || (pruned && IsClean(repository)));
  for (size_t i = 1; i < snapshots->size(); ++i) {
    CHECK(ListAll(repository, (*snapshots)[i]) == listings[i]);
  }
}

}  // namespace
}  // namespace cairn

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace cairn;  // NOLINT(google-build-using-namespace)
  const std::vector<HostileBlob> blobs = ReadBlobs({data, size});
  if (blobs.empty()) return 0;
  MemoryFileSystem fs;
  fs.SetCapacityBytes(64 * kMiB);
  RepositoryConfig config;
  config.id.bytes = {'f', 'u', 'z', 'z'};
  CHECK(Repository::Create(fs, config).ok());
  const auto repository = Repository::Open(fs, {});
  CHECK(repository.ok());
  CHECK(Store(**repository, blobs).ok());
  UseRepository(**repository);
  return 0;
}
