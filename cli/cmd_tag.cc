// SPDX-License-Identifier: Apache-2.0
// cairn hold, cairn release, cairn tag
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/error.h"
#include "cli/filter_options.h"
#include "cli/text.h"
#include "core/repo/forget.h"
#include "core/repo/tag_list.h"

namespace cairn {
namespace {

std::vector<SnapshotId> IdsOf(const std::vector<SnapshotInfo>& snapshots) {
  std::vector<SnapshotId> ids;
  for (const SnapshotInfo& snapshot : snapshots) ids.push_back(snapshot.id);
  return ids;
}

// With --json the snapshots as they are afterwards.
Status Report(Context& context, const std::vector<SnapshotId>& ids, const std::string& what) {
  Output& output = context.output();
  if (output.json()) {
    ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
    Json list = Json::array();
    for (const SnapshotId& id : ids) {
      ASSIGN_OR_RETURN(const SnapshotView view, repository->FindSnapshot(id));
      list.push_back(JsonOfSnapshot(view));
    }
    output.PrintJson(list);
  } else if (!output.quiet()) {
    for (const SnapshotId& id : ids) {
      output.PrintLine(absl::StrFormat("snapshot %s %s", id.ShortHex(), what));
    }
  }
  return OkStatus();
}

class HoldCommand : public Command {
 public:
  explicit HoldCommand(bool hold) : hold_(hold) {}

  CLI::App* Declare(CLI::App& app) override {
    CLI::App* command =
        hold_ ? AddCommand(app, "hold", kKeepingGroup, "Hold snapshots, so that they stay",
                           "A held snapshot is never forgotten, whoever asks for it, until it is "
                           "released.",
                           "  cairn hold latest\n")
              : AddCommand(app, "release", kKeepingGroup, "Let go of held snapshots",
                           "They can be forgotten again, by name or by rules.",
                           "  cairn release 1f3a8b2c\n");
    AddArguments(*command, "SNAPSHOT", named_, "Which", /*required=*/true);
    filter_.Declare(*command);
    return command;
  }

  StatusOr<ExitCode> Run(Context& context) override {
    ASSIGN_OR_RETURN(const SnapshotFilter filter, filter_.Filter());
    ASSIGN_OR_RETURN(const std::vector<SnapshotInfo> infos, context.SelectInfos(named_, filter));
    ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
    const std::vector<SnapshotId> ids = IdsOf(infos);
    RETURN_IF_ERROR(HoldSnapshots(*repository, ids, hold_));
    RETURN_IF_ERROR(Report(context, ids, hold_ ? "is held" : "is released"));
    return ExitCode::kDone;
  }

 private:
  const bool hold_;
  std::vector<std::string> named_;
  FilterOptions filter_;
};

class TagCommand : public Command {
 public:
  CLI::App* Declare(CLI::App& app) override {
    CLI::App* command = AddCommand(
        app, "tag", kKeepingGroup, "Change the tags of snapshots",
        "Tags narrow what commands look at, and rules can keep what has them. The snapshot itself\n"
        "and its id stay as they are.",
        "  cairn tag --add before-upgrade latest\n"
        "  cairn tag --set '' 1f3a8b2c\n");
    AddArguments(*command, "SNAPSHOT", named_, "Which", /*required=*/true);
    AddList(*command, "--add", "TAG[,TAG]", add_, "Give them these");
    AddList(*command, "--remove", "TAG[,TAG]", remove_, "Take these away");
    AddList(*command, "--set", "TAG[,TAG]", set_, "Give them these, and no others; '' is none");
    // --tag here says which snapshots are looked at, as everywhere.
    filter_.Declare(*command);
    return command;
  }

  StatusOr<ExitCode> Run(Context& context) override {
    ASSIGN_OR_RETURN(const TagChange change, MakeChange());
    ASSIGN_OR_RETURN(const SnapshotFilter filter, filter_.Filter());
    ASSIGN_OR_RETURN(const std::vector<SnapshotInfo> infos, context.SelectInfos(named_, filter));
    ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
    const std::vector<SnapshotId> ids = IdsOf(infos);
    const Status tagged = TagSnapshots(*repository, ids, change);
    if (!tagged.ok()) return AsUsage(tagged, "tag");
    RETURN_IF_ERROR(Report(context, ids, "is tagged"));
    return ExitCode::kDone;
  }

 private:
  StatusOr<TagChange> MakeChange() const {
    if (!set_.empty() && (!add_.empty() || !remove_.empty())) {
      return UsageError("--set does not go with --add and --remove");
    }
    if (set_.empty() && add_.empty() && remove_.empty()) {
      return UsageError("say what to change: --add, --remove or --set");
    }
    TagChange change;
    change.replace = !set_.empty();
    RETURN_IF_ERROR(Collect(set_, "--set", /*empty_allowed=*/true, change.add));
    RETURN_IF_ERROR(Collect(add_, "--add", /*empty_allowed=*/false, change.add));
    RETURN_IF_ERROR(Collect(remove_, "--remove", /*empty_allowed=*/false, change.remove));
    return change;
  }

  static Status Collect(const std::vector<std::string>& texts, const char* option,
                        bool empty_allowed, std::vector<std::string>& tags) {
    for (const std::string& text : texts) {
      const StatusOr<TagList> list = ParseTagList(text);
      if (!list.ok()) return AsUsage(list.status(), option);
      if (!list->front().empty()) {
        tags.insert(tags.end(), list->begin(), list->end());
      } else if (!empty_allowed) {
        return UsageError(absl::StrFormat("%s is empty", option));
      }
    }
    return OkStatus();
  }

  std::vector<std::string> named_;
  std::vector<std::string> add_;
  std::vector<std::string> remove_;
  std::vector<std::string> set_;
  FilterOptions filter_;
};

}  // namespace

std::unique_ptr<Command> NewHoldCommand() { return std::make_unique<HoldCommand>(true); }
std::unique_ptr<Command> NewReleaseCommand() { return std::make_unique<HoldCommand>(false); }
std::unique_ptr<Command> NewTagCommand() { return std::make_unique<TagCommand>(); }

}  // namespace cairn
