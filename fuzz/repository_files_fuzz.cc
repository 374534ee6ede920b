// SPDX-License-Identifier: Apache-2.0
// The files of a repository, changed: one of four that are made at the start (plain, encrypted,
// with deltas, with a fold), and a list of edits of its objects. Where an edit asks for it, what it
// changes is a record's or a fold's decoded content, or a pack's footer or a stored frame, and all
// hashes, names and checksums above are made to hold again, so that what lies behind them is
// reached.
//
// Input: u8 which repository, then edits: u8 object, u8 kind, u16 where, u8 length, bytes.
//
// Whatever it is: opening it, also beside damage, checking, listing, restoring and repairing ends,
// and what could be read before the repair can be read after it; where the check found nothing, all
// can be read, and a check after the repair finds nothing.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/base/memory_file_system.h"
#include "core/repo/browse.h"
#include "core/repo/check.h"
#include "core/repo/repair.h"
#include "core/store/pack.h"
#include "core/store/record.h"
#include "core/store/twin.h"
#include "fuzz/bounded_restore.h"
#include "fuzz/golden_repositories.h"

namespace cairn {
namespace {

constexpr size_t kMaxEdits = 8;
constexpr size_t kMaxFileBytes = 64 * 1024;

struct FileEdit {
  uint8_t object = 0;
  uint8_t kind = 0;
  uint16_t where = 0;
  Bytes bytes;
};

void EditBytes(const FileEdit& edit, Bytes& bytes) {
  const size_t at = bytes.empty() ? 0 : edit.where % bytes.size();
  const auto begin = bytes.begin() + static_cast<ptrdiff_t>(at);
  const size_t count = std::min(edit.bytes.size(), bytes.size() - at);
  switch (edit.kind % 5) {
    case 0:
      for (size_t i = 0; i < count; ++i) bytes[at + i] ^= edit.bytes[i];
      break;
    case 1:
      std::copy_n(edit.bytes.begin(), count, begin);
      break;
    case 2:
      bytes.resize(at);
      break;
    case 3:
      bytes.insert(begin, edit.bytes.begin(), edit.bytes.end());
      break;
    default:
      bytes.erase(begin, begin + static_cast<ptrdiff_t>(count));
  }
}

// Applies edits to files, and keeps hashes and names above them true where it is asked to.
class Editor {
 public:
  explicit Editor(const Golden& golden) : golden_(golden), files_(golden.files) {}

  void Apply(const FileEdit& edit) {
    const std::string& object = golden_.objects[edit.object % golden_.objects.size()];
    const auto file = files_.find(NameNow(object));
    switch (edit.kind / 16 % 8) {
      case 0:
      case 1:
        if (file != files_.end()) EditBytes(edit, file->second);
        break;
      case 2:
        if (file != files_.end()) files_.erase(file);
        break;
      case 3:
        Exchange(object, golden_.objects[edit.where % golden_.objects.size()]);
        break;
      case 4:  // another's bytes
        files_[NameNow(object)] =
            golden_.files.at(golden_.objects[edit.where % golden_.objects.size()]);
        break;
      default:
        if (file != files_.end()) EditBehindHashes(object, edit);
    }
    for (auto& [name, bytes] : files_) {
      if (bytes.size() > kMaxFileBytes) bytes.resize(kMaxFileBytes);
    }
  }
  Files Take() { return std::move(files_); }

 private:
  // Records move as the hashes of others change.
  std::string NameNow(const std::string& object) const {
    const auto moved = moved_.find(object);
    return moved == moved_.end() ? object : moved->second;
  }

  void Exchange(const std::string& a, const std::string& b) {
    const auto file = files_.find(NameNow(a));
    const auto other = files_.find(NameNow(b));
    if (file != files_.end() && other != files_.end()) std::swap(file->second, other->second);
  }

