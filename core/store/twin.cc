// SPDX-License-Identifier: Apache-2.0
#include "core/store/twin.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/base/blake3.h"
#include "core/base/coding.h"
#include "core/store/features.h"

namespace cairn {
namespace {

constexpr uint32_t kTwinVersion = 1;
constexpr size_t kMinCopyBytes = kTwinHeaderBytes + kTwinHashBytes;

struct FlagName {
  uint32_t bit;
  const char* name;
};
constexpr FlagName kFlagNames[] = {
    {1, "sealed (encryption)"}, {2, "delta"}, {4, "pack key"}, {8, "remote"}, {16, "compressed"}};

RecordHash HashCopy(const RepositoryKeys& keys, ByteSpan header_and_payload) {
  return RecordHash{Blake3Keyed(keys.twin_hash_key(), header_and_payload)};
}

size_t RoundUpToSector(size_t bytes) {
  return (bytes + kTwinSectorBytes - 1) / kTwinSectorBytes * kTwinSectorBytes;
}

// Where the second copy begins in a file of `size` bytes, or nothing if no twin has that size.
std::optional<size_t> SecondCopyOffset(size_t size) {
  const size_t offset = RoundUpToSector(size / 2 + size % 2);
  if (offset >= size) return std::nullopt;
  const size_t copy = size - offset;
  if (copy < kMinCopyBytes || RoundUpToSector(copy) != offset) return std::nullopt;
  return offset;
}

// One copy as it was found.
struct Copy {
  std::string error = "it is missing";  // empty if the hash holds
  bool magic_holds = false;
  uint32_t version = 0;  // these two are believed only with the hash
  uint32_t flags = 0;
  ByteSpan bytes;  // header, payload and hash, if the hash holds

