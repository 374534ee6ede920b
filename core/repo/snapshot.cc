// SPDX-License-Identifier: Apache-2.0
#include "core/repo/snapshot.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "core/base/random.h"
#include "core/base/worker_pool.h"
#include "core/repo/blob_writer.h"
#include "core/repo/change_cache.h"
#include "core/repo/root_builder.h"
#include "core/repo/snapshot_file.h"
#include "core/repo/snapshot_walk.h"
#include "core/store/sessions.h"
#include "core/tree/reader.h"

namespace cairn {
namespace {

// A conflict (a prune took this session for dead, or what it had found) makes the run begin anew.
constexpr int kSnapshotAttempts = 3;

// Ascending, without those below another one.
std::vector<std::string> DistinctSources(std::vector<std::string> paths) {
  std::sort(paths.begin(), paths.end(),
            [](const std::string& a, const std::string& b) { return ComparePaths(a, b) < 0; });
  std::vector<std::string> distinct;
  for (std::string& path : paths) {
    if (!distinct.empty()) {
      const std::string& last = distinct.back();
      const bool below =
          path == last || last == "/" || (path.starts_with(last) && path[last.size()] == '/');
      if (below) continue;
    }
    distinct.push_back(std::move(path));
  }
  return distinct;
}

std::string CacheScope(const SnapshotOptions& options, const std::vector<std::string>& paths) {
  std::string scope = options.labels.host;
  scope += '\0';
  scope += std::to_string(options.labels.uid);
  for (const std::string& path : paths) {
    scope += '\0';
    scope += path;
  }
  scope += std::string(2, '\0');
  scope += RulesText(options.rules);
  return scope;
}

// One snapshot from its session to its commit.
class SnapshotRun {
 public:
  // `missing` are sources that are not there: problems of the snapshot, and no part of it.
  SnapshotRun(Repository& repository, const SnapshotOptions& options,
              std::vector<std::string> paths, std::vector<PathNote> missing)
      : repository_(repository),
        options_(options),
        paths_(std::move(paths)),
        missing_(std::move(missing)),
        pool_(WorkerCount(options.threads)),
        progress_(options.progress != nullptr ? *options.progress : own_progress_) {}

  StatusOr<SnapshotResult> OfPaths();
  StatusOr<SnapshotResult> OfStream(int descriptor, const std::function<Status()>& finish);

 private:
  Status Begin();
  Status FindBase();
  // The path of what the root's top is.
  std::string Top() const;
  StatusOr<std::vector<SourceEntry>> WalkSources(SnapshotWalk& walk);
  StatusOr<std::optional<Entry>> BaseEntry(const std::string& path);
  StatusOr<SnapshotResult> Finish(BlobId root, bool took_over, uint64_t problems,
                                  const std::vector<PathNote>& errors,
                                  const std::vector<PathNote>& skipped);
  StatusOr<SnapshotObject> MakeObject(const BlobId& root, const std::vector<PathNote>& errors,
                                      const std::vector<PathNote>& skipped);
  SnapshotStatistics Statistics() const;
  // After an interruption or failure: what is stored already is found by the next run.
  void KeepStored();

  Repository& repository_;
  const SnapshotOptions& options_;
  std::vector<std::string> paths_;
  const std::vector<PathNote> missing_;
  WorkerPool pool_;
  SnapshotProgress own_progress_;
  SnapshotProgress& progress_;
  Timestamp started_;

