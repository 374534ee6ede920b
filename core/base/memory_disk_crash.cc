// SPDX-License-Identifier: Apache-2.0
// What a power cut leaves of a MemoryDisk. Names and contents are lost independently of each other,
// as on real disks: names by CrashReplay::LandedNames, contents by CrashReplay::ContentAfterCrash.
#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/memory_disk.h"

namespace cairn {
namespace {

using Kind = DiskOperation::Kind;

bool ChangesNames(const DiskLogEntry& entry) {
  switch (entry.operation.kind) {
    case Kind::kCreate:
    case Kind::kCreateDirectory:
    case Kind::kRename:
    case Kind::kUnlink:
      return true;
    default:
      return false;
  }
}

struct FileState {
  Bytes content = {};
  size_t durable_bytes = 0;  // the first bytes of `content` that a sync covers
  std::optional<Bytes> before_replacing =
      {};  // durable, if `content` replaced it and was not synced
};

class CrashReplay {
 public:
  CrashReplay(std::span<const DiskLogEntry> log, const CrashChoices& choices)
      : log_(log), choices_(choices), random_(choices.seed) {}

  DiskImage Run() {
    ReplayContents();
    ReplayNames();
    Collect(kRootInode, "");
    return std::move(image_);
  }

 private:
  uint64_t Below(uint64_t bound) { return random_() % bound; }
  bool IsLost(const DiskLogEntry& sync) const {
    return choices_.is_sync_lost && choices_.is_sync_lost(sync.operation);
  }

  void ReplayContents();
  void SettleContents();
  std::vector<bool> LandedNames();
  void ReplayNames();
  void Collect(InodeId directory, const std::string& prefix);
  Bytes ContentAfterCrash(const FileState& file);
  Bytes TornContent(const FileState& file);
  Bytes ChosenContent(const FileState& file);

