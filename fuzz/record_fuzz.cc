// SPDX-License-Identifier: Apache-2.0
// The entries of a record: what is decoded decodes again from its own encoding, which differs from
// the input only in entries that may be ignored.
#include "core/base/check.h"
#include "core/store/record.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto entries = cairn::DecodeEntries(cairn::RepositoryKeys(), {data, size});
  if (!entries.ok()) return 0;
  const cairn::Bytes encoded = cairn::EncodeEntries(*entries);
  CHECK(encoded.size() <= size);
  const auto again = cairn::DecodeEntries(cairn::RepositoryKeys(), encoded);
  CHECK(again.ok() && *again == *entries);
  return 0;
}
