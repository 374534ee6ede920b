// SPDX-License-Identifier: Apache-2.0
#include "core/repo/recovery_from_sources.h"

#include <fcntl.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "core/base/worker_pool.h"
#include "core/repo/blob_writer.h"
#include "core/repo/root_builder.h"
#include "core/repo/snapshot.h"
#include "core/repo/snapshot_file.h"
#include "core/repo/snapshot_walk.h"

namespace cairn {
namespace {

bool IsAtOrBelow(const std::string& path, const std::string& top) {
  return path == top || top == "/" || (path.starts_with(top) && path[top.size()] == '/');
}

class SourceRecovery {
 public:
  SourceRecovery(Repository& repository, const SourceRecoveryOptions& options,
                 const Chunker& chunker, RecoveredBlobs& blobs)
      : repository_(repository),
        options_(options),
        chunker_(chunker),
        blobs_(blobs),
        pool_(WorkerCount(options.threads)) {}

  Status Run(const std::vector<AffectedPath>& affected);

 private:
  using Sources = std::vector<std::string>;
  // What snapshots that were made by the same rules have lost the lists of entries of.
  struct Lost {
    std::set<Sources> wholes;       // all of a snapshot, as its root or its link groups are lost
    std::set<std::string> folders;  // and what lies below them
  };

  // By the rules' text.
  StatusOr<std::map<std::string, Lost>> FindLost(const std::vector<AffectedPath>& affected);
  Status ReadTrees(const std::string& rules, const Lost& lost);
  // A single source, or a directory in one, may stand for itself.
  Status ReadTree(const SnapshotOptions& options, const Sources& sources, bool with_root);
  static Status BuildTop(const SnapshotOptions& options, SnapshotWalk& walk, BlobWriter& writer,
                         const Sources& sources, bool with_root);
  Status ReadFiles(const std::set<std::string>& paths);
  static Status ReadOne(EntryReader& reader, const std::string& path);
  BlobWriter::Options WriterOptions() { return {.instead = &blobs_}; }

