// SPDX-License-Identifier: Apache-2.0
#include "core/store/pack_files.h"

#include <optional>
#include <string>

#include "core/store/pack.h"
#include "core/store/parity.h"

namespace cairn {
namespace {

constexpr char kPacksFolder[] = "packs";

}  // namespace

StatusOr<PackFiles> ListPackFiles(ObjectStore& store) {
  PackFiles found;
  ASSIGN_OR_RETURN(const std::vector<std::string> folders, store.List(kPacksFolder));
  for (const std::string& folder : folders) {
    const std::string path = std::string(kPacksFolder) + "/" + folder;
    ASSIGN_OR_RETURN(const std::vector<std::string> files, store.List(path));
    for (const std::string& file : files) {
      const std::optional<PackName> name = PackName::FromHex(file.substr(0, file.find('.')));
      if (!name) continue;
      const std::string object = path + "/" + file;
      if (object == PackObjectName(*name)) found.packs.push_back(*name);
      if (object == ParityObjectName(*name)) found.parity.push_back(*name);
    }
  }
  return found;
}

}  // namespace cairn
