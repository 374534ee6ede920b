// SPDX-License-Identifier: Apache-2.0
// cairn cat
#include <optional>
#include <string>

#include "absl/strings/str_format.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/error.h"
#include "cli/filter_options.h"
#include "core/repo/browse.h"

namespace cairn {
namespace {

class CatCommand : public Command {
 public:
  CLI::App* Declare(CLI::App& app) override {
    CLI::App* command =
        AddCommand(app, "cat", kLookingGroup, "Write a file's content to standard output",
                   "The bytes as they were. Nothing else is written there.",
                   "  cairn cat latest:/etc/fstab\n"
                   "  cairn cat '@yesterday:/home/me/all.sql.gz' | zcat | less\n");
    AddArgument(*command, "SNAPSHOT:FILE", file_, "A file in a snapshot", /*required=*/true);
    filter_.Declare(*command);
    return command;
  }

  bool OnlyReads() const override { return true; }
  StatusOr<ExitCode> Run(Context& context) override {
    Output& output = context.output();
    if (output.json()) {
      return UsageError("cat writes bytes, not JSON; `cairn ls --json` tells of a file");
    }
    ASSIGN_OR_RETURN(const SnapshotFilter filter, filter_.Filter());
    ASSIGN_OR_RETURN(const SelectedSnapshot selected,
                     context.Select(*file_, filter, /*path_allowed=*/true));
    if (!selected.path) {
      return UsageError(absl::StrFormat("say which file of the snapshot: %s:/PATH", *file_));
    }
    ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
    ASSIGN_OR_RETURN(const LocatedEntry located,
                     FindInSnapshot(*repository, selected.view, *selected.path));
    const Status read =
        ReadFileContent(*repository, located.entry, context.stop(), [&](ByteSpan bytes) -> Status {
          output.Print(AsText(bytes));
          // Not an error of the file: Finish says if it is one at all.
          return output.reader_gone() ? Cancelled("nobody reads on") : OkStatus();
        });
    if (!read.ok() && !output.reader_gone()) return Annotate(read, *selected.path);
    return ExitCode::kDone;
  }

 private:
  std::optional<std::string> file_;
  FilterOptions filter_;
};

}  // namespace

std::unique_ptr<Command> NewCatCommand() { return std::make_unique<CatCommand>(); }

}  // namespace cairn
