// SPDX-License-Identifier: Apache-2.0
// The footer of a pack of an encrypted repository, sealed with the right keys. What is decoded
// encodes to the same bytes; frames lie behind each other with room for their tags; and the pack is
// read just so if it is as long as its frames say. The first byte is the pack's content.
#include <algorithm>

#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/store/pack.h"

namespace cairn {
namespace {

constexpr uint64_t kMaxFramesBytes = 256 * 1024;

class BytesOfPack : public PackBytes {
 public:
  explicit BytesOfPack(Bytes bytes) : bytes_(std::move(bytes)) {}
  StatusOr<size_t> ReadAt(uint64_t offset, MutableByteSpan out) override {
    if (offset >= bytes_.size()) return size_t{0};
    const size_t count = std::min<size_t>(out.size(), bytes_.size() - static_cast<size_t>(offset));
    std::copy_n(bytes_.begin() + static_cast<ptrdiff_t>(offset), count, out.begin());
    return count;
  }
  const Bytes& bytes() const { return bytes_; }

 private:
  const Bytes bytes_;
};

void ReadFooter(uint8_t content, ByteSpan footer_bytes) {
  static const RepositoryKeys keys = [] {
    return RepositoryKeys(RepositoryId{.bytes = {'s', 'e', 'a', 'l'}},
                          SecretBytes(sizeof(HashKey)));
  }();
  const auto footer = DecodePackFooter(footer_bytes, keys.seal_bytes());
  uint64_t frames_end = kPackHeaderBytes;
  if (footer.ok()) {
    CHECK(std::ranges::equal(EncodePackFooter(*footer), footer_bytes));
    for (const FrameInfo& frame : footer->frames) {
      CHECK(frame.offset == frames_end);
      frames_end += frame.stored_bytes + kAeadTagBytes;
    }
  }
  if (frames_end > kMaxFramesBytes) return;

  PackHeader header;
  header.sealed = true;
  header.repository = keys.id();
  header.name.bytes[0] = 1;
  header.content = content & kPackContentMask;
  Bytes file = EncodePackHeader(header);
  Bytes hashed = file;
  Bytes sealed;
  keys.Seal(RepositoryKeys::Use::kPack, MakeAeadNonce(header.name.bytes, ~uint64_t{0}), file,
            footer_bytes, sealed);
  file.resize(static_cast<size_t>(frames_end));
  Append(file, sealed);
  Append(hashed, sealed);
  Encoder trailer(file);
  trailer.Raw(AsBytes("CAIRNEND"));
  trailer.Fixed64(sealed.size());
  trailer.Raw(Bytes(16, 0));
  PackInfo info;
  info.name = header.name;
  info.content = header.content;
  info.hash = PackHash{Blake3Keyed(keys.pack_hash_key(), hashed)};
  trailer.Raw(info.hash.span());
  info.bytes = file.size();
  BytesOfPack pack(std::move(file));
  const auto read = ReadPackFooter(pack, keys, info);
  CHECK(!read.ok() || footer.ok());
  const bool fits = footer.ok() && HasDeltas(*footer) == ((header.content & kPackHasDeltas) != 0);
  if (fits) CHECK(read.ok() && read->frames == footer->frames && read->blobs == footer->blobs);
}

}  // namespace
}  // namespace cairn

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0) cairn::ReadFooter(data[0], {data + 1, size - 1});
  return 0;
}
