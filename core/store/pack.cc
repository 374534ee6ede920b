// SPDX-License-Identifier: Apache-2.0
#include "core/store/pack.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/base/blake3.h"
#include "core/base/coding.h"
#include "core/base/random.h"
#include "core/store/parity.h"

namespace cairn {
namespace {

constexpr std::string_view kTrailerMagic = "CAIRNEND";
// Of the data that a sealed frame is bound to.
constexpr std::string_view kFrameMagic = "CAIRNFRM";
constexpr uint32_t kSealVersion = 1;
// What is read from the end of a pack at once; most footers fit.
constexpr uint64_t kTailBytes = 64 * kKiB;
constexpr uint64_t kMinPackBytes = kPackHeaderBytes + kPackTrailerBytes;

// `footer` as it is in the file.
PackHash HashPack(const RepositoryKeys& keys, ByteSpan header, ByteSpan footer) {
  Blake3 hasher(keys.pack_hash_key());
  hasher.Update(header);
  hasher.Update(footer);
  return PackHash{hasher.Finish()};
}

// A pack's name is random and given to one file only, in which each number is used once: so no
// nonce ever comes again.
AeadNonce SealNonce(const PackName& pack, uint64_t number) {
  return MakeAeadNonce(pack.bytes, number);
}

// The footer's in the place of a frame's number.
constexpr uint64_t kFooterNumber = std::numeric_limits<uint64_t>::max();

// All that decoding a frame rests on, besides its bytes: so that it opens in its own place only.
Bytes AssociatedData(const RepositoryId& repository, const PackName& pack, uint64_t number,
                     const FrameInfo& frame) {
  Bytes bytes;
  Encoder encoder(bytes);
  encoder.Raw(AsBytes(kFrameMagic));
  encoder.Fixed32(kSealVersion);
  encoder.Raw(repository.span());
  encoder.Raw(pack.span());
  encoder.Fixed64(number);
  encoder.Fixed32(frame.raw_bytes);
  encoder.Fixed8(static_cast<uint8_t>(frame.codec));
  encoder.Fixed32(static_cast<uint32_t>(frame.bases.size()));
  for (const BaseId& base : frame.bases) encoder.Raw(base);
  return bytes;
}

struct Trailer {
  uint64_t footer_bytes = 0;
  PackHash hash;
};

Bytes EncodeTrailer(const Trailer& trailer) {
  Bytes bytes;
  Encoder encoder(bytes);
  encoder.Raw(AsBytes(kTrailerMagic));
  encoder.Fixed64(trailer.footer_bytes);
  encoder.Fixed64(0);
  encoder.Fixed64(0);
  encoder.Raw(trailer.hash.span());
  return bytes;
}

// `pack_bytes` bounds the footer.
StatusOr<Trailer> DecodeTrailer(ByteSpan bytes, uint64_t pack_bytes) {
  Decoder decoder(bytes);
  Trailer trailer;
  if (!std::ranges::equal(decoder.Raw(kTrailerMagic.size()), AsBytes(kTrailerMagic))) {
    decoder.Fail("its magic is wrong");
  }
  trailer.footer_bytes = decoder.Fixed64();
  if (trailer.footer_bytes > pack_bytes - kMinPackBytes || trailer.footer_bytes > kMaxFooterBytes) {
    decoder.Fail("the footer's length is out of bounds");
  }
  if (decoder.Fixed64() != 0 || decoder.Fixed64() != 0)
    decoder.Fail("reserved bytes are not zeros");
  trailer.hash = decoder.ReadId<PackHash>();
  RETURN_IF_ERROR(decoder.Finish("pack trailer"));
  return trailer;
}

class StoredPack : public PackBytes {
 public:
  StoredPack(ObjectStore& store, const PackName& name)
      : store_(store), object_(PackObjectName(name)) {}
  StatusOr<size_t> ReadAt(uint64_t offset, MutableByteSpan out) override {
    return store_.ReadAt(object_, offset, out);
  }

