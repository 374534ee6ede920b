// SPDX-License-Identifier: Apache-2.0
#include "core/index/lmdb_index.h"

#include <sys/stat.h>

#include <atomic>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/index/env_registry.h"
#include "core/index/index_directory.h"
#include "core/index/lmdb_reader.h"
#include "core/index/lmdb_rows.h"
#include "core/index/lmdb_writer.h"

namespace cairn {
namespace {

constexpr int kOpenAttempts = 5;

// DATA_LOSS if the environment is another repository's.
Status CheckOwner(lmdb::Txn& txn, const RepositoryId& repository, bool& is_new) {
  ASSIGN_OR_RETURN(const auto value, GetRow(txn, IndexTable::kMeta, AsBytes(kRepositoryRow)));
  is_new = !value.has_value();
  if (is_new) return OkStatus();
  const ByteSpan id = repository.span();
  if (std::equal(value->begin(), value->end(), id.begin(), id.end())) return OkStatus();
  return DataLoss("index: it is another repository's");
}

// Makes a new environment the repository's.
Status BindTo(lmdb::Env& env, const RepositoryId& repository) {
  bool is_new = false;
  {
    ASSIGN_OR_RETURN(auto reader, env.BeginRead());
    RETURN_IF_ERROR(CheckOwner(*reader, repository, is_new));
  }
  if (!is_new) return OkStatus();
  ASSIGN_OR_RETURN(auto writer, env.BeginWrite(kPatience));
  RETURN_IF_ERROR(CheckOwner(*writer, repository, is_new));
  if (!is_new) return OkStatus();
  const ByteSpan id = repository.span();
  RETURN_IF_ERROR(
      PutRow(*writer, IndexTable::kMeta, AsBytes(kRepositoryRow), Bytes(id.begin(), id.end())));
  return writer->Commit();
}

StatusOr<SharedEnv> OpenBound(IndexDirectory& directory, const LmdbIndexOptions& options) {
  RETURN_IF_ERROR(directory.CreateEnvironment());
  ASSIGN_OR_RETURN(SharedEnv env,
                   SharedEnv::Open(directory.environment(), options.map_bytes, kTableSpecs));
  RETURN_IF_ERROR(BindTo(*env, options.repository));
  return env;
}

StatusOr<SharedEnv> OpenOrRemake(IndexDirectory& directory, const LmdbIndexOptions& options) {
  // Damaged ones are made anew; so are those that somebody deletes meanwhile, who may do it again.
  for (int attempt = 1;; ++attempt) {
    StatusOr<SharedEnv> env = OpenBound(directory, options);
    if (env.status().code() != StatusCode::kDataLoss || attempt == kOpenAttempts) return env;
    RETURN_IF_ERROR(directory.DiscardEnvironment());
  }
}

// Whether the directory's environment is this one.
StatusOr<bool> IsCurrent(const IndexDirectory& directory, const lmdb::Env& env) {
  ASSIGN_OR_RETURN(const auto file, env.FileId());
  struct stat named;
  if (::stat((directory.environment() + "/data.mdb").c_str(), &named) != 0) return false;
  return file.first == named.st_dev && file.second == named.st_ino;
}

Status ReplaceByCopy(IndexDirectory& directory, lmdb::Env& env) {
  ASSIGN_OR_RETURN(const std::string replacement, directory.CreateReplacement());
  RETURN_IF_ERROR(env.CopyCompact(replacement));
  return directory.Replace(replacement);
}

class LmdbIndex : public Index {
 public:
  LmdbIndex(const LmdbIndexOptions& options, SharedEnv env) : options_(options) {
    MutexLock lock(mutex_);
    Use(std::move(env));
  }

  StatusOr<std::unique_ptr<IndexReader>> Read() override {
    Opened& opened = *current_.load();
    ASSIGN_OR_RETURN(auto txn, opened.env->BeginRead());
    return LmdbReader::Create(std::move(txn), opened.purged_packs);
  }

  StatusOr<std::unique_ptr<IndexWriter>> Write() override {
    Opened& opened = *current_.load();
    auto txn = opened.env->BeginWrite(options_.patience);
    if (txn.status().code() == StatusCode::kAborted) {
      RETURN_IF_ERROR(LeaveBehind(opened));
      txn = current_.load()->env->BeginWrite(options_.patience);
    }
    RETURN_IF_ERROR(txn.status());
    return std::unique_ptr<IndexWriter>(std::make_unique<LmdbWriter>(*std::move(txn)));
  }

  StatusOr<uint64_t> StoredBytes() override { return current_.load()->env->FileBytes(); }

 private:
  struct Opened {
    explicit Opened(SharedEnv shared) : env(std::move(shared)) {}
    const SharedEnv env;
    PurgedPacks purged_packs;
  };

  void Use(SharedEnv env) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    opened_.push_back(std::make_unique<Opened>(std::move(env)));
    current_ = opened_.back().get();
  }

  // Goes on with a copy of what its writer, who is stopped, has not changed yet.
  Status LeaveBehind(const Opened& opened) {
    MutexLock lock(mutex_);
    if (&opened != current_.load()) return OkStatus();  // by another thread
    ASSIGN_OR_RETURN(IndexDirectory directory,
                     IndexDirectory::Open(options_.directory, options_.patience));
    // In another's copy, packs may have other numbers than those that this process has read.
    ASSIGN_OR_RETURN(const bool is_current, IsCurrent(directory, *opened.env));
    if (!is_current) return Aborted("index: another one has taken its place");
    RETURN_IF_ERROR(ReplaceByCopy(directory, *opened.env));
    ASSIGN_OR_RETURN(SharedEnv copy, OpenBound(directory, options_));
    Use(std::move(copy));
    if (options_.warn) {
      options_.warn(
          "a process that does not get on holds the index (is one stopped?): it is left behind, "
          "and all others go on with a copy");
    }
    return OkStatus();
  }

  const LmdbIndexOptions options_;
  std::atomic<Opened*> current_ = nullptr;
  Mutex mutex_;
  // The last one is current; of the others, readers may still live.
  std::vector<std::unique_ptr<Opened>> opened_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

StatusOr<std::unique_ptr<Index>> OpenLmdbIndex(const LmdbIndexOptions& options) {
  ASSIGN_OR_RETURN(IndexDirectory directory,
                   IndexDirectory::Open(options.directory, options.patience));
  ASSIGN_OR_RETURN(SharedEnv env, OpenOrRemake(directory, options));
  return std::unique_ptr<Index>(std::make_unique<LmdbIndex>(options, std::move(env)));
}

Status DeleteLmdbIndex(const std::string& directory) {
  ASSIGN_OR_RETURN(IndexDirectory opened, IndexDirectory::Open(directory));
  return opened.DiscardEnvironment();
}

StatusOr<bool> CompactLmdbIndex(const LmdbIndexOptions& options, uint64_t min_bytes) {
  ASSIGN_OR_RETURN(IndexDirectory directory,
                   IndexDirectory::Open(options.directory, options.patience));
  ASSIGN_OR_RETURN(const SharedEnv env, OpenOrRemake(directory, options));
  ASSIGN_OR_RETURN(const uint64_t file_bytes, env->FileBytes());
  if (file_bytes <= min_bytes) return false;
  ASSIGN_OR_RETURN(const uint64_t used_bytes, env->UsedBytes());
  if (file_bytes / 2 <= used_bytes) return false;
  RETURN_IF_ERROR(ReplaceByCopy(directory, *env));
  return true;
}

}  // namespace cairn