  bool whole() const { return error.empty(); }
};

Copy ReadCopy(const RepositoryKeys& keys, const TwinMagic& magic, ByteSpan from) {
  Copy copy;
  Decoder decoder(from);
  const ByteSpan found_magic = decoder.Raw(magic.size());
  copy.version = decoder.Fixed32();
  copy.flags = decoder.Fixed32();
  decoder.Raw(72);  // repository, number, predecessor, nonce
  const uint64_t payload_bytes = decoder.Fixed64();
  if (!decoder.ok()) {
    copy.error = "it is cut short";
    return copy;
  }
  copy.magic_holds = std::ranges::equal(found_magic, AsBytes({magic.data(), magic.size()}));
  if (!copy.magic_holds) {
    copy.error = "its magic is wrong";
    return copy;
  }
  if (payload_bytes > from.size() - kTwinHeaderBytes ||
      from.size() - kTwinHeaderBytes - payload_bytes < kTwinHashBytes) {
    copy.error = "it is cut short, or its length is wrong";
    return copy;
  }
  const size_t hashed = kTwinHeaderBytes + static_cast<size_t>(payload_bytes);
  if (HashCopy(keys, from.first(hashed)) !=
      RecordHash::From(from.subspan(hashed, kTwinHashBytes))) {
    copy.error = "its hash does not match";
    return copy;
  }
  copy.error.clear();
  copy.bytes = from.first(hashed + kTwinHashBytes);
  return copy;
}

Status UnknownVersion(std::string_view name, uint32_t version) {
  return Unimplemented(absl::StrFormat(
      "%s has format version %d, and this program knows version %d only: use a newer version of "
      "cairn",
      name, version, kTwinVersion));
}

Status UnknownFlags(std::string_view name, uint32_t flags) {
  std::string names;
  for (const FlagName& flag : kFlagNames) {
    if ((flags & flag.bit) == 0) continue;
    names += names.empty() ? flag.name : std::string(", ") + flag.name;
    flags &= ~flag.bit;
  }
  if (flags != 0) names += absl::StrFormat("%sunknown 0x%x", names.empty() ? "" : ", ", flags);
  return Unimplemented(absl::StrFormat(
      "%s uses features that this program does not know (%s): use a newer version of cairn", name,
      names));
}

// Why neither copy can be read. A version is believed without a hash if both copies state the same
// one, since a later version may hash otherwise: one sector's damage cannot make that up.
Status NeitherCopy(std::string_view name, const Copy& first, const Copy& second) {
  if (first.magic_holds && second.magic_holds && first.version == second.version &&
      first.version > kTwinVersion) {
    return UnknownVersion(name, first.version);
  }
  return DataLoss(absl::StrFormat("%s: neither copy is whole: the first: %s; the second: %s", name,
                                  first.error, second.error));
}

// The nonce with the number is random, and no two twins of a repository have the same header: so it
// is never used twice. REQUIRES: `copy` is whole.
StatusOr<Twin> Parse(const RepositoryKeys& keys, const TwinMagic& magic, const Copy& copy) {
  Decoder decoder(copy.bytes);
  decoder.Raw(16);  // magic, version, flags
  Twin twin;
  twin.magic = magic;
  twin.features = copy.flags & ~kFeatureSealed;
  twin.repository = decoder.ReadId<RepositoryId>();
  twin.number = decoder.Fixed64();
  twin.predecessor = decoder.ReadId<RecordHash>();
  std::ranges::copy(decoder.Raw(twin.nonce.size()), twin.nonce.begin());
  const ByteSpan payload = decoder.Raw(static_cast<size_t>(decoder.Fixed64()));
  if (keys.sealed()) {
    ASSIGN_OR_RETURN(twin.payload,
                     keys.Open(RepositoryKeys::Use::kTwin, MakeAeadNonce(twin.nonce, twin.number),
                               copy.bytes.first(kTwinHeaderBytes), payload));
  } else {
    twin.payload.assign(payload.begin(), payload.end());
  }
  twin.hash = decoder.ReadId<RecordHash>();
  return twin;
}

// What is wrong with a file of which `copy` is one whole copy; empty if nothing is.
std::string FindDamage(ByteSpan file, const Copy& first, const Copy& second, const Copy& copy) {
  if (!first.whole()) return "the first copy is damaged: " + first.error;
  const size_t offset = RoundUpToSector(copy.bytes.size());
  if (file.size() != offset + copy.bytes.size()) {
    return absl::StrFormat("the file has %d bytes instead of %d", file.size(),
                           offset + copy.bytes.size());
  }
  if (!second.whole()) return "the second copy is damaged: " + second.error;
  const ByteSpan padding = file.subspan(copy.bytes.size(), offset - copy.bytes.size());
  if (std::ranges::any_of(padding, [](uint8_t byte) { return byte != 0; })) {
    return "the bytes between the copies are not zeros";
  }
  return "";
}

}  // namespace

Bytes EncodeTwin(const RepositoryKeys& keys, Twin& twin) {
  Bytes file;
  const size_t payload_bytes = twin.payload.size() + keys.seal_bytes();
  const size_t copy_bytes = kTwinHeaderBytes + payload_bytes + kTwinHashBytes;
  const size_t offset = RoundUpToSector(copy_bytes);
  file.reserve(offset + copy_bytes);
  Encoder encoder(file);
  encoder.Raw(AsBytes({twin.magic.data(), twin.magic.size()}));
  encoder.Fixed32(kTwinVersion);
  encoder.Fixed32(twin.features | (keys.sealed() ? kFeatureSealed : 0));
  encoder.Raw(twin.repository.span());
  encoder.Fixed64(twin.number);
  encoder.Raw(twin.predecessor.span());
  encoder.Raw(twin.nonce);
  encoder.Fixed64(payload_bytes);
  if (keys.sealed()) {
    const Bytes header = file;
    keys.Seal(RepositoryKeys::Use::kTwin, MakeAeadNonce(twin.nonce, twin.number), header,
              twin.payload, file);
  } else {
    encoder.Raw(twin.payload);
  }
  twin.hash = HashCopy(keys, file);
  encoder.Raw(twin.hash.span());
  file.resize(offset);
  file.insert(file.end(), file.begin(), file.begin() + static_cast<ptrdiff_t>(copy_bytes));
  return file;
}

StatusOr<DecodedTwin> DecodeTwin(const RepositoryKeys& keys, const TwinMagic& magic, ByteSpan file,
                                 std::string_view name) {
  const Copy first = ReadCopy(keys, magic, file);
  Copy second;
  if (const std::optional<size_t> offset = SecondCopyOffset(file.size())) {
    second = ReadCopy(keys, magic, file.subspan(*offset));
    if (second.whole() && second.bytes.size() != file.size() - *offset) {
      second.error = "bytes follow it";
    }
  }
  if (!first.whole() && !second.whole()) return NeitherCopy(name, first, second);
  // Both hashes hold, so no accident made the difference, and nothing tells which one is meant.
  if (first.whole() && second.whole() && !std::ranges::equal(first.bytes, second.bytes)) {
    return DataLoss(absl::StrFormat("%s: its two copies are whole and differ", name));
  }
  const Copy& copy = first.whole() ? first : second;
  if (copy.version == 0) return DataLoss(absl::StrFormat("%s has format version 0", name));
  if (copy.version != kTwinVersion) return UnknownVersion(name, copy.version);
  if (const uint32_t unknown = copy.flags & ~kKnownFeatures; unknown != 0) {
    return UnknownFlags(name, unknown);
  }
  if (((copy.flags & kFeatureSealed) != 0) != keys.sealed()) {
    return DataLoss(absl::StrFormat("%s %s", name,
                                    keys.sealed() ? "is not encrypted, though its repository is"
                                                  : "is encrypted, though its repository is not"));
  }
  StatusOr<Twin> twin = Parse(keys, magic, copy);
  if (!twin.ok()) return Annotate(twin.status(), name);
  return DecodedTwin{.twin = *std::move(twin), .damage = FindDamage(file, first, second, copy)};
}

StatusOr<Bytes> EncodeAgain(const RepositoryKeys& keys, DecodedTwin decoded,
                            std::string_view name) {
  const RecordHash hash = decoded.twin.hash;
  Bytes whole = EncodeTwin(keys, decoded.twin);
  if (decoded.twin.hash == hash) return whole;
  return Internal(absl::StrFormat("%s: it is encoded otherwise than it was", name));
}

std::vector<TwinClaim> PeekTwin(const TwinMagic& magic, ByteSpan file) {
  std::vector<TwinClaim> claims;
  const auto look = [&](ByteSpan copy) {
    Decoder decoder(copy);
    const ByteSpan found_magic = decoder.Raw(magic.size());
    const uint32_t version = decoder.Fixed32();
    const uint32_t flags = decoder.Fixed32();
    const auto repository = decoder.ReadId<RepositoryId>();
    if (!decoder.ok() || version != kTwinVersion) return;
    if (!std::ranges::equal(found_magic, AsBytes({magic.data(), magic.size()}))) return;
    claims.push_back({.repository = repository, .sealed = (flags & kFeatureSealed) != 0});
  };
  look(file);
  if (const std::optional<size_t> offset = SecondCopyOffset(file.size())) {
    look(file.subspan(*offset));
  }
  return claims;
}

}  // namespace cairn