  void EditBehindHashes(const std::string& object, const FileEdit& edit) {
    if (object.starts_with("packs/")) {
      if (!object.ends_with(".par")) EditPack(object, edit);
      return;
    }
    const TwinMagic& magic = object == "config"                     ? kConfigMagic
                             : object.starts_with("keys/")          ? kKeyMagic
                             : object.starts_with("journal/folds/") ? kFoldMagic
                                                                    : kRecordMagic;
    EditTwin(object, magic, [&](Bytes& content) { EditBytes(edit, content); });
  }

  // Header fields and payload are edited as one piece.
  template <typename Edit>
  void EditTwin(const std::string& object, const TwinMagic& magic, const Edit& edit) {
    const auto file = files_.find(NameNow(object));
    if (file == files_.end()) return;
    const RepositoryKeys keys = magic == kKeyMagic ? RepositoryKeys() : golden_.keys;
    auto decoded = DecodeTwin(keys, magic, file->second, object);
    if (!decoded.ok()) return;
    Twin& twin = decoded->twin;
    const RecordHash former = twin.hash;
    Bytes content;
    Encoder encoder(content);
    encoder.Raw(twin.payload);
    encoder.Fixed64(twin.number);
    encoder.Fixed32(twin.features);
    encoder.Raw(twin.repository.span());
    edit(content);
    constexpr size_t kTailBytes = 8 + 4 + RepositoryId::kBytes;
    if (content.size() < kTailBytes) return;
    Decoder tail(ByteSpan(content).last(kTailBytes));
    twin.number = tail.Fixed64();
    twin.features = tail.Fixed32();
    twin.repository = tail.ReadId<RepositoryId>();
    twin.payload.assign(content.begin(), content.end() - kTailBytes);
    file->second = EncodeTwin(keys, twin);
    if (magic == kRecordMagic) FollowHash(former, twin.hash);
  }

  // The record after one whose hash has changed: its predecessor, its name, and so its own hash.
  void FollowHash(RecordHash former, RecordHash now) {
    for (size_t steps = 0; steps < golden_.objects.size(); ++steps) {
      bool found = false;
      for (const std::string& object : golden_.objects) {
        if (!object.starts_with("journal/0")) continue;
        const auto file = files_.find(NameNow(object));
        if (file == files_.end()) continue;
        auto decoded = DecodeTwin(golden_.keys, kRecordMagic, file->second, object);
        if (!decoded.ok() || decoded->twin.predecessor != former || former == now) continue;
        Twin& twin = decoded->twin;
        former = twin.hash;
        twin.predecessor = now;
        Bytes bytes = EncodeTwin(golden_.keys, twin);
        const std::string name = RecordName({twin.number - 1, now});
        now = twin.hash;
        files_.erase(file);
        files_[name] = std::move(bytes);
        moved_[object] = name;
        found = true;
        break;
      }
      if (!found) return;
    }
  }