  Repository& repository_;
  const SourceRecoveryOptions& options_;
  const Chunker& chunker_;
  RecoveredBlobs& blobs_;
  WorkerPool pool_;
  SnapshotProgress progress_;
};

Status SourceRecovery::Run(const std::vector<AffectedPath>& affected) {
  if (blobs_.LacksNodes()) {
    ASSIGN_OR_RETURN(const auto lost, FindLost(affected));
    blobs_.HoldNodes();
    for (const auto& [rules, places] : lost) RETURN_IF_ERROR(ReadTrees(rules, places));
    blobs_.DropHeld();
  }
  std::set<std::string> files;
  for (const AffectedPath& each : affected) {
    if (!each.unknown_below) files.insert(each.path);
  }
  return ReadFiles(files);
}

StatusOr<std::map<std::string, SourceRecovery::Lost>> SourceRecovery::FindLost(
    const std::vector<AffectedPath>& affected) {
  std::map<std::string, Lost> lost;
  std::map<SnapshotId, std::pair<std::string, SnapshotObject>> known;
  for (const AffectedPath& each : affected) {
    auto it = known.find(each.snapshot);
    if (it == known.end()) {
      StatusOr<SnapshotView> view = repository_.FindSnapshot(each.snapshot);
      if (!view.ok()) continue;
      const StatusOr<Bytes> rules = ReadLongList(view->object.excludes, repository_);
      if (!rules.ok()) continue;
      it = known.try_emplace(each.snapshot, AsText(*rules), std::move(view->object)).first;
    }
    const auto& [rules, object] = it->second;
    if (!each.unknown_below && !blobs_.Lacks(BlobKind::kLinks)) continue;
    // Partial directories, the link groups and the root are of all sources together.
    const bool is_inside = std::ranges::any_of(
        object.paths, [&](const auto& source) { return IsAtOrBelow(each.path, source); });
    if (!is_inside || each.path == TopPath(object)) {
      Sources sources = object.paths;
      std::ranges::sort(sources, [](const std::string& a, const std::string& b) {
        return ComparePaths(a, b) < 0;
      });
      lost[rules].wholes.insert(std::move(sources));
    } else if (each.unknown_below) {
      lost[rules].folders.insert(each.path);
    }
  }
  return lost;
}

Status SourceRecovery::ReadTrees(const std::string& rules, const Lost& lost) {
  SnapshotOptions options;
  StatusOr<SourceRules> parsed = ParseRules(rules);
  if (!parsed.ok()) return OkStatus();  // a newer version's, perhaps
  options.rules = *std::move(parsed);
  options.threads = options_.threads;
  options.stop = options_.stop;
  std::vector<std::string> read;
  for (const Sources& sources : lost.wholes) {
    RETURN_IF_ERROR(ReadTree(options, sources, /*with_root=*/true));
    read.insert(read.end(), sources.begin(), sources.end());
  }
  // A directory comes before what lies below it.
  for (const std::string& folder : lost.folders) {
    if (std::ranges::any_of(read, [&](const auto& top) { return IsAtOrBelow(folder, top); })) {
      continue;
    }
    RETURN_IF_ERROR(ReadTree(options, {folder}, /*with_root=*/false));
    read.push_back(folder);
  }
  return OkStatus();
}

Status SourceRecovery::ReadTree(const SnapshotOptions& options, const Sources& sources,
                                bool with_root) {
  if (!blobs_.LacksNodes()) return OkStatus();
  BlobWriter writer(repository_, SessionId{}, JournalHead{}, WriterOptions());
  SnapshotWalk walk({.repository = repository_,
                     .writer = writer,
                     .chunker = chunker_,
                     .options = options,
                     .progress = progress_,
                     .pool = pool_});
  // What is wrong with the sources is nobody's concern here.
  BuildTop(options, walk, writer, sources, with_root).IgnoreError();
  RETURN_IF_ERROR(writer.Failure());
  return CheckStop(options_.stop);
}

Status SourceRecovery::BuildTop(const SnapshotOptions& options, SnapshotWalk& walk,
                                BlobWriter& writer, const Sources& sources, bool with_root) {
  SnapshotObject place;
  place.paths = sources;
  const std::string top = TopPath(place);
  std::vector<SourceEntry> entries;
  for (const std::string& path : sources) {
    RETURN_IF_ERROR(CheckStop(options.stop));
    ASSIGN_OR_RETURN(std::optional<Entry> entry,
                     walk.Walk(path, PathBelow(top, path), std::nullopt));
    if (entry) entries.push_back({path, *std::move(entry)});
  }
  if (!with_root || entries.size() != sources.size()) return OkStatus();
  ASSIGN_OR_RETURN(const std::optional<BlobId> links, walk.links().Finish(writer));
  return BuildRoot(writer, top, std::move(entries), links).status();
}

Status SourceRecovery::ReadFiles(const std::set<std::string>& paths) {
  BlobWriter writer(repository_, SessionId{}, JournalHead{}, WriterOptions());
  EntryReader reader(writer, chunker_, progress_);
  for (const std::string& path : paths) {
    RETURN_IF_ERROR(CheckStop(options_.stop));
    if (blobs_.LacksNothing()) return OkStatus();
    ReadOne(reader, path).IgnoreError();
    RETURN_IF_ERROR(writer.Failure());
  }
  return OkStatus();
}

// Of a directory, what its own attributes need.
Status SourceRecovery::ReadOne(EntryReader& reader, const std::string& path) {
  // Nothing is known of the file system.
  constexpr FileSystemTraits kTraits{.own_clock = false};
  ASSIGN_OR_RETURN(const FileStatus status, StatAt(AT_FDCWD, path.c_str()));
  if (status.type == EntryType::kFile) {
    RETURN_IF_ERROR(
        reader.Read(AT_FDCWD, path.c_str(), status, kTraits, nullptr, [](const ReadEntry&) {}));
    return reader.FinishFiles();
  }
  if (status.type != EntryType::kDirectory) return OkStatus();
  DirectoryPool directories;
  ASSIGN_OR_RETURN(const auto directory, directories.OpenTop(path));
  ASSIGN_OR_RETURN(const SourceDirectory::Pin pin, directory->Open());
  return reader.ReadDirectory(pin.descriptor(), "", status).status();
}

}  // namespace

Status RecoverFromSources(Repository& repository, const std::vector<AffectedPath>& affected,
                          const SourceRecoveryOptions& options, RecoveredBlobs& blobs) {
  if (blobs.LacksNothing() || affected.empty()) return OkStatus();
  ASSIGN_OR_RETURN(const Chunker chunker, repository.MakeChunker());
  return SourceRecovery(repository, options, chunker, blobs).Run(affected);
}

}  // namespace cairn
