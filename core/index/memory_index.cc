// SPDX-License-Identifier: Apache-2.0
#include "core/index/memory_index.h"

#include <algorithm>
#include <compare>
#include <limits>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "core/base/check.h"
#include "core/base/mutex.h"

namespace cairn {
namespace {

struct BlobEntry {
  BlobId id;
  BlobKind kind = BlobKind::kChunk;
  Place place;
  friend auto operator<=>(const BlobEntry&, const BlobEntry&) = default;
};

struct PackEntry {
  IndexPack row;
  std::vector<FrameInfo> frames;
};

// All that the index knows.
struct State {
  IndexHead head;
  PackNumber next_pack = 1;
  std::map<PackNumber, PackEntry> packs;
  absl::flat_hash_map<PackName, PackNumber> numbers;
  absl::btree_set<BlobEntry> blobs;
  std::map<std::pair<uint64_t, SnapshotId>, IndexSnapshot> snapshots;  // by record, then id
  std::map<SnapshotId, uint64_t> records;
  std::set<std::tuple<Timestamp, uint64_t, SnapshotId>> times;
  std::map<Bytes, Bytes> notes;

  bool IsPurged(PackNumber number) const;
  void SetPackState(const PackName& name, PackState pack_state);
  // In state kPurged; unless it is there with as many frames.
  void BeginPack(PackNumber number, const PackInfo& info, const std::vector<FrameInfo>& frames,
                 uint32_t blob_count);
  void RemovePacks(std::span<const PackName> names);
  void PutSnapshot(const IndexSnapshot& snapshot);
  void RemoveSnapshot(const SnapshotId& id);
  void Clear();
};

BlobEntry EntryOf(const BlobInfo& blob, PackNumber pack, uint32_t ordinal) {
  return {blob.ref.id, blob.ref.kind, {pack, ordinal, blob.frame, blob.offset, blob.bytes}};
}

bool State::IsPurged(PackNumber number) const {
  const auto pack = packs.find(number);
  return pack != packs.end() && pack->second.row.state == PackState::kPurged;
}

void State::SetPackState(const PackName& name, PackState pack_state) {
  const auto number = numbers.find(name);
  if (number != numbers.end()) packs[number->second].row.state = pack_state;
}

void State::BeginPack(PackNumber number, const PackInfo& info, const std::vector<FrameInfo>& frames,
                      uint32_t blob_count) {
  next_pack = std::max(next_pack, number + 1);
  numbers[info.name] = number;
  const auto frame_count = static_cast<uint32_t>(frames.size());
  const auto [pack, is_new] = packs.try_emplace(number);
  if (!is_new && pack->second.row.frames >= frame_count) return;
  pack->second = {{number, info, PackState::kPurged, frame_count, blob_count}, frames};
}

void State::RemovePacks(std::span<const PackName> names) {
  absl::flat_hash_set<PackNumber> removed;
  for (const PackName& name : names) {
    const auto number = numbers.find(name);
    if (number == numbers.end()) continue;
    removed.insert(number->second);
    packs.erase(number->second);
    numbers.erase(number);
  }
  if (removed.empty()) return;
  absl::erase_if(blobs, [&](const BlobEntry& entry) { return removed.contains(entry.place.pack); });
}

void State::PutSnapshot(const IndexSnapshot& snapshot) {
  RemoveSnapshot(snapshot.id);
  records[snapshot.id] = snapshot.record;
  times.emplace(snapshot.time, snapshot.record, snapshot.id);
  snapshots[{snapshot.record, snapshot.id}] = snapshot;
}

void State::RemoveSnapshot(const SnapshotId& id) {
  const auto record = records.find(id);
  if (record == records.end()) return;
  const auto snapshot = snapshots.find({record->second, id});
  times.erase({snapshot->second.time, record->second, id});
  snapshots.erase(snapshot);
  records.erase(record);
}

void State::Clear() {
  State empty;
  empty.next_pack = next_pack;  // numbers are never reused
  empty.notes = std::move(notes);
  *this = std::move(empty);
}

std::optional<Bytes> FindNoteIn(const State& state, ByteSpan key) {
  const auto note = state.notes.find(Bytes(key.begin(), key.end()));
  if (note == state.notes.end()) return std::nullopt;
  return note->second;
}

Status CheckNoteKey(ByteSpan key) {
  if (!key.empty() && key.size() <= kMaxNoteKeyBytes) return OkStatus();
  return InvalidArgument("index: a note's key has 1 to 256 bytes");
}

class MemoryIndex : public Index {
 public:
  StatusOr<std::unique_ptr<IndexReader>> Read() override;
  StatusOr<std::unique_ptr<IndexWriter>> Write() override;
  StatusOr<uint64_t> StoredBytes() override { return 0; }

