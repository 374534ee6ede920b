// SPDX-License-Identifier: Apache-2.0
// JSON as cairn writes it. Names in a repository are bytes: what is not UTF-8 is shown with U+FFFD
// in place of the bytes that are none, and a member of the same name with "_b64" at its end holds
// the exact bytes.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/repo/repository.h"
#include "core/tree/entry.h"

namespace cairn {

using Json = nlohmann::ordered_json;

inline constexpr int kJsonSchemaVersion = 1;

// One line, without its end. Never fails: bytes that are no UTF-8 become U+FFFD.
std::string DumpJson(const Json& json);

// {"message_type": TYPE, "schema_version": 1}
Json JsonMessage(std::string_view type);
// {"schema_version": 1}
Json JsonDocument();

// object[key] = text, and object[key_b64] where the text is not UTF-8.
void PutText(Json& object, const std::string& key, std::string_view text);
// An array; object[key_b64] is an array beside it, in the same order, if any of them needs it.
void PutTexts(Json& object, const std::string& key, const std::vector<std::string>& texts);

// A snapshot as all commands show it. `record` is its number in the journal.
Json JsonOfSnapshot(const SnapshotView& view);
// {"message_type": "error", ..., "error": {"message": MESSAGE}, "item": ITEM}; no item if empty.
Json JsonOfProblem(std::string_view item, std::string_view message);
// An entry of a tree.
Json JsonOfEntry(const std::string& path, const Entry& entry);

}  // namespace cairn
