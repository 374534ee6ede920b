// SPDX-License-Identifier: Apache-2.0
#include "core/repo/snapshot_object.h"

#include <algorithm>
#include <string_view>

#include "core/base/coding.h"
#include "core/tree/entry.h"

namespace cairn {
namespace {

constexpr uint64_t kObjectVersion = 1;
constexpr size_t kMaxTextBytes = 1 * kMiB;
constexpr size_t kMaxPathBytes = 1 * kMiB;
constexpr uint64_t kMaxListBytes = 1 * kGiB;
constexpr uint32_t kMaxListPartBytes = 1 * kMiB;

void PutTime(Encoder& out, const Timestamp& time) {
  out.SignedVarint(time.seconds);
  out.Varint(time.nanoseconds);
}

Timestamp GetTime(Decoder& in) {
  Timestamp time;
  time.seconds = in.SignedVarint();
  time.nanoseconds = static_cast<uint32_t>(in.VarintUpTo(999'999'999));
  return time;
}

void PutStrings(Encoder& out, const std::vector<std::string>& strings) {
  out.Varint(strings.size());
  for (const std::string& text : strings) out.String(text);
}

std::vector<std::string> GetAscendingStrings(Decoder& in, size_t max_bytes) {
  std::vector<std::string> strings(in.Count(1));
  for (size_t i = 0; i < strings.size() && in.ok(); ++i) {
    strings[i] = in.Text(max_bytes);
    if (i > 0 && in.ok() && strings[i] <= strings[i - 1]) in.Fail("strings are out of order");
  }
  return strings;
}

void PutList(Encoder& out, const LongList& list) {
  if (list.parts.empty()) {
    out.Varint(list.inline_bytes.size());
    out.Fixed8(0);
    out.Raw(list.inline_bytes);
    return;
  }
  uint64_t bytes = 0;
  for (const LongList::Part& part : list.parts) bytes += part.bytes;
  out.Varint(bytes);
  out.Fixed8(1);
  out.Varint(list.parts.size());
  for (const LongList::Part& part : list.parts) {
    out.Varint(part.bytes);
    out.Raw(part.chunk.span());
  }
}

LongList GetList(Decoder& in) {
  LongList list;
  const uint64_t bytes = in.VarintUpTo(kMaxListBytes);
  const uint8_t form = in.Fixed8();
  if (form > 1) in.Fail("form of a list is neither 0 nor 1");
  if (form == 0) {
    if (bytes > kMaxInlineListBytes) in.Fail("inline list is too long");
    const ByteSpan inline_bytes = in.Raw(static_cast<size_t>(bytes));
    list.inline_bytes.assign(inline_bytes.begin(), inline_bytes.end());
    return list;
  }
  list.parts.resize(in.Count(1 + BlobId::kBytes));
  uint64_t sum = 0;
  for (LongList::Part& part : list.parts) {
    part.bytes = static_cast<uint32_t>(in.VarintUpTo(kMaxListPartBytes));
    part.chunk = in.ReadId<BlobId>();
    sum += part.bytes;
  }
  if (sum != bytes || bytes <= kMaxInlineListBytes) in.Fail("list parts do not add up");
  return list;
}

// "/", or valid names behind single slashes.
bool IsCleanPath(std::string_view path) {
  if (path == "/") return true;
  if (path.empty() || path.front() != '/') return false;
  for (size_t end = 0; end < path.size();) {
    const size_t begin = end + 1;
    end = std::min(path.find('/', begin), path.size());
    if (!IsValidName(path.substr(begin, end - begin))) return false;
  }
  return true;
}

// The statistics in the order of the format.
template <typename Statistics, typename Visit>
void ForEachStatistic(Statistics& s, Visit visit) {
  for (auto* value : {&s.files, &s.directories, &s.others, &s.bytes, &s.files_new, &s.files_changed,
                      &s.files_unchanged, &s.bytes_read, &s.blobs_added, &s.raw_bytes_added,
                      &s.stored_bytes_added}) {
    visit(*value);
  }
}

}  // namespace

StatusOr<LongList> MakeLongList(ByteSpan bytes, BlobSink& sink) {
  LongList list;
  if (bytes.size() > kMaxListBytes) return ResourceExhausted("list of a snapshot is over 1 GiB");
  if (bytes.size() <= kMaxInlineListBytes) {
    list.inline_bytes.assign(bytes.begin(), bytes.end());
    return list;
  }
  while (!bytes.empty()) {
    const ByteSpan part = bytes.first(std::min<size_t>(bytes.size(), kMaxListPartBytes));
    ASSIGN_OR_RETURN(const BlobId id, sink.WriteBlob(BlobKind::kChunk, part));
    list.parts.push_back({static_cast<uint32_t>(part.size()), id});
    bytes = bytes.subspan(part.size());
  }
  return list;
}

StatusOr<Bytes> ReadLongList(const LongList& list, BlobSource& source) {
  Bytes bytes = list.inline_bytes;
  for (const LongList::Part& part : list.parts) {
    ASSIGN_OR_RETURN(const Bytes chunk, source.ReadBlob({BlobKind::kChunk, part.chunk}));
    if (chunk.size() != part.bytes) return DataLoss("part of a snapshot's list has another size");
    Append(bytes, chunk);
  }
  return bytes;
}

Bytes EncodeSnapshotObject(const SnapshotObject& object) {
  Bytes bytes;
  Encoder out(bytes);
  out.Varint(kObjectVersion);
  out.Raw(object.root.span());
  PutTime(out, object.time);
  PutTime(out, object.started);
  PutTime(out, object.finished);
  out.String(object.host);
  out.String(object.user);
  out.Varint(object.uid);
  out.Varint(object.gid);
  out.String(object.message);
  PutStrings(out, object.paths);
  PutStrings(out, object.tags);
  out.Fixed8(object.parent.has_value() ? 1 : 0);
  if (object.parent) out.Raw(object.parent->span());
  ForEachStatistic(object.statistics, [&](uint64_t value) { out.Varint(value); });
  for (const LongList* list : {&object.excludes, &object.errors, &object.skipped, &object.owners}) {
    PutList(out, *list);
  }
  out.String(object.program);
  out.Raw(object.nonce);
  return bytes;
}

Timestamp TimeOfSnapshot(ByteSpan object) {
  const StatusOr<SnapshotObject> decoded = DecodeSnapshotObject(object);
  return decoded.ok() ? decoded->time : Timestamp{};
}

StatusOr<SnapshotObject> DecodeSnapshotObject(ByteSpan bytes) {
  Decoder in(bytes);
  SnapshotObject object;
  const uint64_t version = in.Varint();
  if (in.ok() && version != kObjectVersion) {
    return Unimplemented("snapshot object of version " + std::to_string(version) +
                         ": a newer cairn made it");
  }
  object.root = in.ReadId<BlobId>();
  object.time = GetTime(in);
  object.started = GetTime(in);
  object.finished = GetTime(in);
  object.host = in.Text(kMaxTextBytes);
  object.user = in.Text(kMaxTextBytes);
  object.uid = static_cast<uint32_t>(in.VarintUpTo(UINT32_MAX));
  object.gid = static_cast<uint32_t>(in.VarintUpTo(UINT32_MAX));
  object.message = in.Text(kMaxTextBytes);
  object.paths = GetAscendingStrings(in, kMaxPathBytes);
  if (in.ok() && object.paths.empty()) in.Fail("no paths");
  // Nothing could be listed by such a one.
  if (!std::ranges::all_of(object.paths, IsCleanPath)) in.Fail("a path is not absolute and clean");
  object.tags = GetAscendingStrings(in, kMaxTextBytes);
  if (const uint8_t has_parent = in.Fixed8(); has_parent == 1) {
    object.parent = in.ReadId<SnapshotId>();
  } else if (has_parent != 0) {
    in.Fail("parent mark is neither 0 nor 1");
  }
  ForEachStatistic(object.statistics, [&](uint64_t& value) { value = in.Varint(); });
  for (LongList* list : {&object.excludes, &object.errors, &object.skipped, &object.owners}) {
    *list = GetList(in);
  }
  object.program = in.Text(kMaxTextBytes);
  const ByteSpan nonce = in.Raw(object.nonce.size());
  if (nonce.size() == object.nonce.size()) {
    std::copy(nonce.begin(), nonce.end(), object.nonce.begin());
  }
  RETURN_IF_ERROR(in.Finish("snapshot object"));
  return object;
}

std::vector<BlobRef> SnapshotReferences(const SnapshotObject& object) {
  std::vector<BlobRef> references = {{BlobKind::kRoot, object.root}};
  for (const LongList* list : {&object.excludes, &object.errors, &object.skipped, &object.owners}) {
    for (const LongList::Part& part : list->parts) {
      references.push_back({BlobKind::kChunk, part.chunk});
    }
  }
  return references;
}

Bytes EncodePathNotes(const std::vector<PathNote>& notes) {
  Bytes bytes;
  for (const PathNote& note : notes) {
    Append(bytes, AsBytes(note.path));
    bytes.push_back(0);
    Append(bytes, AsBytes(note.text));
    bytes.push_back(0);
  }
  return bytes;
}

StatusOr<std::vector<PathNote>> DecodePathNotes(ByteSpan bytes) {
  std::vector<PathNote> notes;
  std::string_view rest = AsText(bytes);
  while (!rest.empty()) {
    const size_t path_end = rest.find('\0');
    const size_t text_end =
        path_end == std::string_view::npos ? path_end : rest.find('\0', path_end + 1);
    if (text_end == std::string_view::npos) return DataLoss("list of paths is cut short");
    notes.push_back({std::string(rest.substr(0, path_end)),
                     std::string(rest.substr(path_end + 1, text_end - path_end - 1))});
    rest.remove_prefix(text_end + 1);
  }
  return notes;
}

SnapshotInfo InfoOf(const SnapshotId& id, uint64_t record, bool held,
                    const std::optional<std::vector<std::string>>& tags,
                    const SnapshotObject& object) {
  SnapshotInfo info;
  info.id = id;
  info.record = record;
  info.time = object.time;
  info.host = object.host;
  info.user = object.user;
  info.paths = object.paths;
  info.tags = tags ? *tags : object.tags;
  info.held = held;
  info.message = object.message;
  info.root = object.root;
  return info;
}

std::string TopPath(const SnapshotObject& object) {
  if (object.paths.size() == 1) return object.paths.front();
  // The deepest directory that holds all: the common prefix of whole parts, of the first and the
  // last path, as they ascend, and of those between.
  std::string common = object.paths.front();
  for (const std::string& path : object.paths) {
    size_t same = 0;
    size_t part_end = 0;
    while (same < common.size() && same < path.size() && common[same] == path[same]) {
      if (common[same] == '/') part_end = same;
      ++same;
    }
    if (same == path.size() && same < common.size() && common[same] == '/') part_end = same;
    if (same == common.size() && (same == path.size() || path[same] == '/')) part_end = same;
    common.resize(part_end);
  }
  return common.empty() ? "/" : common;
}

}  // namespace cairn
