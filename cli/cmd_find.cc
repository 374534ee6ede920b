// SPDX-License-Identifier: Apache-2.0
// cairn find
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/error.h"
#include "cli/filter_options.h"
#include "cli/json_list.h"
#include "cli/listing.h"
#include "cli/text.h"
#include "core/repo/browse.h"

namespace cairn {
namespace {

class FindCommand : public Command {
 public:
  CLI::App* Declare(CLI::App& app) override {
    CLI::App* command = AddCommand(
        app, "find", kLookingGroup, "Find files in all snapshots",
        "Lists what matches any of the patterns, snapshot by snapshot, newest first. A pattern\n"
        "matches a name at any depth, or, with a leading /, the whole path; * ? [a-z] match "
        "within\n"
        "a name, ** any number of directories.",
        "  cairn find '*.odt'\n"
        "  cairn find -l --snapshot latest '/home/**/todo.txt'\n");
    AddArguments(*command, "PATTERN", patterns_, "What to look for", /*required=*/true);
    AddList(*command, "-s,--snapshot", "SNAPSHOT", named_, "Only in this snapshot; again for more");
    AddFlag(*command, "-l,--long", long_, "With type, permissions, owner, size and local time");
    filter_.Declare(*command);
    return command;
  }

  bool OnlyReads() const override { return true; }
  StatusOr<ExitCode> Run(Context& context) override;

 private:
  StatusOr<std::vector<SnapshotView>> Chosen(Context& context, Repository& repository) const;

  std::vector<std::string> patterns_;
  std::vector<std::string> named_;
  FilterOptions filter_;
  bool long_ = false;
};

StatusOr<std::vector<SnapshotView>> FindCommand::Chosen(Context& context,
                                                        Repository& repository) const {
  ASSIGN_OR_RETURN(const SnapshotFilter filter, filter_.Filter());
  std::vector<SnapshotView> chosen;
  if (named_.empty()) {
    ASSIGN_OR_RETURN(chosen, repository.Snapshots());
    std::erase_if(chosen,
                  [&](const SnapshotView& view) { return !MatchesFilter(view.info, filter); });
  } else {
    ASSIGN_OR_RETURN(const std::vector<SnapshotInfo> infos, context.SelectInfos(named_, filter));
    for (const SnapshotInfo& info : infos) {
      ASSIGN_OR_RETURN(SnapshotView view, repository.FindSnapshot(info.id));
      chosen.push_back(std::move(view));
    }
  }
  std::sort(chosen.begin(), chosen.end(),
            [](const SnapshotView& a, const SnapshotView& b) { return IsOlder(b.info, a.info); });
  return chosen;
}

// What is found, snapshot by snapshot.
class Findings {
 public:
  Findings(Output& output, bool long_lines) : output_(output), long_(long_lines) {}

  void Add(const SnapshotView& snapshot, const LocatedEntry& located) {
    if (!current_ || *current_ != snapshot.info.id) Begin(snapshot);
    if (list_) {
      list_->Add(JsonOfEntry(located.path, located.entry));
    } else {
      output_.PrintLine(long_ ? LongLine(located.path, located.entry) : EscapeName(located.path));
    }
    ++hits_;
  }

  void End() {
    EndSnapshot();
    if (output_.json()) output_.Print(any_ ? "]\n" : "[]\n");
  }

 private:
  void Begin(const SnapshotView& snapshot) {
    EndSnapshot();
    if (output_.json()) {
      output_.Print(any_ ? "," : "[");
      Json head = Json::object();
      head["snapshot"] = snapshot.info.id.Hex();
      list_.emplace(output_, head, "matches");
    } else {
      output_.PrintLine(output_.Paint(
          Color::kBold,
          absl::StrFormat("%ssnapshot %s of %s, host %s", any_ ? "\n" : "",
                          snapshot.info.id.ShortHex(), FormatForPeople(snapshot.info.time),
                          EscapeName(snapshot.info.host))));
    }
    current_ = snapshot.info.id;
    any_ = true;
  }

  void EndSnapshot() {
    if (list_) {
      Json tail = Json::object();
      tail["hits"] = hits_;
      list_->End(tail);
      list_.reset();
    }
    hits_ = 0;
  }

  Output& output_;
  const bool long_;
  std::optional<SnapshotId> current_;
  std::optional<JsonList> list_;
  uint64_t hits_ = 0;
  bool any_ = false;
};

StatusOr<ExitCode> FindCommand::Run(Context& context) {
  PatternList patterns;
  for (const std::string& pattern : patterns_) {
    RETURN_IF_ERROR(AsUsage(patterns.Add(pattern), "the pattern"));
  }
  ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
  ASSIGN_OR_RETURN(const std::vector<SnapshotView> chosen, Chosen(context, *repository));
  Output& output = context.output();
  Findings findings(output, long_);
  RETURN_IF_ERROR(
      FindEntries(*repository, chosen, patterns, context.stop(),
                  [&](const SnapshotView& snapshot, const LocatedEntry& located) -> StatusOr<bool> {
                    findings.Add(snapshot, located);
                    return !output.reader_gone();
                  }));
  findings.End();
  return ExitCode::kDone;
}

}  // namespace

std::unique_ptr<Command> NewFindCommand() { return std::make_unique<FindCommand>(); }

}  // namespace cairn
