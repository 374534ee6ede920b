// SPDX-License-Identifier: Apache-2.0
// A run is a sequence of records, each a 32-bit length in native order and its bytes.
#include "core/base/external_sorter.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <limits>
#include <optional>
#include <utility>

#include "core/base/check.h"

namespace cairn {
namespace {

constexpr size_t kLengthBytes = sizeof(uint32_t);
constexpr size_t kMaxBlockBytes = 1 * kMiB;
constexpr size_t kMinBufferBytes = 4 * kKiB;

std::string ChooseTempDirectory(const std::string& wanted) {
  if (!wanted.empty()) return wanted;
  const char* const environment = ::getenv("TMPDIR");
  return environment != nullptr && *environment != '\0' ? environment : "/var/tmp";
}

bool Less(ByteSpan a, ByteSpan b) { return AsText(a) < AsText(b); }

// A record with its first bytes in which some differ, as a number whose order agrees with Less:
// most comparisons end there, without a look at the records, which lie all over the memory.
struct Keyed {
  uint64_t key;
  ByteSpan record;

  Keyed(ByteSpan bytes, size_t at) : key(0), record(bytes) {
    for (size_t i = at; i < at + sizeof(key); ++i)
      key = key << 8 | (i < bytes.size() ? bytes[i] : 0);
  }
  bool operator<(const Keyed& other) const {
    return key != other.key ? key < other.key : Less(record, other.record);
  }
};

size_t CommonPrefix(const std::vector<ByteSpan>& records) {
  ByteSpan common = records.front();
  for (const ByteSpan record : records) {
    const auto end = std::ranges::mismatch(common, record).in1;
    common = common.first(static_cast<size_t>(end - common.begin()));
  }
  return common.size();
}

}  // namespace

class ExternalSorter::RunWriter {
 public:
  RunWriter(UniqueFd fd, size_t buffer_bytes) : fd_(std::move(fd)), buffer_bytes_(buffer_bytes) {
    buffer_.reserve(buffer_bytes);
  }

  Status Add(ByteSpan record) {
    const uint32_t length = static_cast<uint32_t>(record.size());
    uint8_t prefix[kLengthBytes];
    std::memcpy(prefix, &length, kLengthBytes);
    RETURN_IF_ERROR(Put(prefix));
    return Put(record);
  }

  StatusOr<UniqueFd> Finish() {
    RETURN_IF_ERROR(Write(buffer_));
    return std::move(fd_);
  }

 private:
  Status Put(ByteSpan bytes) {
    if (buffer_.size() + bytes.size() > buffer_bytes_) {
      RETURN_IF_ERROR(Write(buffer_));
      buffer_.clear();
    }
    if (bytes.size() > buffer_bytes_) return Write(bytes);
    Append(buffer_, bytes);
    return OkStatus();
  }

  Status Write(ByteSpan bytes) {
    while (!bytes.empty()) {
      const ssize_t put =
          RetryOnEintr([&] { return ::write(fd_.get(), bytes.data(), bytes.size()); });
      if (put <= 0) return ErrnoError(put < 0 ? errno : EIO, "write", "a temporary file");
      bytes = bytes.subspan(static_cast<size_t>(put));
    }
    return OkStatus();
  }

  UniqueFd fd_;
  const size_t buffer_bytes_;
  Bytes buffer_;
};

class ExternalSorter::RunReader {
 public:
  RunReader(UniqueFd fd, size_t buffer_bytes) : fd_(std::move(fd)), buffer_(buffer_bytes) {}

  // The record that the last Advance found; valid until the next.
  ByteSpan record() const { return record_; }

  // False after the last record.
  StatusOr<bool> Advance() {
    ASSIGN_OR_RETURN(size_t available, Fill(kLengthBytes));
    if (available == 0) return false;
    uint32_t length = 0;
    if (available >= kLengthBytes) {
      std::memcpy(&length, buffer_.data() + begin_, kLengthBytes);
      ASSIGN_OR_RETURN(available, Fill(kLengthBytes + length));
    }
    if (available < kLengthBytes + size_t{length}) {
      return DataLoss("read a temporary file: it ends within a record");
    }
    record_ = ByteSpan(buffer_).subspan(begin_ + kLengthBytes, length);
    begin_ += kLengthBytes + length;
    return true;
  }

