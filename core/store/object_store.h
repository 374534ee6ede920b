// SPDX-License-Identifier: Apache-2.0
// Where a repository's objects lie: whole, immutable byte strings under names such as
// "packs/3f/3f07...". The local directory is the first implementation; the interface asks for
// nothing that S3-compatible storage does not have (put if absent, ranged get, list, delete).
// tests/conformance/object_store_conformance.h is the suite that every implementation passes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/file_system.h"
#include "core/base/status.h"

namespace cairn {

// An object on its way. Dropped without Commit, nothing stands under its name. Thread-compatible.
class ObjectWriter {
 public:
  virtual ~ObjectWriter() = default;
  virtual Status Append(ByteSpan bytes) = 0;
  // Hands over what was appended, and frees the memory that it took: for an object that is
  // committed much later.
  virtual Status Drain() = 0;
  // Makes the bytes durable and places them under the name, whole: ALREADY_EXISTS if the name is
  // taken. The name itself is durable only after ObjectStore::SyncNames. After any error the
  // writer refuses everything.
  virtual Status Commit() = 0;
};

// Thread-safe.
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  // Nothing is visible under `name` before Commit. `owner` marks the temporary file, so that what a
  // dead session left behind can be told from what a live one is writing.
  virtual StatusOr<std::unique_ptr<ObjectWriter>> Create(const std::string& name,
                                                         const std::string& owner) = 0;
  // As Create, but Commit takes the place of what has the name, in one step, if anything has. Only
  // for what says the same as what it replaces: objects are immutable.
  virtual StatusOr<std::unique_ptr<ObjectWriter>> CreateReplacement(const std::string& name,
                                                                    const std::string& owner) = 0;
  // Makes every name durable that was committed through this store before the call. Once it has
  // failed it fails for ever: what the disk holds is not known then.
  virtual Status SyncNames() = 0;
  // Writes a whole object; it and its name are durable on return. ALREADY_EXISTS if the name is
  // taken: this is the one step by which processes exclude each other. After another error the
  // object may or may not stand there; `*placed` (if not null) is true if this call took the name,
  // or may have taken it: the object must not be removed then.
  virtual Status PutIfAbsent(const std::string& name, ByteSpan bytes, bool* placed) = 0;

  // Fewer bytes than asked for only at the object's end. NOT_FOUND if there is none.
  virtual StatusOr<size_t> ReadAt(const std::string& name, uint64_t offset,
                                  MutableByteSpan out) = 0;
  // RESOURCE_EXHAUSTED if it is larger than `max_bytes`.
  virtual StatusOr<Bytes> ReadAll(const std::string& name, uint64_t max_bytes) = 0;
  virtual StatusOr<uint64_t> Size(const std::string& name) = 0;
  // What stands directly in `folder` ("journal"), objects and further folders: their names without
  // the folder, unsorted, without unfinished objects; empty if there is no such folder.
  virtual StatusOr<std::vector<std::string>> List(const std::string& folder) = 0;
  virtual Status Delete(const std::string& name) = 0;
  // Gives the object another name, in the place of what has that, in one step, if anything has;
  // durable after the next SyncNames. At no time has it neither name. NOT_FOUND if there is none.
  virtual Status Rename(const std::string& from, const std::string& to) = 0;

  // Unfinished objects: names that Delete takes, and the owner that Create was told. What
  // PutIfAbsent has not finished belongs to nobody and may be removed: it then writes anew.
  struct Unfinished {
    std::string name;
    std::string owner;
  };
  virtual StatusOr<std::vector<Unfinished>> ListUnfinished() = 0;
};

// Objects as files of `fs`, which must outlive the store. Unfinished ones lie in "tmp". Folders are
// made as they are needed, and made durable before what they hold.
std::unique_ptr<ObjectStore> NewLocalObjectStore(FileSystem& fs);

}  // namespace cairn
