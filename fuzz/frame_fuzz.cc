// SPDX-License-Identifier: Apache-2.0
// The stored bytes of a frame, behind its codec and raw size, with a checksum that holds: decoding
// never yields another size than was asked for. With bit 7 of the codec it is a delta, and the
// content of its bases comes before the frame.
#include "core/base/check.h"
#include "core/base/coding.h"
#include "core/store/frame.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static cairn::FrameCodecContext codec(3);
  static cairn::Bytes raw;
  cairn::Decoder input(cairn::ByteSpan(data, size));
  cairn::FrameInfo info;
  const uint8_t codec_and_delta = input.Fixed8();
  info.codec = static_cast<cairn::FrameCodec>(codec_and_delta & 0x7f);
  info.raw_bytes = input.Fixed32();
  cairn::ByteSpan prefix;
  if ((codec_and_delta & 0x80) != 0) {
    prefix = input.String(input.remaining());
    info.bases.resize(1);
  }
  const cairn::ByteSpan stored = input.Raw(input.remaining());
  if (!input.ok()) return 0;
  info.stored_bytes = static_cast<uint32_t>(stored.size());
  info.checksum = cairn::ChecksumFrame(stored);
  if (codec.Decode(info, stored, prefix, raw).ok()) CHECK(raw.size() == info.raw_bytes);
  return 0;
}
