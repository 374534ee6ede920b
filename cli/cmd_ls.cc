// SPDX-License-Identifier: Apache-2.0
// cairn ls
#include <optional>
#include <string>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/filter_options.h"
#include "cli/json_list.h"
#include "cli/listing.h"
#include "cli/text.h"
#include "core/repo/browse.h"

namespace cairn {
namespace {

class LsCommand : public Command {
 public:
  CLI::App* Declare(CLI::App& app) override {
    CLI::App* command = AddCommand(app, "ls", kLookingGroup, "List what is in a snapshot",
                                   "Without a path it lists the directory that was snapshotted, "
                                   "or, where there were several,\n"
                                   "the one that holds them all. Names are printed whole, one a "
                                   "line, with control characters\n"
                                   "and backslashes escaped as `ls -b` does.",
                                   "  cairn ls latest\n"
                                   "  cairn ls -l latest:/etc/ssh\n"
                                   "  cairn ls -R '@yesterday:/home/me/work'\n");
    AddArgument(*command, "SNAPSHOT[:PATH]", snapshot_, "What to list", /*required=*/true);
    AddFlag(*command, "-l,--long", long_, "With type, permissions, owner, size and local time");
    AddFlag(*command, "-R,--recursive", recursive_, "All that is below");
    filter_.Declare(*command);
    return command;
  }

  bool OnlyReads() const override { return true; }
  StatusOr<ExitCode> Run(Context& context) override {
    ASSIGN_OR_RETURN(const SnapshotFilter filter, filter_.Filter());
    ASSIGN_OR_RETURN(const SelectedSnapshot selected,
                     context.Select(*snapshot_, filter, /*path_allowed=*/true));
    ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
    const std::string path = selected.path.value_or(TopPath(selected.view.object));
    Output& output = context.output();
    std::optional<JsonList> list;
    if (output.json()) {
      Json head = JsonDocument();
      head["snapshot"] = JsonOfSnapshot(selected.view);
      PutText(head, "path", path);
      list.emplace(output, head, "entries");
    }
    RETURN_IF_ERROR(ListPath(*repository, selected.view, path, recursive_, context.stop(),
                             [&](const LocatedEntry& located) -> StatusOr<bool> {
                               if (list) {
                                 list->Add(JsonOfEntry(located.path, located.entry));
                               } else {
                                 output.PrintLine(Line(located));
                               }
                               return !output.reader_gone();
                             }));
    if (list) list->End();
    return ExitCode::kDone;
  }

 private:
  std::string Line(const LocatedEntry& located) const {
    return long_ ? LongLine(located.path, located.entry) : EscapeName(located.path);
  }

  std::optional<std::string> snapshot_;
  FilterOptions filter_;
  bool long_ = false;
  bool recursive_ = false;
};

}  // namespace

std::unique_ptr<Command> NewLsCommand() { return std::make_unique<LsCommand>(); }

}  // namespace cairn
