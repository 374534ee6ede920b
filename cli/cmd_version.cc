// SPDX-License-Identifier: Apache-2.0
// cairn version
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/command.h"
#include "core/chunker/chunker.h"

namespace cairn {
namespace {

// Of the repositories that this program reads and writes: docs/format.md.
constexpr int kFormatVersion = 1;

// What repositories may have that an older program did not know.
const std::vector<std::string>& Features() {
  static const std::vector<std::string> features = {"zstd", "blake3", "fastcdc", "journal-folds"};
  return features;
}

// The one that kAuto chooses.
const char* ChunkerPathName() {
  if (Chunker::Supports(ChunkerPath::kVbmi)) return "avx512-vbmi";
  return Chunker::Supports(ChunkerPath::kAvx512) ? "avx512" : "scalar";
}

class VersionCommand : public Command {
 public:
  CLI::App* Declare(CLI::App& app) override {
    return AddCommand(app, "version", kProgramGroup, "Print the version",
                      "Also the version of the repositories' format, and which code finds the ends "
                      "of chunks on\nthis processor.",
                      "");
  }

  StatusOr<ExitCode> Run(Context& context) override {
    Output& output = context.output();
    if (output.json()) {
      Json json = JsonDocument();
      json["version"] = kCairnVersion;
      json["format_version"] = kFormatVersion;
      json["features"] = Features();
      json["chunker"] = ChunkerPathName();
      output.PrintJson(json);
    } else {
      output.PrintLine(absl::StrFormat("cairn %s", kCairnVersion));
      output.PrintLine(absl::StrFormat("repository format %d (%s)", kFormatVersion,
                                       absl::StrJoin(Features(), ", ")));
      output.PrintLine(absl::StrFormat("chunker %s", ChunkerPathName()));
    }
    return ExitCode::kDone;
  }
};

}  // namespace

std::unique_ptr<Command> NewVersionCommand() { return std::make_unique<VersionCommand>(); }

}  // namespace cairn
