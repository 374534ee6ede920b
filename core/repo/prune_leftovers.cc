// SPDX-License-Identifier: Apache-2.0
#include "core/repo/prune_leftovers.h"

#include <utility>

#include "core/repo/commit.h"
#include "core/repo/reserve.h"
#include "core/store/pack.h"
#include "core/store/pack_files.h"
#include "core/store/parity.h"
#include "core/store/sessions.h"

namespace cairn {
namespace {

// Owner of files on their way that belong to no session; whoever misses one writes it anew.
constexpr char kNobody[] = "put";

// 0 for what is gone meanwhile.
StatusOr<uint64_t> SizeOf(ObjectStore& store, const std::string& name) {
  const StatusOr<uint64_t> bytes = store.Size(name);
  if (bytes.status().code() == StatusCode::kNotFound) return 0;
  return bytes;
}

Status AddPacks(Repository& repository, const std::vector<PackName>& names,
                const std::set<SessionId>& alive, Leftovers& leftovers) {
  for (const PackName& name : names) {
    const StatusOr<PackHeader> header = ReadPackHeader(repository.store(), repository.keys(), name);
    if (header.status().code() == StatusCode::kNotFound) continue;
    const bool damaged = header.status().code() == StatusCode::kDataLoss;
    if (!header.ok() && !damaged) return header.status();
    if (damaged || header->repository != repository.config().id) {
      if (repository.options().warn) {
        repository.options().warn("pack file " + PackObjectName(name) +
                                  " is named by no record and does not say whose it is: it stays");
      }
      continue;
    }
    if (alive.contains(header->session)) continue;
    ASSIGN_OR_RETURN(const uint64_t bytes, SizeOf(repository.store(), PackObjectName(name)));
    leftovers.sessions.insert(header->session);
    leftovers.packs.push_back({name, bytes});
  }
  return OkStatus();
}

Status AddUnfinished(ObjectStore& store, const std::vector<ObjectStore::Unfinished>& files,
                     const std::set<SessionId>& alive, Leftovers& leftovers) {
  for (const ObjectStore::Unfinished& file : files) {
    const std::optional<SessionId> owner = SessionId::FromHex(file.owner);
    if (!owner && file.owner != kNobody) continue;
    if (owner && alive.contains(*owner)) continue;
    ASSIGN_OR_RETURN(const uint64_t bytes, SizeOf(store, file.name));
    if (owner) leftovers.sessions.insert(*owner);
    leftovers.files.push_back({file.name, bytes});
  }
  return OkStatus();
}

// Counts the file if it was this call that removed it.
Status Remove(ObjectStore& store, const std::string& name, uint64_t bytes, RemovedFiles& removed) {
  const Status status = store.Delete(name);
  if (status.code() == StatusCode::kNotFound) return OkStatus();
  RETURN_IF_ERROR(Annotate(status, "remove " + name));
  ++removed.files;
  removed.bytes += bytes;
  return OkStatus();
}

}  // namespace

StatusOr<Leftovers> FindLeftovers(Repository& repository, JournalState& state) {
  ObjectStore& store = repository.store();
  // Files first, then what is named, then who is alive: so a file of a session that is not alive is
  // one that it left, and not one that it made after the others were looked at.
  ASSIGN_OR_RETURN(PackFiles names, ListPackFiles(store));
  ASSIGN_OR_RETURN(const auto unfinished, store.ListUnfinished());
  RETURN_IF_ERROR(repository.journal().CatchUp(state));
  const auto is_named = [&](const PackName& name) { return state.FindPack(name) != nullptr; };
  std::erase_if(names.packs, is_named);
  std::erase_if(names.parity, is_named);
  std::set<SessionId> alive;
  ASSIGN_OR_RETURN(const std::vector<SessionInfo> sessions, ListLiveSessions(repository.fs()));
  for (const SessionInfo& session : sessions) alive.insert(session.id);

  Leftovers leftovers;
  RETURN_IF_ERROR(AddPacks(repository, names.packs, alive, leftovers));
  // Parity is placed after its pack was named, so a pack that is not named now was swept.
  for (const PackName& name : names.parity) {
    const std::string object = ParityObjectName(name);
    ASSIGN_OR_RETURN(const uint64_t bytes, SizeOf(store, object));
    leftovers.files.push_back({object, bytes});
  }
  RETURN_IF_ERROR(AddUnfinished(store, unfinished, alive, leftovers));
  return leftovers;
}

StatusOr<RemovedFiles> RemoveLeftovers(Repository& repository, const Leftovers& leftovers,
                                       JournalState& state) {
  const auto end_sessions = [&](const JournalState& head) -> StatusOr<RecordEntries> {
    RecordEntries entries;
    for (const SessionId& session : leftovers.sessions) {
      if (!head.IsEnded(session)) entries.ended.push_back(session);
    }
    return entries;
  };
  RETURN_IF_ERROR(WithReserve(repository.fs(), [&] {
    return CommitWithState(repository.journal(), state, end_sessions).status();
  }));
  RemovedFiles removed;
  for (const Leftovers::Pack& pack : leftovers.packs) {
    if (state.FindPack(pack.name) != nullptr) continue;
    RETURN_IF_ERROR(Remove(repository.store(), PackObjectName(pack.name), pack.bytes, removed));
  }
  for (const Leftovers::File& file : leftovers.files) {
    RETURN_IF_ERROR(Remove(repository.store(), file.name, file.bytes, removed));
  }
  return removed;
}

}  // namespace cairn
