// SPDX-License-Identifier: Apache-2.0
// The payload of a fold, behind the number and the hash of the record that it is named by: whatever
// is decoded encodes to the same bytes.
#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/store/journal_state.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cairn::Decoder input(cairn::ByteSpan(data, size));
  cairn::JournalHead head;
  head.number = input.Fixed16();
  head.hash = input.ReadId<cairn::RecordHash>();
  const cairn::ByteSpan payload = input.Raw(input.remaining());
  if (!input.ok()) return 0;
  const auto state = cairn::DecodeFold(cairn::RepositoryKeys(), payload, head);
  if (state.ok()) {
    CHECK(cairn::EncodeFold(*state) == cairn::Bytes(payload.begin(), payload.end()));
  }
  return 0;
}
