// SPDX-License-Identifier: Apache-2.0
#include "core/repo/put_back.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "core/repo/put_back_journal.h"
#include "core/repo/salvage.h"
#include "core/store/config.h"
#include "core/store/key_ring.h"
#include "core/store/record.h"
#include "core/store/sessions.h"
#include "core/store/twin.h"
#include "core/store/twin_file.h"

namespace cairn {
namespace {

// What a newer version wrote is none of our business.
bool IsLostOrGone(const Status& status) {
  return IsLostObject(status) || status.code() == StatusCode::kNotFound;
}

StatusOr<Bytes> WholeConfig(ObjectStore& store, const RepositoryKeys& keys) {
  ASSIGN_OR_RETURN(const Bytes file, ReadTwinFile(store, kConfigName, kMaxConfigFileBytes));
  ASSIGN_OR_RETURN(const RepositoryConfig config, DecodeConfig(keys, file, nullptr));
  if (config.id != keys.id()) return NotFound("another repository's");
  ASSIGN_OR_RETURN(DecodedTwin decoded, DecodeTwin(keys, kConfigMagic, file, kConfigName));
  return EncodeAgain(keys, std::move(decoded), kConfigName);
}

class PutBackRun {
 public:
  PutBackRun(ObjectStore& store, const SessionId& session, const PutBackOptions& options)
      : store_(store), session_(session), options_(options) {}

  Status Objects(const RepositoryKeys& keys);
  // The keys of a repository that cannot be opened.
  StatusOr<RepositoryKeys> FindKeys(const std::function<StatusOr<Credential>()>& credential);
  uint64_t count() const { return placed_.size(); }

 private:
  Status Config(const RepositoryKeys& keys);
  Status Keys(const RepositoryKeys& keys);
  StatusOr<RepositoryKeys> TakeKeyFrom(const Credential& credential);
  StatusOr<bool> OpensSomething(const RepositoryKeys& keys);
  // In the place of what cannot be read, if that stands there.
  Status Place(const std::string& name, ByteSpan whole);

