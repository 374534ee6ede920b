// SPDX-License-Identifier: Apache-2.0
#include "cli/affected.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "cli/text.h"

namespace cairn {

void PrintAffected(Output& output, const CheckResult& result) {
  for (const AffectedPath& affected : result.affected) {
    output.PrintLine(absl::StrFormat(
        "affected: %s:%s%s", affected.snapshot.ShortHex(), EscapeName(affected.path),
        affected.unknown_below
            ? " (its list of entries is damaged: what is below it cannot be judged)"
            : ""));
  }
  if (result.affected_count > result.affected.size()) {
    output.PrintLine(absl::StrFormat(
        "... and %s more", Count(result.affected_count - result.affected.size(), "path")));
  }
}

void AddAffected(Json& json, const CheckResult& result) {
  json["affected_snapshots"] = Json::array();
  for (const SnapshotId& id : result.affected_snapshots) {
    json["affected_snapshots"].push_back(id.Hex());
  }
  json["affected_paths"] = Json::array();
  for (const AffectedPath& affected : result.affected) {
    Json item = Json::object();
    item["snapshot"] = affected.snapshot.Hex();
    PutText(item, "path", affected.path);
    if (affected.unknown_below) item["unknown_below"] = true;
    json["affected_paths"].push_back(std::move(item));
  }
  json["affected_paths_count"] = result.affected_count;
}

}  // namespace cairn
