// SPDX-License-Identifier: Apache-2.0
#include "core/base/coding.h"

namespace cairn {

uint64_t Decoder::Fixed(size_t width) {
  const ByteSpan bytes = Raw(width);
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size(); ++i) value |= static_cast<uint64_t>(bytes[i]) << (8 * i);
  return value;
}

uint64_t Decoder::Varint() {
  uint64_t value = 0;
  for (size_t i = 0; i < rest_.size() && i < 10; ++i) {
    const uint8_t byte = rest_[i];
    if (i == 9 && byte > 1) break;  // more than 64 bits
    value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if (byte & 0x80) continue;
    if (byte == 0 && i > 0) {
      Fail("varint is not in its shortest form");
      return 0;
    }
    rest_ = rest_.subspan(i + 1);
    return value;
  }
  Fail("varint is cut short or too long");
  return 0;
}

uint64_t Decoder::VarintUpTo(uint64_t max) {
  const uint64_t value = Varint();
  if (value <= max) return value;
  Fail("number is out of its range");
  return 0;
}

size_t Decoder::Count(size_t min_item_bytes) {
  const uint64_t count = Varint();
  if (count <= remaining() / (min_item_bytes == 0 ? 1 : min_item_bytes)) {
    return static_cast<size_t>(count);
  }
  Fail("count exceeds the bytes that follow");
  return 0;
}

ByteSpan Decoder::Raw(size_t size) {
  if (size > rest_.size()) {
    Fail("cut short");
    return {};
  }
  const ByteSpan bytes = rest_.first(size);
  rest_ = rest_.subspan(size);
  return bytes;
}

ByteSpan Decoder::String(size_t max) {
  const uint64_t size = Varint();
  if (size > max) {
    Fail("byte string is longer than allowed");
    return {};
  }
  return Raw(static_cast<size_t>(size));
}

Status Decoder::status(std::string_view structure) const {
  if (ok()) return OkStatus();
  std::string message(structure);
  message.append(": ").append(error_);
  return DataLoss(message);
}

Status Decoder::Finish(std::string_view structure) {
  if (ok() && !rest_.empty()) Fail("trailing bytes");
  return status(structure);
}

}  // namespace cairn
