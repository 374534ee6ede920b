// SPDX-License-Identifier: Apache-2.0
// A twin of any kind, in a repository that is encrypted or not, whose hashes are made to hold if
// the first byte asks for it: header (from behind the magic) and payload. Its payload is sealed by
// the repository's own key if it asks for that, so that decoders of sealed payloads are reached.
// What is read encodes to the same bytes again.
#include <algorithm>

#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/store/config.h"
#include "core/store/journal_state.h"
#include "core/store/key_object.h"
#include "core/store/record.h"
#include "core/store/twin.h"

namespace cairn {
namespace {

const TwinMagic* const kMagics[] = {&kConfigMagic, &kRecordMagic, &kFoldMagic, &kKeyMagic};

RepositoryKeys KeysOf(bool sealed) {
  const RepositoryId id{.bytes = {'t', 'w', 'i', 'n', 's'}};
  if (!sealed) return RepositoryKeys(id);
  static const SecretBytes master(kMasterKeyBytes);
  return {id, master};
}

// The file that a hostile writer with the keys would make.
Bytes FileOf(const RepositoryKeys& keys, const TwinMagic& magic, ByteSpan input) {
  Decoder decoder(input);
  Twin twin;
  twin.magic = magic;
  twin.features = decoder.Fixed8();
  twin.repository = decoder.Fixed8() % 8 == 0 ? RepositoryId{} : keys.id();
  twin.number = decoder.Fixed8();
  twin.predecessor.bytes[0] = decoder.Fixed8();
  const ByteSpan nonce = decoder.Raw(std::min<size_t>(decoder.remaining(), 2));
  std::ranges::copy(nonce, twin.nonce.begin());
  const ByteSpan payload = decoder.Raw(decoder.remaining());
  twin.payload.assign(payload.begin(), payload.end());
  return EncodeTwin(keys, twin);
}

// By the decoder of its kind, then by the others'.
void DecodeAll(const RepositoryKeys& keys, ByteSpan file) {
  for (const TwinMagic* const magic : kMagics) {
    auto decoded = DecodeTwin(keys, *magic, file, "input");
    PeekTwin(*magic, file);
    if (!decoded.ok()) continue;
    const bool whole = decoded->damage.empty();
    const Twin& twin = decoded->twin;
    if (magic == &kFoldMagic) {
      const auto state = DecodeFold(keys, twin.payload, {twin.number, twin.predecessor});
      if (state.ok()) CHECK(EncodeFold(*state) == twin.payload);
    }
    const auto again = EncodeAgain(keys, *std::move(decoded), "input");
    CHECK(!whole || (again.ok() && std::ranges::equal(*again, file)));
  }
  // But for entries that may be ignored.
  auto record = DecodeRecord(keys, file, "input");
  if (record.ok()) {
    const auto same = DecodeRecord(keys, EncodeRecord(keys, *record), "input");
    CHECK(same.ok() && same->entries == record->entries && same->number == record->number);
  }
  std::string damage;
  const auto config = DecodeConfig(keys, file, &damage);
  const auto key = DecodeKeyObject(file, "input", &damage);
  if (key.ok() && damage.empty()) CHECK(std::ranges::equal(EncodeKeyObject(*key), file));
}

}  // namespace
}  // namespace cairn

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace cairn;  // NOLINT(google-build-using-namespace)
  if (size == 0) return 0;
  const uint8_t how = data[0];
  const ByteSpan input(data + 1, size - 1);
  const RepositoryKeys keys = KeysOf((how & 1) != 0);
  if ((how & 2) != 0) {
    const TwinMagic& magic = *kMagics[how / 4 % 4];
    const bool is_key = magic == kKeyMagic;
    DecodeAll(keys, FileOf(is_key ? RepositoryKeys() : keys, magic, input));
  } else {
    DecodeAll(keys, input);
  }
  return 0;
}
