// SPDX-License-Identifier: Apache-2.0
// cairn diff
#include <optional>
#include <string>

#include "absl/strings/str_format.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/filter_options.h"
#include "cli/json_list.h"
#include "cli/table.h"
#include "cli/text.h"
#include "core/repo/browse.h"

namespace cairn {
namespace {

// Of what was added, or removed.
struct Totals {
  uint64_t files = 0;
  uint64_t directories = 0;
  uint64_t others = 0;
  uint64_t bytes = 0;

  void Add(const Entry& entry) {
    if (IsAnyDirectory(entry.type)) {
      ++directories;
    } else if (entry.type == EntryType::kFile) {
      ++files;
      bytes += entry.size;
    } else {
      ++others;
    }
  }
};

Json JsonOfTotals(const Totals& totals) {
  Json json = Json::object();
  json["files"] = totals.files;
  json["dirs"] = totals.directories;
  json["others"] = totals.others;
  json["bytes"] = totals.bytes;
  return json;
}

std::string TextOfTotals(const Totals& totals) {
  return absl::StrFormat("%s, %s, %s, %s", Count(totals.files, "file"),
                         Count(totals.directories, "directory", "directories"),
                         Count(totals.others, "other"), FormatBytes(totals.bytes));
}

// "+", "-", "M" (content), "T" (type), "U" (attributes only).
const char* Modifier(const DiffItem& item) {
  if (item.change == Change::kAdded) return "+";
  if (item.change == Change::kRemoved) return "-";
  if (!item.content) return "U";
  return item.before->type == item.after->type ? "M" : "T";
}

class DiffCommand : public Command {
 public:
  CLI::App* Declare(CLI::App& app) override;
  bool OnlyReads() const override { return true; }
  StatusOr<ExitCode> Run(Context& context) override;

 private:
  struct Counts {
    Totals added;
    Totals removed;
    uint64_t changed_files = 0;
    uint64_t changed_attributes = 0;

    void Add(const DiffItem& item);
  };

  static void PrintChange(Output& output, const std::string& path, const DiffItem& item);
  static void PrintCounts(Output& output, const Counts& counts);
  static Json JsonOfChange(const std::string& path, const DiffItem& item);
  static Json JsonOfCounts(const Counts& counts);

  std::optional<std::string> before_;
  std::optional<std::string> after_;
  FilterOptions filter_;
};

CLI::App* DiffCommand::Declare(CLI::App& app) {
  CLI::App* command = AddCommand(
      app, "diff", kLookingGroup, "Show what differs between two snapshots",
      "Lines begin with + (added), - (removed), M (content changed), T (became something of "
      "another\n"
      "type) or U (only owner, permissions, times or extended attributes changed), and have sizes.",
      "  cairn diff latest~1 latest\n"
      "  cairn diff @yesterday:/etc latest:/etc\n");
  AddArgument(*command, "BEFORE", before_,
              "A snapshot, or SNAPSHOT:PATH; a path that only\none of them has is meant for both",
              /*required=*/true);
  AddArgument(*command, "AFTER", after_, "Another one", /*required=*/true);
  filter_.Declare(*command);
  return command;
}

void DiffCommand::Counts::Add(const DiffItem& item) {
  if (item.change == Change::kAdded) {
    added.Add(*item.after);
  } else if (item.change == Change::kRemoved) {
    removed.Add(*item.before);
  } else if (item.content) {
    ++changed_files;
  } else {
    ++changed_attributes;
  }
}

void DiffCommand::PrintChange(Output& output, const std::string& path, const DiffItem& item) {
  const std::string modifier = Modifier(item);
  const auto size_of = [](const Entry* entry) {
    return entry->type == EntryType::kFile ? FormatBytes(entry->size) : std::string();
  };
  std::string size;
  if (item.before != nullptr) size = size_of(item.before);
  if (item.after != nullptr && (item.before == nullptr || item.content)) {
    const std::string after = size_of(item.after);
    if (!size.empty() && !after.empty()) size += " -> ";
    size += after;
  }
  const Entry& entry = item.after != nullptr ? *item.after : *item.before;
  const Color color = modifier == "+"   ? Color::kGreen
                      : modifier == "-" ? Color::kRed
                      : modifier == "U" ? Color::kDim
                                        : Color::kYellow;
  output.PrintLine(
      output.Paint(color, absl::StrFormat("%s %22s  %s%s", modifier, size, EscapeName(path),
                                          IsAnyDirectory(entry.type) && path != "/" ? "/" : "")));
}

void DiffCommand::PrintCounts(Output& output, const Counts& counts) {
  if (output.quiet()) return;
  Facts facts;
  facts.Add("Added", TextOfTotals(counts.added));
  facts.Add("Removed", TextOfTotals(counts.removed));
  facts.Add("Changed", absl::StrFormat("%d in content, %d in attributes only", counts.changed_files,
                                       counts.changed_attributes));
  output.PrintLine("");
  facts.Print(output);
}

Json DiffCommand::JsonOfChange(const std::string& path, const DiffItem& item) {
  Json json = Json::object();
  PutText(json, "path", path);
  json["modifier"] = Modifier(item);
  if (item.before != nullptr) json["before"] = JsonOfEntry(path, *item.before);
  if (item.after != nullptr) json["after"] = JsonOfEntry(path, *item.after);
  return json;
}

Json DiffCommand::JsonOfCounts(const Counts& counts) {
  Json statistics = Json::object();
  statistics["added"] = JsonOfTotals(counts.added);
  statistics["removed"] = JsonOfTotals(counts.removed);
  statistics["changed_files"] = counts.changed_files;
  statistics["changed_attributes"] = counts.changed_attributes;
  Json json = Json::object();
  json["statistics"] = std::move(statistics);
  return json;
}

StatusOr<ExitCode> DiffCommand::Run(Context& context) {
  ASSIGN_OR_RETURN(const SnapshotFilter filter, filter_.Filter());
  ASSIGN_OR_RETURN(SelectedSnapshot before,
                   context.Select(*before_, filter, /*path_allowed=*/true));
  ASSIGN_OR_RETURN(SelectedSnapshot after, context.Select(*after_, filter, /*path_allowed=*/true));
  // A path that only one of them has is meant for both.
  if (!before.path) before.path = after.path;
  if (!after.path) after.path = before.path;
  ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
  Output& output = context.output();
  std::optional<JsonList> list;
  if (output.json()) {
    Json head = JsonDocument();
    head["source_snapshot"] = before.view.info.id.Hex();
    head["target_snapshot"] = after.view.info.id.Hex();
    list.emplace(output, head, "changes");
  }
  Counts counts;
  RETURN_IF_ERROR(DiffSnapshots(
      *repository, before.view, before.path.value_or(""), after.view, after.path.value_or(""),
      context.stop(), [&](const std::string& path, const DiffItem& item) -> StatusOr<bool> {
        counts.Add(item);
        if (list) {
          list->Add(JsonOfChange(path, item));
        } else {
          PrintChange(output, path, item);
        }
        return !output.reader_gone();
      }));
  if (list) {
    list->End(JsonOfCounts(counts));
  } else {
    PrintCounts(output, counts);
  }
  return ExitCode::kDone;
}

}  // namespace

std::unique_ptr<Command> NewDiffCommand() { return std::make_unique<DiffCommand>(); }

}  // namespace cairn
