// SPDX-License-Identifier: Apache-2.0
// BLAKE3-256 (O'Connor, Aumasson, Neves, Wilcox-O'Hearn, 2020): the one hash of cairn.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string_view>

#include "core/base/bytes.h"

namespace cairn {

using Hash256 = std::array<uint8_t, 32>;
using HashKey = std::array<uint8_t, 32>;

// Thread-compatible; the functions below are thread-safe.
class Blake3 {
 public:
  Blake3();                             // plain
  explicit Blake3(const HashKey& key);  // keyed
  Blake3(Blake3&&) noexcept;
  Blake3& operator=(Blake3&&) noexcept;
  ~Blake3();

  void Update(ByteSpan bytes);
  Hash256 Finish() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Hash256 Blake3Hash(ByteSpan bytes);
Hash256 Blake3Keyed(const HashKey& key, ByteSpan bytes);

// Blake3Keyed of many inputs at once: half as fast again for inputs of some KiB where the processor
// has AVX-512, as these fill its lanes together. Keeps its memory. Thread-compatible.
class Blake3Many {
 public:
  Blake3Many();
  Blake3Many(Blake3Many&&) noexcept;
  Blake3Many& operator=(Blake3Many&&) noexcept;
  ~Blake3Many();

  // In the order of `inputs`; valid until the next call.
  std::span<const Hash256> Hash(const HashKey& key, std::span<const ByteSpan> inputs);

  // Whether it hashes inputs together here: that the processor can, and that it was seen to give
  // what the library gives.
  static bool UsesLanes();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// BLAKE3's derive_key mode: `context` is a constant of the program, never input.
HashKey Blake3DeriveKey(std::string_view context, ByteSpan key_material);

}  // namespace cairn