  // Its footer, or a stored frame with its checksum; then the pack's hash, in the record too.
  void EditPack(const std::string& object, const FileEdit& edit) {
    Bytes& file = files_.at(object);
    if (golden_.keys.sealed() || file.size() < kPackHeaderBytes + kPackTrailerBytes) return;
    Decoder trailer(ByteSpan(file).last(kPackTrailerBytes));
    trailer.Raw(8);
    const uint64_t footer_bytes = trailer.Fixed64();
    if (footer_bytes > file.size() - kPackHeaderBytes - kPackTrailerBytes) return;
    const size_t frames_end = file.size() - kPackTrailerBytes - static_cast<size_t>(footer_bytes);
    Bytes footer(file.begin() + static_cast<ptrdiff_t>(frames_end),
                 file.end() - static_cast<ptrdiff_t>(kPackTrailerBytes));
    Bytes header(file.begin(), file.begin() + kPackHeaderBytes);
    Bytes frames(file.begin() + kPackHeaderBytes,
                 file.begin() + static_cast<ptrdiff_t>(frames_end));
    switch (edit.kind / 8 % 4) {
      case 0:
      case 1:
        EditBytes(edit, footer);
        break;
      case 2: {
        auto decoded = DecodePackFooter(footer, 0);
        if (!decoded.ok() || decoded->frames.empty()) return;
        FrameInfo& frame = decoded->frames[edit.where % decoded->frames.size()];
        const auto at = frames.begin() + static_cast<ptrdiff_t>(frame.offset - kPackHeaderBytes);
        if (frame.offset - kPackHeaderBytes + frame.stored_bytes > frames.size()) return;
        Bytes stored(at, at + frame.stored_bytes);
        FileEdit inner = edit;
        inner.kind = edit.kind % 2;  // keeps the length
        EditBytes(inner, stored);
        std::ranges::copy(stored, at);
        const Hash256 hash = Blake3Hash(stored);
        std::copy_n(hash.begin(), frame.checksum.size(), frame.checksum.begin());
        footer = EncodePackFooter(*decoded);
        break;
      }
      default:
        EditBytes(edit, header);
        header.resize(kPackHeaderBytes);
    }
    file = header;
    Append(file, frames);
    Append(file, footer);
    Bytes hashed = header;
    Append(hashed, footer);
    const Hash256 hash = Blake3Keyed(golden_.keys.pack_hash_key(), hashed);
    Encoder encoder(file);
    encoder.Raw(AsBytes("CAIRNEND"));
    encoder.Fixed64(footer.size());
    encoder.Raw(Bytes(16, 0));
    encoder.Raw(hash);
    NameInRecord(object, file.size(), PackHash{hash}, header[64]);
  }

  void NameInRecord(const std::string& pack, uint64_t bytes, const PackHash& hash,
                    uint8_t content) {
    for (const std::string& object : golden_.objects) {
      if (!object.starts_with("journal/0")) continue;
      const auto file = files_.find(NameNow(object));
      if (file == files_.end()) continue;
      auto record = DecodeRecord(golden_.keys, file->second, object);
      if (!record.ok()) continue;
      bool found = false;
      for (PackInfo& info : record->entries.packs) {
        if (PackObjectName(info.name) != pack) continue;
        info.bytes = bytes;
        info.hash = hash;
        info.content = content & kPackContentMask;
        found = true;
      }
      if (!found) continue;
      const RecordHash former = record->hash;
      file->second = EncodeRecord(golden_.keys, *record);
      FollowHash(former, record->hash);
      return;
    }
  }

