// SPDX-License-Identifier: Apache-2.0
#include "core/repo/restore_files.h"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "core/base/profile.h"
#include "core/repo/restore_attributes.h"
#include "core/repo/restore_content.h"
#include "core/tree/reader.h"

namespace cairn {

struct FileRestorer::Job {
  explicit Job(FileToRestore restored) : what(std::move(restored)) {}

  const FileToRestore what;
  // Pieces that are not written yet, and one while pieces are still gathered.
  std::atomic<uint64_t> left{1};
  std::atomic<bool> failed{false};
  uint64_t pieces = 0;  // gathered so far

  Mutex mutex;
  std::unique_ptr<TargetFile> file ABSL_GUARDED_BY(mutex);  // from the first piece on
};

namespace {

// Others need descriptors too.
size_t MaxOpenFiles() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 64;
  return std::clamp<size_t>(limit.rlim_cur / 4, 16, 2048);
}

}  // namespace

FileRestorer::FileRestorer(const Context& context)
    : context_(context), max_open_files_(MaxOpenFiles()), gathered_(std::make_unique<Window>()) {}

FileRestorer::~FileRestorer() {
  ended_ = true;
  Wait();
}

Status FileRestorer::CheckSnapshot() const {
  RETURN_IF_ERROR(CheckStop(context_.stop));
  RETURN_IF_ERROR(context_.repository.RefreshForReading().status());
  const StatusOr<SnapshotView> view = context_.repository.FindSnapshot(context_.snapshot);
  if (view.status().code() != StatusCode::kNotFound) return OkStatus();
  return NotFound("snapshot " + context_.snapshot.ShortHex() +
                  " was forgotten while it was restored, and its data is gone");
}

void FileRestorer::End(Status status) {
  MutexLock lock(mutex_);
  if (end_.ok()) end_ = std::move(status);
  ended_ = true;
}

Status FileRestorer::Ended() {
  if (Status status = CheckStop(context_.stop); !status.ok()) End(std::move(status));
  MutexLock lock(mutex_);
  return end_.ok() ? OkStatus() : MakeError(end_.code(), Message(end_));
}

Status FileRestorer::Add(FileToRestore file) {
  RETURN_IF_ERROR(Ended());
  const auto job = std::make_shared<Job>(std::move(file));
  RETURN_IF_ERROR(AddPieces(job));
  if (job->pieces > 1) ++gathered_->files_of_several_pieces;
  // All pieces are known. If none of this window's is left to be written, nobody else completes it.
  AddJob(job);
  gathered_->ready.push_back(job.get());
  return IsFull() ? Launch() : OkStatus();
}

void FileRestorer::AddJob(const std::shared_ptr<Job>& job) {
  if (!gathered_->jobs.empty() && gathered_->jobs.back() == job) return;
  gathered_->jobs.push_back(job);
  gathered_->entry_bytes += job->what.path.size() + AttributeBytes(job->what.entry);
}

Status FileRestorer::AddPieces(const std::shared_ptr<Job>& job) {
  const Entry& entry = job->what.entry;
  ContentReader items(context_.repository, entry.content);
  uint64_t offset = 0;
  for (;;) {
    StatusOr<std::optional<ContentItem>> item = items.Next();
    if (!item.ok()) {
      RETURN_IF_ERROR(CheckSnapshot());
      Fail(*job, item.status());
      return OkStatus();
    }
    if (!item->has_value()) break;
    Piece piece{.job = job.get(),
                .offset = offset,
                .bytes = (*item)->bytes,
                .id = (*item)->id,
                .zero = (*item)->zero,
                .spot = {}};
    if (piece.bytes > entry.size - offset) {
      Fail(*job, DataLoss("its content is longer than the file"));
      return OkStatus();
    }
    offset += piece.bytes;
    if (piece.zero && entry.sparse) continue;
    // A long run of zeros is not the work of one thread, nor of one window.
    while (piece.zero && piece.bytes > kMaxBlobBytes) {
      Piece part = piece;
      part.bytes = kMaxBlobBytes;
      RETURN_IF_ERROR(AddPiece(job, part));
      piece.offset += part.bytes;
      piece.bytes -= part.bytes;
    }
    RETURN_IF_ERROR(AddPiece(job, piece));
    if (job->failed) return OkStatus();
  }
  if (offset != entry.size) Fail(*job, DataLoss("its content is shorter than the file"));
  return OkStatus();
}