 private:
  ObjectStore& store_;
  const std::string object_;
};

// `size` bytes from `offset`; DATA_LOSS if the pack ends before.
StatusOr<Bytes> ReadExactly(PackBytes& pack, uint64_t offset, uint64_t size) {
  Bytes bytes(static_cast<size_t>(size));
  ASSIGN_OR_RETURN(const size_t got, pack.ReadAt(offset, bytes));
  if (got != size) return DataLoss("it is cut short");
  return bytes;
}

// What the pack hash covers, and the hash: header and footer as they were found.
struct PackEnds {
  Bytes header;
  Bytes footer;
  PackHash hash;  // as the trailer has it, compared with the other two
};

// REQUIRES: kMinPackBytes <= pack_bytes <= kMaxPackBytes.
StatusOr<PackEnds> ReadPackEnds(PackBytes& pack, const RepositoryKeys& keys, uint64_t pack_bytes) {
  const uint64_t tail_bytes = std::min(kTailBytes, pack_bytes);
  // One byte more than there should be, to see that nothing follows.
  Bytes tail(static_cast<size_t>(tail_bytes) + 1);
  ASSIGN_OR_RETURN(const size_t got, pack.ReadAt(pack_bytes - tail_bytes, tail));
  if (got != tail_bytes) return DataLoss(got < tail_bytes ? "it is cut short" : "it is too long");
  tail.pop_back();

  const ByteSpan trailer_bytes = ByteSpan(tail).last(kPackTrailerBytes);
  ASSIGN_OR_RETURN(const Trailer trailer, DecodeTrailer(trailer_bytes, pack_bytes));
  const uint64_t end_bytes = trailer.footer_bytes + kPackTrailerBytes;
  PackEnds ends;
  ends.hash = trailer.hash;
  if (end_bytes <= tail_bytes) {
    const ByteSpan footer = ByteSpan(tail)
                                .last(static_cast<size_t>(end_bytes))
                                .first(static_cast<size_t>(trailer.footer_bytes));
    ends.footer.assign(footer.begin(), footer.end());
  } else {
    ASSIGN_OR_RETURN(ends.footer,
                     ReadExactly(pack, pack_bytes - end_bytes, end_bytes - tail_bytes));
    Append(ends.footer, ByteSpan(tail).first(tail.size() - kPackTrailerBytes));
  }
  if (tail_bytes == pack_bytes) {
    const ByteSpan header = ByteSpan(tail).first(kPackHeaderBytes);
    ends.header.assign(header.begin(), header.end());
  } else {
    ASSIGN_OR_RETURN(ends.header, ReadExactly(pack, 0, kPackHeaderBytes));
  }
  if (HashPack(keys, ends.header, ends.footer) != ends.hash) {
    return DataLoss("the hash of its header and footer does not match");
  }
  return ends;
}

std::string Describe(const PackName& name) { return "pack " + name.Hex(); }

StatusOr<PackFooter> ReadVerifiedFooter(PackBytes& pack, const RepositoryKeys& keys,
                                        const PackInfo& info) {
  if (info.bytes < kMinPackBytes || info.bytes > kMaxPackBytes) {
    return DataLoss("its size is out of bounds");
  }
  ASSIGN_OR_RETURN(const PackEnds ends, ReadPackEnds(pack, keys, info.bytes));
  if (ends.hash != info.hash) return DataLoss("its hash is not the one that the journal names");
  ASSIGN_OR_RETURN(const PackHeader header, DecodePackHeader(ends.header));
  if (header.repository != keys.id()) return DataLoss("it belongs to another repository");
  if (header.name != info.name || header.session != info.session ||
      header.content != info.content) {
    return DataLoss("its header contradicts the journal");
  }
  if (header.sealed != keys.sealed()) {
    return DataLoss(keys.sealed() ? "it is not encrypted, though its repository is"
                                  : "it is encrypted, though its repository is not");
  }
  Bytes opened;
  if (keys.sealed()) {
    ASSIGN_OR_RETURN(opened,
                     keys.Open(RepositoryKeys::Use::kPack, SealNonce(info.name, kFooterNumber),
                               ends.header, ends.footer));
  }
  const ByteSpan footer_bytes = keys.sealed() ? opened : ends.footer;
  ASSIGN_OR_RETURN(PackFooter footer, DecodePackFooter(footer_bytes, keys.seal_bytes()));
  uint64_t bytes = kMinPackBytes + ends.footer.size();
  for (const FrameInfo& frame : footer.frames) bytes += frame.stored_bytes + keys.seal_bytes();
  if (bytes != info.bytes) return DataLoss("its frames do not fill it");
  if (HasDeltas(footer) != ((info.content & kPackHasDeltas) != 0)) {
    return DataLoss("its footer and its header differ in whether it has delta frames");
  }
  return footer;
}

}  // namespace

std::string PackObjectName(const PackName& name) {
  const std::string hex = name.Hex();
  return "packs/" + hex.substr(0, 2) + "/" + hex;
}

PackWriter::PackWriter(const RepositoryKeys& keys) : keys_(keys) {}
PackWriter::~PackWriter() = default;

StatusOr<std::unique_ptr<PackWriter>> PackWriter::Create(ObjectStore& store,
                                                         const RepositoryKeys& keys,
                                                         SessionId session, uint8_t content) {
  std::unique_ptr<PackWriter> writer(new PackWriter(keys));
  writer->header_ = {.sealed = keys.sealed(),
                     .repository = keys.id(),
                     .name = RandomId<PackName>(),
                     .session = session,
                     .content = content};
  writer->header_bytes_ = EncodePackHeader(writer->header_);
  ASSIGN_OR_RETURN(writer->writer_,
                   store.Create(PackObjectName(writer->header_.name), session.Hex()));
  if ((content & kPackHasParity) != 0) {
    StatusOr<std::unique_ptr<ParityWriter>> parity =
        ParityWriter::Create(store, keys.id(), session, writer->name(), /*replace=*/false);
    if (parity.ok()) writer->parity_ = *std::move(parity);
  }
  RETURN_IF_ERROR(writer->Append(writer->header_bytes_));
  writer->bytes_ = kPackHeaderBytes;
  return writer;
}

Status PackWriter::Append(ByteSpan bytes) {
  RETURN_IF_ERROR(writer_->Append(bytes));
  if (parity_ != nullptr && !parity_->Append(bytes).ok()) parity_.reset();
  return OkStatus();
}

Status PackWriter::AppendFrame(const SealedFrame& frame, uint64_t number) {
  if (!keys_.sealed()) return Append(frame.stored);
  const AeadNonce nonce = SealNonce(name(), number);
  const Bytes associated = AssociatedData(keys_.id(), name(), number, frame.info);
  sealed_.clear();
  keys_.Seal(RepositoryKeys::Use::kPack, nonce, associated, frame.stored, sealed_);
  // As with its decoding: what is written is what was seen to come back.
  const StatusOr<Bytes> opened = keys_.Open(RepositoryKeys::Use::kPack, nonce, associated, sealed_);
  if (!opened.ok() || *opened != frame.stored) {
    return Internal("a frame does not open to what was sealed (bad memory, or a bug)");
  }
  return Append(sealed_);
}

StatusOr<uint32_t> PackWriter::Add(const SealedFrame& frame) {
  if (broken_) return Internal(Describe(name()) + ": added to after an error");
  broken_ = true;
  if (frame.info.stored_bytes != frame.stored.size() || frame.blobs.empty()) {
    return Internal(Describe(name()) + ": the frame was not sealed");
  }
  if (!frame.info.bases.empty() && (header_.content & kPackHasDeltas) == 0) {
    return Internal(Describe(name()) + ": it was not created for delta frames");
  }
  const uint64_t stored_bytes = frame.stored.size() + keys_.seal_bytes();
  if (bytes_ + stored_bytes + kMaxFooterBytes > kMaxPackBytes ||
      footer_bytes_ + FooterBytes(frame) > kMaxFooterBytes) {
    return ResourceExhausted(Describe(name()) + ": it would be larger than a pack may be");
  }
  const auto number = static_cast<uint32_t>(footer_.frames.size());
  RETURN_IF_ERROR(Annotate(AppendFrame(frame, number), Describe(name())));
  footer_.frames.push_back(frame.info);
  footer_.frames.back().offset = bytes_;
  for (BlobInfo blob : frame.blobs) {
    blob.frame = number;
    footer_.blobs.push_back(blob);
  }
  bytes_ += stored_bytes;
  footer_bytes_ += FooterBytes(frame);
  broken_ = false;
  return number;
}

uint64_t PackWriter::FooterBytes(const SealedFrame& frame) {
  constexpr uint64_t kFrameBytes = 4 + 4 + 1 + 2 + sizeof(FrameChecksum) + 4;
  constexpr uint64_t kBlobBytes = 1 + 4 + BlobId::kBytes;
  return kFrameBytes + kBlobBytes * frame.blobs.size() + sizeof(BaseId) * frame.info.bases.size();
}

uint64_t PackWriter::bytes() const {
  return bytes_ + footer_bytes_ + keys_.seal_bytes() + kPackTrailerBytes;
}
const PackName& PackWriter::name() const { return header_.name; }
const PackFooter& PackWriter::footer() const { return footer_; }

StatusOr<PackInfo> PackWriter::Finish() {
  if (broken_) return Internal(Describe(name()) + ": finished after an error");
  broken_ = true;
  if (HasDeltas(footer_) != ((header_.content & kPackHasDeltas) != 0)) {
    return Internal(Describe(name()) + ": it was created for delta frames and has none");
  }
  Bytes footer = EncodePackFooter(footer_);
  // What readers will make of it, before anybody relies on it.
  const StatusOr<PackFooter> decoded = DecodePackFooter(footer, keys_.seal_bytes());
  if (!decoded.ok() || decoded->frames != footer_.frames || decoded->blobs != footer_.blobs) {
    return Internal(Describe(name()) + ": its footer does not decode to what was encoded");
  }
  if (keys_.sealed()) {
    sealed_.clear();
    keys_.Seal(RepositoryKeys::Use::kPack, SealNonce(name(), kFooterNumber), header_bytes_, footer,
               sealed_);
    footer = std::move(sealed_);
  }
  const PackHash hash = HashPack(keys_, header_bytes_, footer);
  RETURN_IF_ERROR(Annotate(Append(footer), Describe(name())));
  RETURN_IF_ERROR(Annotate(Append(EncodeTrailer({.footer_bytes = footer.size(), .hash = hash})),
                           Describe(name())));
  RETURN_IF_ERROR(Annotate(writer_->Commit(), Describe(name())));
  const PackInfo info{.name = header_.name,
                      .bytes = bytes_ + footer.size() + kPackTrailerBytes,
                      .hash = hash,
                      .session = header_.session,
                      .content = header_.content};
  if (parity_ != nullptr && !parity_->Finish(info).ok()) parity_.reset();
  return info;
}

std::unique_ptr<ParityWriter> PackWriter::TakeParity() { return std::move(parity_); }

StatusOr<PackFooter> ReadPackFooter(ObjectStore& store, const RepositoryKeys& keys,
                                    const PackInfo& info) {
  StoredPack pack(store, info.name);
  return ReadPackFooter(pack, keys, info);
}

StatusOr<PackFooter> ReadPackFooter(PackBytes& bytes, const RepositoryKeys& keys,
                                    const PackInfo& info) {
  StatusOr<PackFooter> footer = ReadVerifiedFooter(bytes, keys, info);
  if (!footer.ok()) return Annotate(footer.status(), Describe(info.name));
  return footer;
}

StatusOr<PackHeader> PeekPackHeader(ObjectStore& store, const PackName& name) {
  StoredPack pack(store, name);
  ASSIGN_OR_RETURN(const Bytes header, ReadExactly(pack, 0, kPackHeaderBytes));
  return DecodePackHeader(header);
}

StatusOr<PackHeader> ReadPackHeader(ObjectStore& store, const RepositoryKeys& keys,
                                    const PackName& name) {
  const std::string object = PackObjectName(name);
  ASSIGN_OR_RETURN(const uint64_t bytes, store.Size(object));
  if (bytes < kMinPackBytes || bytes > kMaxPackBytes) {
    return DataLoss(Describe(name) + ": its size is out of bounds");
  }
  StoredPack pack(store, name);
  const StatusOr<PackEnds> ends = ReadPackEnds(pack, keys, bytes);
  if (!ends.ok()) return Annotate(ends.status(), Describe(name));
  StatusOr<PackHeader> header = DecodePackHeader(ends->header);
  if (!header.ok()) return Annotate(header.status(), Describe(name));
  if (header->name != name) return DataLoss(Describe(name) + ": its header has another name");
  return header;
}

StatusOr<Bytes> ReadFrame(ObjectStore& store, const RepositoryKeys& keys, const PackName& pack,
                          uint32_t number, const FrameInfo& frame) {
  if (frame.stored_bytes > kMaxFrameBytes) {
    return DataLoss(Describe(pack) + ": a frame is larger than it may be");
  }
  StoredPack bytes(store, pack);
  StatusOr<Bytes> stored = ReadExactly(bytes, frame.offset, frame.stored_bytes + keys.seal_bytes());
  if (!stored.ok()) {
    return Annotate(stored.status(),
                    absl::StrFormat("%s, frame at %d", Describe(pack), frame.offset));
  }
  return OpenFrame(keys, pack, number, frame, *std::move(stored));
}

StatusOr<Bytes> OpenFrame(const RepositoryKeys& keys, const PackName& pack, uint32_t number,
                          const FrameInfo& frame, Bytes bytes) {
  if (!keys.sealed()) return bytes;
  StatusOr<Bytes> opened = keys.Open(RepositoryKeys::Use::kPack, SealNonce(pack, number),
                                     AssociatedData(keys.id(), pack, number, frame), bytes);
  if (!opened.ok()) {
    return Annotate(opened.status(), absl::StrFormat("%s, frame %d", Describe(pack), number));
  }
  return opened;
}

}  // namespace cairn
