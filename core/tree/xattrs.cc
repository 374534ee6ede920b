// SPDX-License-Identifier: Apache-2.0
#include "core/tree/xattrs.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "core/tree/node_io.h"

namespace cairn {
namespace {

bool IsValidXattrName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxXattrNameBytes && name.find('\0') == name.npos;
}

// Where values stand is decided for all of an entry's at once, from their lengths alone.
class Placement {
 public:
  void Count(uint64_t value_bytes) {
    if (value_bytes <= kMaxInlineXattrBytes) small_bytes_ += value_bytes;
  }
  bool InBlob(uint64_t value_bytes) const {
    return value_bytes > kMaxInlineXattrBytes ||
           (value_bytes > 0 && small_bytes_ > kMaxInlineXattrsBytes);
  }

 private:
  uint64_t small_bytes_ = 0;
};

}  // namespace

bool IsKeptXattr(std::string_view name) {
  static constexpr std::string_view kNames[] = {
      "security.evm",    "security.ima",    "security.selinux",
      "system.cifs_acl", "system.nfs4_acl", "system.richacl",
  };
  static constexpr std::string_view kPrefixes[] = {"btrfs.", "trusted.overlay.", "user.overlay."};
  return std::find(std::begin(kNames), std::end(kNames), name) == std::end(kNames) &&
         std::none_of(std::begin(kPrefixes), std::end(kPrefixes),
                      [&](std::string_view prefix) { return name.starts_with(prefix); });
}

uint64_t XattrValueBytes(const Xattr& xattr) {
  if (const auto* blob = std::get_if<Xattr::InBlob>(&xattr.value)) return blob->bytes;
  return std::get<Bytes>(xattr.value).size();
}

StatusOr<std::vector<Xattr>> PlaceXattrs(std::vector<std::pair<std::string, Bytes>> attributes,
                                         BlobSink& sink) {
  std::sort(attributes.begin(), attributes.end());
  Placement placement;
  size_t names_bytes = 0;
  const std::string* before = nullptr;
  for (const auto& [name, value] : attributes) {
    if (!IsValidXattrName(name) || (before != nullptr && *before == name)) {
      return InvalidArgument(
          absl::StrFormat("extended attribute %s: invalid or repeated name", name));
    }
    if (value.size() > kMaxXattrValueBytes) {
      return InvalidArgument(
          absl::StrFormat("extended attribute %s: value of %d bytes", name, value.size()));
    }
    names_bytes += name.size() + 1;
    placement.Count(value.size());
    before = &name;
  }
  if (names_bytes > kMaxXattrNamesBytes) return InvalidArgument("too many extended attributes");
  std::vector<Xattr> xattrs;
  xattrs.reserve(attributes.size());
  for (auto& [name, value] : attributes) {
    Xattr& xattr = xattrs.emplace_back();
    xattr.name = std::move(name);
    if (placement.InBlob(value.size())) {
      ASSIGN_OR_RETURN(const BlobId id, sink.WriteBlob(BlobKind::kChunk, value));
      xattr.value = Xattr::InBlob{id, static_cast<uint32_t>(value.size())};
    } else {
      xattr.value = std::move(value);
    }
  }
  return xattrs;
}

StatusOr<Bytes> ReadXattrValue(BlobSource& source, const Xattr& xattr) {
  if (const Bytes* value = std::get_if<Bytes>(&xattr.value)) return *value;
  const auto& blob = std::get<Xattr::InBlob>(xattr.value);
  StatusOr<Bytes> value = ReadReferencedBlob(source, {BlobKind::kChunk, blob.id});
  if (!value.ok()) return Annotate(value.status(), "extended attribute " + xattr.name);
  if (value->size() != blob.bytes) {
    return DataLoss(absl::StrFormat("extended attribute %s: blob has %d bytes instead of %d",
                                    xattr.name, value->size(), blob.bytes));
  }
  return value;
}

const char* XattrsFault(const std::vector<Xattr>& xattrs) {
  Placement placement;
  size_t names_bytes = 0;
  const Xattr* before = nullptr;
  for (const Xattr& xattr : xattrs) {
    if (!IsValidXattrName(xattr.name)) return "invalid name of an extended attribute";
    if (before != nullptr && before->name >= xattr.name) {
      return "extended attributes are not in ascending order";
    }
    if (XattrValueBytes(xattr) > kMaxXattrValueBytes) {
      return "value of an extended attribute is too large";
    }
    names_bytes += xattr.name.size() + 1;
    placement.Count(XattrValueBytes(xattr));
    before = &xattr;
  }
  if (names_bytes > kMaxXattrNamesBytes) return "too many extended attributes";
  for (const Xattr& xattr : xattrs) {
    const bool in_blob = std::holds_alternative<Xattr::InBlob>(xattr.value);
    if (in_blob != placement.InBlob(XattrValueBytes(xattr))) {
      return "value of an extended attribute stands in the wrong place";
    }
  }
  return nullptr;
}

}  // namespace cairn
