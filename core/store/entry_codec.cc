// SPDX-License-Identifier: Apache-2.0
#include "core/store/entry_codec.h"

#include <utility>

#include "core/store/pack.h"
#include "core/store/record.h"

namespace cairn {

void EncodePackInfo(Encoder& encoder, const PackInfo& pack) {
  encoder.Raw(pack.name.span());
  encoder.Varint(pack.bytes);
  encoder.Raw(pack.hash.span());
  encoder.Raw(pack.session.span());
  encoder.Fixed8(pack.content);
}

PackInfo DecodePackInfo(Decoder& decoder) {
  PackInfo pack;
  pack.name = decoder.ReadId<PackName>();
  pack.bytes = decoder.VarintUpTo(kMaxPackBytes);
  pack.hash = decoder.ReadId<PackHash>();
  pack.session = decoder.ReadId<SessionId>();
  pack.content = decoder.Fixed8();
  if (pack.content > kPackContentMask) decoder.Fail("unknown kind of a pack's content");
  return pack;
}

void EncodeTags(Encoder& encoder, const std::vector<std::string>& tags) {
  encoder.Varint(tags.size());
  for (const std::string& tag : tags) encoder.String(std::string_view(tag));
}

std::vector<std::string> DecodeTags(Decoder& decoder) {
  const uint64_t count = decoder.VarintUpTo(kMaxTags);
  std::vector<std::string> tags;
  for (uint64_t i = 0; i < count && decoder.ok(); ++i) {
    std::string tag = decoder.Text(kMaxTagBytes);
    if (!tags.empty() && tag <= tags.back()) decoder.Fail("tags are not in order");
    tags.push_back(std::move(tag));
  }
  return tags;
}

Bytes DecodeSnapshotObject(Decoder& decoder) {
  const ByteSpan object = decoder.String(kMaxSnapshotObjectBytes);
  if (object.size() < kMinSnapshotObjectBytes) decoder.Fail("a snapshot object is too short");
  return Bytes(object.begin(), object.end());
}

}  // namespace cairn