  // For the readers and the writer below.
  void Release(std::shared_ptr<const State> state) ABSL_LOCKS_EXCLUDED(mutex_);
  void Apply(const std::function<void(State&)>& change) ABSL_LOCKS_EXCLUDED(mutex_);
  void EndWrite() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  Mutex mutex_;
  CondVar writer_left_;
  bool has_writer_ ABSL_GUARDED_BY(mutex_) = false;
  // Owners: this index, and every reader made since the last commit. References are taken and
  // given back under mutex_ only, so that a count of one means that nobody else looks.
  std::shared_ptr<State> state_ ABSL_GUARDED_BY(mutex_) = std::make_shared<State>();
};

class MemoryReader : public IndexReader {
 public:
  MemoryReader(MemoryIndex& index, std::shared_ptr<const State> state)
      : index_(index), state_(std::move(state)) {}
  ~MemoryReader() override { index_.Release(std::move(state_)); }

  StatusOr<IndexHead> Head() override { return state_->head; }

  StatusOr<PlaceList> FindBlob(const BlobRef& ref) override {
    PlaceList places;
    for (auto at = state_->blobs.lower_bound({ref.id, ref.kind, {}});
         at != state_->blobs.end() && at->id == ref.id && at->kind == ref.kind; ++at) {
      if (!state_->IsPurged(at->place.pack)) places.push_back(at->place);
    }
    return places;
  }

  StatusOr<std::vector<PlacedBlob>> FindBase(const BaseId& prefix) override {
    BlobEntry first{{}, BlobKind{0}, {}};
    std::copy(prefix.begin(), prefix.end(), first.id.bytes.begin());
    std::vector<PlacedBlob> places;
    for (auto at = state_->blobs.lower_bound(first); at != state_->blobs.end(); ++at) {
      if (!std::equal(prefix.begin(), prefix.end(), at->id.bytes.begin())) break;
      if (!state_->IsPurged(at->place.pack)) places.push_back({{at->kind, at->id}, at->place});
    }
    return places;
  }

  StatusOr<uint64_t> CountPlaces() override { return state_->blobs.size(); }

  StatusOr<std::optional<IndexPack>> FindPack(PackNumber number) override {
    const auto pack = state_->packs.find(number);
    if (pack == state_->packs.end()) return std::nullopt;
    return pack->second.row;
  }

  StatusOr<std::optional<IndexPack>> FindPackByName(const PackName& name) override {
    const auto number = state_->numbers.find(name);
    if (number == state_->numbers.end()) return std::nullopt;
    return FindPack(number->second);
  }

  StatusOr<std::optional<FrameInfo>> FindFrame(PackNumber number, uint32_t frame) override {
    const auto pack = state_->packs.find(number);
    if (pack == state_->packs.end() || frame >= pack->second.frames.size()) return std::nullopt;
    return pack->second.frames[frame];
  }

  StatusOr<std::optional<IndexSnapshot>> FindSnapshot(const SnapshotId& id) override {
    const auto record = state_->records.find(id);
    if (record == state_->records.end()) return std::nullopt;
    return state_->snapshots.at({record->second, id});
  }

  Status ForEachPack(const std::function<bool(const IndexPack&)>& visit) override {
    for (const auto& [number, pack] : state_->packs) {
      if (!visit(pack.row)) break;
    }
    return OkStatus();
  }

  Status ForEachBlob(const std::function<bool(const BlobRef&, const Place&)>& visit) override {
    for (const BlobEntry& entry : state_->blobs) {
      if (state_->IsPurged(entry.place.pack)) continue;
      if (!visit({entry.kind, entry.id}, entry.place)) break;
    }
    return OkStatus();
  }

  Status ForEachSnapshot(const std::function<bool(const IndexSnapshot&)>& visit) override {
    for (const auto& [key, snapshot] : state_->snapshots) {
      if (!visit(snapshot)) break;
    }
    return OkStatus();
  }

  Status ForEachSnapshotBefore(const Timestamp& latest,
                               const std::function<bool(const IndexSnapshot&)>& visit) override {
    SnapshotId last;
    last.bytes.fill(0xff);
    auto at = state_->times.upper_bound({latest, std::numeric_limits<uint64_t>::max(), last});
    while (at != state_->times.begin()) {
      --at;
      if (!visit(state_->snapshots.at({std::get<1>(*at), std::get<2>(*at)}))) break;
    }
    return OkStatus();
  }