  std::unique_ptr<Session> session_;
  std::optional<Chunker> chunker_;
  std::unique_ptr<BlobWriter> writer_;
  std::unique_ptr<ChangeCache> cache_;
  std::optional<SnapshotView> base_;  // to compare with
  bool base_has_rows_ = false;        // and, by the change cache, to take over from
};

Status SnapshotRun::Begin() {
  started_ = repository_.options().clock->Now();
  JournalHead start;
  if (options_.dry_run) {
    ASSIGN_OR_RETURN(start, repository_.Refresh());
  } else {
    ASSIGN_OR_RETURN(session_, repository_.OpenSession("snapshot"));
    ASSIGN_OR_RETURN(start, repository_.Refresh());
    RETURN_IF_ERROR(session_->SetStart(start.number));
  }
  ASSIGN_OR_RETURN(chunker_, repository_.MakeChunker());
  writer_ = std::make_unique<BlobWriter>(
      repository_, session_ != nullptr ? session_->id() : SessionId{}, start,
      BlobWriter::Options{.compression_level = options_.compression_level.value_or(
                              repository_.config().compression_level),
                          .dry_run = options_.dry_run,
                          .deltas = options_.deltas,
                          .parity = options_.parity,
                          .pool = &pool_});
  RETURN_IF_ERROR(FindBase());
  if (base_) progress_.bytes_expected = base_->object.statistics.bytes;
  return OkStatus();
}

Status SnapshotRun::FindBase() {
  cache_ = std::make_unique<ChangeCache>(repository_, CacheScope(options_, paths_));
  if (StatusOr<std::optional<SnapshotView>> base = cache_->Base(); base.ok()) {
    base_ = *std::move(base);
  }
  base_has_rows_ = base_.has_value();
  if (base_) return OkStatus();
  // Nothing is remembered of it, but the last snapshot of the same sources tells what is new.
  ASSIGN_OR_RETURN(base_, repository_.FindNewestSnapshot([&](const SnapshotInfo& snapshot) {
    return snapshot.host == options_.labels.host && snapshot.paths == paths_;
  }));
  return OkStatus();
}

StatusOr<std::optional<Entry>> SnapshotRun::BaseEntry(const std::string& path) {
  if (!base_) return std::optional<Entry>();
  const StatusOr<Root> root = ReadRoot(repository_, base_->object.root);
  if (!root.ok()) return std::optional<Entry>();
  StatusOr<Entry> entry = FindPath(repository_, *root, PathBelow(TopPath(base_->object), path));
  // A base that is damaged, or lacks this source, is no base for it.
  if (!entry.ok() || entry->type == EntryType::kPartialDirectory) return std::optional<Entry>();
  entry->name.clear();
  return std::optional<Entry>(*std::move(entry));
}

std::string SnapshotRun::Top() const {
  SnapshotObject place;
  place.paths = paths_;
  return TopPath(place);
}

StatusOr<std::vector<SourceEntry>> SnapshotRun::WalkSources(SnapshotWalk& walk) {
  const std::string top = Top();
  std::vector<SourceEntry> entries;
  for (const std::string& path : paths_) {
    ASSIGN_OR_RETURN(const std::optional<Entry> base, BaseEntry(path));
    ASSIGN_OR_RETURN(std::optional<Entry> entry, walk.Walk(path, PathBelow(top, path), base));
    if (entry) entries.push_back({path, *std::move(entry)});
  }
  return entries;
}

StatusOr<SnapshotResult> SnapshotRun::OfPaths() {
  RETURN_IF_ERROR(Begin());
  SnapshotWalk walk({.repository = repository_,
                     .writer = *writer_,
                     .chunker = *chunker_,
                     .options = options_,
                     .progress = progress_,
                     .pool = pool_,
                     .cache = cache_.get()});
  StatusOr<std::vector<SourceEntry>> sources = WalkSources(walk);
  if (!sources.ok()) {
    (void)walk.Flush();
    KeepStored();
    return sources.status();
  }
  if (sources->empty()) return NotFound("none of the sources could be read");
  RETURN_IF_ERROR(walk.Flush());

  if (sources->size() != paths_.size()) {
    // What was walked is relative to the deepest directory above all of them.
    return FailedPrecondition("a source vanished while the snapshot was made; try again");
  }
  std::vector<PathNote> errors = walk.report().TakeProblems();
  errors.insert(errors.begin(), missing_.begin(), missing_.end());
  ASSIGN_OR_RETURN(const std::optional<BlobId> links, walk.links().Finish(*writer_));
  ASSIGN_OR_RETURN(const BlobId root, BuildRoot(*writer_, Top(), *std::move(sources), links));
  return Finish(root, walk.took_over(), walk.report().problems() + missing_.size(), errors,
                walk.report().TakeSkipped());
}

StatusOr<SnapshotResult> SnapshotRun::OfStream(int descriptor,
                                               const std::function<Status()>& finish) {
  RETURN_IF_ERROR(Begin());
  Entry entry;
  entry.type = EntryType::kFile;
  entry.mode = 0600;
  entry.uid = options_.labels.uid;
  entry.gid = options_.labels.gid;
  entry.mtime = options_.labels.time.value_or(started_);
  ASSIGN_OR_RETURN(const std::optional<Entry> base, BaseEntry(paths_.front()));
  EntryReader reader(*writer_, *chunker_, progress_);
  Status read = reader.ReadStream(descriptor, base ? &*base : nullptr, entry);
  if (read.ok()) read = finish();
  if (read.ok()) read = CheckStop(options_.stop);
  pool_.Wait();
  if (!read.ok()) {
    (void)reader.Flush();
    KeepStored();
    return read;
  }
  RETURN_IF_ERROR(reader.Flush());
  // The time differs in every run: it is the content that counts.
  const bool same = base && base->type == EntryType::kFile && base->size == entry.size &&
                    base->content == entry.content;
  ++progress_.files;
  ++(same ? progress_.files_unchanged : base ? progress_.files_changed : progress_.files_new);
  if (same && options_.skip_if_unchanged) entry = *base;
  ASSIGN_OR_RETURN(const BlobId root,
                   BuildRoot(*writer_, paths_.front(), {{paths_.front(), std::move(entry)}}, {}));
  return Finish(root, /*took_over=*/false, 0, {}, {});
}

SnapshotStatistics SnapshotRun::Statistics() const {
  return {.files = progress_.files,
          .directories = progress_.directories,
          .others = progress_.others,
          .bytes = progress_.bytes,
          .files_new = progress_.files_new,
          .files_changed = progress_.files_changed,
          .files_unchanged = progress_.files_unchanged,
          .bytes_read = progress_.bytes_read,
          .blobs_added = writer_->blobs_added(),
          .raw_bytes_added = writer_->raw_bytes_added(),
          .stored_bytes_added = writer_->stored_bytes_added()};
}

StatusOr<SnapshotObject> SnapshotRun::MakeObject(const BlobId& root,
                                                 const std::vector<PathNote>& errors,
                                                 const std::vector<PathNote>& skipped) {
  const SnapshotLabels& labels = options_.labels;
  SnapshotObject object;
  object.root = root;
  object.started = started_;
  object.time = labels.time.value_or(started_);
  object.host = labels.host;
  object.user = labels.user;
  object.uid = labels.uid;
  object.gid = labels.gid;
  object.message = labels.message;
  object.paths = paths_;
  std::sort(object.paths.begin(), object.paths.end());
  const std::set<std::string> tags(labels.tags.begin(), labels.tags.end());
  object.tags.assign(tags.begin(), tags.end());
  if (base_) object.parent = base_->info.id;
  object.program = labels.program;
  FillRandom(object.nonce);
  ASSIGN_OR_RETURN(object.excludes, MakeLongList(AsBytes(RulesText(options_.rules)), *writer_));
  ASSIGN_OR_RETURN(object.errors, MakeLongList(EncodePathNotes(errors), *writer_));
  ASSIGN_OR_RETURN(object.skipped, MakeLongList(EncodePathNotes(skipped), *writer_));
  object.finished = repository_.options().clock->Now();
  return object;
}

StatusOr<SnapshotResult> SnapshotRun::Finish(BlobId root, bool took_over, uint64_t problems,
                                             const std::vector<PathNote>& errors,
                                             const std::vector<PathNote>& skipped) {
  SnapshotResult result;
  result.root = root;
  result.problems = problems;
  result.paths = paths_;
  if (base_) result.parent = base_->info.id;
  result.unchanged = base_ && base_->object.root == root;
  if (options_.dry_run || (result.unchanged && options_.skip_if_unchanged)) {
    result.statistics = Statistics();
    return result;
  }
  ASSIGN_OR_RETURN(SnapshotObject object, MakeObject(root, errors, skipped));
  RETURN_IF_ERROR(writer_->Flush());
  RETURN_IF_ERROR(CheckStop(options_.stop));
  result.statistics = object.statistics = Statistics();

  SnapshotEntry entry;
  entry.object = EncodeSnapshotObject(object);
  if (entry.object.size() > kMaxSnapshotObjectBytes) {
    return ResourceExhausted("the snapshot's list of sources is too long");
  }
  entry.id = HashSnapshotObject(repository_.keys(), entry.object);
  result.id = entry.id;
  const std::optional<SnapshotId> claimed_base =
      took_over && base_ ? std::optional(base_->info.id) : std::nullopt;
  RETURN_IF_ERROR(
      writer_->Commit({std::move(entry)}, claimed_base, BlobRef{BlobKind::kRoot, root}).status());
  // Acknowledged from here on: what the cache remembers is a matter of speed only.
  if (Status status = cache_->Write(*result.id, root); !status.ok() && repository_.options().warn) {
    repository_.options().warn("the change cache was not written: " + std::string(Message(status)));
  }
  (void)repository_.FoldJournalIfDue();
  if (result.statistics.stored_bytes_added > 0) (void)repository_.GrowReserve();
  return result;
}

void SnapshotRun::KeepStored() {
  if (options_.dry_run || !writer_->Flush().ok()) return;
  (void)writer_->Commit({}, std::nullopt, std::nullopt);
}

}  // namespace

StatusOr<SnapshotResult> TakeSnapshot(Repository& repository, const std::vector<std::string>& paths,
                                      const SnapshotOptions& options) {
  RETURN_IF_ERROR(CheckRules(options.rules));
  std::vector<std::string> sources;
  std::vector<PathNote> missing;
  for (std::string& path : DistinctSources(paths)) {
    struct stat ignored;
    if (::lstat(path.c_str(), &ignored) == 0 || errno == ENAMETOOLONG) {
      sources.push_back(std::move(path));
      continue;
    }
    missing.push_back({path, std::string(Message(ErrnoError(errno, "looking at", path)))});
    if (options.on_problem) options.on_problem(path, missing.back().text);
  }
  if (sources.empty()) {
    return missing.empty() ? InvalidArgument("no source was named")
                           : NotFound("none of the sources is there: " + missing.front().text);
  }
  for (int attempt = 1;; ++attempt) {
    SnapshotRun run(repository, options, sources, missing);
    StatusOr<SnapshotResult> result = run.OfPaths();
    const bool conflict = result.status().code() == StatusCode::kAborted;
    if (!conflict || attempt == kSnapshotAttempts) return result;
  }
}

StatusOr<SnapshotResult> SnapshotStream(Repository& repository, int descriptor,
                                        const std::string& name, const SnapshotOptions& options,
                                        const std::function<Status()>& finish) {
  return SnapshotRun(repository, options, {"/" + name}, {}).OfStream(descriptor, finish);
}

}  // namespace cairn