Status FileRestorer::AddPiece(const std::shared_ptr<Job>& job, const Piece& piece) {
  if (IsFull()) RETURN_IF_ERROR(Launch());
  Window& window = *gathered_;
  AddJob(job);
  window.pieces.push_back(piece);
  window.bytes += piece.bytes;
  ++job->pieces;
  job->left.fetch_add(1);
  return OkStatus();
}

bool FileRestorer::IsFull() const {
  const Window& window = *gathered_;
  return window.pieces.size() >= kWindowPieces || window.bytes >= kWindowBytes ||
         window.jobs.size() >= kWindowFiles || window.entry_bytes >= kWindowEntryBytes ||
         window.files_of_several_pieces >= max_open_files_;
}

Status FileRestorer::FindSpots(Window& window) {
  const StageTimer timer(Stage::kFind);
  ASSIGN_OR_RETURN(const auto reader, context_.repository.index().Read());
  for (Piece& piece : window.pieces) {
    if (piece.zero) continue;
    ASSIGN_OR_RETURN(piece.spot,
                     window.order.Find(*reader, {BlobKind::kChunk, piece.id}, piece.bytes));
  }
  return window.order.Arrange(*reader);
}

void FileRestorer::OrderPieces(Window& window) {
  if (!FindSpots(window).ok()) {
    // Each is then looked up when it is written, and what is wrong is met there.
    for (Piece& piece : window.pieces) piece.spot = {};
  }
  // Stable: pieces at one place stay in the order of paths.
  std::ranges::stable_sort(window.pieces, {},
                           [&](const Piece& piece) { return window.order.Rank(piece.spot); });
  for (size_t i = 0; i < window.pieces.size(); ++i) {
    if (i > 0 && window.order.AreTogether(window.pieces[i - 1].spot, window.pieces[i].spot)) {
      continue;
    }
    window.groups.push_back(i);
  }
}

Status FileRestorer::Launch() {
  OrderPieces(*gathered_);
  Wait();
  RETURN_IF_ERROR(Ended());
  running_ = std::exchange(gathered_, std::make_unique<Window>());
  Window& window = *running_;
  // Those with pieces are completed by whoever writes the last of these; so few files are open.
  std::erase_if(window.ready, [](Job* job) {
    uint64_t left = job->left.load();
    while (left > 1) {
      if (job->left.compare_exchange_weak(left, left - 1)) return true;
    }
    return false;
  });
  for (int i = 0; i < context_.pool.workers(); ++i) {
    context_.pool.Submit([this, &window](int) { RunTasks(window); });
  }
  return OkStatus();
}

void FileRestorer::Wait() {
  if (running_ == nullptr) return;
  context_.pool.Wait();
  running_.reset();
}

Status FileRestorer::Finish() {
  if (!gathered_->jobs.empty()) RETURN_IF_ERROR(Launch());
  Wait();
  return Ended();
}

void FileRestorer::RunTasks(Window& window) {
  const size_t batches = (window.ready.size() + kReadyBatch - 1) / kReadyBatch;
  for (;;) {
    if (ended_ || (context_.stop != nullptr && context_.stop->requested())) return;
    const size_t task = window.next_task.fetch_add(1);
    if (task < window.groups.size()) {
      const size_t end =
          task + 1 < window.groups.size() ? window.groups[task + 1] : window.pieces.size();
      WriteGroup(window, window.groups[task], end);
    } else if (const size_t batch = task - window.groups.size(); batch < batches) {
      const size_t end = std::min((batch + 1) * kReadyBatch, window.ready.size());
      for (size_t i = batch * kReadyBatch; i < end; ++i) PiecesDone(*window.ready[i], 1);
    } else {
      return;
    }
  }
}

