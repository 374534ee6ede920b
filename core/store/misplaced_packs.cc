// SPDX-License-Identifier: Apache-2.0
#include "core/store/misplaced_packs.h"

#include <algorithm>
#include <map>

#include "core/base/random.h"
#include "core/store/pack.h"
#include "core/store/pack_files.h"
#include "core/store/pack_mend.h"

namespace cairn {
namespace {

const PackInfo* FindPackInUse(const JournalState& state, const PackName& name) {
  const PackEntry* const entry = state.FindPack(name);
  return entry != nullptr && entry->state != PackState::kPurged ? &entry->info : nullptr;
}

// Says where each goes; of several files of one pack the first of the best.
void ChooseNames(ObjectStore& store, std::vector<MisplacedPack>& found) {
  // Not std::ranges::stable_partition, whose result clang 14 cannot take.
  std::stable_partition(found.begin(), found.end(),
                        [](const MisplacedPack& each) { return each.whole; });
  std::set<PackName> left;  // what is here finds another place
  for (const MisplacedPack& each : found) left.insert(each.at);
  std::set<PackName> taken;
  for (MisplacedPack& each : found) {
    const PackName& own = each.pack.name;
    each.to = each.at;
    const bool is_free = left.contains(own) ||
                         store.Size(PackObjectName(own)).status().code() == StatusCode::kNotFound;
    if ((each.whole || is_free) && taken.insert(own).second) each.to = own;
  }
  for (MisplacedPack& each : found) {
    if (each.to == each.at && taken.contains(each.at)) each.to = RandomId<PackName>();
  }
  std::erase_if(found, [](const MisplacedPack& each) { return each.to == each.at; });
}

}  // namespace

std::vector<MisplacedPack> FindMisplacedPacks(ObjectStore& store, const RepositoryKeys& keys,
                                              const JournalState& state,
                                              const std::set<PackName>& damaged,
                                              const StopFlag* stop) {
  std::vector<MisplacedPack> found;
  if (damaged.empty()) return found;
  std::set<PackName> files = damaged;
  const StatusOr<PackFiles> listed = ListPackFiles(store);
  if (listed.ok()) {
    for (const PackName& name : listed->packs) {
      if (FindPackInUse(state, name) == nullptr) files.insert(name);
    }
  }
  PackMender mender(store, keys, SessionId{}, stop);
  for (const PackName& at : files) {
    const PackInfo* const pack = FindPackLostWith(store, keys, state, at, stop);
    if (pack == nullptr) continue;
    found.push_back({.pack = *pack, .at = at, .to = {}, .whole = mender.Verify(*pack, at).ok()});
  }
  ChooseNames(store, found);
  return found;
}

Status RenameMisplacedPacks(ObjectStore& store, const std::vector<MisplacedPack>& packs) {
  std::map<PackName, PackName> names;  // by what the files are called now
  for (const MisplacedPack& each : packs) names[each.at] = each.to;
  const auto rename = [&](const PackName& from, const PackName& to) {
    return store.Rename(PackObjectName(from), PackObjectName(to));
  };
  while (!names.empty()) {
    // Each has the name that the one before it wants; the last wants a free one, or the first's.
    std::vector<PackName> line = {names.begin()->first};
    PackName next = names[line.back()];
    while (names.contains(next) && next != line.front()) {
      line.push_back(next);
      next = names[next];
    }
    PackName first = line.front();
    if (next == first) {
      first = RandomId<PackName>();
      RETURN_IF_ERROR(rename(line.front(), first));
    }
    for (size_t i = line.size(); i-- > 0;) {
      RETURN_IF_ERROR(rename(i == 0 ? first : line[i], names[line[i]]));
      names.erase(line[i]);
    }
  }
  return OkStatus();
}

const PackInfo* FindPackLostWith(ObjectStore& store, const RepositoryKeys& keys,
                                 const JournalState& state, const PackName& name,
                                 const StopFlag* stop) {
  const StatusOr<PackHeader> header = PeekPackHeader(store, name);
  if (!header.ok() || header->repository != keys.id() || header->name == name) return nullptr;
  const PackInfo* const pack = FindPackInUse(state, header->name);
  if (pack == nullptr) return nullptr;
  return PackMender(store, keys, SessionId{}, stop).Verify(*pack).ok() ? nullptr : pack;
}

}  // namespace cairn