 private:
  // Makes `wanted` bytes available from begin_ on, or fewer at the end of the file; returns how
  // many there are.
  StatusOr<size_t> Fill(size_t wanted) {
    if (end_ - begin_ >= wanted) return end_ - begin_;
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= std::exchange(begin_, 0);
    if (buffer_.size() < wanted) buffer_.resize(wanted);
    while (end_ < wanted) {
      const ssize_t got = RetryOnEintr([&] {
        return ::pread(fd_.get(), buffer_.data() + end_, buffer_.size() - end_,
                       static_cast<off_t>(file_offset_));
      });
      if (got < 0) return ErrnoError(errno, "read", "a temporary file");
      if (got == 0) break;
      end_ += static_cast<size_t>(got);
      file_offset_ += static_cast<uint64_t>(got);
    }
    return end_;
  }

  const UniqueFd fd_;
  Bytes buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  uint64_t file_offset_ = 0;
  ByteSpan record_;
};

class ExternalSorter::Merger {
 public:
  Status Start(std::vector<UniqueFd> runs, size_t buffer_bytes) {
    for (UniqueFd& run : runs) {
      last_ = std::make_unique<RunReader>(std::move(run), buffer_bytes);
      RETURN_IF_ERROR(PutBackLast());
    }
    return OkStatus();
  }

  // The next record, valid until the next call; nothing after the last.
  StatusOr<std::optional<ByteSpan>> Next() {
    RETURN_IF_ERROR(PutBackLast());
    if (heap_.empty()) return std::optional<ByteSpan>();
    std::pop_heap(heap_.begin(), heap_.end(), Later);
    last_ = std::move(heap_.back());
    heap_.pop_back();
    return std::optional<ByteSpan>(last_->record());
  }

 private:
  static bool Later(const std::unique_ptr<RunReader>& a, const std::unique_ptr<RunReader>& b) {
    return Less(b->record(), a->record());
  }

  // Takes the reader of the record that was given out last to its next one. A run that has ended
  // is closed.
  Status PutBackLast() {
    if (last_ == nullptr) return OkStatus();
    std::unique_ptr<RunReader> reader = std::move(last_);
    ASSIGN_OR_RETURN(const bool more, reader->Advance());
    if (!more) return OkStatus();
    heap_.push_back(std::move(reader));
    std::push_heap(heap_.begin(), heap_.end(), Later);
    return OkStatus();
  }

