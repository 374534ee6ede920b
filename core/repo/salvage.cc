// SPDX-License-Identifier: Apache-2.0
#include "core/repo/salvage.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "core/store/pack.h"
#include "core/store/record.h"
#include "core/store/twin.h"
#include "core/store/twin_file.h"

namespace cairn {
namespace {

constexpr char kPackFolder[] = "packs";

// The packs that stand in the store, whoever named them.
StatusOr<std::vector<PackName>> ListPacks(ObjectStore& store) {
  std::vector<PackName> packs;
  ASSIGN_OR_RETURN(const std::vector<std::string> folders, store.List(kPackFolder));
  for (const std::string& folder : folders) {
    const StatusOr<std::vector<std::string>> names =
        store.List(std::string(kPackFolder) + "/" + folder);
    if (!names.ok()) continue;  // a stray file
    for (const std::string& name : *names) {
      const std::optional<PackName> pack = PackName::FromHex(name);
      if (pack && name.starts_with(folder)) packs.push_back(*pack);
    }
  }
  return packs;
}

// A pack by what it says of itself.
StatusOr<PackInfo> DescribePack(ObjectStore& store, const PackName& name,
                                const RepositoryKeys& keys) {
  ASSIGN_OR_RETURN(const PackHeader header, ReadPackHeader(store, keys, name));
  PackInfo info;
  info.name = name;
  info.session = header.session;
  info.content = header.content;
  ASSIGN_OR_RETURN(info.bytes, store.Size(PackObjectName(name)));
  // The trailer ends in the pack's hash.
  const uint64_t offset = info.bytes - PackHash::kBytes;
  ASSIGN_OR_RETURN(const size_t read, store.ReadAt(PackObjectName(name), offset, info.hash.bytes));
  if (read != PackHash::kBytes) return DataLoss("a pack that is cut short");
  // That of another repository is refused, too.
  RETURN_IF_ERROR(ReadPackFooter(store, keys, info).status());
  return info;
}

class Salvager {
 public:
  Salvager(Journal& journal, ObjectStore& store, const RepositoryKeys& keys, Index* index)
      : journal_(journal), store_(store), keys_(keys), index_(index) {}

  StatusOr<Salvage> Run() {
    ASSIGN_OR_RETURN(Journal::Remains remains, journal_.ReadRemains());
    Salvage salvage;
    salvage.sound_to = remains.sound.head().number;
    salvage.last_number = remains.last_number;
    for (const Record& record : remains.beyond) readable_.insert(record.number);
    salvage.lost_records = salvage.last_number - salvage.sound_to - readable_.size();
    Record lost;  // what is found stands for it
    lost.number = salvage.sound_to + (salvage.lost_records > 0 ? 1 : 0);
    lost.hash = remains.sound.head().hash;
    if (salvage.lost_records > 0) {
      RETURN_IF_ERROR(FindPacks(remains, lost.entries.packs));
      FindSnapshots(remains, lost.entries.snapshots);
    }
    salvage.found_packs = lost.entries.packs.size();
    salvage.found_snapshots = lost.entries.snapshots.size();
    salvage.state = std::move(remains.sound);
    salvage.state.ApplyBeyondLoss(lost);
    for (const Record& record : remains.beyond) salvage.state.ApplyBeyondLoss(record);
    if (salvage.lost_records > 0) RETURN_IF_ERROR(DropPurged(salvage.state));
    return salvage;
  }

 private:
  Status FindPacks(const Journal::Remains& remains, std::vector<PackInfo>& found) {
    std::set<PackName> named;
    for (const auto& [name, entry] : remains.sound.packs()) named.insert(name);
    for (const Record& record : remains.beyond) {
      for (const PackInfo& pack : record.entries.packs) named.insert(pack.name);
    }
    ASSIGN_OR_RETURN(const std::vector<PackName> packs, ListPacks(store_));
    for (const PackName& name : packs) {
      if (named.contains(name)) continue;
      StatusOr<PackInfo> info = DescribePack(store_, name, keys_);
      if (info.ok()) found.push_back(*std::move(info));
    }
    return OkStatus();
  }

