// SPDX-License-Identifier: Apache-2.0
#include <list>
#include <map>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/base/random.h"
#include "core/store/local_folders.h"
#include "core/store/object_store.h"

namespace cairn {
namespace {

constexpr char kTmpFolder[] = "tmp";
// Owner of what PutIfAbsent writes.
constexpr char kPutOwner[] = "put";
constexpr size_t kWriteBytes = 1 * kMiB;
constexpr size_t kUngatheredBytes = 128 * kKiB;  // a call more costs less than a copy
constexpr size_t kOpenFiles = 64;
constexpr int kPutAttempts = 3;

Status CheckName(const std::string& name) {
  const std::string framed = "/" + name + "/";
  if (framed.find("//") == std::string::npos && framed.find("/../") == std::string::npos &&
      framed.find("/./") == std::string::npos && name.find('\0') == std::string::npos) {
    return OkStatus();
  }
  return InvalidArgument("not the name of an object: \"" + name + "\"");
}

std::string NewTmpName(const std::string& owner) {
  std::array<uint8_t, 8> random;
  FillRandom(random);
  return std::string(kTmpFolder) + "/" + owner + "-" + HexEncode(random);
}

// A temporary file on its way to its name; removed unless it got there. Thread-compatible.
class TmpFile {
 public:
  static StatusOr<std::unique_ptr<TmpFile>> Create(FileSystem& fs, LocalFolders& folders,
                                                   const std::string& owner) {
    RETURN_IF_ERROR(folders.EnsureVolatile(kTmpFolder));
    std::unique_ptr<TmpFile> tmp(new TmpFile(fs, folders, NewTmpName(owner)));
    ASSIGN_OR_RETURN(tmp->file_, fs.CreateNew(tmp->path_));
    return tmp;
  }
  ~TmpFile() {
    file_.reset();
    // Where it fails, the file stays among the unfinished ones, which prune removes.
    if (!placed_) fs_.Unlink(path_).IgnoreError();
  }
  TmpFile(const TmpFile&) = delete;
  TmpFile& operator=(const TmpFile&) = delete;

  Status Append(ByteSpan bytes) { return file_->Append(bytes); }

  // Makes the bytes durable and gives them `name`. NOT_FOUND if somebody has removed the file.
  Status PlaceAs(const std::string& name, bool replace = false) {
    RETURN_IF_ERROR(file_->Sync());
    file_.reset();
    const std::string folder = FolderOf(name);
    RETURN_IF_ERROR(folders_.Ensure(folder));
    RETURN_IF_ERROR(replace ? fs_.RenameReplace(path_, name) : fs_.RenameNoReplace(path_, name));
    placed_ = true;
    folders_.MarkDirty(folder);
    return OkStatus();
  }

 private:
  TmpFile(FileSystem& fs, LocalFolders& folders, std::string path)
      : fs_(fs), folders_(folders), path_(std::move(path)) {}

  FileSystem& fs_;
  LocalFolders& folders_;
  const std::string path_;
  std::unique_ptr<WritableFile> file_;
  bool placed_ = false;
};

// The files that were read last, open. Thread-safe.
class OpenFiles {
 public:
  explicit OpenFiles(FileSystem& fs) : fs_(fs) {}

  // Owners: this cache, and every read that is under way while its file is dropped.
  StatusOr<std::shared_ptr<const RandomAccessFile>> Get(const std::string& name) {
    uint64_t generation = 0;
    {
      MutexLock lock(mutex_);
      if (const auto found = places_.find(name); found != places_.end()) {
        files_.splice(files_.begin(), files_, found->second);
        return files_.front().file;
      }
      generation = generation_;
    }
    ASSIGN_OR_RETURN(std::shared_ptr<const RandomAccessFile> file, fs_.OpenRead(name));
    MutexLock lock(mutex_);
    // It may have been opened before, and removed after, a Drop that found nothing to drop.
    if (generation != generation_ || places_.contains(name)) return file;
    files_.push_front({name, file});
    places_[name] = files_.begin();
    if (files_.size() > kOpenFiles) {
      places_.erase(files_.back().name);
      files_.pop_back();
    }
    return file;
  }

