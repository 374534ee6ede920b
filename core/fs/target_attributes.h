// SPDX-License-Identifier: Apache-2.0
// Giving an entry of the target its owner, mode, extended attributes and times.
#pragma once

#include <string>

#include "core/base/status.h"
#include "core/fs/target.h"

namespace cairn {

// These set what differs, in the order that keeps each: owner (which drops set-id bits and
// capabilities), mode, access control lists and capabilities, times. Thread-safe. `label` names the
// entry in messages.

// Of an open file or directory.
StatusOr<AttributeReport> ApplyAttributes(int descriptor, const Attributes& wanted,
                                          const std::string& label);
// Of a file that this process has just made, 0600, in a directory that gives its files no access
// control list: what it has need not be asked for. Where the owner proves to be another one (of a
// set-group-id directory), does what ApplyAttributes does.
StatusOr<AttributeReport> ApplyAttributesToNewFile(int descriptor, const Attributes& wanted,
                                                   const std::string& label);
// Of anything that an O_PATH descriptor holds; it was opened as `name` in `directory`, where its
// extended attributes are read.
StatusOr<AttributeReport> ApplyAttributesAt(int directory, const std::string& name,
                                            int path_descriptor, const Attributes& wanted,
                                            const std::string& label);

// Whether the file, as it is, would gain set-id bits or capabilities from `wanted` though others
// than its owner to be may write to it.
bool WouldLendRights(const FileStatus& now, const Attributes& wanted);

}  // namespace cairn