  const Golden& golden_;
  Files files_;
  std::map<std::string, std::string> moved_;
};

std::vector<FileEdit> ReadEdits(Decoder& input) {
  std::vector<FileEdit> edits;
  while (input.remaining() > 5 && edits.size() < kMaxEdits) {
    FileEdit edit;
    edit.object = input.Fixed8();
    edit.kind = input.Fixed8();
    edit.where = input.Fixed16();
    const size_t length = input.Fixed8();
    const ByteSpan bytes = input.Raw(std::min(length, input.remaining()));
    edit.bytes.assign(bytes.begin(), bytes.end());
    edits.push_back(std::move(edit));
  }
  return edits;
}

// --- what is done with it

struct Findings {
  bool opened = false;
  bool clean = false;
  bool foreign_paths = false;  // a repair would look at the live file system there
  // What can be read: the hash of each file's content.
  std::map<std::pair<SnapshotId, std::string>, Hash256> files;
  bool whole = true;  // nothing failed
};

// Removed when the program ends.
class ScratchDirectory {
 public:
  ScratchDirectory()
      : path_(::access("/dev/shm", W_OK) == 0 ? "/dev/shm/cairn-fuzz.XXXXXX"
                                              : "/tmp/cairn-fuzz.XXXXXX") {
    CHECK(::mkdtemp(path_.data()) != nullptr);
  }
  ~ScratchDirectory() { ::rmdir(path_.c_str()); }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

const std::string& ScratchTarget() {
  static const ScratchDirectory directory;
  return directory.path();
}

// Whatever the snapshot says: it stays below the target, and ends.
void RestoreInto(Repository& repository, const SnapshotView& snapshot) {
  const std::string target = ScratchTarget() + "/out";
  RestoreBounded(repository, snapshot.info.id, target, /*dry_run=*/false);
  std::error_code error;
  std::filesystem::remove_all(target, error);
  CHECK(std::filesystem::is_empty(ScratchTarget()));
}

void ListSnapshot(Repository& repository, const SnapshotView& snapshot, Findings& findings) {
  size_t visits = 0;
  const auto visit = [&](const LocatedEntry& located) -> StatusOr<bool> {
    if (located.entry.type == EntryType::kFile) {
      Blake3 hash;
      const auto add = [&](ByteSpan part) {
        hash.Update(part);
        return OkStatus();
      };
      const bool read = ReadFileContent(repository, located.entry, nullptr, add).ok();
      if (read) findings.files[{snapshot.info.id, located.path}] = hash.Finish();
      findings.whole &= read;
    }
    return ++visits < kMaxVisits;
  };
  findings.whole &= ListPath(repository, snapshot, "/", /*recursive=*/true, nullptr, visit).ok();
  for (const std::string& path : snapshot.object.paths) {
    findings.foreign_paths |= !path.starts_with(kGoldenSource);
  }
}

Findings LookAt(const Golden& golden, MemoryFileSystem& fs) {
  Findings findings;
  RepositoryOptions options = golden.options;
  options.beside_damage = true;
  const auto repository = Repository::Open(fs, options);
  if (!repository.ok()) return findings;
  findings.opened = true;
  CheckOptions check;
  check.threads = 1;
  check.read_data.kind = ReadSubset::Kind::kAll;
  const auto result = Check(**repository, check);
  findings.clean = result.ok() && result->clean();
  const auto snapshots = (*repository)->Snapshots();
  findings.whole = snapshots.ok();
  if (!snapshots.ok()) return findings;
  for (const SnapshotView& snapshot : *snapshots) {
    ListSnapshot(**repository, snapshot, findings);
    RestoreInto(**repository, snapshot);
  }
  return findings;
}

void RunEdited(const Golden& golden, const Files& files) {
  MemoryFileSystem fs;
  fs.SetCapacityBytes(8 * kMiB);  // too little for a reserve
  for (const char* folder : {"keys", "journal", "journal/folds", "packs", "sessions", "tmp"}) {
    fs.CreateDirectory(folder).IgnoreError();
  }
  for (const auto& [path, bytes] : files) {
    if (path.starts_with("packs/")) fs.CreateDirectory(path.substr(0, 8)).IgnoreError();
    auto file = fs.CreateNew(path);
    CHECK(file.ok() && (*file)->Append(bytes).ok());
  }
  const Findings before = LookAt(golden, fs);
  CHECK(!before.clean || before.whole);
  if (before.foreign_paths) return;
  auto repository = Repository::Open(fs, golden.options);
  if (!repository.ok()) return;
  RepairOptions options;
  options.threads = 1;
  const bool repaired = Repair(**repository, options).ok();
  repository->reset();
  const Findings after = LookAt(golden, fs);
  CHECK(!before.opened || after.opened);
  for (const auto& [file, hash] : before.files) {
    const auto found = after.files.find(file);
    CHECK(found != after.files.end() && found->second == hash);
  }
  CHECK(!before.clean || (repaired && after.clean));
}

}  // namespace
}  // namespace cairn

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace cairn;  // NOLINT(google-build-using-namespace)
  if (size == 0) return 0;
  Decoder input(ByteSpan(data, size));
  const Golden& golden = Goldens()[input.Fixed8() % Goldens().size()];
  Editor editor(golden);
  for (const FileEdit& edit : ReadEdits(input)) editor.Apply(edit);
  RunEdited(golden, editor.Take());
  return 0;
}
