// SPDX-License-Identifier: Apache-2.0
#include "core/repo/index_sync.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "core/base/coding.h"
#include "core/base/random.h"

namespace cairn {
namespace {

// Note under which the hash of the record before the head is kept: with it, the head's own record
// can be found by its name, and seen to stand still.
constexpr std::string_view kPredecessorNote = "head/predecessor";
// Note that is changed whenever the index is emptied: who fills it sees that another does too.
constexpr std::string_view kFillingNote = "filling";
// Blobs in one transaction at most, save for a pack that has more: each may take a page of memory.
constexpr size_t kBlobsPerTransaction = 100'000;

IndexHead ToIndexHead(const JournalHead& head) { return {head.number, head.hash}; }

Status SetHead(IndexWriter& writer, const JournalHead& head, const RecordHash& predecessor) {
  RETURN_IF_ERROR(writer.SetHead(ToIndexHead(head)));
  return writer.PutNote(AsBytes(kPredecessorNote), predecessor.span());
}

IndexSnapshot ToIndexSnapshot(const SnapshotRecord& record) {
  return {record.snapshot.id, record.record, record.held, record.tags, record.snapshot.object};
}

}  // namespace

template <typename View>
StatusOr<IndexSync::Basis> IndexSync::BasisOf(View& view) {
  Basis basis;
  ASSIGN_OR_RETURN(basis.head, view.Head());
  ASSIGN_OR_RETURN(std::optional<Bytes> filling, view.FindNote(AsBytes(kFillingNote)));
  if (filling) basis.filling = *std::move(filling);
  return basis;
}

StatusOr<JournalHead> IndexSync::Run() {
  for (;;) {
    JournalHead head;
    {
      ASSIGN_OR_RETURN(const auto reader, index_.Read());
      ASSIGN_OR_RETURN(const IndexHead known, reader->Head());
      head = {known.number, known.hash};
    }
    if (head.number == 0) return Rebuild();
    ASSIGN_OR_RETURN(const std::optional<Record> next, journal_.NextRecord(head));
    if (next) {
      RETURN_IF_ERROR(ApplyRecord(*next).status());
      continue;
    }
    ASSIGN_OR_RETURN(const uint64_t fold, journal_.NewestFold());
    if (fold <= head.number) {
      ASSIGN_OR_RETURN(const bool stands, StillStands(head));
      if (stands) return head;
      if (fold < head.number) return Rebuild();
    }
    ASSIGN_OR_RETURN(const JournalState state, journal_.ReadState());
    const auto& hashes = state.short_hashes();
    const bool same_past = head.number <= hashes.size() &&
                           std::equal(hashes[head.number - 1].begin(),
                                      hashes[head.number - 1].end(), head.hash.bytes.begin());
    if (!same_past) return Rebuild();
    ASSIGN_OR_RETURN(const bool done, ApplyState(state));
    if (done) return state.head();
  }
}

StatusOr<JournalHead> IndexSync::Rebuild() {
  ASSIGN_OR_RETURN(const JournalState state, journal_.ReadState());
  {
    ASSIGN_OR_RETURN(const auto writer, index_.Write());
    RETURN_IF_ERROR(writer->Clear());
    RETURN_IF_ERROR(writer->PutNote(AsBytes(kFillingNote), RandomId<SessionId>().span()));
    RETURN_IF_ERROR(writer->Commit());
  }
  ASSIGN_OR_RETURN(const bool done, ApplyState(state));
  if (done) return state.head();
  // Somebody else fills it now; what they make of it is brought up to the head.
  return Run();
}

Status IndexSync::Fill(const JournalState& state) {
  std::vector<PackEntry> packs;
  for (const auto& [name, entry] : state.packs()) {
    if (entry.state != PackState::kPurged) packs.push_back(entry);
  }
  const auto finish = [&](IndexWriter& writer) -> Status {
    for (const auto& [id, snapshot] : state.snapshots()) {
      RETURN_IF_ERROR(writer.PutSnapshot(ToIndexSnapshot(snapshot)));
    }
    return OkStatus();
  };
  return AddPacks(packs, Basis(), finish).status();
}

StatusOr<bool> IndexSync::StillStands(const JournalHead& head) {
  RecordHash predecessor;
  {
    ASSIGN_OR_RETURN(const auto reader, index_.Read());
    ASSIGN_OR_RETURN(const std::optional<Bytes> note, reader->FindNote(AsBytes(kPredecessorNote)));
    if (!note || note->size() != RecordHash::kBytes) return false;
    predecessor = RecordHash::From(*note);
  }
  const StatusOr<std::optional<Record>> record =
      journal_.NextRecord({head.number - 1, predecessor});
  RETURN_IF_ERROR(record.status());
  return record->has_value() && (*record)->hash == head.hash;
}

StatusOr<PackFooter> IndexSync::Footer(const PackInfo& info) {
  if (known_ != nullptr) {
    if (const auto it = known_->find(info.name); it != known_->end()) return it->second;
  }
  StatusOr<PackFooter> footer = ReadPackFooter(store_, info, repository_);
  // A pack that is damaged, or gone because a later record purges it, must not keep everybody from
  // the others: nothing is found in it then, and `check` names it.
  const StatusCode code = footer.status().code();
  if (code == StatusCode::kNotFound || code == StatusCode::kDataLoss) return PackFooter{};
  return footer;
}

// As they are after the record's holds, releases and tags.
StatusOr<std::vector<IndexSnapshot>> IndexSync::ChangedSnapshots(const RecordEntries& entries) {
  std::map<SnapshotId, IndexSnapshot> changed;
  ASSIGN_OR_RETURN(const auto reader, index_.Read());
  const auto load = [&](const SnapshotId& id) -> StatusOr<IndexSnapshot*> {
    if (const auto it = changed.find(id); it != changed.end()) return &it->second;
    ASSIGN_OR_RETURN(std::optional<IndexSnapshot> found, reader->FindSnapshot(id));
    if (!found) return nullptr;
    return &(changed[id] = *std::move(found));
  };
  for (const SnapshotId& id : entries.hold) {
    ASSIGN_OR_RETURN(IndexSnapshot* const snapshot, load(id));
    if (snapshot != nullptr) snapshot->held = true;
  }
  for (const SnapshotId& id : entries.release) {
    ASSIGN_OR_RETURN(IndexSnapshot* const snapshot, load(id));
    if (snapshot != nullptr) snapshot->held = false;
  }
  for (const TagsEntry& tags : entries.tags) {
    ASSIGN_OR_RETURN(IndexSnapshot* const snapshot, load(tags.snapshot));
    if (snapshot != nullptr) snapshot->tags = tags.tags;
  }
  std::vector<IndexSnapshot> snapshots;
  for (auto& [id, snapshot] : changed) snapshots.push_back(std::move(snapshot));
  return snapshots;
}

StatusOr<bool> IndexSync::ApplyRecord(const Record& record) {
  const IndexHead before{record.number - 1, record.predecessor};
  Basis basis;
  {
    ASSIGN_OR_RETURN(const auto reader, index_.Read());
    ASSIGN_OR_RETURN(basis, BasisOf(*reader));
  }
  if (basis.head != before) return false;
  // All reading comes before the transaction that needs it.
  ASSIGN_OR_RETURN(const std::vector<IndexSnapshot> changed, ChangedSnapshots(record.entries));
  std::vector<PackEntry> packs;
  for (const PackInfo& pack : record.entries.packs) {
    packs.push_back({pack, PackState::kLive, record.number, record.number});
  }
  return AddPacks(packs, basis,
                  [&](IndexWriter& writer) { return AddRecord(record, changed, writer); });
}

// All but its packs.
Status IndexSync::AddRecord(const Record& record, const std::vector<IndexSnapshot>& changed,
                            IndexWriter& writer) {
  const RecordEntries& entries = record.entries;
  for (const PackName& name : entries.rescue) {
    RETURN_IF_ERROR(writer.SetPackState(name, PackState::kLive));
  }
  for (const PackName& name : entries.condemn) {
    RETURN_IF_ERROR(writer.SetPackState(name, PackState::kCondemned));
  }
  if (!entries.purge.empty()) RETURN_IF_ERROR(writer.RemovePacks(entries.purge));
  for (const SnapshotEntry& snapshot : entries.snapshots) {
    RETURN_IF_ERROR(
        writer.PutSnapshot({snapshot.id, record.number, false, std::nullopt, snapshot.object}));
  }
  for (const IndexSnapshot& snapshot : changed) RETURN_IF_ERROR(writer.PutSnapshot(snapshot));
  for (const SnapshotId& id : entries.forget) RETURN_IF_ERROR(writer.RemoveSnapshot(id));
  return SetHead(writer, {record.number, record.hash}, record.predecessor);
}

StatusOr<bool> IndexSync::ApplyState(const JournalState& state) {
  Basis basis;
  std::vector<PackName> gone;
  std::vector<std::pair<PackName, PackState>> changed;
  std::set<PackName> present;
  std::vector<SnapshotId> forgotten;
  {
    ASSIGN_OR_RETURN(const auto reader, index_.Read());
    ASSIGN_OR_RETURN(basis, BasisOf(*reader));
    RETURN_IF_ERROR(reader->ForEachPack([&](const IndexPack& pack) {
      const PackEntry* entry = state.FindPack(pack.info.name);
      if (entry == nullptr || entry->state == PackState::kPurged) {
        gone.push_back(pack.info.name);
        return true;
      }
      present.insert(pack.info.name);
      if (entry->state != pack.state) changed.emplace_back(pack.info.name, entry->state);
      return true;
    }));
    RETURN_IF_ERROR(reader->ForEachSnapshot([&](const IndexSnapshot& snapshot) {
      if (!state.snapshots().contains(snapshot.id)) forgotten.push_back(snapshot.id);
      return true;
    }));
  }
  std::vector<PackEntry> missing;
  for (const auto& [name, entry] : state.packs()) {
    if (entry.state != PackState::kPurged && !present.contains(name)) missing.push_back(entry);
  }
  // In the order in which they were named, so that of several places of a blob the oldest has the
  // lowest number, however the index came to be.
  std::stable_sort(missing.begin(), missing.end(),
                   [](const PackEntry& a, const PackEntry& b) { return a.named_at < b.named_at; });
  ASSIGN_OR_RETURN(const RecordHash predecessor, PredecessorOf(state.head()));
  return AddPacks(missing, basis, [&](IndexWriter& writer) -> Status {
    if (!gone.empty()) RETURN_IF_ERROR(writer.RemovePacks(gone));
    for (const auto& [name, pack_state] : changed) {
      RETURN_IF_ERROR(writer.SetPackState(name, pack_state));
    }
    for (const SnapshotId& id : forgotten) RETURN_IF_ERROR(writer.RemoveSnapshot(id));
    for (const auto& [id, snapshot] : state.snapshots()) {
      RETURN_IF_ERROR(writer.PutSnapshot(ToIndexSnapshot(snapshot)));
    }
    return SetHead(writer, state.head(), predecessor);
  });
}

StatusOr<RecordHash> IndexSync::PredecessorOf(const JournalHead& head) {
  const std::string prefix = absl::StrFormat("%020u-", head.number);
  ASSIGN_OR_RETURN(const std::vector<std::string> names, store_.List("journal"));
  for (const std::string& name : names) {
    if (!name.starts_with(prefix)) continue;
    ASSIGN_OR_RETURN(const Bytes file, store_.ReadAll("journal/" + name, kMaxRecordFileBytes));
    ASSIGN_OR_RETURN(const DecodedTwin record, DecodeTwin(kRecordMagic, file, name));
    if (record.twin.hash == head.hash) return record.twin.predecessor;
  }
  // Folded away: the fold's list of hashes then says what stood there.
  return RecordHash{};
}

StatusOr<bool> IndexSync::AddPacks(const std::vector<PackEntry>& packs, const Basis& basis,
                                   const std::function<Status(IndexWriter&)>& finish) {
  size_t next = 0;
  do {
    const size_t first = next;
    std::vector<PackFooter> footers;
    for (size_t blobs = 0; next < packs.size() && blobs < kBlobsPerTransaction; ++next) {
      ASSIGN_OR_RETURN(PackFooter footer, Footer(packs[next].info));
      blobs += footer.blobs.size();
      footers.push_back(std::move(footer));
    }
    std::vector<PackContents> contents;
    for (size_t i = 0; i < footers.size(); ++i) {
      const PackEntry& pack = packs[first + i];
      contents.push_back({pack.info, pack.state, footers[i].frames, footers[i].blobs});
    }
    ASSIGN_OR_RETURN(const auto writer, index_.Write());
    ASSIGN_OR_RETURN(const Basis now, BasisOf(*writer));
    if (now != basis) return false;
    RETURN_IF_ERROR(writer->AddPacks(contents));
    if (next == packs.size()) RETURN_IF_ERROR(finish(*writer));
    RETURN_IF_ERROR(writer->Commit());
  } while (next < packs.size());
  return true;
}

}  // namespace cairn
