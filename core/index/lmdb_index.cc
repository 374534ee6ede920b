// SPDX-License-Identifier: Apache-2.0
#include "core/index/lmdb_index.h"

#include <optional>
#include <utility>

#include "core/index/env_registry.h"
#include "core/index/index_directory.h"
#include "core/index/lmdb_reader.h"
#include "core/index/lmdb_rows.h"
#include "core/index/lmdb_writer.h"

namespace cairn {
namespace {

class LmdbIndex : public Index {
 public:
  explicit LmdbIndex(SharedEnv env) : env_(std::move(env)) {}

  StatusOr<std::unique_ptr<IndexReader>> Read() override {
    ASSIGN_OR_RETURN(auto txn, env_->BeginRead());
    return LmdbReader::Create(std::move(txn), purged_packs_);
  }
  StatusOr<std::unique_ptr<IndexWriter>> Write() override {
    ASSIGN_OR_RETURN(auto txn, env_->BeginWrite());
    return std::unique_ptr<IndexWriter>(std::make_unique<LmdbWriter>(std::move(txn)));
  }
  StatusOr<uint64_t> StoredBytes() override { return env_->FileBytes(); }

 private:
  const SharedEnv env_;
  PurgedPacks purged_packs_;
};

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
  ASSIGN_OR_RETURN(auto writer, env.BeginWrite());
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
  StatusOr<SharedEnv> env = OpenBound(directory, options);
  if (env.ok() || env.status().code() != StatusCode::kDataLoss) return env;
  RETURN_IF_ERROR(directory.DiscardEnvironment());
  return OpenBound(directory, options);
}

}  // namespace

StatusOr<std::unique_ptr<Index>> OpenLmdbIndex(const LmdbIndexOptions& options) {
  ASSIGN_OR_RETURN(IndexDirectory directory, IndexDirectory::Open(options.directory));
  ASSIGN_OR_RETURN(SharedEnv env, OpenOrRemake(directory, options));
  return std::unique_ptr<Index>(std::make_unique<LmdbIndex>(std::move(env)));
}

Status DeleteLmdbIndex(const std::string& directory) {
  ASSIGN_OR_RETURN(IndexDirectory opened, IndexDirectory::Open(directory));
  return opened.DiscardEnvironment();
}

StatusOr<bool> CompactLmdbIndex(const LmdbIndexOptions& options, uint64_t min_bytes) {
  ASSIGN_OR_RETURN(IndexDirectory directory, IndexDirectory::Open(options.directory));
  ASSIGN_OR_RETURN(const SharedEnv env, OpenOrRemake(directory, options));
  ASSIGN_OR_RETURN(const uint64_t file_bytes, env->FileBytes());
  if (file_bytes <= min_bytes) return false;
  ASSIGN_OR_RETURN(const uint64_t used_bytes, env->UsedBytes());
  if (file_bytes / 2 <= used_bytes) return false;
  ASSIGN_OR_RETURN(const std::string replacement, directory.CreateReplacement());
  RETURN_IF_ERROR(env->CopyCompact(replacement));
  RETURN_IF_ERROR(directory.Replace(replacement));
  return true;
}

}  // namespace cairn