void FileRestorer::WriteGroup(Window& window, size_t begin, size_t end) {
  FrameCache::Frame frame;
  BlobVerifier verifier(context_.repository.hasher());
  uint32_t number = ReadOrder::kNoFrame;
  for (size_t at = begin; at < end;) {
    const ReadOrder::Spot& spot = window.pieces[at].spot;
    if (spot.frame != number) {
      number = spot.frame;
      const ReadOrder::Frame& place = window.order.frame(spot);
      // One that cannot be read may have been moved, or its blobs may lie elsewhere too.
      auto read = context_.repository.ReadFrame(place.pack, place.number, place.info);
      frame = read.ok() ? *std::move(read) : nullptr;
      if (frame != nullptr) {
        VerifyPieces(std::span(window.pieces).subspan(at, end - at), *frame, verifier);
      }
    }
    at = WriteRun(window, at, end, frame.get());
  }
}

// Those at the beginning of `pieces` that lie in the frame of the first.
void FileRestorer::VerifyPieces(std::span<Piece> pieces, ByteSpan frame, BlobVerifier& verifier) {
  const auto is_in_frame = [&](const Piece& piece) {
    return !piece.zero && piece.spot.offset + piece.bytes <= frame.size();
  };
  size_t count = 0;
  for (; count < pieces.size() && pieces[count].spot.frame == pieces[0].spot.frame; ++count) {
    const Piece& piece = pieces[count];
    if (!is_in_frame(piece)) continue;
    verifier.Add({BlobKind::kChunk, piece.id}, frame.subspan(piece.spot.offset, piece.bytes));
  }
  const std::vector<bool>& right = verifier.Verify();
  size_t next = 0;
  for (Piece& piece : pieces.first(count)) {
    if (is_in_frame(piece)) piece.sound = right[next++];
  }
}

// Writes the piece at `at`, together with those that follow it both in the frame and in the file.
// Returns where the next run begins.
size_t FileRestorer::WriteRun(const Window& window, size_t at, size_t end, const Bytes* frame) {
  const Piece& first = window.pieces[at];
  Job& job = *first.job;
  if (job.failed) {
    PiecesDone(job, 1);
    return at + 1;
  }
  if (!first.sound) {
    WriteLostPiece(first);
    return at + 1;
  }
  const uint64_t begin = first.spot.offset;
  uint64_t bytes = 0;
  size_t next = at;
  for (; next < end; ++next) {
    const Piece& piece = window.pieces[next];
    if (piece.job != &job || piece.spot.frame != first.spot.frame ||
        piece.spot.offset != begin + bytes || piece.offset != first.offset + bytes ||
        !piece.sound) {
      break;
    }
    bytes += piece.bytes;
  }
  Write(job, first.offset, ByteSpan(*frame).subspan(begin, bytes));
  PiecesDone(job, next - at);
  return next;
}

// What does not come from a frame at its known place: zeros, and blobs that are read one by one,
// from wherever a whole copy is.
void FileRestorer::WriteLostPiece(const Piece& piece) {
  Job& job = *piece.job;
  if (piece.zero) {
    TargetFile* file = nullptr;
    Status status = OpenFile(job, &file);
    if (status.ok()) {
      const StatusOr<uint64_t> written = WriteZeros(*file, piece.offset, piece.bytes);
      status = written.status();
      if (written.ok()) context_.report.Wrote(*written);
    }
    if (!status.ok()) Fail(job, status);
  } else {
    const StatusOr<Bytes> bytes = context_.repository.ReadBlob({BlobKind::kChunk, piece.id});
    if (!bytes.ok()) {
      if (Status gone = CheckSnapshot(); !gone.ok()) End(std::move(gone));
      Fail(job, bytes.status());
    } else if (bytes->size() != piece.bytes) {
      Fail(job, DataLoss("chunk " + piece.id.Hex() + " has another length than the file says"));
    } else {
      Write(job, piece.offset, *bytes);
    }
  }
  PiecesDone(job, 1);
}