  // To be called after the file was removed.
  void Drop(const std::string& name) {
    MutexLock lock(mutex_);
    ++generation_;
    const auto found = places_.find(name);
    if (found == places_.end()) return;
    files_.erase(found->second);
    places_.erase(found);
  }

 private:
  struct OpenFile {
    std::string name;
    std::shared_ptr<const RandomAccessFile> file;
  };

  FileSystem& fs_;
  Mutex mutex_;
  std::list<OpenFile> files_ ABSL_GUARDED_BY(mutex_);  // the one used last first
  std::map<std::string, std::list<OpenFile>::iterator> places_ ABSL_GUARDED_BY(mutex_);
  uint64_t generation_ ABSL_GUARDED_BY(mutex_) = 0;  // number of Drops
};

class LocalObjectWriter : public ObjectWriter {
 public:
  // `replaced` is null for an object that must not replace another; else it is told.
  LocalObjectWriter(std::string name, std::unique_ptr<TmpFile> tmp, OpenFiles* replaced)
      : name_(std::move(name)), tmp_(std::move(tmp)), replaced_(replaced) {}

  Status Append(ByteSpan bytes) override {
    if (tmp_ == nullptr) return Refuse();
    if (bytes.size() >= kUngatheredBytes) {
      RETURN_IF_ERROR(Flush());
      return Write(bytes);
    }
    while (!bytes.empty()) {
      const size_t size = std::min(bytes.size(), kWriteBytes - buffer_.size());
      cairn::Append(buffer_, bytes.first(size));
      bytes = bytes.subspan(size);
      if (buffer_.size() == kWriteBytes) RETURN_IF_ERROR(Flush());
    }
    return OkStatus();
  }

  Status Drain() override {
    if (tmp_ == nullptr) return Refuse();
    RETURN_IF_ERROR(Flush());
    buffer_ = Bytes();
    return OkStatus();
  }

  Status Commit() override {
    if (tmp_ == nullptr) return Refuse();
    RETURN_IF_ERROR(Flush());
    const std::unique_ptr<TmpFile> tmp = std::move(tmp_);
    const Status placed = tmp->PlaceAs(name_, replaced_ != nullptr);
    if (replaced_ != nullptr) replaced_->Drop(name_);
    return Annotate(placed, "place " + name_);
  }

 private:
  Status Refuse() const {
    return FailedPrecondition("write " + name_ + ": it was committed, or has failed before");
  }

  Status Flush() {
    if (buffer_.empty()) return OkStatus();
    const Status written = Write(buffer_);
    buffer_.clear();
    return written;
  }

  Status Write(ByteSpan bytes) {
    const Status written = tmp_->Append(bytes);
    if (written.ok()) return OkStatus();
    tmp_.reset();
    return Annotate(written, "write " + name_);
  }

  const std::string name_;
  std::unique_ptr<TmpFile> tmp_;  // null once committed or failed
  OpenFiles* const replaced_;
  Bytes buffer_;
};

class LocalObjectStore : public ObjectStore {
 public:
  explicit LocalObjectStore(FileSystem& fs) : fs_(fs), folders_(fs), open_files_(fs) {}

  StatusOr<std::unique_ptr<ObjectWriter>> Create(const std::string& name,
                                                 const std::string& owner) override {
    return NewWriter(name, owner, /*replaced=*/nullptr);
  }

  StatusOr<std::unique_ptr<ObjectWriter>> CreateReplacement(const std::string& name,
                                                            const std::string& owner) override {
    return NewWriter(name, owner, &open_files_);
  }

  Status SyncNames() override { return folders_.SyncAll(); }

