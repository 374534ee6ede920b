// SPDX-License-Identifier: Apache-2.0
// The part of PackCheck that reads packs whole, and looks at the bases of delta frames: it comes
// once the index is known to be right, since that is what finds bases.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "core/base/worker_pool.h"
#include "core/repo/check_packs.h"
#include "core/repo/place_finder.h"
#include "core/repo/verified_times.h"
#include "core/store/pack_mend.h"
#include "core/store/parity.h"

namespace cairn {

// Frames that a thread takes at once: some 16 MiB before they were compressed.
constexpr size_t kFramesInPart = 8;

// What a thread reads with.
struct PackCheck::Reader {
  FrameCodecContext codec{/*compression_level=*/1};  // decoding needs no level
  CheckedBlobs bases;
  BlobVerifier verifier;
  VerifiedLog& verified;
};

// A pack that is being read. Its parity and its frames are parts that any thread may take, so that
// all threads have something to do to the last.
struct PackCheck::OpenPack {
  explicit OpenPack(const Pack& of) : pack(of) {}
  bool AllTaken() const { return next >= parts; }

  const Pack& pack;
  Timestamp begin;
  StatusOr<PackFooter> footer = PackFooter();
  size_t parts = 1;  // the parity first, then the frames
  std::atomic<size_t> next{0};
  std::atomic<size_t> left{0};
  std::atomic<bool> is_right{true};  // as far as it is known
};

Status PackCheck::CheckContent(Index& index, absl::FunctionRef<void()> beside) {
  RETURN_IF_ERROR(ReadPacks(index, beside));
  // After it, so that damaged bases are known.
  return CheckBases(index);
}

Status PackCheck::ReadPacks(Index& index, absl::FunctionRef<void()> beside) {
  if (to_read_.empty()) return OkStatus();
  budget_.Start();
  VerifiedLog verified(repository_);
  WorkerPool pool(WorkerCount(options_.threads));
  for (int i = 0; i < pool.workers(); ++i) {
    pool.Submit([&, i](int) {
      // A single thread would only take the time from the reading, which may have an end.
      if (i == 0 && pool.workers() > 1) beside();
      Reader reader{.bases = CheckedBlobs(index, repository_.store(), repository_.keys(),
                                          repository_.hasher(), damage_),
                    .verifier = BlobVerifier(repository_.hasher()),
                    .verified = verified};
      while (const std::shared_ptr<OpenPack> pack = TakePack()) {
        Status status = ReadParts(*pack, reader);
        if (!status.ok()) return Keep(std::move(status));
      }
    });
  }
  pool.Wait();
  verified.Write();
  return TakeFailure();
}

std::shared_ptr<PackCheck::OpenPack> PackCheck::TakePack() {
  // Held while a footer is read, too: who finds no pack to take has found the end.
  MutexLock lock(open_mutex_);
  std::erase_if(open_packs_, [](const auto& open) { return open->AllTaken(); });
  if (next_to_read_ == to_read_.size() || budget_.IsUsedUp()) {
    return open_packs_.empty() ? nullptr : open_packs_.front();
  }
  auto pack = std::make_shared<OpenPack>(*to_read_[next_to_read_++]);
  pack->begin = repository_.options().clock->Now();
  pack->footer = ReadPackFooter(repository_.store(), repository_.keys(), pack->pack.entry->info);
  if (pack->footer.ok()) {
    pack->parts += (pack->footer->frames.size() + kFramesInPart - 1) / kFramesInPart;
  } else {
    pack->is_right = false;  // that was found before
  }
  pack->left = pack->parts;
  open_packs_.push_back(pack);
  return pack;
}

Status PackCheck::ReadParts(OpenPack& pack, Reader& reader) {
  const PackName& name = pack.pack.entry->info.name;
  for (size_t part = pack.next++; part < pack.parts; part = pack.next++) {
    if (part == 0) {
      RETURN_IF_ERROR(VerifyParity(pack));
    } else {
      RETURN_IF_ERROR(ReadFrames(pack, (part - 1) * kFramesInPart, reader));
    }
    if (--pack.left > 0) continue;
    if (pack.is_right) {
      reader.verified.Passed(name, pack.begin);
    } else {
      reader.verified.Failed(name);
    }
    if (options_.progress != nullptr) ++options_.progress->packs;
  }
  return OkStatus();
}

Status PackCheck::VerifyParity(OpenPack& pack) {
  RETURN_IF_ERROR(CheckStop(options_.stop));
  if (!pack.pack.has_parity) return OkStatus();
  const PackInfo& info = pack.pack.entry->info;
  PackMender mender(repository_.store(), repository_.keys(), SessionId{}, options_.stop);
  const Status status = mender.VerifyParity(info);
  RETURN_IF_ERROR(CheckStop(options_.stop));
  if (!status.ok()) {
    findings_.Add({ParityObjectName(info.name), std::string(Message(status)), /*harmless=*/true,
                   /*mendable=*/true});
    pack.is_right = false;
  }
  return OkStatus();
}

Status PackCheck::ReadFrames(OpenPack& pack, size_t first_frame, Reader& reader) {
  const PackInfo& info = pack.pack.entry->info;
  const PackFooter& footer = *pack.footer;
  const size_t end = std::min(first_frame + kFramesInPart, footer.frames.size());
  auto next_blob = std::ranges::lower_bound(footer.blobs, first_frame, {}, &BlobInfo::frame);
  Bytes raw;
  for (auto number = static_cast<uint32_t>(first_frame); number < end; ++number) {
    RETURN_IF_ERROR(CheckStop(options_.stop));
    const FrameInfo& frame = footer.frames[number];
    const auto first_blob = next_blob;
    while (next_blob != footer.blobs.end() && next_blob->frame == number) ++next_blob;

    const StatusOr<Bytes> stored =
        ReadFrame(repository_.store(), repository_.keys(), info.name, number, frame);
    const StatusOr<Bytes> prefix = reader.bases.ReadPrefix(frame.bases);
    Status status = stored.ok() ? prefix.status() : stored.status();
    if (status.ok()) status = reader.codec.Decode(frame, *stored, *prefix, raw);
    bytes_read_ += frame.stored_bytes;
    if (options_.progress != nullptr) options_.progress->bytes_read += frame.stored_bytes;
    if (!status.ok()) {
      damage_.AddFrame(info.name, number, std::string(Message(status)));
      pack.is_right = false;
      continue;
    }
    const auto first_ordinal = static_cast<size_t>(first_blob - footer.blobs.begin());
    if (!VerifyBlobs(info.name, number, {first_blob, next_blob}, first_ordinal, raw,
                     reader.verifier)) {
      pack.is_right = false;
    }
  }
  return OkStatus();
}

bool PackCheck::VerifyBlobs(const PackName& pack, uint32_t frame, std::span<const BlobInfo> blobs,
                            size_t first_ordinal, ByteSpan raw, BlobVerifier& verifier) {
  // The footer was checked: its blobs fill the frame.
  for (const BlobInfo& blob : blobs) verifier.Add(blob.ref, raw.subspan(blob.offset, blob.bytes));
  const std::vector<bool>& right = verifier.Verify();
  bool all_right = true;
  for (size_t i = 0; i < blobs.size(); ++i) {
    if (right[i]) continue;
    damage_.AddBlob(pack, static_cast<uint32_t>(first_ordinal + i), blobs[i].ref,
                    "its bytes in " + FrameObject(pack, frame) + " do not have its id");
    all_right = false;
  }
  return all_right;
}

// Every base has a place in a plain frame that is not known to be damaged; of a frame in a live
// pack, in a live pack.
Status PackCheck::CheckBases(Index& index) {
  std::vector<PackNumber> packs;
  {
    ASSIGN_OR_RETURN(const auto reader, index.Read());
    RETURN_IF_ERROR(reader->ForEachPack([&](const IndexPack& pack) {
      if ((pack.info.content & kPackHasDeltas) != 0) packs.push_back(pack.number);
      return true;
    }));
  }
  for (const PackNumber known : packs) {
    RETURN_IF_ERROR(CheckStop(options_.stop));
    ASSIGN_OR_RETURN(const auto reader, index.Read());
    // Another process may have condemned it, and in the same record the packs of its bases.
    ASSIGN_OR_RETURN(const std::optional<IndexPack> found, reader->FindPack(known));
    if (!found || found->state == PackState::kPurged) continue;
    const IndexPack& pack = *found;
    PlaceFinder finder(*reader);
    for (uint32_t number = 0; number < pack.frames; ++number) {
      ASSIGN_OR_RETURN(const std::optional<FrameInfo> frame,
                       reader->FindFrame(pack.number, number));
      if (!frame) break;  // it is just being taken out, piece by piece
      for (const BaseId& base : frame->bases) {
        ASSIGN_OR_RETURN(const std::vector<FramedPlace> places, finder.FindBase(base));
        const bool stands = std::ranges::any_of(places, [&](const FramedPlace& at) {
          return at.pack.state <= pack.state && !damage_.HasPlace(at.pack.info.name, at.place);
        });
        if (stands) continue;
        damage_.AddFrame(
            pack.info.name, number,
            "its base " + HexEncode(base) +
                (places.empty() ? " is in no plain frame" : " is damaged, or will be removed"));
        break;
      }
    }
  }
  return OkStatus();
}

}  // namespace cairn
