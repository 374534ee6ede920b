// SPDX-License-Identifier: Apache-2.0
// A whole pack file, as a hostile repository would have it: the hash in its trailer is made to
// hold. The footer that a reader accepts describes the file to its last byte, and every frame can
// be read.
#include <algorithm>
#include <string>

#include "core/base/blake3.h"
#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/base/memory_file_system.h"
#include "core/store/object_store.h"
#include "core/store/pack.h"

namespace cairn {
namespace {

// Where the trailer, if it is one, says that the footer begins; the end of the frames otherwise.
uint64_t FooterBytes(ByteSpan file) {
  Decoder trailer(file.last(kPackTrailerBytes));
  trailer.Raw(8);
  return std::min<uint64_t>(trailer.Fixed64(), file.size() - kPackHeaderBytes - kPackTrailerBytes);
}

PackHash MakeHashHold(MutableByteSpan file) {
  static const HashKey key = Blake3DeriveKey("cairn v1 pack", HashKey{});
  Blake3 hasher(key);
  hasher.Update(file.first(kPackHeaderBytes));
  const ByteSpan before_trailer = file.first(file.size() - kPackTrailerBytes);
  hasher.Update(before_trailer.last(static_cast<size_t>(FooterBytes(file))));
  const PackHash hash{hasher.Finish()};
  std::ranges::copy(hash.bytes, file.last(PackHash::kBytes).begin());
  return hash;
}

void ReadAsPack(Bytes file, const PackHeader& header) {
  const PackHash hash = MakeHashHold(file);
  MemoryFileSystem fs;
  const auto store = NewLocalObjectStore(fs);
  CHECK(store->PutIfAbsent(PackObjectName(header.name), file, nullptr).ok());

  const auto found = ReadPackHeader(*store, RepositoryKeys(header.repository), header.name);
  CHECK(!found.ok() || found->name == header.name);
  const PackInfo info = {.name = header.name,
                         .bytes = file.size(),
                         .hash = hash,
                         .session = header.session,
                         .content = header.content};
  const auto footer = ReadPackFooter(*store, RepositoryKeys(header.repository), info);
  if (!footer.ok()) return;
  CHECK(found.ok());
  FrameCodecContext codec(3);
  Bytes raw;
  uint64_t end = kPackHeaderBytes;
  for (const FrameInfo& frame : footer->frames) {
    CHECK(frame.offset == end);
    end += frame.stored_bytes;
    const auto stored = ReadFrame(*store, RepositoryKeys(header.repository), header.name, 0, frame);
    CHECK(stored.ok() && stored->size() == frame.stored_bytes);
    const Bytes prefix(frame.bases.empty() ? 0 : 1000, 'x');
    codec.Decode(frame, *stored, prefix, raw).IgnoreError();
  }
  CHECK(end + EncodePackFooter(*footer).size() + kPackTrailerBytes == file.size());
}

}  // namespace
}  // namespace cairn

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < cairn::kPackHeaderBytes + cairn::kPackTrailerBytes) return 0;
  const auto header = cairn::DecodePackHeader({data, cairn::kPackHeaderBytes});
  if (header.ok()) cairn::ReadAsPack(cairn::Bytes(data, data + size), *header);
  return 0;
}