  const std::span<const DiskLogEntry> log_;
  const CrashChoices& choices_;
  std::mt19937_64 random_;
  std::map<InodeId, FileState> files_;
  std::map<InodeId, std::map<std::string, InodeId>> directories_;
  DiskImage image_;
};

void CrashReplay::ReplayContents() {
  for (size_t i = 0; i < log_.size(); ++i) {
    if (i == choices_.settled) SettleContents();
    const DiskLogEntry& entry = log_[i];
    switch (entry.operation.kind) {
      case Kind::kCreate:
        files_[entry.inode];
        break;
      case Kind::kAppend:
        Append(files_[entry.inode].content, entry.data);
        break;
      case Kind::kSync: {
        if (IsLost(entry)) break;
        FileState& file = files_[entry.inode];
        file.durable_bytes = file.content.size();
        file.before_replacing.reset();
        break;
      }
      case Kind::kReplaceContent: {
        FileState& file = files_[entry.inode];
        if (!file.before_replacing) {
          file.content.resize(file.durable_bytes);
          file.before_replacing = std::move(file.content);
        }
        file.content = entry.data;
        file.durable_bytes = 0;
        break;
      }
      case Kind::kDamage:
        files_[entry.inode] = {.content = entry.data, .durable_bytes = entry.data.size()};
        break;
      default:
        break;
    }
  }
  if (choices_.settled >= log_.size()) SettleContents();
}

void CrashReplay::SettleContents() {
  for (auto& [inode, file] : files_) {
    file.durable_bytes = file.content.size();
    file.before_replacing.reset();
  }
}

// Which operations on names survive, by their index in the log.
std::vector<bool> CrashReplay::LandedNames() {
  const uint64_t out_of_8 = 1 + Below(7);
  std::vector<bool> landed(log_.size());
  std::set<InodeId> synced;              // directories that are synced later than `i`
  std::set<DirectorySlot> landed_later;  // an earlier change of these cannot be missing
  for (size_t i = log_.size(); i-- > 0;) {
    const DiskLogEntry& entry = log_[i];
    if (entry.operation.kind == Kind::kSyncDirectory && !IsLost(entry)) synced.insert(entry.inode);
    if (!ChangesNames(entry)) continue;
    const bool is_rename = entry.operation.kind == Kind::kRename;
    landed[i] = i < choices_.settled || synced.contains(entry.slot.directory) ||
                landed_later.contains(entry.slot) ||
                (is_rename && (synced.contains(entry.to_slot.directory) ||
                               landed_later.contains(entry.to_slot)));
    if (!landed[i]) {
      landed[i] = choices_.policy == CrashPolicy::kKeepAll ||
                  choices_.policy == CrashPolicy::kKeepNamesDropData ||
                  (choices_.policy == CrashPolicy::kRandom && Below(8) < out_of_8) ||
                  (choices_.policy == CrashPolicy::kChosen && choices_.choose(2) == 1);
    }
    if (!landed[i]) continue;
    landed_later.insert(entry.slot);
    if (is_rename) landed_later.insert(entry.to_slot);
  }
  return landed;
}

void CrashReplay::ReplayNames() {
  const std::vector<bool> landed = LandedNames();
  for (size_t i = 0; i < log_.size(); ++i) {
    if (!landed[i]) continue;
    const DiskLogEntry& entry = log_[i];
    auto& entries = directories_[entry.slot.directory];
    if (entry.operation.kind == Kind::kUnlink) {
      entries.erase(entry.slot.name);
    } else if (entry.operation.kind == Kind::kRename) {
      entries.erase(entry.slot.name);
      directories_[entry.to_slot.directory][entry.to_slot.name] = entry.inode;
    } else {
      entries[entry.slot.name] = entry.inode;
    }
  }
}

// What the root does not lead to is lost, synced or not.
void CrashReplay::Collect(InodeId directory, const std::string& prefix) {
  for (const auto& [name, inode] : directories_[directory]) {
    const std::string path = prefix + name;
    if (const auto file = files_.find(inode); file != files_.end()) {
      image_[path] = ContentAfterCrash(file->second);
    } else {
      image_[path] = std::nullopt;
      Collect(inode, path + "/");
    }
  }
}

Bytes DurableContent(const FileState& file) {
  if (file.before_replacing) return *file.before_replacing;
  return Bytes(file.content.begin(),
               file.content.begin() + static_cast<ptrdiff_t>(file.durable_bytes));
}

Bytes CrashReplay::ContentAfterCrash(const FileState& file) {
  const bool all_synced = file.durable_bytes == file.content.size() && !file.before_replacing;
  if (all_synced || choices_.policy == CrashPolicy::kKeepAll) return file.content;
  if (choices_.policy == CrashPolicy::kChosen) return ChosenContent(file);
  if (choices_.policy != CrashPolicy::kRandom) return DurableContent(file);
  switch (Below(4)) {
    case 0:
      return file.content;
    case 1:
      return DurableContent(file);
    default:
      return TornContent(file);
  }
}

Bytes CrashReplay::TornContent(const FileState& file) {
  const size_t sector = Below(2) == 0 ? 512 : 4096;
  const size_t unsynced = file.content.size() - file.durable_bytes;
  const size_t size =
      Below(2) == 0 ? file.content.size() : file.durable_bytes + Below(uint64_t{unsynced} + 1);
  Bytes torn(file.content.begin(), file.content.begin() + static_cast<ptrdiff_t>(size));
  for (size_t begin = file.durable_bytes; begin < size;) {
    const size_t end = std::min(size, (begin / sector + 1) * sector);
    const uint64_t fate = Below(3);
    for (size_t i = begin; fate > 0 && i < end; ++i) {
      torn[i] = fate == 1 ? 0 : static_cast<uint8_t>(random_());
    }
    begin = end;
  }
  return torn;
}

// Of what no sync covers: all, nothing, its length alone, or one half of its sectors, with the
// length or without what is behind.
Bytes CrashReplay::ChosenContent(const FileState& file) {
  constexpr size_t kSector = 512;
  const size_t size = file.content.size();
  const size_t half = file.durable_bytes + (size - file.durable_bytes) / 2;
  const size_t middle = std::clamp(half / kSector * kSector, file.durable_bytes, size);
  const bool has_halves = middle > file.durable_bytes && middle < size;
  Bytes content = file.content;
  const auto at = [&](size_t offset) { return content.begin() + static_cast<ptrdiff_t>(offset); };
  switch (choices_.choose(has_halves ? 6 : 3)) {
    case 0:
      return content;
    case 1:
      return DurableContent(file);
    case 2:
      std::fill(at(file.durable_bytes), content.end(), uint8_t{0});
      return content;
    case 3:
      content.resize(middle);
      return content;
    case 4:
      std::fill(at(middle), content.end(), uint8_t{0});
      return content;
    default:
      std::fill(at(file.durable_bytes), at(middle), uint8_t{0});
      return content;
  }
}

}  // namespace

DiskImage CrashImage(std::span<const DiskLogEntry> log, const CrashChoices& choices) {
  return CrashReplay(log, choices).Run();
}

}  // namespace cairn
