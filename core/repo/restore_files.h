// SPDX-License-Identifier: Apache-2.0
// Writing files of a snapshot into the target: what they need is gathered in windows, ordered by
// frame and base, so that each frame is decoded once, and written by several threads in whatever
// order it comes. While a window is written, the next is gathered.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/base/stop.h"
#include "core/base/worker_pool.h"
#include "core/fs/target.h"
#include "core/repo/blob_verifier.h"
#include "core/repo/repository.h"
#include "core/repo/restore_order.h"
#include "core/repo/restore_remove.h"
#include "core/repo/restore_report.h"
#include "core/tree/entry.h"

namespace cairn {

// A file that is to be written.
struct FileToRestore {
  std::shared_ptr<TargetDirectory> directory;
  std::string path;  // for people
  Entry entry;       // its name is the one in `directory`
  RestoreAction action = RestoreAction::kRestored;
};

// Memory: two windows of pieces (kWindowPieces, and the entries of kWindowFiles files, of
// kWindowEntryBytes), and a frame or two a thread. A file of any size is written through several
// windows. Thread-compatible.
class FileRestorer {
 public:
  struct Context {
    Repository& repository;
    SnapshotId snapshot;
    RestoreReport& report;
    WorkerPool& pool;
    // Clears away directories that stand where a file shall be; if null, only empty ones.
    const ExtraRemover* remover = nullptr;
    bool verify = false;
    const StopFlag* stop = nullptr;
  };
  // What the context refers to outlives the restorer.
  explicit FileRestorer(const Context& context);
  // Waits for what is being written; files that are not complete are dropped.
  ~FileRestorer();

  // The file is written soon. What goes wrong with it is reported; it does then not take its place,
  // and what was there stays. Errors end the restore: a stop, a snapshot that is gone.
  Status Add(FileToRestore file);
  // Returns when every file that was added has its place, or was reported.
  Status Finish();

  // Sees that no directory has the name; RemoveDirectory does so in fact, at the last moment.
  Status CheckDirectoryMayGo(TargetDirectory& directory, const std::string& name) const;
  Status RemoveDirectory(TargetDirectory& directory, const std::string& name,
                         const std::string& path) const;
  // CANCELLED after a stop; NOT_FOUND if the snapshot was forgotten meanwhile.
  Status CheckSnapshot() const;

 private:
  // Large, as each window decodes the frames anew that its files share with those of another one,
  // and the bases of delta frames.
  static constexpr size_t kWindowPieces = 12288;
  static constexpr uint64_t kWindowBytes = 256 * kMiB;
  static constexpr size_t kWindowFiles = 6144;
  static constexpr size_t kWindowEntryBytes = 8 * kMiB;
  static constexpr size_t kReadyBatch = 32;

  struct Job;
  struct Piece {
    Job* job = nullptr;
    uint64_t offset = 0;  // in the file
    uint64_t bytes = 0;
    BlobId id;
    bool zero = false;
    ReadOrder::Spot spot;  // in Window::order
    bool sound = false;    // its bytes there were seen to have its id
  };
  struct Window {
    std::vector<std::shared_ptr<Job>> jobs;
    std::vector<Piece> pieces;
    ReadOrder order;
    std::vector<size_t> groups;  // of pieces that one thread writes: where each begins
    std::vector<Job*> ready;     // wait for nothing else
    uint64_t bytes = 0;
    size_t entry_bytes = 0;
    size_t files_of_several_pieces = 0;
    std::atomic<size_t> next_task{0};
  };

  // The window holds on to the job from here on.
  void AddJob(const std::shared_ptr<Job>& job);
  // Gathers the file's pieces, over several windows if there are many.
  Status AddPieces(const std::shared_ptr<Job>& job);
  Status AddPiece(const std::shared_ptr<Job>& job, const Piece& piece);
  bool IsFull() const;
  // Begins to write what is gathered, after what was begun before.
  Status Launch();
  Status FindSpots(Window& window);
  void OrderPieces(Window& window);
  void Wait();

  // By the workers.
  void RunTasks(Window& window);
  void WriteGroup(Window& window, size_t begin, size_t end);
  static void VerifyPieces(std::span<Piece> pieces, ByteSpan frame, BlobVerifier& verifier);
  size_t WriteRun(const Window& window, size_t at, size_t end, const Bytes* frame);
  void WriteLostPiece(const Piece& piece);
  Status OpenFile(Job& job, TargetFile** file);
  void Write(Job& job, uint64_t offset, ByteSpan bytes);
  void PiecesDone(Job& job, uint64_t count);
  Status Place(Job& job);
  Status Verify(Job& job);
  void Fail(Job& job, const Status& status);
  void End(Status status);
  Status Ended();

  const Context context_;
  // Files of several pieces in a window: each may be open while it is written.
  const size_t max_open_files_;
  std::unique_ptr<Window> gathered_;
  std::unique_ptr<Window> running_;

  Mutex mutex_;
  Status end_ ABSL_GUARDED_BY(mutex_);  // why the whole restore ends
  std::atomic<bool> ended_{false};
};

}  // namespace cairn
