// SPDX-License-Identifier: Apache-2.0
#include "core/repo/index_sync.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "core/base/coding.h"
#include "core/base/random.h"
#include "core/repo/verified_times.h"

namespace cairn {
namespace {

// Note under which the hash of the record before the head is kept: with it, the head's own record
// can be found by its name, and seen to stand still.
constexpr std::string_view kPredecessorNote = "head/predecessor";
// Note that is changed whenever the index is emptied: who fills it sees that another does too.
constexpr std::string_view kFillingNote = "filling";
// Places that are handed to the index at once.
constexpr size_t kPlacesAtOnce = 1024;

IndexHead ToIndexHead(const JournalHead& head) { return {head.number, head.hash}; }

Status SetHead(IndexWriter& writer, const JournalHead& head, const RecordHash& predecessor) {
  RETURN_IF_ERROR(writer.SetHead(ToIndexHead(head)));
  return writer.PutNote(AsBytes(kPredecessorNote), predecessor.span());
}

IndexSnapshot ToIndexSnapshot(const SnapshotRecord& record) {
  return {.id = record.snapshot.id,
          .record = record.record,
          .time = TimeOfSnapshot(record.snapshot.object),
          .held = record.held,
          .tags = record.tags,
          .object = record.snapshot.object};
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

StatusOr<std::unique_ptr<IndexWriter>> IndexSync::WriteOn(const Basis& basis) {
  ASSIGN_OR_RETURN(auto writer, index_.Write());
  ASSIGN_OR_RETURN(const Basis now, BasisOf(*writer));
  if (now != basis) writer.reset();
  return writer;
}

StatusOr<JournalHead> IndexSync::Run() {
  for (;;) {
    ASSIGN_OR_RETURN(const KnownHead known, ReadHead());
    const JournalHead& head = known.head;
    if (head.number == 0) {
      // What is there may be another's who fills it at this moment, or was interrupted: it is
      // completed. Were it emptied, two of them could empty it in turn for ever.
      ASSIGN_OR_RETURN(const JournalState state, journal_.ReadState());
      ASSIGN_OR_RETURN(const bool done, ApplyState(state));
      if (done) return state.head();
      continue;
    }
    ASSIGN_OR_RETURN(const std::optional<Record> next, journal_.NextRecord(head));
    if (next) {
      RETURN_IF_ERROR(ApplyRecord(*next).status());
      continue;
    }
    ASSIGN_OR_RETURN(const uint64_t fold, journal_.NewestFold());
    if (fold <= head.number) {
      ASSIGN_OR_RETURN(const bool stands, StillStands(known));
      if (stands) return head;
    }
    // The journal may have gone on, and been folded, since the fold was looked for: only its whole
    // state tells whether it is another one.
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

StatusOr<IndexSync::KnownHead> IndexSync::ReadHead() {
  // Of one view: another process may bring the index further between two.
  ASSIGN_OR_RETURN(const auto reader, index_.Read());
  ASSIGN_OR_RETURN(const IndexHead head, reader->Head());
  KnownHead known{{head.number, head.hash}, std::nullopt};
  ASSIGN_OR_RETURN(const std::optional<Bytes> note, reader->FindNote(AsBytes(kPredecessorNote)));
  if (note && note->size() == RecordHash::kBytes) known.predecessor = RecordHash::From(*note);
  return known;
}

StatusOr<bool> IndexSync::StillStands(const KnownHead& known) {
  if (!known.predecessor) return false;
  const StatusOr<std::optional<Record>> record =
      journal_.NextRecord({known.head.number - 1, *known.predecessor});
  RETURN_IF_ERROR(record.status());
  return record->has_value() && (*record)->hash == known.head.hash;
}

StatusOr<IndexSync::Footer> IndexSync::ReadFooter(const PackInfo& info) {
  if (known_ != nullptr) {
    if (const auto it = known_->find(info.name); it != known_->end()) return Footer(&it->second);
  }
  StatusOr<PackFooter> footer = ReadPackFooter(store_, keys_, info);
  // A pack that is damaged, or gone because a later record purges it, must not keep everybody from
  // the others: nothing is found in it then, and `check` names it.
  const StatusCode code = footer.status().code();
  if (code == StatusCode::kNotFound || code == StatusCode::kDataLoss) return Footer(PackFooter{});
  RETURN_IF_ERROR(footer.status());
  return Footer(*std::move(footer));
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
  ASSIGN_OR_RETURN(const bool removed, RemovePacks(record.entries.purge, basis));
  if (!removed) return false;
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
  for (const SnapshotEntry& snapshot : entries.snapshots) {
    RETURN_IF_ERROR(
        writer.PutSnapshot(ToIndexSnapshot({snapshot, record.number, false, std::nullopt})));
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
      if (pack.state == PackState::kPurged) return true;  // is not complete
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
  ASSIGN_OR_RETURN(const bool removed, RemovePacks(gone, basis));
  if (!removed) return false;
  return AddPacks(missing, basis, [&](IndexWriter& writer) -> Status {
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
    ASSIGN_OR_RETURN(const DecodedTwin record, DecodeTwin(keys_, kRecordMagic, file, name));
    if (record.twin.hash == head.hash) return record.twin.predecessor;
  }
  // Folded away: the fold's list of hashes then says what stood there.
  return RecordHash{};
}

// Nobody needs what is in them, so that it does not matter if this is done and the rest is not.
StatusOr<bool> IndexSync::RemovePacks(const std::vector<PackName>& names, const Basis& basis) {
  BlobId from;
  for (bool done = names.empty(); !done;) {
    ASSIGN_OR_RETURN(const auto writer, WriteOn(basis));
    if (writer == nullptr) return false;
    ASSIGN_OR_RETURN(done, writer->RemovePacks(names, from));
    for (size_t i = 0; done && i < names.size(); ++i) {
      RETURN_IF_ERROR(writer->RemoveNotes(VerifiedTimePrefix(names[i])));
    }
    RETURN_IF_ERROR(writer->Commit());
  }
  return true;
}

StatusOr<bool> IndexSync::AddPacks(const std::vector<PackEntry>& packs, const Basis& basis,
                                   const Finish& finish) {
  std::vector<Footer> footers;
  std::vector<PackContents> contents;
  for (size_t blobs = 0; footers.size() < packs.size();) {
    ASSIGN_OR_RETURN(Footer footer, ReadFooter(packs[footers.size()].info));
    blobs += footer->blobs.size();
    footers.push_back(std::move(footer));
    if (blobs > limits_.unsorted_blobs) {
      return AddManyPacks(packs, std::move(footers), basis, finish);
    }
  }
  for (size_t i = 0; i < packs.size(); ++i) {
    contents.push_back({packs[i].info, packs[i].state, footers[i]->frames, footers[i]->blobs});
  }
  ASSIGN_OR_RETURN(const auto writer, WriteOn(basis));
  if (writer == nullptr) return false;
  RETURN_IF_ERROR(writer->AddPacks(contents));
  RETURN_IF_ERROR(finish(*writer));
  RETURN_IF_ERROR(writer->Commit());
  return true;
}

StatusOr<bool> IndexSync::AddManyPacks(const std::vector<PackEntry>& packs,
                                       std::vector<Footer> footers, const Basis& basis,
                                       const Finish& finish) {
  auto places = std::make_unique<PlaceSorter>(limits_.sort_memory_bytes);
  PackNumbers numbers;
  StatusOr<bool> begun = BeginPacks(packs, std::move(footers), basis, *places, numbers);
  if (places->failed()) {
    // Where no temporary files can be made it costs memory.
    places = std::make_unique<PlaceSorter>(std::numeric_limits<size_t>::max());
    numbers.clear();
    begun = BeginPacks(packs, {}, basis, *places, numbers);
  }
  RETURN_IF_ERROR(begun.status());
  if (!*begun) return false;
  ASSIGN_OR_RETURN(const bool added, AddPlaces(*places, numbers, basis));
  if (!added) return false;
  places.reset();
  ASSIGN_OR_RETURN(const auto writer, WriteOn(basis));
  if (writer == nullptr) return false;
  for (const PackEntry& pack : packs) {
    RETURN_IF_ERROR(writer->SetPackState(pack.info.name, pack.state));
  }
  RETURN_IF_ERROR(finish(*writer));
  RETURN_IF_ERROR(writer->Commit());
  return true;
}

StatusOr<bool> IndexSync::BeginPacks(const std::vector<PackEntry>& packs,
                                     std::vector<Footer> footers, const Basis& basis,
                                     PlaceSorter& places, PackNumbers& numbers) {
  while (numbers.size() < packs.size()) {
    // All reading comes before the transaction that needs it.
    std::vector<std::pair<Footer, uint32_t>> batch;  // without blobs, and how many they were
    const size_t first = numbers.size();
    for (size_t rows = 0;
         first + batch.size() < packs.size() && rows < limits_.rows_per_transaction;) {
      const size_t at = first + batch.size();
      Footer footer(nullptr);
      if (at < footers.size()) {
        footer = std::move(footers[at]);
      } else {
        ASSIGN_OR_RETURN(footer, ReadFooter(packs[at].info));
      }
      const auto blobs = static_cast<uint32_t>(footer->blobs.size());
      for (uint32_t i = 0; i < blobs; ++i) {
        const BlobInfo& blob = footer->blobs[i];
        RETURN_IF_ERROR(places.Add(
            {blob.ref, {static_cast<PackNumber>(at), i, blob.frame, blob.offset, blob.bytes}}));
      }
      footer.ForgetBlobs();
      rows += 1 + footer->frames.size();
      batch.emplace_back(std::move(footer), blobs);
    }
    ASSIGN_OR_RETURN(const auto writer, WriteOn(basis));
    if (writer == nullptr) return false;
    for (size_t i = 0; i < batch.size(); ++i) {
      const auto& [footer, blobs] = batch[i];
      ASSIGN_OR_RETURN(const std::optional<PackNumber> number,
                       writer->BeginPack(packs[first + i].info, footer->frames, blobs));
      numbers.push_back(number);
    }
    RETURN_IF_ERROR(writer->Commit());
  }
  RETURN_IF_ERROR(places.Finish());
  return true;
}

StatusOr<bool> IndexSync::AddPlaces(PlaceSorter& places, const PackNumbers& numbers,
                                    const Basis& basis) {
  const size_t at_once = std::min(kPlacesAtOnce, limits_.rows_per_transaction);
  std::vector<PlacedBlob> rows;
  for (bool more = true; more;) {
    ASSIGN_OR_RETURN(const auto writer, WriteOn(basis));
    if (writer == nullptr) return false;
    for (size_t added = 0; more && added < limits_.rows_per_transaction && !writer->IsLarge();) {
      rows.clear();
      while (rows.size() < at_once) {
        PlacedBlob placed;
        ASSIGN_OR_RETURN(more, places.Next(&placed));
        if (!more) break;
        const std::optional<PackNumber> number = numbers[placed.place.pack];
        if (!number) continue;
        placed.place.pack = *number;
        rows.push_back(placed);
      }
      RETURN_IF_ERROR(writer->AddPlaces(rows));
      added += rows.size();
    }
    RETURN_IF_ERROR(writer->Commit());
  }
  return true;
}

}  // namespace cairn