  // Of records that are lost. An index that cannot be read remembers nothing.
  void FindSnapshots(const Journal::Remains& remains, std::vector<SnapshotEntry>& found) {
    if (index_ == nullptr) return;
    const StatusOr<std::unique_ptr<IndexReader>> reader = index_->Read();
    if (!reader.ok()) return;
    (*reader)
        ->ForEachSnapshot([&](const IndexSnapshot& snapshot) {
          const bool is_lost =
              snapshot.record > remains.sound.head().number && !readable_.contains(snapshot.record);
          if (is_lost && HashSnapshotObject(keys_, snapshot.object) == snapshot.id) {
            found.push_back({snapshot.id, snapshot.object});
          }
          return true;
        })
        .IgnoreError();
  }

  // A condemned pack that is gone was purged: by a record that is lost, or it would be known.
  Status DropPurged(JournalState& state) {
    Record purge;
    purge.number = state.head().number;
    purge.hash = state.head().hash;
    for (const auto& [name, entry] : state.packs()) {
      if (entry.state != PackState::kCondemned) continue;
      const Status size = store_.Size(PackObjectName(name)).status();
      if (size.code() == StatusCode::kNotFound) purge.entries.purge.push_back(name);
    }
    state.ApplyBeyondLoss(purge);
    return OkStatus();
  }

  Journal& journal_;
  ObjectStore& store_;
  const RepositoryKeys keys_;
  Index* const index_;
  std::set<uint64_t> readable_;  // beyond the loss
};

using IdCounts = std::map<RepositoryId, uint64_t>;

Status CountIds(ObjectStore& store, const RepositoryKeys& keys, const TwinMagic& magic,
                const std::string& folder, IdCounts& counts) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, store.List(folder));
  for (const std::string& name : names) {
    const StatusOr<Bytes> file = ReadTwinFile(store, folder + "/" + name, kMaxRecordFileBytes);
    if (!file.ok()) continue;
    const StatusOr<DecodedTwin> decoded = DecodeTwin(keys, magic, *file, name);
    if (decoded.ok()) ++counts[decoded->twin.repository];
  }
  return OkStatus();
}

Status CountIdsOfPacks(ObjectStore& store, const RepositoryKeys& keys, IdCounts& counts) {
  ASSIGN_OR_RETURN(const std::vector<PackName> packs, ListPacks(store));
  for (const PackName& pack : packs) {
    const StatusOr<PackHeader> header = ReadPackHeader(store, keys, pack);
    if (header.ok()) ++counts[header->repository];
  }
  return OkStatus();
}

}  // namespace

std::string Salvage::Describe() const {
  std::string text = absl::StrFormat("its state is known in order up to record %d", sound_to);
  if (last_number > sound_to) absl::StrAppendFormat(&text, " of %d", last_number);
  if (lost_records > 0) {
    absl::StrAppendFormat(
        &text,
        "; %d of the records after it cannot be read, and what they said is not known. %d packs "
        "and "
        "%d snapshots that may be theirs were found, and what the other records say is applied",
        lost_records, found_packs, found_snapshots);
  }
  return text +
         ". Nothing can be written until what is damaged is put back: `cairn repair --from COPY` "
         "takes it from a copy of the repository; what is whole can be read and restored";
}

StatusOr<Salvage> SalvageJournal(Journal& journal, ObjectStore& store, const RepositoryKeys& keys,
                                 Index* index) {
  return Salvager(journal, store, keys, index).Run();
}

StatusOr<RepositoryId> FindRepositoryId(ObjectStore& store, const RepositoryKeys& keys,
                                        const std::optional<RepositoryId>& expected) {
  IdCounts counts;
  RETURN_IF_ERROR(CountIds(store, keys, kRecordMagic, "journal", counts));
  RETURN_IF_ERROR(CountIds(store, keys, kFoldMagic, "journal/folds", counts));
  if (counts.empty()) RETURN_IF_ERROR(CountIdsOfPacks(store, keys, counts));
  if (counts.empty()) return NotFound("no record and no pack tells whose repository this is");
  if (expected && counts.contains(*expected)) return *expected;
  return std::ranges::max_element(counts, {}, [](const auto& entry) { return entry.second; })
      ->first;
}

}  // namespace cairn
