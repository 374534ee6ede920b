// SPDX-License-Identifier: Apache-2.0
#include "core/repo/snapshot_file.h"

#include <utility>

#include "core/base/profile.h"
#include "core/tree/builder.h"
#include "core/tree/xattrs.h"

namespace cairn {
namespace {

// A file that keeps changing is read this often, then stored as read and reported.
constexpr int kFileReadAttempts = 2;
// Holes are believed on file systems not known good only in files that were quiet for so long.
constexpr int64_t kQuietSeconds = 60;

bool SameFile(const FileStatus& a, const FileStatus& b) {
  return a.type == b.type && a.inode == b.inode && a.size == b.size && a.mtime == b.mtime &&
         a.ctime == b.ctime;
}

void CopyAttributes(const FileStatus& status, Entry& entry) {
  entry.type = status.type;
  entry.mode = status.type == EntryType::kSymlink ? 0 : status.mode;
  entry.uid = status.uid;
  entry.gid = status.gid;
  entry.mtime = status.mtime;
}

// What a file held in the base snapshot; null if it is new.
const Content* ContentOf(const Entry* base) {
  const bool usable = base != nullptr && base->type == EntryType::kFile && !base->unread;
  return usable ? &base->content : nullptr;
}

bool IsGone(const Status& status) { return status.code() == StatusCode::kNotFound; }

// The source's own trouble: reported, and the snapshot goes on.
void NoteProblem(const Status& status, ReadEntry& result) {
  if (result.problem.empty()) result.problem = std::string(Message(status));
  result.settled = false;
}

}  // namespace

EntryReader::EntryReader(BlobWriter& writer, const Chunker& chunker, SnapshotProgress& progress)
    : writer_(writer),
      progress_(progress),
      max_chunk_bytes_(chunker.options().max_size),
      lane_(writer),
      scanner_(max_chunk_bytes_, [&chunker](ByteSpan data) {
        const StageTimer timer(Stage::kChunk);
        return chunker.NextCut(data);
      }) {}

StatusOr<ReadEntry> EntryReader::Read(int directory, const char* name, const FileStatus& status,
                                      const FileSystemTraits& traits, const Entry* base) {
  const StageTimer timer(Stage::kRead);
  ReadEntry result;
  result.status = status;
  CopyAttributes(status, result.entry);
  switch (status.type) {
    case EntryType::kFile:
      RETURN_IF_ERROR(ReadFile(directory, name, traits, ContentOf(base), result));
      return result;
    case EntryType::kSymlink: {
      StatusOr<std::string> target = ReadSymlink(directory, name);
      if (!target.ok()) {
        result.gone = true;
        NoteProblem(target.status(), result);
        return result;
      }
      result.entry.target = *std::move(target);
      break;
    }
    case EntryType::kCharacterDevice:
    case EntryType::kBlockDevice:
      result.entry.device = {status.device_major, status.device_minor};
      break;
    default:
      break;
  }
  RETURN_IF_ERROR(ReadAttributes(directory, name, result));
  return result;
}

StatusOr<ReadEntry> EntryReader::ReadDirectory(int directory, const char* name,
                                               const FileStatus& status) {
  ReadEntry result;
  result.status = status;
  CopyAttributes(status, result.entry);
  RETURN_IF_ERROR(ReadAttributes(directory, name, result));
  return result;
}

Status EntryReader::ReadAttributes(int directory, const char* name, ReadEntry& result) {
  auto xattrs = ReadXattrs(directory, name);
  if (!xattrs.ok()) {
    NoteProblem(xattrs.status(), result);
    return OkStatus();
  }
  if (xattrs->empty()) return OkStatus();
  ASSIGN_OR_RETURN(result.entry.xattrs, PlaceXattrs(*std::move(xattrs), writer_));
  return OkStatus();
}

Status EntryReader::ReadFile(int directory, const char* name, const FileSystemTraits& traits,
                             const Content* former, ReadEntry& result) {
  StatusOr<Descriptor> file = OpenFileAt(directory, name);
  if (!file.ok()) {
    result.gone = IsGone(file.status());
    result.entry.unread = !result.gone;
    NoteProblem(file.status(), result);
    return OkStatus();
  }
  for (int attempt = 1;; ++attempt) {
    const FileStatus before = result.status;
    if (NeedsLease(before, CoarseNow(), traits) && !NobodyWrites(file->get(), traits)) {
      result.settled = false;
    }
    if (Status status = ReadContent(file->get(), before, traits, former, result.entry);
        !status.ok()) {
      // The repository's errors come back from every call of the writer; others are the source's.
      RETURN_IF_ERROR(writer_.Failure());
      result.entry.unread = true;
      result.entry.size = 0;
      result.entry.sparse = false;
      result.entry.content = {};
      NoteProblem(status, result);
      return OkStatus();
    }
    ASSIGN_OR_RETURN(result.status, StatAt(file->get(), ""));
    CopyAttributes(result.status, result.entry);
    if (SameFile(before, result.status)) break;
    if (attempt == kFileReadAttempts) {
      result.problem = "changed while it was read";
      result.settled = false;
      break;
    }
  }
  return ReadAttributes(file->get(), "", result);
}

Status EntryReader::ReadContent(int descriptor, const FileStatus& status,
                                const FileSystemTraits& traits, const Content* former,
                                Entry& entry) {
  ListBuilder list(writer_);
  bool whole = status.size <= BlobWriter::kWholeFileBytes;
  const auto visit = [&](std::span<const Piece> pieces) {
    return lane_.AddPieces(pieces, /*split=*/!whole,
                           [&list](const ContentItem& item) { return list.Add(item); });
  };
  const bool may_have_holes = status.blocks * 512 < status.size;
  entry.sparse = false;
  RETURN_IF_ERROR(lane_.BeginFile(status.size, whole, former));
  bool scanned = false;
  if (whole && !may_have_holes) {
    // The size is looked at again after the reading; it can be trusted where it is known to be
    // kept.
    const uint64_t expected = traits.known_good ? status.size : 0;
    ASSIGN_OR_RETURN(const auto small,
                     scanner_.ReadSmall(descriptor, BlobWriter::kWholeFileBytes, expected));
    if (small.second) {
      progress_.bytes_read += small.first.size();
      RETURN_IF_ERROR(scanner_.ScanMemory(small.first, visit));
      scanned = true;
    }
  }
  if (!scanned) {
    // It may have grown since it was seen; then it is split like any other.
    whole = whole && may_have_holes;
    const bool believe_holes =
        traits.known_good || status.ctime.seconds + kQuietSeconds < CoarseNow().seconds;
    ASSIGN_OR_RETURN(const FileScanner::Result result,
                     scanner_.ScanFile(descriptor, may_have_holes, believe_holes, visit));
    progress_.bytes_read += result.bytes;
    entry.sparse = result.has_hole;
  }
  RETURN_IF_ERROR(lane_.EndFile());
  if (!scanned) RETURN_IF_ERROR(lane_.FlushBeside());
  entry.size = list.bytes();
  ASSIGN_OR_RETURN(entry.content, list.Finish());
  return OkStatus();
}

Status EntryReader::ReadStream(int descriptor, const Entry* base, Entry& entry) {
  const StageTimer timer(Stage::kRead);
  ListBuilder list(writer_);
  RETURN_IF_ERROR(lane_.BeginFile(0, /*whole=*/false, ContentOf(base)));
  ASSIGN_OR_RETURN(const FileScanner::Result result,
                   scanner_.ScanStream(descriptor, [&](std::span<const Piece> pieces) {
                     return lane_.AddPieces(pieces, /*split=*/true, [&](const ContentItem& item) {
                       progress_.bytes_read += item.bytes;
                       progress_.bytes += item.bytes;
                       return list.Add(item);
                     });
                   }));
  RETURN_IF_ERROR(lane_.EndFile());
  entry.size = result.bytes;
  ASSIGN_OR_RETURN(entry.content, list.Finish());
  return OkStatus();
}

SharedInodes::Key SharedInodes::KeyOf(const FileStatus& status) {
  const bool born = status.btime != Timestamp{};
  const Timestamp& time = born ? status.btime : status.ctime;
  return {status.device, status.inode, status.type, time.seconds, time.nanoseconds};
}

bool SharedInodes::ClaimOrWait(const FileStatus& status, Waiter waiter) {
  ReadEntry done;
  {
    MutexLock lock(mutex_);
    const auto [it, first] = inodes_.try_emplace(KeyOf(status));
    Inode& inode = it->second;
    if (first) {
      inode.names_left = status.links - 1;
      return true;
    }
    if (inode.names_left > 0) --inode.names_left;
    if (!inode.done) {
      inode.waiting.push_back(std::move(waiter));
      return false;
    }
    done = inode.read;
    // All names were met: nobody asks again.
    if (inode.names_left == 0) inodes_.erase(it);
  }
  waiter(done);
  return false;
}

void SharedInodes::Publish(const FileStatus& claimed, const ReadEntry& read) {
  std::vector<Waiter> waiting;
  {
    MutexLock lock(mutex_);
    const auto it = inodes_.find(KeyOf(claimed));
    waiting = std::move(it->second.waiting);
    if (read.gone || it->second.names_left == 0) {
      inodes_.erase(it);
    } else {
      it->second.done = true;
      it->second.read = read;
    }
  }
  for (Waiter& waiter : waiting) waiter(read);
}

}  // namespace cairn