  ObjectStore& store_;
  const SessionId session_;
  const PutBackOptions& options_;
  std::set<std::string> placed_;
};

Status PutBackRun::Place(const std::string& name, ByteSpan whole) {
  if (!options_.dry_run) {
    if (store_.Size(name).status().code() == StatusCode::kNotFound) {
      RETURN_IF_ERROR(store_.PutIfAbsent(name, whole, nullptr));
    } else {
      RETURN_IF_ERROR(ReplaceTwinFile(store_, name, whole, session_));
    }
  }
  placed_.insert(name);
  if (options_.on_mended) options_.on_mended(name + ": from another repository");
  return OkStatus();
}

Status PutBackRun::Objects(const RepositoryKeys& keys) {
  RETURN_IF_ERROR(Config(keys));
  if (keys.sealed()) RETURN_IF_ERROR(Keys(keys));
  const auto place = [this](const std::string& name, ByteSpan whole) { return Place(name, whole); };
  RETURN_IF_ERROR(JournalPutBack(store_, keys, options_.from, place).Run());
  return options_.dry_run ? OkStatus() : store_.SyncNames();
}

Status PutBackRun::Config(const RepositoryKeys& keys) {
  const Status status = ReadConfig(store_, keys).status();
  if (!IsLostOrGone(status)) return OkStatus();
  for (ObjectStore* const from : options_.from) {
    const StatusOr<Bytes> whole = WholeConfig(*from, keys);
    if (whole.ok()) return Place(kConfigName, *whole);
  }
  return OkStatus();
}

// One that is not there was removed, perhaps, and must not come back.
Status PutBackRun::Keys(const RepositoryKeys& keys) {
  ASSIGN_OR_RETURN(const std::vector<StoredKey> stored, ListKeys(store_));
  for (const StoredKey& lost : stored) {
    if (lost.key.ok() || !IsLostOrGone(lost.key.status()) || placed_.contains(lost.name)) continue;
    for (ObjectStore* const from : options_.from) {
      const StatusOr<std::vector<StoredKey>> others = ListKeys(*from);
      if (!others.ok()) continue;
      const auto same = std::ranges::find(*others, lost.name, &StoredKey::name);
      if (same == others->end() || !same->key.ok() || same->misnamed()) continue;
      if (same->key->repository != keys.id()) continue;
      RETURN_IF_ERROR(Place(lost.name, EncodeKeyObject(*same->key)));
      break;
    }
  }
  return OkStatus();
}

StatusOr<RepositoryKeys> PutBackRun::FindKeys(
    const std::function<StatusOr<Credential>()>& credential) {
  const StatusOr<RepositoryClaim> claim = IdentifyRepository(store_);
  ASSIGN_OR_RETURN(const std::vector<std::string> names, store_.List(kKeyFolder));
  if (claim.ok() && !claim->encrypted()) return RepositoryKeys(claim->id);
  // With keys, and a configuration that is that of a repository without: it was exchanged.
  if (!claim.ok() && !names.empty()) return claim.status();
  if (!claim.ok()) {
    // Nothing of an encrypted one can be read so.
    const StatusOr<RepositoryId> id = FindRepositoryId(store_, RepositoryKeys(), std::nullopt);
    if (id.ok()) return RepositoryKeys(*id);
    const bool may_be_sealed = std::ranges::any_of(options_.from, [](ObjectStore* from) {
      const StatusOr<RepositoryClaim> other = IdentifyRepository(*from);
      return other.ok() && other->encrypted();
    });
    if (!may_be_sealed) return id.status();
  }
  if (!credential) {
    return Unauthenticated("it is encrypted, and neither a password nor a key file was given");
  }
  ASSIGN_OR_RETURN(const Credential given, credential());
  StatusOr<OpenedKeys> opened = OpenKeys(store_, given);
  if (opened.ok()) return std::move(opened->keys);
  if (!IsLostOrGone(opened.status())) return opened.status();
  return TakeKeyFrom(given);
}

// Only if it stood here: what cannot be read has its name, or nothing at all is there.
StatusOr<RepositoryKeys> PutBackRun::TakeKeyFrom(const Credential& credential) {
  ASSIGN_OR_RETURN(const std::vector<StoredKey> here, ListKeys(store_));
  for (ObjectStore* const from : options_.from) {
    StatusOr<OpenedKeys> opened = OpenKeys(*from, credential);
    if (!opened.ok()) continue;
    const std::string name = KeyObjectName(opened->by);
    const bool stood_here = here.empty() || std::ranges::any_of(here, [&](const StoredKey& stored) {
                              return stored.name == name && !stored.key.ok();
                            });
    if (!stood_here) continue;
    ASSIGN_OR_RETURN(const bool opens, OpensSomething(opened->keys));
    if (!opens) continue;
    ASSIGN_OR_RETURN(const std::vector<StoredKey> others, ListKeys(*from));
    const auto key = std::ranges::find(others, name, &StoredKey::name);
    if (key == others.end() || !key->key.ok() || key->misnamed()) continue;
    RETURN_IF_ERROR(Place(name, EncodeKeyObject(*key->key)));
    return std::move(opened->keys);
  }
  return Unauthenticated(
      "what was given opens none of its keys, and no other repository has the key that is lost");
}

// A configuration, record or fold that is sealed by these very keys.
StatusOr<bool> PutBackRun::OpensSomething(const RepositoryKeys& keys) {
  if (ReadConfig(store_, keys).ok()) return true;
  for (const auto& [folder, magic] :
       {std::pair(kJournalFolder, kRecordMagic), std::pair(kFoldFolder, kFoldMagic)}) {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, store_.List(folder));
    for (const std::string& object : names) {
      const std::string name = std::string(folder) + "/" + object;
      const StatusOr<Bytes> file = ReadTwinFile(store_, name, kMaxFoldFileBytes);
      if (file.ok() && DecodeTwin(keys, magic, *file, name).ok()) return true;
    }
  }
  return false;
}

}  // namespace

StatusOr<uint64_t> PutBackObjects(ObjectStore& store, const RepositoryKeys& keys,
                                  const SessionId& session, const PutBackOptions& options) {
  PutBackRun run(store, session, options);
  RETURN_IF_ERROR(run.Objects(keys));
  return run.count();
}

StatusOr<uint64_t> PutBackLost(FileSystem& fs,
                               const std::function<StatusOr<Credential>()>& credential,
                               const PutBackOptions& options) {
  std::unique_ptr<FileLock> lock;
  std::unique_ptr<FileLock> keys_lock;
  std::unique_ptr<Session> session;
  if (!options.dry_run) {
    ASSIGN_OR_RETURN(lock, LockForPrune(fs));
    ASSIGN_OR_RETURN(keys_lock, LockForKeys(fs));
    ASSIGN_OR_RETURN(session, Session::Open(fs, "repair", Session::Says::kLittle));
  }
  const std::unique_ptr<ObjectStore> store = NewLocalObjectStore(fs);
  PutBackRun run(*store, session != nullptr ? session->id() : SessionId{}, options);
  ASSIGN_OR_RETURN(const RepositoryKeys keys, run.FindKeys(credential));
  RETURN_IF_ERROR(run.Objects(keys));
  return run.count();
}

}  // namespace cairn
