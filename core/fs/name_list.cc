// SPDX-License-Identifier: Apache-2.0
// NameList (core/fs/source_directory.h).
#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/external_sorter.h"
#include "core/base/unique_fd.h"
#include "core/fs/source_directory.h"

namespace cairn {
namespace {

constexpr size_t kBufferBytes = 128 * kKiB;

bool IsDotOrDotDot(const char* name) {
  return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

// Each thread's own, made once: of this size malloc would map and unmap memory for each directory.
MutableByteSpan ReadBuffer() {
  thread_local const std::unique_ptr<uint64_t[]> buffer =
      std::make_unique_for_overwrite<uint64_t[]>(kBufferBytes / sizeof(uint64_t));
  return {reinterpret_cast<uint8_t*>(buffer.get()), kBufferBytes};
}

}  // namespace

struct NameList::State {
  // Names one after another, each with its NUL. Their places are in order after sorting.
  std::vector<char> arena;
  std::vector<uint32_t> places;
  size_t next = 0;

  std::optional<ExternalSorter> sorter;  // instead of the arena
  Bytes current;                         // with its NUL

  Status Add(const char* name, const std::string& temp_directory) {
    const size_t size = std::strlen(name);
    if (!sorter && arena.size() + size + 1 > kArenaBytes) {
      RETURN_IF_ERROR(MoveToSorter(temp_directory));
    }
    if (sorter) return sorter->Add(AsBytes({name, size}));
    places.push_back(static_cast<uint32_t>(arena.size()));
    arena.insert(arena.end(), name, name + size + 1);
    return OkStatus();
  }

  Status MoveToSorter(const std::string& temp_directory) {
    sorter.emplace(
        ExternalSorter::Options{.memory_bytes = kArenaBytes, .temp_directory = temp_directory});
    for (const uint32_t place : places) {
      RETURN_IF_ERROR(sorter->Add(AsBytes(std::string_view(&arena[place]))));
    }
    arena = {};
    places = {};
    return OkStatus();
  }

  Status Finish() {
    if (sorter) return sorter->Finish();
    const char* const names = arena.data();
    const auto less = [names](uint32_t a, uint32_t b) {
      return std::strcmp(names + a, names + b) < 0;
    };
    const auto equal = [names](uint32_t a, uint32_t b) {
      return std::strcmp(names + a, names + b) == 0;
    };
    std::sort(places.begin(), places.end(), less);
    places.erase(std::unique(places.begin(), places.end(), equal), places.end());
    return OkStatus();
  }
};

NameList::NameList() : state_(std::make_unique<State>()) {}
NameList::NameList(NameList&&) noexcept = default;
NameList& NameList::operator=(NameList&&) noexcept = default;
NameList::~NameList() = default;

StatusOr<NameList> NameList::Read(int descriptor, const std::string& temp_directory) {
  NameList list;
  if (::lseek(descriptor, 0, SEEK_SET) != 0) return ErrnoError(errno, "rewind a directory", "");
  const MutableByteSpan buffer = ReadBuffer();
  while (true) {
    const long got = RetryOnEintr(
        [&] { return ::syscall(SYS_getdents64, descriptor, buffer.data(), buffer.size()); });
    if (got < 0) return ErrnoError(errno, "read a directory", "");
    if (got == 0) break;
    for (size_t at = 0; at < static_cast<size_t>(got);) {
      const auto* const entry = reinterpret_cast<const dirent64*>(buffer.data() + at);
      at += entry->d_reclen;
      if (IsDotOrDotDot(entry->d_name)) continue;
      RETURN_IF_ERROR(list.state_->Add(entry->d_name, temp_directory));
    }
  }
  RETURN_IF_ERROR(list.state_->Finish());
  return list;
}

std::optional<size_t> NameList::size() const {
  if (state_->sorter) return std::nullopt;
  return state_->places.size();
}

std::string_view NameList::last() const {
  return state_->places.empty() ? "" : &state_->arena[state_->places.back()];
}

StatusOr<const char*> NameList::Next() {
  State& state = *state_;
  if (!state.sorter) {
    if (state.next == state.places.size()) return nullptr;
    return &state.arena[state.places[state.next++]];
  }
  Bytes name;
  do {
    ASSIGN_OR_RETURN(const bool more, state.sorter->Next(&name));
    if (!more) return nullptr;
    name.push_back(0);
  } while (name == state.current);
  state.current = std::move(name);
  return reinterpret_cast<const char*>(state.current.data());
}

}  // namespace cairn
