// SPDX-License-Identifier: Apache-2.0
#include "cli/json.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"
#include "cli/listing.h"
#include "cli/text.h"
#include "core/base/clock.h"

namespace cairn {
namespace {

std::string Base64(std::string_view bytes) {
  return absl::Base64Escape(absl::string_view(bytes.data(), bytes.size()));
}

}  // namespace

std::string DumpJson(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json JsonMessage(std::string_view type) {
  Json json = Json::object();
  json["message_type"] = type;
  json["schema_version"] = kJsonSchemaVersion;
  return json;
}

Json JsonDocument() {
  Json json = Json::object();
  json["schema_version"] = kJsonSchemaVersion;
  return json;
}

void PutText(Json& object, const std::string& key, std::string_view text) {
  object[key] = text;
  if (!IsUtf8(text)) object[key + "_b64"] = Base64(text);
}

void PutTexts(Json& object, const std::string& key, const std::vector<std::string>& texts) {
  object[key] = texts;
  if (std::all_of(texts.begin(), texts.end(), IsUtf8)) return;
  Json exact = Json::array();
  for (const std::string& text : texts) exact.push_back(Base64(text));
  object[key + "_b64"] = std::move(exact);
}

Json JsonOfProblem(std::string_view item, std::string_view message) {
  Json json = JsonMessage("error");
  json["error"] = Json::object();
  PutText(json["error"], "message", message);
  if (!item.empty()) PutText(json, "item", item);
  return json;
}

Json JsonOfSnapshot(const SnapshotView& view) {
  const SnapshotInfo& info = view.info;
  const SnapshotObject& object = view.object;
  const SnapshotStatistics& statistics = object.statistics;
  Json json = {{"id", info.id.Hex()},
               {"short_id", info.id.ShortHex()},
               {"record", info.record},
               {"time", FormatRfc3339(info.time)},
               {"started", FormatRfc3339(object.started)},
               {"finished", FormatRfc3339(object.finished)}};
  if (object.parent) json["parent"] = object.parent->Hex();
  json["tree"] = info.root.Hex();
  PutTexts(json, "paths", info.paths);
  PutText(json, "hostname", info.host);
  PutText(json, "username", info.user);
  json["uid"] = object.uid;
  json["gid"] = object.gid;
  PutTexts(json, "tags", info.tags);
  PutText(json, "message", info.message);
  json["held"] = info.held;
  PutText(json, "program_version", object.program);
  json["summary"] = {{"files_new", statistics.files_new},
                     {"files_changed", statistics.files_changed},
                     {"files_unmodified", statistics.files_unchanged},
                     {"blobs_added", statistics.blobs_added},
                     {"data_added", statistics.raw_bytes_added},
                     {"data_added_packed", statistics.stored_bytes_added},
                     {"bytes_read", statistics.bytes_read},
                     {"total_files_processed", statistics.files},
                     {"total_dirs_processed", statistics.directories},
                     {"total_others_processed", statistics.others},
                     {"total_bytes_processed", statistics.bytes}};
  return json;
}

Json JsonOfEntry(const std::string& path, const Entry& entry) {
  Json json = Json::object();
  PutText(json, "name", path.substr(path.rfind('/') + 1));
  json["type"] = ShortTypeName(entry.type);
  PutText(json, "path", path);
  if (entry.type == EntryType::kPartialDirectory) return json;
  json["uid"] = entry.uid;
  json["gid"] = entry.gid;
  json["mode"] = entry.mode;
  json["permissions"] = PermissionsText(entry);
  json["mtime"] = FormatRfc3339(entry.mtime);
  switch (entry.type) {
    case EntryType::kFile:
      json["size"] = entry.size;
      break;
    case EntryType::kSymlink:
      PutText(json, "linktarget", entry.target);
      break;
    case EntryType::kCharacterDevice:
    case EntryType::kBlockDevice:
      json["device"] = {entry.device.major, entry.device.minor};
      break;
    default:
      break;
  }
  if (entry.unread) json["unread"] = true;
  if (!entry.xattrs.empty()) {
    Json names = Json::array();
    for (const Xattr& xattr : entry.xattrs) names.push_back(xattr.name);
    json["xattrs"] = std::move(names);
  }
  return json;
}

}  // namespace cairn
