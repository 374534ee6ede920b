// SPDX-License-Identifier: Apache-2.0
// The wire convention of every structure of the format: fixed integers little-endian, varints
// LEB128 in their shortest form, byte strings with a varint length before them.
//
// Decoder is for untrusted bytes: it bounds every read, accepts only the shortest varint, and keeps
// its first error. After a failure all reads return zeros or empty views, so a caller may read a
// whole structure and check ok() once, before it acts on counts it is about to allocate for.
#pragma once

#include <array>
#include <cstring>
#include <string>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/status.h"

namespace cairn {

// Eight bytes whose order is the numbers' order: of keys that are sorted, not of the format.
inline void AppendBigEndian(Bytes& out, uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<uint8_t>(value >> shift));
}

class Encoder {
 public:
  explicit Encoder(Bytes& out) : out_(out) {}

  void Fixed8(uint8_t value) { out_.push_back(value); }
  void Fixed16(uint16_t value) { Fixed(value, 2); }
  void Fixed32(uint32_t value) { Fixed(value, 4); }
  void Fixed64(uint64_t value) { Fixed(value, 8); }
  void Varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_.push_back(static_cast<uint8_t>(value | 0x80));
    out_.push_back(static_cast<uint8_t>(value));
  }
  // Zigzag: 0, -1, 1, -2, ... as 0, 1, 2, 3, ...
  void SignedVarint(int64_t value) {
    Varint(static_cast<uint64_t>(value) << 1 ^ static_cast<uint64_t>(value >> 63));
  }
  void Raw(ByteSpan bytes) { Append(out_, bytes); }
  void String(ByteSpan bytes) {
    Varint(bytes.size());
    Raw(bytes);
  }
  void String(std::string_view text) { String(AsBytes(text)); }

 private:
  void Fixed(uint64_t value, int width) {
    for (int i = 0; i < width; ++i) out_.push_back(static_cast<uint8_t>(value >> (8 * i)));
  }

  Bytes& out_;
};

class Decoder {
 public:
  // `bytes` must outlive the decoder and every view that it returns.
  explicit Decoder(ByteSpan bytes) : rest_(bytes) {}

  bool ok() const { return error_ == nullptr; }
  size_t remaining() const { return rest_.size(); }

  uint8_t Fixed8() { return static_cast<uint8_t>(Fixed(1)); }
  uint16_t Fixed16() { return static_cast<uint16_t>(Fixed(2)); }
  uint32_t Fixed32() { return static_cast<uint32_t>(Fixed(4)); }
  uint64_t Fixed64() { return Fixed(8); }
  uint64_t Varint();
  // Fails above `max`.
  uint64_t VarintUpTo(uint64_t max);
  int64_t SignedVarint() {
    const uint64_t value = Varint();
    return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
  }
  // A number of items of at least `min_item_bytes` each that still follow: bounds allocations.
  size_t Count(size_t min_item_bytes);
  ByteSpan Raw(size_t size);
  // Fails if longer than `max`.
  ByteSpan String(size_t max);
  std::string Text(size_t max) { return std::string(AsText(String(max))); }
  template <typename Id>
  Id ReadId() {
    const ByteSpan bytes = Raw(Id::kBytes);
    return bytes.size() == Id::kBytes ? Id::From(bytes) : Id{};
  }

  // Records a violation of the structure; only the first is kept. `what` must be a literal.
  void Fail(const char* what) {
    if (error_ != nullptr) return;
    error_ = what;
    rest_ = {};
  }

  // DATA_LOSS "STRUCTURE: what was wrong" after a failure.
  Status status(std::string_view structure) const;
  // The same, and bytes left over are a failure too.
  Status Finish(std::string_view structure);

 private:
  uint64_t Fixed(size_t width);

  ByteSpan rest_;
  const char* error_ = nullptr;
};

}  // namespace cairn
