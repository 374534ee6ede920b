// SPDX-License-Identifier: Apache-2.0
// A pack and its parity, damaged in places that the input names: what is mended is what was
// written, and nothing but a damaged copy is ever put in a pack's place. The input is the pack's
// size in KiB, then damages: which file and how (u8), where (u16), how much (u8).
#include <algorithm>
#include <string>

#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/base/memory_file_system.h"
#include "core/store/frame.h"
#include "core/store/object_store.h"
#include "core/store/pack_mend.h"
#include "core/store/parity.h"

namespace cairn {
namespace {

PackInfo WritePack(ObjectStore& store, uint8_t kib) {
  auto writer = PackWriter::Create(store, RepositoryKeys(), {}, kPackHasChunks | kPackHasParity);
  CHECK(writer.ok());
  FrameCodecContext codec(1);
  for (int part = 0; part < 2; ++part) {
    Bytes chunk(size_t{kib} * 512 + 1);
    uint32_t state = kib + 1U + static_cast<uint32_t>(part);
    for (uint8_t& byte : chunk) {
      state = state * 1664525 + 1013904223;
      byte = static_cast<uint8_t>(state >> 24);
    }
    RawFrame frame;
    frame.Add({BlobKind::kChunk, BlobHasher().Hash(BlobKind::kChunk, chunk)}, chunk);
    const auto sealed = codec.Seal(frame);
    CHECK(sealed.ok() && (*writer)->Add(*sealed).ok());
  }
  const auto info = (*writer)->Finish();
  CHECK(info.ok());
  const auto parity = (*writer)->TakeParity();
  CHECK(parity != nullptr && parity->Place().ok());
  return *info;
}

void Damage(MemoryFileSystem& fs, const std::string& path, uint8_t how, uint16_t where,
            uint8_t size) {
  CHECK(fs.Damage(path, [&](Bytes& bytes) {
            if (bytes.empty()) return;
            const size_t at = (size_t{where} * 16) % bytes.size();
            switch (how % 4) {
              case 0:
                bytes[at] ^= static_cast<uint8_t>(size | 1);
                return;
              case 1: {
                const size_t end = std::min(bytes.size(), at + size_t{size} * 256);
                std::fill(bytes.begin() + static_cast<ptrdiff_t>(at),
                          bytes.begin() + static_cast<ptrdiff_t>(end), uint8_t{0});
                return;
              }
              case 2:
                return bytes.resize(at);
              default:
                return bytes.resize(bytes.size() + size, size);
            }
          }).ok());
}

void MendDamaged(ByteSpan input) {
  Decoder decoder(input);
  MemoryFileSystem fs;
  const auto store = NewLocalObjectStore(fs);
  const PackInfo info = WritePack(*store, decoder.Fixed8());
  const std::string pack = PackObjectName(info.name);
  const auto whole = store->ReadAll(pack, kMiB);
  CHECK(whole.ok());
  while (decoder.remaining() >= 4) {
    const uint8_t how = decoder.Fixed8();
    const uint16_t where = decoder.Fixed16();
    Damage(fs, (how & 4) != 0 ? ParityObjectName(info.name) : pack, how, where, decoder.Fixed8());
  }
  PackMender mender(*store, RepositoryKeys(), {}, nullptr);
  const bool parity_is_whole = mender.VerifyParity(info).ok();
  const auto patches = mender.Solve(info);
  if (patches.ok()) CHECK(mender.Mend(info, *patches).ok());
  CHECK(!patches.ok() || mender.Verify(info).ok());
  const auto after = store->ReadAll(pack, kMiB);
  CHECK(after.ok() && (!patches.ok() || *after == *whole));
  if (patches.ok() && !parity_is_whole) CHECK(mender.MakeParity(info).ok());
  if (patches.ok()) CHECK(mender.VerifyParity(info).ok());
}

}  // namespace
}  // namespace cairn

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0 && size <= 65) cairn::MendDamaged({data, size});
  return 0;
}