Status FileRestorer::OpenFile(Job& job, TargetFile** file) {
  const StageTimer timer(Stage::kPlace);
  MutexLock lock(job.mutex);
  if (job.file == nullptr) {
    const Entry& entry = job.what.entry;
    ASSIGN_OR_RETURN(auto created, job.what.directory->CreateFile(entry.name));
    RETURN_IF_ERROR(created->SetSize(entry.size, entry.sparse));
    job.file = std::move(created);
  }
  *file = job.file.get();
  return OkStatus();
}

void FileRestorer::Write(Job& job, uint64_t offset, ByteSpan bytes) {
  const StageTimer timer(Stage::kWriteFile);
  TargetFile* file = nullptr;
  Status status = OpenFile(job, &file);
  if (status.ok()) {
    const StatusOr<uint64_t> written = WritePiece(*file, job.what.entry.sparse, offset, bytes);
    status = written.status();
    if (written.ok()) context_.report.Wrote(*written);
  }
  if (!status.ok()) Fail(job, status);
}

void FileRestorer::PiecesDone(Job& job, uint64_t count) {
  if (job.left.fetch_sub(count) != count) return;
  if (!job.failed) {
    if (Status status = Place(job); !status.ok()) Fail(job, status);
  }
  MutexLock lock(job.mutex);
  job.file.reset();
}

// The file is complete: gives it its attributes and its name.
Status FileRestorer::Place(Job& job) {
  const StageTimer timer(Stage::kPlace);
  const FileToRestore& what = job.what;
  TargetFile* file = nullptr;
  RETURN_IF_ERROR(OpenFile(job, &file));
  const Attributes attributes =
      AttributesOf(context_.repository, what.entry, what.path, context_.report);
  if (!what.directory->MadeHere()) {
    ASSIGN_OR_RETURN(const auto status, what.directory->Stat(what.entry.name));
    if (status && status->type == EntryType::kDirectory) {
      RETURN_IF_ERROR(RemoveDirectory(*what.directory, what.entry.name, what.path));
    }
  }
  ASSIGN_OR_RETURN(const AttributeReport report, file->Commit(attributes));
  context_.report.NotSet(report);
  context_.report.Done(what.path, EntryType::kFile, what.action);
  return context_.verify ? Verify(job) : OkStatus();
}

Status FileRestorer::Verify(Job& job) {
  const FileToRestore& what = job.what;
  ASSIGN_OR_RETURN(const Descriptor file, what.directory->OpenForRead(what.entry.name));
  RETURN_IF_ERROR(VerifyContent(context_.repository, what.entry, file.get()));
  context_.report.Verified();
  return OkStatus();
}

void FileRestorer::Fail(Job& job, const Status& status) {
  if (job.failed.exchange(true) || ended_) return;
  context_.report.Problem(job.what.path, Message(status));
}

Status FileRestorer::CheckDirectoryMayGo(TargetDirectory& directory,
                                         const std::string& name) const {
  if (context_.remover != nullptr) return OkStatus();
  ASSIGN_OR_RETURN(const auto child, directory.ExistingDirectory(name));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, child->List());
  if (names.empty()) return OkStatus();
  return FailedPrecondition(
      "a directory that is not empty stands in its place; it is removed with --delete only");
}

Status FileRestorer::RemoveDirectory(TargetDirectory& directory, const std::string& name,
                                     const std::string& path) const {
  RETURN_IF_ERROR(CheckDirectoryMayGo(directory, name));
  if (context_.remover == nullptr) return directory.Remove(name);
  ASSIGN_OR_RETURN(const bool gone, context_.remover->RemoveTree(directory, name, path));
  if (gone) return OkStatus();
  return FailedPrecondition(
      "a directory stands in its place, and holds what the snapshot did not look at");
}

}  // namespace cairn
