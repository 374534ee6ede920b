// SPDX-License-Identifier: Apache-2.0
#include "cli/listing.h"

#include <array>

#include "absl/strings/str_format.h"
#include "cli/text.h"
#include "core/base/clock.h"

namespace cairn {
namespace {

char TypeLetter(EntryType type) {
  switch (type) {
    case EntryType::kFile:
      return '-';
    case EntryType::kDirectory:
    case EntryType::kPartialDirectory:
      return 'd';
    case EntryType::kSymlink:
      return 'l';
    case EntryType::kFifo:
      return 'p';
    case EntryType::kSocket:
      return 's';
    case EntryType::kCharacterDevice:
      return 'c';
    case EntryType::kBlockDevice:
      return 'b';
  }
  return '?';
}

}  // namespace

const char* ShortTypeName(EntryType type) {
  switch (type) {
    case EntryType::kFile:
      return "file";
    case EntryType::kDirectory:
    case EntryType::kPartialDirectory:
      return "dir";
    case EntryType::kSymlink:
      return "symlink";
    case EntryType::kFifo:
      return "fifo";
    case EntryType::kSocket:
      return "socket";
    case EntryType::kCharacterDevice:
      return "chardev";
    case EntryType::kBlockDevice:
      return "dev";
  }
  return "unknown";
}

std::string PermissionsText(const Entry& entry) {
  std::string text(1, TypeLetter(entry.type));
  if (entry.type == EntryType::kPartialDirectory) return text + "?????????";
  // A symlink has no mode of its own: Linux shows all bits.
  const uint32_t mode = entry.type == EntryType::kSymlink ? 0777 : entry.mode;
  constexpr std::string_view kLetters = "rwxrwxrwx";
  for (size_t i = 0; i < kLetters.size(); ++i) {
    text.push_back((mode >> (8 - i)) & 1 ? kLetters[i] : '-');
  }
  const auto special = [&](uint32_t bit, size_t at, char with_x, char without_x) {
    if (mode & bit) text[at] = text[at] == 'x' ? with_x : without_x;
  };
  special(04000, 3, 's', 'S');
  special(02000, 6, 's', 'S');
  special(01000, 9, 't', 'T');
  return text;
}

std::string LongLine(const std::string& path, const Entry& entry) {
  const std::string name = EscapeName(path);
  if (entry.type == EntryType::kPartialDirectory) {
    return absl::StrFormat("%s %5s %5s %12s %19s %s", PermissionsText(entry), "?", "?", "?", "?",
                           name);
  }
  std::string size = "0";
  if (entry.type == EntryType::kFile) size = absl::StrFormat("%d", entry.size);
  if (entry.type == EntryType::kSymlink) size = absl::StrFormat("%d", entry.target.size());
  if (entry.type == EntryType::kCharacterDevice || entry.type == EntryType::kBlockDevice) {
    size = absl::StrFormat("%d, %d", entry.device.major, entry.device.minor);
  }
  std::string line = absl::StrFormat("%s %5d %5d %12s %s %s", PermissionsText(entry), entry.uid,
                                     entry.gid, size, FormatForPeople(entry.mtime), name);
  if (entry.type == EntryType::kSymlink) line += " -> " + EscapeName(entry.target);
  if (entry.unread) line += " (not read)";
  return line;
}

}  // namespace cairn