  Status ForEachSnapshotFrom(const SnapshotId& first,
                             const std::function<bool(const IndexSnapshot&)>& visit) override {
    for (auto at = state_->records.lower_bound(first); at != state_->records.end(); ++at) {
      if (!visit(state_->snapshots.at({at->second, at->first}))) break;
    }
    return OkStatus();
  }

  StatusOr<std::optional<Bytes>> FindNote(ByteSpan key) override {
    RETURN_IF_ERROR(CheckNoteKey(key));
    return FindNoteIn(*state_, key);
  }

 private:
  MemoryIndex& index_;
  std::shared_ptr<const State> state_;  // see MemoryIndex::state_
};

// Collects changes and applies them at Commit. What it reads itself (head, notes, and the packs'
// numbers and states) it keeps where it can find it.
class MemoryWriter : public IndexWriter {
 public:
  // `base` stays unchanged until this writer commits.
  MemoryWriter(MemoryIndex& index, const State& base)
      : index_(index), base_(base), head_(base.head), next_pack_(base.next_pack) {}
  ~MemoryWriter() override {
    if (!committed_) index_.EndWrite();
  }

  StatusOr<IndexHead> Head() override {
    RETURN_IF_ERROR(error_);
    return head_;
  }
  Status SetHead(const IndexHead& head) override {
    RETURN_IF_ERROR(error_);
    head_ = head;
    return OkStatus();
  }

  Status AddPacks(std::span<const PackContents> packs) override {
    for (const PackContents& pack : packs) {
      const auto count = static_cast<uint32_t>(pack.blobs.size());
      ASSIGN_OR_RETURN(const auto number, BeginPack(pack.info, pack.frames, count));
      RETURN_IF_ERROR(SetPackState(pack.info.name, pack.state));
      if (!number) continue;
      std::vector<BlobEntry> entries;
      for (uint32_t i = 0; i < count; ++i) entries.push_back(EntryOf(pack.blobs[i], *number, i));
      RETURN_IF_ERROR(Insert(std::move(entries)));
    }
    return OkStatus();
  }
  StatusOr<std::optional<PackNumber>> BeginPack(const PackInfo& info,
                                                std::span<const FrameInfo> frames,
                                                uint32_t blobs) override {
    RETURN_IF_ERROR(error_);
    const std::optional<KnownPack> known = FindPack(info.name);
    if (known && known->state != PackState::kPurged) return std::nullopt;
    const PackNumber number = known ? known->number : next_pack_++;
    packs_[info.name] = KnownPack{number, PackState::kPurged};
    RETURN_IF_ERROR(Later([number, info, blobs, all = std::vector(frames.begin(), frames.end())](
                              State& state) { state.BeginPack(number, info, all, blobs); }));
    return number;
  }
  Status AddPlaces(std::span<const PlacedBlob> places) override {
    std::vector<BlobEntry> entries;
    for (const auto& [ref, place] : places) entries.push_back({ref.id, ref.kind, place});
    return Insert(std::move(entries));
  }
  bool IsLarge() const override { return false; }
  Status SetPackState(const PackName& name, PackState pack_state) override {
    if (std::optional<KnownPack> known = FindPack(name)) {
      packs_[name] = KnownPack{known->number, pack_state};
    }
    return Later([=](State& state) { state.SetPackState(name, pack_state); });
  }
  StatusOr<bool> RemovePacks(std::span<const PackName> names, BlobId&) override {
    for (const PackName& name : names) packs_[name] = std::nullopt;
    RETURN_IF_ERROR(Later(
        [all = std::vector(names.begin(), names.end())](State& state) { state.RemovePacks(all); }));
    return true;
  }
  Status PutSnapshot(const IndexSnapshot& snapshot) override {
    return Later([snapshot](State& state) { state.PutSnapshot(snapshot); });
  }
  Status RemoveSnapshot(const SnapshotId& id) override {
    return Later([id](State& state) { state.RemoveSnapshot(id); });
  }
  Status Clear() override {
    head_ = {};
    cleared_ = true;
    packs_.clear();
    return Later([](State& state) { state.Clear(); });
  }