  Status PutIfAbsent(const std::string& name, ByteSpan bytes, bool* placed) override {
    if (placed != nullptr) *placed = false;
    RETURN_IF_ERROR(CheckName(name));
    for (int attempt = 1;; ++attempt) {
      ASSIGN_OR_RETURN(const auto tmp, TmpFile::Create(fs_, folders_, kPutOwner));
      RETURN_IF_ERROR(Annotate(tmp->Append(bytes), "write " + name));
      const Status status = tmp->PlaceAs(name);
      if (status.ok()) {
        if (placed != nullptr) *placed = true;
        return Annotate(folders_.Sync(FolderOf(name)), "make the name durable of " + name);
      }
      if (status.code() == StatusCode::kAlreadyExists) return Annotate(status, "place " + name);
      // A prune takes the temporary files for its own to remove that no live session owns. Whoever
      // has taken the name meanwhile is found by the next attempt.
      if (status.code() == StatusCode::kNotFound && attempt < kPutAttempts) continue;
      // Network file systems may do a rename and report an error.
      if (placed != nullptr) *placed = fs_.FileSize(name).status().code() != StatusCode::kNotFound;
      return Annotate(status, "place " + name);
    }
  }

  StatusOr<size_t> ReadAt(const std::string& name, uint64_t offset, MutableByteSpan out) override {
    RETURN_IF_ERROR(CheckName(name));
    ASSIGN_OR_RETURN(const auto file, open_files_.Get(name));
    return file->ReadAt(offset, out);
  }

  StatusOr<Bytes> ReadAll(const std::string& name, uint64_t max_bytes) override {
    RETURN_IF_ERROR(CheckName(name));
    return ReadWholeFile(fs_, name, max_bytes);
  }

  StatusOr<uint64_t> Size(const std::string& name) override {
    RETURN_IF_ERROR(CheckName(name));
    return fs_.FileSize(name);
  }

  StatusOr<std::vector<std::string>> List(const std::string& folder) override {
    RETURN_IF_ERROR(CheckName(folder));
    StatusOr<std::vector<std::string>> names = fs_.List(folder);
    if (names.status().code() == StatusCode::kNotFound) return std::vector<std::string>();
    return names;
  }

  Status Delete(const std::string& name) override {
    RETURN_IF_ERROR(CheckName(name));
    Status removed = fs_.Unlink(name);
    open_files_.Drop(name);
    return removed;
  }

  Status Rename(const std::string& from, const std::string& to) override {
    RETURN_IF_ERROR(CheckName(from));
    RETURN_IF_ERROR(CheckName(to));
    const std::string folder = FolderOf(to);
    RETURN_IF_ERROR(folders_.Ensure(folder));
    const Status renamed = fs_.RenameReplace(from, to);
    open_files_.Drop(from);
    open_files_.Drop(to);
    RETURN_IF_ERROR(renamed);
    folders_.MarkDirty(folder);
    return OkStatus();
  }

  StatusOr<std::vector<Unfinished>> ListUnfinished() override {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, List(kTmpFolder));
    std::vector<Unfinished> unfinished;
    for (const std::string& name : names) {
      const size_t dash = name.rfind('-');
      unfinished.push_back({.name = std::string(kTmpFolder) + "/" + name,
                            .owner = dash == std::string::npos ? "" : name.substr(0, dash)});
    }
    return unfinished;
  }

 private:
  StatusOr<std::unique_ptr<ObjectWriter>> NewWriter(const std::string& name,
                                                    const std::string& owner, OpenFiles* replaced) {
    RETURN_IF_ERROR(CheckName(name));
    RETURN_IF_ERROR(CheckName(owner));
    if (owner.find('/') != std::string::npos) return InvalidArgument("not an owner: " + owner);
    ASSIGN_OR_RETURN(auto tmp, TmpFile::Create(fs_, folders_, owner));
    return std::make_unique<LocalObjectWriter>(name, std::move(tmp), replaced);
  }

  FileSystem& fs_;
  LocalFolders folders_;
  OpenFiles open_files_;
};

}  // namespace

std::unique_ptr<ObjectStore> NewLocalObjectStore(FileSystem& fs) {
  return std::make_unique<LocalObjectStore>(fs);
}

}  // namespace cairn
