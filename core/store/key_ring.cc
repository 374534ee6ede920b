// SPDX-License-Identifier: Apache-2.0
#include "core/store/key_ring.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/store/config.h"
#include "core/store/twin.h"
#include "core/store/twin_file.h"

namespace cairn {
namespace {

StatusOr<KeyObject> ReadKey(ObjectStore& store, const std::string& name, std::string* damage) {
  ASSIGN_OR_RETURN(const Bytes file, ReadTwinFile(store, name, kMaxKeyFileBytes));
  return DecodeKeyObject(file, name, damage);
}

bool ClaimsToBeSealed(ByteSpan config_file) {
  const std::vector<TwinClaim> claims = PeekTwin(kConfigMagic, config_file);
  return std::ranges::any_of(claims, [](const TwinClaim& claim) { return claim.sealed; });
}

}  // namespace

std::string KeyObjectName(const KeyId& id) { return std::string(kKeyFolder) + "/" + id.Hex(); }

StatusOr<std::vector<StoredKey>> ListKeys(ObjectStore& store) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, store.List(kKeyFolder));
  if (names.size() > kMaxKeys) {
    return ResourceExhausted(
        absl::StrFormat("%s holds %d objects, and a repository has at most %d keys", kKeyFolder,
                        names.size(), kMaxKeys));
  }
  std::vector<StoredKey> keys;
  for (const std::string& name : names) {
    std::string full_name = std::string(kKeyFolder) + "/" + name;
    const std::optional<KeyId> id = KeyId::FromHex(name);
    std::string damage;
    StatusOr<KeyObject> key = ReadKey(store, full_name, &damage);
    if (key.status().code() == StatusCode::kNotFound) continue;  // removed a moment ago
    if (key.ok() && (!id || id->Hex() != name))
      key = DataLoss(full_name + ": that is no name of a key");
    keys.push_back({std::move(full_name), id.value_or(KeyId{}), std::move(key), std::move(damage)});
  }
  const auto rank = [](const StoredKey& stored) {
    return std::make_tuple(!stored.key.ok(), stored.misnamed(),
                           stored.key.ok() ? stored.key->created : Timestamp{}, stored.name);
  };
  std::ranges::sort(keys, {}, rank);
  return keys;
}

Status PlaceKey(ObjectStore& store, const KeyObject& key, const Credential& credential) {
  const std::string name = KeyObjectName(key.id);
  RETURN_IF_ERROR(store.PutIfAbsent(name, EncodeKeyObject(key), nullptr));
  // Others will rest on it.
  ASSIGN_OR_RETURN(const KeyObject stored, ReadKey(store, name, nullptr));
  if (stored != key) return DataLoss(name + " reads otherwise than it was written");
  return Annotate(UnwrapMasterKey(stored, credential).status(), name);
}

StatusOr<OpenedKeys> OpenKeys(ObjectStore& store, const Credential& credential) {
  ASSIGN_OR_RETURN(const std::vector<StoredKey> keys, ListKeys(store));
  if (keys.empty()) {
    return DataLoss(
        "the repository is encrypted, and its folder \"keys\" is empty or gone: `cairn repair "
        "--from COPY` puts a key back from a copy of the repository");
  }
  Status failure;
  for (const StoredKey& stored : keys) {
    if (!stored.key.ok()) {
      if (failure.ok()) failure = stored.key.status();
      continue;
    }
    const StatusOr<SecretBytes> master = UnwrapMasterKey(*stored.key, credential);
    if (master.ok()) {
      return OpenedKeys{RepositoryKeys(stored.key->repository, *master), stored.id};
    }
    if (!failure.ok()) continue;
    if (master.status().code() != StatusCode::kUnauthenticated) failure = master.status();
    // What had that name is lost, and may be what would have fitted.
    if (failure.ok() && stored.misnamed()) {
      failure = DataLoss(stored.name + ": the key in it has another name");
    }
  }
  const bool by_password = credential.kind == KeyKind::kPassword;
  const std::string wrong = by_password ? "wrong password: it opens none of the repository's keys"
                                        : "wrong key file: it opens none of the repository's keys";
  if (failure.ok()) return Unauthenticated(wrong);
  return MakeError(failure.code(),
                   wrong + "; but one of them is of no use: " + std::string(Message(failure)));
}

StatusOr<RepositoryClaim> IdentifyRepository(ObjectStore& store) {
  const StatusOr<Bytes> file = ReadTwinFile(store, kConfigName, kMaxConfigFileBytes);
  const StatusOr<RepositoryConfig> config = file.ok()
                                                ? DecodeConfig(RepositoryKeys(), *file, nullptr)
                                                : StatusOr<RepositoryConfig>(file.status());
  ASSIGN_OR_RETURN(const std::vector<std::string> names, store.List(kKeyFolder));
  if (config.ok()) {
    if (names.empty()) return RepositoryClaim{.id = config->id, .config = *config};
    return DataLoss(
        "config: it is that of a repository that is not encrypted, but there are keys for one that "
        "is: somebody has put one or the other there");
  }
  if (names.empty() && !(file.ok() && ClaimsToBeSealed(*file))) return config.status();
  RepositoryClaim claim;
  ASSIGN_OR_RETURN(const std::vector<StoredKey> keys, ListKeys(store));
  if (!keys.empty() && keys.front().key.ok()) {
    claim.id = keys.front().key->repository;
  } else if (file.ok()) {
    const std::vector<TwinClaim> claims = PeekTwin(kConfigMagic, *file);
    if (!claims.empty()) claim.id = claims.front().repository;
  }
  return claim;
}

}  // namespace cairn