  StatusOr<std::optional<Bytes>> FindNote(ByteSpan key) override {
    RETURN_IF_ERROR(CheckKey(key));
    const auto changed = notes_.find(Bytes(key.begin(), key.end()));
    if (changed != notes_.end()) return changed->second;
    return FindNoteIn(base_, key);
  }
  Status PutNote(ByteSpan key, ByteSpan value) override {
    RETURN_IF_ERROR(CheckKey(key));
    notes_[Bytes(key.begin(), key.end())] = Bytes(value.begin(), value.end());
    return OkStatus();
  }
  Status RemoveNote(ByteSpan key) override {
    RETURN_IF_ERROR(CheckKey(key));
    notes_[Bytes(key.begin(), key.end())] = std::nullopt;
    return OkStatus();
  }
  Status RemoveNotes(ByteSpan prefix) override {
    RETURN_IF_ERROR(error_);
    const Bytes first(prefix.begin(), prefix.end());
    const auto has_prefix = [&](const Bytes& key) {
      return key.size() >= first.size() && std::equal(first.begin(), first.end(), key.begin());
    };
    for (auto note = notes_.lower_bound(first); note != notes_.end(); ++note) {
      if (!has_prefix(note->first)) break;
      note->second = std::nullopt;
    }
    for (auto note = base_.notes.lower_bound(first); note != base_.notes.end(); ++note) {
      if (!has_prefix(note->first)) break;
      notes_[note->first] = std::nullopt;
    }
    return OkStatus();
  }

  Status Commit() override {
    RETURN_IF_ERROR(error_);
    index_.Apply([this](State& state) {
      for (const auto& change : changes_) change(state);
      state.head = head_;
      for (auto& [key, value] : notes_) {
        if (value) {
          state.notes[key] = *std::move(value);
        } else {
          state.notes.erase(key);
        }
      }
    });
    committed_ = true;
    error_ = Internal("index: the writer has committed already");
    return OkStatus();
  }

 private:
  struct KnownPack {
    PackNumber number = 0;
    PackState state = PackState::kLive;
  };

  // As it is after the calls so far.
  std::optional<KnownPack> FindPack(const PackName& name) const {
    if (const auto changed = packs_.find(name); changed != packs_.end()) return changed->second;
    const auto number = base_.numbers.find(name);
    if (cleared_ || number == base_.numbers.end()) return std::nullopt;
    return KnownPack{number->second, base_.packs.at(number->second).row.state};
  }
  Status Insert(std::vector<BlobEntry> entries) {
    return Later(
        [all = std::move(entries)](State& state) { state.blobs.insert(all.begin(), all.end()); });
  }
  Status Later(std::function<void(State&)> change) {
    RETURN_IF_ERROR(error_);
    changes_.push_back(std::move(change));
    return OkStatus();
  }
  Status CheckKey(ByteSpan key) {
    RETURN_IF_ERROR(error_);
    error_ = CheckNoteKey(key);
    return error_;
  }

  MemoryIndex& index_;
  const State& base_;
  IndexHead head_;
  std::vector<std::function<void(State&)>> changes_;  // in the order of the calls
  std::map<Bytes, std::optional<Bytes>> notes_;       // new values; nothing for a removed one
  PackNumber next_pack_;
  bool cleared_ = false;
  absl::flat_hash_map<PackName, std::optional<KnownPack>> packs_;  // changed; nothing: removed
  Status error_;
  bool committed_ = false;
};

StatusOr<std::unique_ptr<IndexReader>> MemoryIndex::Read() {
  MutexLock lock(mutex_);
  return std::make_unique<MemoryReader>(*this, state_);
}

StatusOr<std::unique_ptr<IndexWriter>> MemoryIndex::Write() {
  MutexLock lock(mutex_);
  while (has_writer_) writer_left_.Wait(mutex_);
  has_writer_ = true;
  return std::make_unique<MemoryWriter>(*this, *state_);
}

void MemoryIndex::Release(std::shared_ptr<const State> state) {
  MutexLock lock(mutex_);
  state.reset();
}

void MemoryIndex::Apply(const std::function<void(State&)>& change) {
  {
    MutexLock lock(mutex_);
    CHECK(has_writer_);
    if (state_.use_count() > 1) state_ = std::make_shared<State>(*state_);
    change(*state_);
  }
  EndWrite();
}

void MemoryIndex::EndWrite() {
  MutexLock lock(mutex_);
  has_writer_ = false;
  writer_left_.NotifyOne();
}

}  // namespace

std::unique_ptr<Index> NewMemoryIndex() { return std::make_unique<MemoryIndex>(); }

}  // namespace cairn
