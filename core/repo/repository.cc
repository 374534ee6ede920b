// SPDX-License-Identifier: Apache-2.0
#include "core/repo/repository.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/profile.h"
#include "core/base/random.h"
#include "core/index/lmdb_index.h"
#include "core/index/memory_index.h"
#include "core/repo/index_sync.h"
#include "core/repo/salvage.h"
#include "core/store/frame.h"
#include "core/store/twin_file.h"

namespace cairn {
namespace {

constexpr int kReadAttempts = 3;

// The index cannot be had, or not grow: it can be done without.
bool IsIndexTrouble(const Status& status) {
  switch (status.code()) {
    case StatusCode::kResourceExhausted:
    case StatusCode::kPermissionDenied:
    case StatusCode::kFailedPrecondition:
    case StatusCode::kUnavailable:
    case StatusCode::kNotFound:
      return true;
    default:
      return false;
  }
}

// The index may be damaged, and a new one better. So may the repository be, which then shows again.
bool MayBeBadIndex(const Status& status) {
  switch (status.code()) {
    case StatusCode::kDataLoss:
    case StatusCode::kInternal:
    case StatusCode::kInvalidArgument:
      return true;
    default:
      return false;
  }
}

StatusOr<ByteSpan> BlobIn(ByteSpan frame, const FramedPlace& place) {
  if (uint64_t{place.place.offset} + place.place.bytes > frame.size()) {
    return DataLoss("blob " + place.ref.id.Hex() + " lies outside of its frame");
  }
  return frame.subspan(place.place.offset, place.place.bytes);
}

// Decoding needs no level. One for each thread, as its buffers are worth keeping.
FrameCodecContext& ThreadDecoder() {
  static thread_local FrameCodecContext context(/*compression_level=*/1);
  return context;
}

}  // namespace

Repository::Repository(FileSystem& fs, const RepositoryOptions& options)
    : fs_(fs),
      options_(options),
      store_(NewLocalObjectStore(fs)),
      frames_(options.frame_cache_bytes) {}

Repository::~Repository() = default;

Status Repository::Create(FileSystem& fs, const RepositoryConfig& config) {
  const std::unique_ptr<ObjectStore> store = NewLocalObjectStore(fs);
  return WriteConfig(*store, RepositoryKeys(config.id), config);
}

Status Repository::CreateEncrypted(FileSystem& fs, const RepositoryConfig& config,
                                   const Credential& credential, const PasswordCost& cost) {
  const std::unique_ptr<ObjectStore> store = NewLocalObjectStore(fs);
  SecretBytes master(kMasterKeyBytes);
  FillRandom(master.span());
  ASSIGN_OR_RETURN(const KeyObject key,
                   WrapMasterKey(config.id, credential, cost, config.created, master.span()));
  // Durable before anything is sealed that only it opens.
  RETURN_IF_ERROR(PlaceKey(*store, key, credential));
  return WriteConfig(*store, RepositoryKeys(config.id, master), config);
}

StatusOr<std::unique_ptr<Session>> Repository::OpenSession(std::string command) {
  return Session::Open(fs_, std::move(command),
                       keys_.sealed() ? Session::Says::kLittle : Session::Says::kAll);
}

StatusOr<std::unique_ptr<Repository>> Repository::Open(FileSystem& fs,
                                                       const RepositoryOptions& options) {
  std::unique_ptr<Repository> repository(new Repository(fs, options));
  ASSIGN_OR_RETURN(const auto known, repository->OpenKeysIfEncrypted());
  RETURN_IF_ERROR(repository->OpenConfig(known));
  MutexLock lock(repository->refresh_mutex_);
  RETURN_IF_ERROR(repository->OpenIndex());
  Status refreshed = repository->RefreshLocked(nullptr).status();
  if (!refreshed.ok() && options.beside_damage && IsLostObject(refreshed)) {
    refreshed = repository->ReadBesideDamage(refreshed);
  }
  RETURN_IF_ERROR(refreshed);
  if (!repository->damage_.ok() && options.warn) {
    options.warn("the repository is damaged: " + std::string(Message(repository->damage_)));
  }
  return repository;
}

StatusOr<std::optional<RepositoryConfig>> Repository::OpenKeysIfEncrypted() {
  const StatusOr<RepositoryClaim> claim = IdentifyRepository(*store_);
  if (claim.ok() && claim->encrypted()) {
    if (!options_.credential) {
      return Unauthenticated("it is encrypted, and neither a password nor a key file was given");
    }
    ASSIGN_OR_RETURN(const Credential credential, options_.credential());
    ASSIGN_OR_RETURN(OpenedKeys opened, OpenKeys(*store_, credential));
    keys_ = std::move(opened.keys);
    opened_by_ = opened.by;
    return std::optional<RepositoryConfig>();
  }
  // The rest is for OpenConfig to say. With keys beside it, not even who reads goes on.
  if (claim.status().code() == StatusCode::kNotFound) return std::optional<RepositoryConfig>();
  if (options_.must_be_encrypted) {
    if (!claim.ok()) return claim.status();
    return Unauthenticated(
        "a password or a key was given, but it is not encrypted: is it the one that is meant? Had "
        "somebody exchanged it, all that is written now could be read by him");
  }
  if (claim.ok()) return claim->config;
  ASSIGN_OR_RETURN(const std::vector<std::string> keys, store_->List(kKeyFolder));
  if (!keys.empty()) return claim.status();
  return std::optional<RepositoryConfig>();
}

Status Repository::OpenConfig(const std::optional<RepositoryConfig>& known) {
  StatusOr<RepositoryConfig> config =
      known ? StatusOr<RepositoryConfig>(*known) : ReadConfig(*store_, keys_);
  const bool is_lost =
      IsLostObject(config.status()) || config.status().code() == StatusCode::kNotFound;
  if (is_lost && options_.beside_damage) {
    const StatusOr<RepositoryId> id = FindRepositoryId(*store_, keys_, std::nullopt);
    if (id.ok()) {
      damage_ = DataLoss(Message(config.status()));
      config = RepositoryConfig();
      config->id = *id;
    }
  }
  RETURN_IF_ERROR(config.status());
  config_ = *std::move(config);
  if (!keys_.sealed()) keys_ = RepositoryKeys(config_.id);
  hasher_ = BlobHasher(keys_.id_key());
  journal_ = std::make_unique<Journal>(*store_, keys_);
  return OkStatus();
}

LmdbIndexOptions Repository::IndexOptions() const {
  return {.directory = options_.cache_directory + "/" + config_.id.Hex(),
          .repository = config_.id,
          .warn = options_.warn};
}

IndexSync Repository::Sync(const KnownFooters* footers) {
  return IndexSync(current_index_.load()->filled(), *journal_, *store_, keys_, footers);
}

void Repository::UseIndex(std::unique_ptr<Index> index) {
  indexes_.push_back(
      std::make_unique<WholeIndex>(std::move(index), [this] { return Refresh().status(); }));
  current_index_ = indexes_.back().get();
}

Status Repository::OpenIndex() {
  if (options_.cache_directory.empty()) {
    UseIndex(NewMemoryIndex());
    index_in_memory_ = true;
    return OkStatus();
  }
  StatusOr<std::unique_ptr<Index>> index = OpenLmdbIndex(IndexOptions());
  if (index.ok()) {
    UseIndex(*std::move(index));
  } else if (IsIndexTrouble(index.status()) || MayBeBadIndex(index.status())) {
    UseMemoryIndex(index.status());
  } else {
    return Annotate(index.status(), "opening the index");
  }
  return OkStatus();
}

void Repository::UseMemoryIndex(const Status& why) {
  if (options_.warn) {
    options_.warn("the index cannot be used, and is kept in memory for this run: " +
                  std::string(Message(why)));
  }
  UseIndex(NewMemoryIndex());
  index_in_memory_ = true;
}

Status Repository::ThrowIndexAway() {
  RETURN_IF_ERROR(DeleteLmdbIndex(IndexOptions().directory));
  return OpenIndex();
}

// `why` is why the journal could not be followed.
Status Repository::ReadBesideDamage(const Status& why) {
  const StatusOr<RepositoryId> id = FindRepositoryId(*store_, keys_, config_.id);
  // An encrypted repository's configuration cannot be another's.
  if (id.ok() && *id != config_.id && !keys_.sealed()) {
    damage_ = DataLoss("config: it is another repository's");
    config_ = RepositoryConfig();
    config_.id = *id;
    keys_ = RepositoryKeys(*id);
    journal_ = std::make_unique<Journal>(*store_, keys_);
    RETURN_IF_ERROR(OpenIndex());
    const Status refreshed = RefreshLocked(nullptr).status();
    if (refreshed.ok() || !IsLostObject(refreshed)) return refreshed;
  }
  ASSIGN_OR_RETURN(const Salvage salvage,
                   SalvageJournal(*journal_, *store_, keys_, &current_index_.load()->filled()));
  const std::string what = std::string(Message(why)) + "; " + salvage.Describe();
  damage_ = damage_.ok() ? DataLoss(what) : Annotate(damage_, what);
  UseIndex(NewMemoryIndex());
  index_in_memory_ = true;
  return Sync(nullptr).Fill(salvage.state);
}

// Number of the newest record that this user's index has seen; 0 if that is not known.
uint64_t Repository::SeenRecords() {
  const auto reader = current_index_.load()->filled().Read();
  if (!reader.ok()) return 0;
  const StatusOr<IndexHead> head = (*reader)->Head();
  return head.ok() ? head->number : 0;
}

StatusOr<JournalHead> Repository::Refresh(const KnownFooters* footers) {
  // Not a copy: Status does not cross threads.
  if (!damage_.ok()) return DataLoss(Message(damage_));
  MutexLock lock(refresh_mutex_);
  return RefreshLocked(footers);
}

StatusOr<JournalHead> Repository::RefreshForReading() {
  return damage_.ok() ? Refresh() : JournalHead();
}

StatusOr<JournalHead> Repository::RefreshLocked(const KnownFooters* footers) {
  const StageTimer timer(Stage::kIndex);
  StatusOr<JournalHead> head = FollowJournal(footers);
  if (head.ok()) current_index_.load()->Expect(head->number);
  return head;
}

StatusOr<JournalHead> Repository::FollowJournal(const KnownFooters* footers) {
  const uint64_t seen = SeenRecords();
  StatusOr<JournalHead> head = Sync(footers).Run();
  if (head.status().code() == StatusCode::kAborted) {
    RETURN_IF_ERROR(OpenIndex());
    head = Sync(footers).Run();
  }
  if (head.ok()) {
    if (head->number < seen && options_.warn) {
      options_.warn("the journal ends at record " + std::to_string(head->number) + ", but record " +
                    std::to_string(seen) +
                    " has been seen: an older state of the repository was put in its place, or "
                    "its newest records were removed");
    }
    return head;
  }
  // Filled anew, it keeps the change caches. Where the tree of LMDB itself is damaged that fails
  // too, and a new file is the way; if it is the repository that is damaged, all of it fails.
  if (!index_in_memory_ && MayBeBadIndex(head.status())) head = Sync(footers).Rebuild();
  if (!index_in_memory_ && !head.ok() && MayBeBadIndex(head.status()) &&
      journal_->ReadState().ok()) {
    const Status fresh = ThrowIndexAway();
    if (!fresh.ok()) UseMemoryIndex(fresh);
    head = Sync(footers).Run();
  }
  if (!head.ok() && !index_in_memory_ && IsIndexTrouble(head.status())) {
    UseMemoryIndex(head.status());
    head = Sync(footers).Run();
  }
  return head;
}

Status Repository::RebuildIndex() {
  // Not a copy: Status does not cross threads.
  if (!damage_.ok()) return DataLoss(Message(damage_));
  MutexLock lock(refresh_mutex_);
  return Sync(nullptr).Rebuild().status();
}

StatusOr<bool> Repository::CompactIndexIfGrown(uint64_t min_bytes) {
  MutexLock lock(refresh_mutex_);
  if (index_in_memory_) return false;
  ASSIGN_OR_RETURN(const bool compacted, CompactLmdbIndex(IndexOptions(), min_bytes));
  if (compacted) RETURN_IF_ERROR(OpenIndex());
  return compacted;
}

Status Repository::FoldJournalIfDue() {
  const Journal::FoldPolicy policy;
  ASSIGN_OR_RETURN(const JournalHead head, Refresh());
  ASSIGN_OR_RETURN(const uint64_t fold, journal_->NewestFold());
  // Looked at before the whole state is read: most commits have nothing to fold.
  if (head.number - std::min(head.number, fold) <= policy.min_records) return OkStatus();
  ASSIGN_OR_RETURN(const JournalState state, journal_->ReadState());
  return journal_->FoldIfDue(state, policy);
}

StatusOr<uint64_t> Repository::WantedReserve() {
  ASSIGN_OR_RETURN(const auto reader, index().Read());
  uint64_t packs_bytes = 0;
  RETURN_IF_ERROR(reader->ForEachPack([&](const IndexPack& pack) {
    if (pack.state != PackState::kPurged) packs_bytes += pack.info.bytes;
    return true;
  }));
  return ReserveBlocks(packs_bytes, config_.pack_target_bytes);
}

Status Repository::EnsureReserve(uint64_t min_free) {
  ASSIGN_OR_RETURN(const uint64_t blocks, WantedReserve());
  return cairn::EnsureReserve(fs_, blocks, min_free);
}

Status Repository::GrowReserve() {
  // To add up the packs takes longer than a small snapshot where they are many; where they are
  // many, the reserve is as large as it gets.
  ASSIGN_OR_RETURN(const uint64_t present, CountReserveBlocks(fs_));
  if (present >= MaxReserveBlocks(config_.pack_target_bytes)) return OkStatus();
  ASSIGN_OR_RETURN(const uint64_t blocks, WantedReserve());
  return blocks > kMinReserveBlocks ? cairn::EnsureReserve(fs_, blocks) : OkStatus();
}

Status Repository::VerifyBlob(const BlobRef& ref, ByteSpan bytes) const {
  const StageTimer timer(Stage::kVerify);
  if (hasher_.Hash(ref.kind, bytes) == ref.id) return OkStatus();
  return DataLoss(std::string(BlobKindName(ref.kind)) + " " + ref.id.Hex() +
                  ": its bytes do not have its hash");
}

StatusOr<std::vector<FramedPlace>> Repository::Locate(const BlobRef& ref) {
  ASSIGN_OR_RETURN(const auto reader, index().Read());
  return PlaceFinder(*reader).Find(ref);
}

StatusOr<Chunker> Repository::MakeChunker() const {
  const ChunkerOptions options{.min_size = static_cast<uint32_t>(config_.chunk_min_bytes),
                               .avg_size = static_cast<uint32_t>(config_.chunk_average_bytes),
                               .max_size = static_cast<uint32_t>(config_.chunk_max_bytes)};
  return Chunker::Create(options, GearTable(keys_.id_key()));
}

StatusOr<FrameCache::Frame> Repository::ReadFrame(const PackName& pack, uint32_t frame_number,
                                                  const FrameInfo& frame) {
  if (FrameCache::Frame cached = frames_.Find(pack, frame_number)) return cached;
  auto raw = DecodeFrame(pack, frame_number, frame, Blobs::kAsTheyLie);
  if (!raw.ok() && !frame.bases.empty()) {
    raw = DecodeFrame(pack, frame_number, frame, Blobs::kVerified);
  }
  RETURN_IF_ERROR(raw.status());
  frames_.Insert(pack, frame_number, *raw);
  return FrameCache::Frame(*std::move(raw));
}

StatusOr<std::shared_ptr<Bytes>> Repository::DecodeFrame(const PackName& pack,
                                                         uint32_t frame_number,
                                                         const FrameInfo& frame, Blobs bases) {
  ASSIGN_OR_RETURN(const Bytes stored, cairn::ReadFrame(*store_, keys_, pack, frame_number, frame));
  // A small frame would hold on to the memory of a large one.
  const bool is_small = frame.raw_bytes < kChunkFrameBytes / 2;
  std::shared_ptr<Bytes> raw = is_small ? std::make_shared<Bytes>() : frames_.NewFrame();
  const StatusOr<Bytes> prefix = ReadBases(frame.bases, bases);
  Status status =
      prefix.ok() ? ThreadDecoder().Decode(frame, stored, *prefix, *raw) : prefix.status();
  if (status.ok()) return raw;
  return Annotate(status, "frame " + std::to_string(frame_number) + " of pack " + pack.Hex());
}

StatusOr<Bytes> Repository::ReadPrefix(std::span<const BaseId> bases) {
  return ReadBases(bases, Blobs::kVerified);
}

StatusOr<Bytes> Repository::ReadBases(std::span<const BaseId> bases, Blobs as) {
  Bytes prefix;
  if (bases.empty()) return prefix;
  std::vector<std::vector<FramedPlace>> places;
  {
    ASSIGN_OR_RETURN(const auto reader, index().Read());
    PlaceFinder finder(*reader);
    for (const BaseId& base : bases) {
      ASSIGN_OR_RETURN(places.emplace_back(), finder.FindBase(base));
      if (places.back().empty()) {
        return NotFound("base " + HexEncode(base) + " is in no plain frame of this repository");
      }
    }
  }
  for (const std::vector<FramedPlace>& base : places) {
    const StatusOr<BlobInFrame> blob = ReadFromAny(base, as);
    if (!blob.ok()) return Annotate(blob.status(), "base " + base.front().ref.id.Hex());
    if (prefix.size() + blob->bytes.size() > kMaxPrefixBytes) {
      return DataLoss("the bases are longer than they may be");
    }
    Append(prefix, blob->bytes);
  }
  return prefix;
}

StatusOr<Repository::BlobInFrame> Repository::ReadFrom(const FramedPlace& place, Blobs as) {
  const auto& [ref, at, pack, info] = place;
  ASSIGN_OR_RETURN(FrameCache::Frame frame, ReadFrame(pack.info.name, at.frame, info));
  ASSIGN_OR_RETURN(ByteSpan bytes, BlobIn(*frame, place));
  if (as == Blobs::kAsTheyLie) return BlobInFrame{std::move(frame), bytes};
  Status verified = VerifyBlob(ref, bytes);
  if (!verified.ok() && !place.is_plain()) {
    ASSIGN_OR_RETURN(frame, DecodeFrame(pack.info.name, at.frame, info, Blobs::kVerified));
    ASSIGN_OR_RETURN(bytes, BlobIn(*frame, place));
    verified = VerifyBlob(ref, bytes);
  }
  RETURN_IF_ERROR(verified);
  return BlobInFrame{std::move(frame), bytes};
}

StatusOr<Repository::BlobInFrame> Repository::ReadFromAny(const std::vector<FramedPlace>& places,
                                                          Blobs as) {
  Status first;
  for (const FramedPlace& place : places) {
    StatusOr<BlobInFrame> blob = ReadFrom(place, as);
    if (blob.ok()) return blob;
    if (first.ok()) first = std::move(blob).status();
  }
  return first;
}

StatusOr<Bytes> Repository::ReadBlobOnce(const BlobRef& ref) {
  ASSIGN_OR_RETURN(const std::vector<FramedPlace> places, Locate(ref));
  if (places.empty()) {
    return NotFound(std::string(BlobKindName(ref.kind)) + " " + ref.id.Hex() +
                    " is in no pack of this repository");
  }
  ASSIGN_OR_RETURN(const BlobInFrame blob, ReadFromAny(places, Blobs::kVerified));
  return Bytes(blob.bytes.begin(), blob.bytes.end());
}

StatusOr<Bytes> Repository::ReadBlob(const BlobRef& ref) {
  StatusOr<Bytes> bytes = ReadBlobOnce(ref);
  // Prune may have moved it to another pack since the index was brought up to date.
  for (int attempt = 1; attempt < kReadAttempts && damage_.ok(); ++attempt) {
    if (bytes.ok() || bytes.status().code() != StatusCode::kNotFound) break;
    RETURN_IF_ERROR(Refresh().status());
    bytes = ReadBlobOnce(ref);
  }
  return bytes;
}

}  // namespace cairn
