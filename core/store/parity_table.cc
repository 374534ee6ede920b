// SPDX-License-Identifier: Apache-2.0
#include "core/store/parity_table.h"

#include <algorithm>
#include <array>
#include <string>

#include "absl/strings/str_format.h"
#include "core/base/check.h"
#include "core/base/coding.h"

namespace cairn {
namespace {

constexpr std::string_view kMagic = "CAIRNPAR";
constexpr uint32_t kVersion = 1;

// The content of both copies, block by block, and which blocks of it are known.
struct TableContent {
  Bytes bytes;
  std::vector<bool> known;  // by block
  bool whole = true;

  bool Knows(size_t offset, size_t size) const {
    return known[offset / kTableBlockContent] && known[(offset + size - 1) / kTableBlockContent];
  }
};

std::optional<ByteSpan> CheckedBlock(ByteSpan copy, size_t block) {
  const size_t offset = block * kShardBytes;
  const ByteSpan bytes = copy.subspan(offset, std::min(kShardBytes, copy.size() - offset));
  const ByteSpan content = bytes.first(bytes.size() - kChecksumBytes);
  Decoder checksum(bytes.last(kChecksumBytes));
  if (checksum.Fixed32() != ShardChecksum(content)) return std::nullopt;
  return content;
}

TableContent MergeCopies(ByteSpan copies, size_t content_bytes) {
  const std::array<ByteSpan, 2> each = {copies.first(copies.size() / 2),
                                        copies.last(copies.size() / 2)};
  TableContent merged;
  merged.bytes.resize(content_bytes);
  for (size_t block = 0; block * kTableBlockContent < content_bytes; ++block) {
    bool known = false;
    for (const ByteSpan copy : each) {
      const std::optional<ByteSpan> content = CheckedBlock(copy, block);
      merged.whole &= content.has_value();
      if (!content || known) continue;
      std::ranges::copy(*content,
                        merged.bytes.begin() + static_cast<ptrdiff_t>(block * kTableBlockContent));
      known = true;
    }
    merged.known.push_back(known);
  }
  return merged;
}

Status DecodeHead(ByteSpan bytes, ParityTable& table) {
  Decoder decoder(bytes);
  if (!std::ranges::equal(decoder.Raw(kMagic.size()), AsBytes(kMagic))) {
    decoder.Fail("its magic is wrong");
  }
  const uint32_t version = decoder.Fixed32();
  const uint32_t flags = decoder.Fixed32();
  if (decoder.ok() && (version != kVersion || flags != 0)) {
    return Unimplemented(
        absl::StrFormat("parity: version %d with flags 0x%x is unknown: use a "
                        "newer version of cairn",
                        version, flags));
  }
  table.repository = decoder.ReadId<RepositoryId>();
  table.name = decoder.ReadId<PackName>();
  table.pack_bytes = decoder.Fixed64();
  table.hash = decoder.ReadId<PackHash>();
  return decoder.Finish("parity");
}

void DecodeChecksums(const TableContent& content, size_t offset,
                     std::vector<std::optional<uint32_t>>& checksums) {
  for (size_t i = 0; i < checksums.size(); ++i, offset += kChecksumBytes) {
    if (!content.Knows(offset, kChecksumBytes)) continue;
    Decoder decoder(ByteSpan(content.bytes).subspan(offset, kChecksumBytes));
    checksums[i] = decoder.Fixed32();
  }
}

}  // namespace

Bytes EncodeParityTable(const ParityTable& table) {
  Bytes content;
  Encoder encoder(content);
  encoder.Raw(AsBytes(kMagic));
  encoder.Fixed32(kVersion);
  encoder.Fixed32(0);
  encoder.Raw(table.repository.span());
  encoder.Raw(table.name.span());
  encoder.Fixed64(table.pack_bytes);
  encoder.Raw(table.hash.span());
  for (const auto* const checksums : {&table.shards, &table.parity}) {
    for (const std::optional<uint32_t>& checksum : *checksums) {
      CHECK(checksum.has_value());
      encoder.Fixed32(*checksum);
    }
  }
  Bytes copy;
  Encoder blocks(copy);
  for (ByteSpan rest = content; !rest.empty();) {
    const ByteSpan block = rest.first(std::min(rest.size(), kTableBlockContent));
    rest = rest.subspan(block.size());
    blocks.Raw(block);
    blocks.Fixed32(ShardChecksum(block));
  }
  return copy;
}

StatusOr<DecodedParityTable> DecodeParityTable(ByteSpan copies, const PackInfo& info,
                                               const RepositoryId& repository) {
  const ParityLayout layout(info.bytes);
  if (copies.size() != 2 * layout.table_bytes()) return DataLoss("parity: its size is wrong");
  const size_t content_bytes =
      kParityHeadBytes + kChecksumBytes * (layout.shards + layout.parity_shards);
  const TableContent content = MergeCopies(copies, content_bytes);
  DecodedParityTable decoded;
  decoded.whole = content.whole;
  if (!content.Knows(0, kParityHeadBytes)) {
    return DataLoss("parity: the head of its table is damaged in both copies");
  }
  ParityTable& table = decoded.table;
  RETURN_IF_ERROR(DecodeHead(ByteSpan(content.bytes).first(kParityHeadBytes), table));
  if (table.repository != repository || table.name != info.name || table.pack_bytes != info.bytes ||
      table.hash != info.hash) {
    return DataLoss("parity: it is another pack's");
  }
  table.shards.resize(layout.shards);
  table.parity.resize(layout.parity_shards);
  DecodeChecksums(content, kParityHeadBytes, table.shards);
  DecodeChecksums(content, kParityHeadBytes + kChecksumBytes * layout.shards, table.parity);
  return decoded;
}

}  // namespace cairn
