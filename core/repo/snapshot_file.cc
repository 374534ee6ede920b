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
      lane_(writer),
      scanner_(chunker.options().max_size, [&chunker](ByteSpan data) {
        const StageTimer timer(Stage::kChunk);
        return chunker.NextCut(data);
      }) {}

Status EntryReader::Read(int directory, const char* name, const FileStatus& status,
                         const FileSystemTraits& traits, const Entry* base, Done done) {
  Status read = TryRead(directory, name, status, traits, base, std::move(done));
  if (!read.ok()) ForgetSmallFiles();
  return read;
}

Status EntryReader::TryRead(int directory, const char* name, const FileStatus& status,
                            const FileSystemTraits& traits, const Entry* base, Done done) {
  const StageTimer timer(Stage::kRead);
  ReadEntry result;
  result.status = status;
  CopyAttributes(status, result.entry);
  switch (status.type) {
    case EntryType::kFile: {
      ASSIGN_OR_RETURN(const std::optional<ByteSpan> small,
                       ReadFile(directory, name, traits, ContentOf(base), result));
      if (small) {
        return KeepSmall(*small, {std::move(result), ContentOf(base), 0, std::move(done)});
      }
      break;
    }
    case EntryType::kSymlink: {
      StatusOr<std::string> target = ReadSymlink(directory, name);
      if (target.ok()) {
        result.entry.target = *std::move(target);
        break;
      }
      result.gone = true;
      NoteProblem(target.status(), result);
      done(result);
      return OkStatus();
    }
    case EntryType::kCharacterDevice:
    case EntryType::kBlockDevice:
      result.entry.device = {status.device_major, status.device_minor};
      break;
    default:
      break;
  }
  if (status.type != EntryType::kFile) RETURN_IF_ERROR(ReadAttributes(directory, name, result));
  done(result);
  return OkStatus();
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

StatusOr<std::optional<ByteSpan>> EntryReader::ReadFile(int directory, const char* name,
                                                        const FileSystemTraits& traits,
                                                        const Content* former, ReadEntry& result) {
  StatusOr<Descriptor> file = OpenFileAt(directory, name);
  if (!file.ok()) {
    result.gone = IsGone(file.status());
    result.entry.unread = !result.gone;
    NoteProblem(file.status(), result);
    return std::optional<ByteSpan>();
  }
  std::optional<ByteSpan> small;
  for (int attempt = 1;; ++attempt) {
    const FileStatus before = result.status;
    if (NeedsLease(before, CoarseNow(), traits) && !NobodyWrites(file->get(), traits)) {
      result.settled = false;
    }
    StatusOr<std::optional<ByteSpan>> content = ReadSmall(file->get(), before, traits);
    Status status = content.status();
    if (status.ok()) {
      small = *content;
      // Neighbours stay in order.
      if (!small) RETURN_IF_ERROR(FinishFiles());
      status = TakeContent(file->get(), small, traits, former, result);
    }
    if (!status.ok()) {
      // The repository's errors come back from every call of the writer; others are the source's.
      RETURN_IF_ERROR(writer_.Failure());
      result.entry.unread = true;
      result.entry.size = 0;
      result.entry.sparse = false;
      result.entry.content = {};
      NoteProblem(status, result);
      return std::optional<ByteSpan>();
    }
    if (SameFile(before, result.status)) break;
    if (attempt == kFileReadAttempts) {
      result.problem = "changed while it was read";
      result.settled = false;
      break;
    }
  }
  RETURN_IF_ERROR(ReadAttributes(file->get(), "", result));
  return small;
}

// `small` is what was read of a small file, and nothing of another.
Status EntryReader::TakeContent(int descriptor, const std::optional<ByteSpan>& small,
                                const FileSystemTraits& traits, const Content* former,
                                ReadEntry& result) {
  if (small) {
    result.entry.size = small->size();
    result.entry.sparse = false;
  } else {
    RETURN_IF_ERROR(ReadLarge(descriptor, result.status, traits, former, result.entry));
  }
  ASSIGN_OR_RETURN(result.status, StatAt(descriptor, ""));
  CopyAttributes(result.status, result.entry);
  return OkStatus();
}

// Nothing if it is larger than kWholeFileBytes, or may have holes.
StatusOr<std::optional<ByteSpan>> EntryReader::ReadSmall(int descriptor, const FileStatus& status,
                                                         const FileSystemTraits& traits) {
  constexpr size_t kRoom = BlobWriter::kWholeFileBytes + 1;
  if (status.size >= kRoom || status.blocks * 512 < status.size) return std::optional<ByteSpan>();
  if (small_content_ == nullptr) {
    small_content_ = std::make_unique_for_overwrite<uint8_t[]>(kBatchBytes + kRoom);
  }
  // The size is looked at again after the reading; it can be trusted where it is known to be kept.
  const uint64_t expected = traits.known_good ? status.size : 0;
  const MutableByteSpan room(small_content_.get() + small_bytes_, kRoom);
  ASSIGN_OR_RETURN(const std::optional<size_t> size, ReadSmallFile(descriptor, room, expected));
  if (!size) return std::optional<ByteSpan>();
  progress_.bytes_read += *size;
  return std::optional<ByteSpan>(room.first(*size));
}

Status EntryReader::KeepSmall(ByteSpan content, SmallFile file) {
  const size_t before = pieces_.size();
  RETURN_IF_ERROR(scanner_.ScanMemory(content, [this](std::span<const Piece> pieces) {
    pieces_.insert(pieces_.end(), pieces.begin(), pieces.end());
    return OkStatus();
  }));
  file.pieces = pieces_.size() - before;
  small_files_.push_back(std::move(file));
  small_bytes_ += content.size();
  return small_bytes_ < kBatchBytes ? OkStatus() : FinishFiles();
}

Status EntryReader::FinishFiles() {
  if (small_files_.empty()) return OkStatus();
  const StageTimer timer(Stage::kRead);
  Status status = StoreSmallFiles();
  ForgetSmallFiles();
  return status;
}

void EntryReader::ForgetSmallFiles() {
  small_files_.clear();
  pieces_.clear();
  small_bytes_ = 0;
}

Status EntryReader::StoreSmallFiles() {
  std::span<const Piece> pieces = pieces_;
  std::span<const BlobId> ids = lane_.Hash(pieces);
  for (SmallFile& file : small_files_) {
    Entry& entry = file.read.entry;
    ListBuilder list(writer_);
    RETURN_IF_ERROR(lane_.BeginFile(entry.size, /*whole=*/true, file.former));
    RETURN_IF_ERROR(lane_.AddHashed(pieces.first(file.pieces), ids, /*split=*/false,
                                    [&list](const ContentItem& item) { return list.Add(item); }));
    RETURN_IF_ERROR(lane_.EndFile());
    ASSIGN_OR_RETURN(entry.content, list.Finish());
    pieces = pieces.subspan(file.pieces);
    file.done(file.read);
  }
  return OkStatus();
}

Status EntryReader::ReadLarge(int descriptor, const FileStatus& status,
                              const FileSystemTraits& traits, const Content* former, Entry& entry) {
  ListBuilder list(writer_);
  const bool may_have_holes = status.blocks * 512 < status.size;
  // A file that was small when it was seen, and has grown, is split like any other.
  const bool whole = may_have_holes && status.size <= BlobWriter::kWholeFileBytes;
  RETURN_IF_ERROR(lane_.BeginFile(status.size, whole, former));
  const bool believe_holes =
      traits.known_good || status.ctime.seconds + kQuietSeconds < CoarseNow().seconds;
  ASSIGN_OR_RETURN(
      const FileScanner::Result result,
      scanner_.ScanFile(
          descriptor, may_have_holes, believe_holes, [&](std::span<const Piece> pieces) {
            return lane_.AddPieces(pieces, /*split=*/!whole,
                                   [&list](const ContentItem& item) { return list.Add(item); });
          }));
  progress_.bytes_read += result.bytes;
  entry.sparse = result.has_hole;
  RETURN_IF_ERROR(lane_.EndFile());
  RETURN_IF_ERROR(lane_.FlushBeside());
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
