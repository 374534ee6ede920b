// SPDX-License-Identifier: Apache-2.0
#include "core/store/pack.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/base/blake3.h"
#include "core/base/coding.h"
#include "core/base/random.h"
#include "core/store/parity.h"

namespace cairn {
namespace {

constexpr std::string_view kTrailerMagic = "CAIRNEND";
// What is read from the end of a pack at once; most footers fit.
constexpr uint64_t kTailBytes = 64 * kKiB;
constexpr uint64_t kMinPackBytes = kPackHeaderBytes + kPackTrailerBytes;

PackHash HashPack(ByteSpan header, ByteSpan footer) {
  static const HashKey key = Blake3DeriveKey("cairn v1 pack", HashKey{});
  Blake3 hasher(key);
  hasher.Update(header);
  hasher.Update(footer);
  return PackHash{hasher.Finish()};
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
StatusOr<PackEnds> ReadPackEnds(PackBytes& pack, uint64_t pack_bytes) {
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
  if (HashPack(ends.header, ends.footer) != ends.hash) {
    return DataLoss("the hash of its header and footer does not match");
  }
  return ends;
}

std::string Describe(const PackName& name) { return "pack " + name.Hex(); }

StatusOr<PackFooter> ReadVerifiedFooter(PackBytes& pack, const PackInfo& info,
                                        const RepositoryId& repository) {
  if (info.bytes < kMinPackBytes || info.bytes > kMaxPackBytes) {
    return DataLoss("its size is out of bounds");
  }
  ASSIGN_OR_RETURN(const PackEnds ends, ReadPackEnds(pack, info.bytes));
  if (ends.hash != info.hash) return DataLoss("its hash is not the one that the journal names");
  ASSIGN_OR_RETURN(const PackHeader header, DecodePackHeader(ends.header));
  if (header.repository != repository) return DataLoss("it belongs to another repository");
  if (header.name != info.name || header.session != info.session ||
      header.content != info.content) {
    return DataLoss("its header contradicts the journal");
  }
  ASSIGN_OR_RETURN(PackFooter footer, DecodePackFooter(ends.footer));
  uint64_t bytes = kMinPackBytes + ends.footer.size();
  for (const FrameInfo& frame : footer.frames) bytes += frame.stored_bytes;
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

PackWriter::PackWriter() = default;
PackWriter::~PackWriter() = default;

StatusOr<std::unique_ptr<PackWriter>> PackWriter::Create(ObjectStore& store,
                                                         RepositoryId repository, SessionId session,
                                                         uint8_t content) {
  std::unique_ptr<PackWriter> writer(new PackWriter());
  writer->header_ = {.repository = repository,
                     .name = RandomId<PackName>(),
                     .session = session,
                     .content = content};
  writer->header_bytes_ = EncodePackHeader(writer->header_);
  ASSIGN_OR_RETURN(writer->writer_,
                   store.Create(PackObjectName(writer->header_.name), session.Hex()));
  if ((content & kPackHasParity) != 0) {
    StatusOr<std::unique_ptr<ParityWriter>> parity =
        ParityWriter::Create(store, repository, session, writer->name(), /*replace=*/false);
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

StatusOr<uint32_t> PackWriter::Add(const SealedFrame& frame) {
  if (broken_) return Internal(Describe(name()) + ": added to after an error");
  broken_ = true;
  if (frame.info.stored_bytes != frame.stored.size() || frame.blobs.empty()) {
    return Internal(Describe(name()) + ": the frame was not sealed");
  }
  if (!frame.info.bases.empty() && (header_.content & kPackHasDeltas) == 0) {
    return Internal(Describe(name()) + ": it was not created for delta frames");
  }
  if (bytes_ + frame.stored.size() + kMaxFooterBytes > kMaxPackBytes ||
      footer_bytes_ + FooterBytes(frame) > kMaxFooterBytes) {
    return ResourceExhausted(Describe(name()) + ": it would be larger than a pack may be");
  }
  RETURN_IF_ERROR(Annotate(Append(frame.stored), Describe(name())));
  const auto number = static_cast<uint32_t>(footer_.frames.size());
  footer_.frames.push_back(frame.info);
  footer_.frames.back().offset = bytes_;
  for (BlobInfo blob : frame.blobs) {
    blob.frame = number;
    footer_.blobs.push_back(blob);
  }
  bytes_ += frame.stored.size();
  footer_bytes_ += FooterBytes(frame);
  broken_ = false;
  return number;
}

uint64_t PackWriter::FooterBytes(const SealedFrame& frame) {
  constexpr uint64_t kFrameBytes = 4 + 4 + 1 + 2 + sizeof(FrameChecksum) + 4;
  constexpr uint64_t kBlobBytes = 1 + 4 + BlobId::kBytes;
  return kFrameBytes + kBlobBytes * frame.blobs.size() + sizeof(BaseId) * frame.info.bases.size();
}

uint64_t PackWriter::bytes() const { return bytes_ + footer_bytes_ + kPackTrailerBytes; }
const PackName& PackWriter::name() const { return header_.name; }
const PackFooter& PackWriter::footer() const { return footer_; }

StatusOr<PackInfo> PackWriter::Finish() {
  if (broken_) return Internal(Describe(name()) + ": finished after an error");
  broken_ = true;
  if (HasDeltas(footer_) != ((header_.content & kPackHasDeltas) != 0)) {
    return Internal(Describe(name()) + ": it was created for delta frames and has none");
  }
  const Bytes footer = EncodePackFooter(footer_);
  // What readers will make of it, before anybody relies on it.
  const StatusOr<PackFooter> decoded = DecodePackFooter(footer);
  if (!decoded.ok() || decoded->frames != footer_.frames || decoded->blobs != footer_.blobs) {
    return Internal(Describe(name()) + ": its footer does not decode to what was encoded");
  }
  const PackHash hash = HashPack(header_bytes_, footer);
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

StatusOr<PackFooter> ReadPackFooter(ObjectStore& store, const PackInfo& info,
                                    const RepositoryId& repository) {
  StoredPack pack(store, info.name);
  return ReadPackFooter(pack, info, repository);
}

StatusOr<PackFooter> ReadPackFooter(PackBytes& bytes, const PackInfo& info,
                                    const RepositoryId& repository) {
  StatusOr<PackFooter> footer = ReadVerifiedFooter(bytes, info, repository);
  if (!footer.ok()) return Annotate(footer.status(), Describe(info.name));
  return footer;
}

StatusOr<PackHeader> ReadPackHeader(ObjectStore& store, const PackName& name) {
  const std::string object = PackObjectName(name);
  ASSIGN_OR_RETURN(const uint64_t bytes, store.Size(object));
  if (bytes < kMinPackBytes || bytes > kMaxPackBytes) {
    return DataLoss(Describe(name) + ": its size is out of bounds");
  }
  StoredPack pack(store, name);
  const StatusOr<PackEnds> ends = ReadPackEnds(pack, bytes);
  if (!ends.ok()) return Annotate(ends.status(), Describe(name));
  StatusOr<PackHeader> header = DecodePackHeader(ends->header);
  if (!header.ok()) return Annotate(header.status(), Describe(name));
  if (header->name != name) return DataLoss(Describe(name) + ": its header has another name");
  return header;
}

StatusOr<Bytes> ReadFrame(ObjectStore& store, const PackName& pack, const FrameInfo& frame) {
  if (frame.stored_bytes > kMaxFrameBytes) {
    return DataLoss(Describe(pack) + ": a frame is larger than it may be");
  }
  StoredPack bytes(store, pack);
  StatusOr<Bytes> stored = ReadExactly(bytes, frame.offset, frame.stored_bytes);
  if (!stored.ok()) {
    return Annotate(stored.status(),
                    absl::StrFormat("%s, frame at %d", Describe(pack), frame.offset));
  }
  return stored;
}

}  // namespace cairn
