// SPDX-License-Identifier: Apache-2.0
// Payloads of records, one after another, each behind two bytes of its length: a journal as hostile
// writers would make it. A state refuses a record whole, or is afterwards one that a fold keeps.
#include <algorithm>

#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/store/journal_state.h"
#include "core/store/record.h"

namespace cairn {
namespace {

// Takes in the record, or leaves the state as it is.
void Follow(JournalState& state, ByteSpan payload) {
  auto entries = DecodeEntries(RepositoryKeys(), payload);
  if (!entries.ok()) return;
  const bool sound = state.CheckEntries(*entries).ok();
  Record record;
  record.number = state.head().number + 1;
  record.predecessor = state.head().hash;
  record.entries = *std::move(entries);
  EncodeRecord(RepositoryKeys(), record);
  const JournalState before = state;
  CHECK(state.Apply(record).ok() == sound);
  CHECK(sound || state == before);
}

// A fold forgets the ended sessions that have no packs, and nothing else.
void Fold(const JournalState& state) {
  const Bytes payload = EncodeFold(state);
  const auto folded = DecodeFold(RepositoryKeys(), payload, state.head());
  CHECK(folded.ok());
  CHECK(folded->packs() == state.packs() && folded->snapshots() == state.snapshots());
  CHECK(folded->short_hashes() == state.short_hashes());
  CHECK(std::ranges::includes(state.ended(), folded->ended()));
  CHECK(EncodeFold(*folded) == payload);
}

}  // namespace
}  // namespace cairn

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace cairn;  // NOLINT(google-build-using-namespace)
  Decoder input(ByteSpan(data, size));
  JournalState state;
  while (input.remaining() > 2) {
    const size_t bytes = input.Fixed16();
    Follow(state, input.Raw(std::min(bytes, input.remaining())));
  }
  if (state.head().number > 0) Fold(state);
  return 0;
}
