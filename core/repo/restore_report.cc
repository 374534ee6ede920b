// SPDX-License-Identifier: Apache-2.0
#include "core/repo/restore_report.h"

#include <utility>

#include "core/tree/xattrs.h"

namespace cairn {

void RestoreReport::Done(const std::string& path, EntryType type, RestoreAction action) {
  if (action == RestoreAction::kUnchanged) {
    ++progress_.unchanged;
  } else {
    ++(type == EntryType::kFile ? progress_.files : progress_.entries);
  }
  if (options_.on_entry) options_.on_entry(path, action);
}

void RestoreReport::Deleted(const std::string& path) {
  ++progress_.deleted;
  if (options_.on_entry) options_.on_entry(path, RestoreAction::kDeleted);
}

void RestoreReport::Problem(const std::string& path, std::string_view what) {
  ++progress_.errors;
  if (options_.on_problem) options_.on_problem(path, std::string(what));
}

void RestoreReport::Unread(const std::string& path) {
  ++unread_;
  if (options_.on_problem) {
    options_.on_problem(path, "could not be read when the snapshot was made");
  }
}

void RestoreReport::SpecialNotMade(const std::string& path, std::string_view why) {
  ++specials_;
  if (options_.on_problem) options_.on_problem(path, std::string(why));
}

void RestoreReport::NotSet(const AttributeReport& attributes) {
  if (attributes.owner) ++owners_;
  if (!attributes.xattrs.empty()) ++xattrs_;
}

void RestoreReport::SetTotals(uint64_t files, uint64_t bytes) {
  progress_.total_files = files;
  progress_.total_bytes = bytes;
}

RestoreResult RestoreReport::Result() const {
  RestoreResult result;
  result.files = progress_.files;
  result.entries = progress_.entries;
  result.unchanged = progress_.unchanged;
  result.deleted = progress_.deleted;
  result.bytes = progress_.bytes;
  result.verified = verified_;
  result.errors = progress_.errors;
  result.owners_not_set = owners_;
  result.xattrs_not_set = xattrs_;
  result.specials_not_made = specials_;
  result.unread_in_snapshot = unread_;
  return result;
}

Attributes AttributesOf(BlobSource& source, const Entry& entry, const std::string& path,
                        RestoreReport& report) {
  Attributes attributes;
  attributes.type = entry.type;
  attributes.mode = entry.mode;
  attributes.uid = entry.uid;
  attributes.gid = entry.gid;
  attributes.mtime = entry.mtime;
  for (const Xattr& xattr : entry.xattrs) {
    StatusOr<Bytes> value = ReadXattrValue(source, xattr);
    if (value.ok()) {
      attributes.xattrs.emplace_back(xattr.name, *std::move(value));
    } else {
      report.Problem(path, "attribute " + xattr.name + ": " + std::string(Message(value.status())));
    }
  }
  return attributes;
}

}  // namespace cairn
