// SPDX-License-Identifier: Apache-2.0
// Both copies of the table of a parity file, as a hostile repository would have them: whose parity
// it is, is taken from what it says, and the checksums of its blocks are made to hold if the first
// byte is odd. What is read whole is what its value encodes to.
#include <algorithm>

#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/store/parity_table.h"

namespace cairn {
namespace {

constexpr uint64_t kMaxBytes = 4 * kMiB;

void MakeChecksumsHold(MutableByteSpan copy) {
  for (size_t at = 0; at < copy.size(); at += kShardBytes) {
    const MutableByteSpan block = copy.subspan(at, std::min(kShardBytes, copy.size() - at));
    if (block.size() <= kChecksumBytes) return;
    Bytes checksum;
    Encoder(checksum).Fixed32(ShardChecksum(block.first(block.size() - kChecksumBytes)));
    std::ranges::copy(checksum, block.last(kChecksumBytes).begin());
  }
}

void ReadTable(bool fix, Bytes copies) {
  Decoder head(copies);
  head.Raw(16);
  PackInfo info;
  const auto repository = head.ReadId<RepositoryId>();
  info.name = head.ReadId<PackName>();
  info.bytes = head.Fixed64() % kMaxBytes;
  info.hash = head.ReadId<PackHash>();
  const ParityLayout layout(info.bytes);
  copies.resize(static_cast<size_t>(2 * layout.table_bytes()));
  if (fix) {
    MakeChecksumsHold(MutableByteSpan(copies).first(copies.size() / 2));
    MakeChecksumsHold(MutableByteSpan(copies).last(copies.size() / 2));
  }
  const StatusOr<DecodedParityTable> decoded = DecodeParityTable(copies, info, repository);
  if (!decoded.ok()) return;
  CHECK(decoded->table.shards.size() == layout.shards);
  CHECK(decoded->table.parity.size() == layout.parity_shards);
  if (!decoded->whole) return;
  const Bytes copy = EncodeParityTable(decoded->table);
  CHECK(std::ranges::equal(ByteSpan(copies).first(copies.size() / 2), copy));
}

}  // namespace
}  // namespace cairn

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > cairn::kParityHeadBytes) cairn::ReadTable((data[0] & 1) != 0, {data + 1, data + size});
  return 0;
}
