// SPDX-License-Identifier: Apache-2.0
// Small values for the tests of the store.
#pragma once

#include <string>
#include <vector>

#include "core/store/frame.h"
#include "core/store/pack.h"
#include "core/store/record.h"
#include "tests/support/status_matchers.h"

namespace cairn::testing {

// The id whose bytes are all `byte`.
template <typename Id>
Id Filled(uint8_t byte) {
  Id id;
  id.bytes.fill(byte);
  return id;
}

inline const RepositoryId kRepository = Filled<RepositoryId>(1);
inline const SessionId kSession = Filled<SessionId>(2);

inline PackInfo TestPackInfo(uint8_t byte) {
  return {.name = Filled<PackName>(byte),
          .bytes = 1000u + byte,
          .hash = Filled<PackHash>(static_cast<uint8_t>(byte ^ 0xff)),
          .session = Filled<SessionId>(static_cast<uint8_t>(byte / 2)),
          .content = kPackHasChunks};
}

inline SnapshotEntry TestSnapshot(uint8_t byte) {
  const Bytes object(40, byte);
  return {.id = HashSnapshotObject(RepositoryKeys(), object), .object = object};
}

// Bytes that compress, and differ by seed.
inline Bytes TestText(size_t size, uint32_t seed) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<uint8_t>('a' + (i * seed + i / 7) % 26);
  }
  return bytes;
}

// Bytes that do not compress, the same in every run.
inline Bytes TestNoise(size_t size, uint64_t seed) {
  Bytes bytes(size);
  uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
  for (uint8_t& byte : bytes) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    byte = static_cast<uint8_t>(state >> 32);
  }
  return bytes;
}

inline void AddBlob(RawFrame& frame, BlobKind kind, ByteSpan bytes) {
  frame.Add({.kind = kind, .id = BlobHasher().Hash(kind, bytes)}, bytes);
}

inline SealedFrame SealOf(const std::vector<Bytes>& chunks) {
  RawFrame frame;
  for (const Bytes& chunk : chunks) AddBlob(frame, BlobKind::kChunk, chunk);
  FrameCodecContext codec(3);
  auto sealed = codec.Seal(frame);
  EXPECT_OK(sealed.status());
  return *std::move(sealed);
}

// Writes a pack of these frames.
inline StatusOr<PackInfo> WritePack(ObjectStore& store, const std::vector<SealedFrame>& frames,
                                    const RepositoryId& repository, const SessionId& session) {
  ASSIGN_OR_RETURN(const auto writer,
                   PackWriter::Create(store, RepositoryKeys(repository), session, kPackHasChunks));
  for (const SealedFrame& frame : frames) RETURN_IF_ERROR(writer->Add(frame).status());
  return writer->Finish();
}

}  // namespace cairn::testing