  std::vector<std::unique_ptr<RunReader>> heap_;
  std::unique_ptr<RunReader> last_;
};

ExternalSorter::ExternalSorter(const Options& options)
    : options_(options), temp_directory_(ChooseTempDirectory(options.temp_directory)) {
  CHECK(options.max_fan_in >= 2);
}

ExternalSorter::~ExternalSorter() = default;

StatusOr<UniqueFd> ExternalSorter::CreateTempFile() const {
  UniqueFd fd(RetryOnEintr([&] {
    return ::open(temp_directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
  }));
  if (fd.valid()) return fd;
  // Not every file system can make files without names.
  std::string name = temp_directory_ + "/cairn-sort-XXXXXX";
  fd.Reset(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, "create a temporary file in", temp_directory_);
  if (::unlink(name.c_str()) != 0) return ErrnoError(errno, "remove", name);
  return fd;
}

size_t ExternalSorter::BufferBytes(size_t buffers) const {
  return std::clamp<size_t>(options_.memory_bytes / buffers, kMinBufferBytes, kMaxBlockBytes);
}

Status ExternalSorter::Add(ByteSpan record) {
  CHECK(!finished_);
  CHECK(record.size() <= std::numeric_limits<uint32_t>::max());
  // Twice: the vector's growth, or what they are sorted in.
  const size_t overhead = (sizeof(ByteSpan) + sizeof(Keyed)) * (records_.size() + 1);
  if (block_size_ - block_used_ < record.size()) {
    const size_t block =
        std::max(record.size(), std::min<size_t>(kMaxBlockBytes, options_.memory_bytes / 8));
    if (!records_.empty() && block_bytes_ + block + overhead > options_.memory_bytes) {
      RETURN_IF_ERROR(Spill());
    }
    blocks_.push_back(std::make_unique_for_overwrite<uint8_t[]>(block));
    block_size_ = block;
    block_used_ = 0;
    block_bytes_ += block;
  } else if (!records_.empty() && block_bytes_ + overhead > options_.memory_bytes) {
    RETURN_IF_ERROR(Spill());
    return Add(record);
  }
  if (record.empty()) {
    records_.emplace_back();
    return OkStatus();
  }
  uint8_t* const place = blocks_.back().get() + block_used_;
  std::memcpy(place, record.data(), record.size());
  block_used_ += record.size();
  records_.emplace_back(place, record.size());
  return OkStatus();
}

void ExternalSorter::SortBuffered() {
  if (records_.empty()) return;
  const size_t common = CommonPrefix(records_);
  std::vector<Keyed> keyed;
  keyed.reserve(records_.size());
  for (const ByteSpan record : records_) keyed.emplace_back(record, common);
  std::sort(keyed.begin(), keyed.end());
  for (size_t i = 0; i < keyed.size(); ++i) records_[i] = keyed[i].record;
}

Status ExternalSorter::Spill() {
  SortBuffered();
  ASSIGN_OR_RETURN(UniqueFd fd, CreateTempFile());
  RunWriter writer(std::move(fd), BufferBytes(options_.max_fan_in + 1));
  for (const ByteSpan record : records_) RETURN_IF_ERROR(writer.Add(record));
  ASSIGN_OR_RETURN(UniqueFd run, writer.Finish());
  records_ = {};
  blocks_.clear();
  block_size_ = block_used_ = block_bytes_ = 0;
  for (size_t level = 0;; ++level) {
    if (level == levels_.size()) levels_.emplace_back();
    levels_[level].push_back(std::move(run));
    if (levels_[level].size() < options_.max_fan_in) return OkStatus();
    ASSIGN_OR_RETURN(run, Merge(std::exchange(levels_[level], {})));
  }
}

StatusOr<UniqueFd> ExternalSorter::Merge(std::vector<UniqueFd> runs) const {
  const size_t buffer_bytes = BufferBytes(runs.size() + 1);
  Merger merger;
  RETURN_IF_ERROR(merger.Start(std::move(runs), buffer_bytes));
  ASSIGN_OR_RETURN(UniqueFd fd, CreateTempFile());
  RunWriter writer(std::move(fd), buffer_bytes);
  for (;;) {
    ASSIGN_OR_RETURN(const std::optional<ByteSpan> record, merger.Next());
    if (!record) return writer.Finish();
    RETURN_IF_ERROR(writer.Add(*record));
  }
}

Status ExternalSorter::Finish() {
  CHECK(!finished_);
  finished_ = true;
  if (levels_.empty()) {
    SortBuffered();
    return OkStatus();
  }
  if (!records_.empty()) RETURN_IF_ERROR(Spill());
  // Short runs come first, so that as little as possible is merged once more.
  std::vector<UniqueFd> runs;
  for (auto& level : levels_) std::move(level.begin(), level.end(), std::back_inserter(runs));
  levels_.clear();
  while (runs.size() > options_.max_fan_in) {
    const size_t count = std::min(options_.max_fan_in, runs.size() - options_.max_fan_in + 1);
    const auto end = runs.begin() + static_cast<ptrdiff_t>(count);
    std::vector<UniqueFd> shortest(std::make_move_iterator(runs.begin()),
                                   std::make_move_iterator(end));
    runs.erase(runs.begin(), end);
    ASSIGN_OR_RETURN(UniqueFd merged, Merge(std::move(shortest)));
    runs.push_back(std::move(merged));
  }
  merger_ = std::make_unique<Merger>();
  const size_t buffer_bytes = BufferBytes(runs.size());
  return merger_->Start(std::move(runs), buffer_bytes);
}

StatusOr<bool> ExternalSorter::Next(Bytes* record) {
  CHECK(finished_);
  std::optional<ByteSpan> next;
  if (merger_ != nullptr) {
    ASSIGN_OR_RETURN(next, merger_->Next());
  } else if (next_record_ < records_.size()) {
    next = records_[next_record_++];
  }
  if (!next) return false;
  record->assign(next->begin(), next->end());
  return true;
}

}  // namespace cairn
