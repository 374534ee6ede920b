// SPDX-License-Identifier: Apache-2.0
// cairn forget
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/error.h"
#include "cli/filter_options.h"
#include "cli/keep_options.h"
#include "cli/prune_report.h"
#include "cli/table.h"
#include "cli/text.h"
#include "core/repo/forget.h"

namespace cairn {
namespace {

class ForgetCommand : public Command {
 public:
  CLI::App* Declare(CLI::App& app) override;
  StatusOr<ExitCode> Run(Context& context) override;

 private:
  struct Plan {
    std::vector<RetentionGroup> groups;
    GroupBy group_by{.host = false, .paths = false, .tags = false};
    std::vector<SnapshotId> Doomed() const;
  };

  StatusOr<Plan> MakePlan(Context& context, const RetentionPolicy& policy) const;
  StatusOr<Plan> PlanOfNamed(Context& context) const;
  StatusOr<Plan> PlanOfRules(Context& context, const RetentionPolicy& policy) const;
  void PrintPlan(Output& output, const Plan& plan) const;
  static Json JsonOfPlan(const Plan& plan, const std::vector<SnapshotView>& views);
  Status Report(Context& context, Repository& repository, const Plan& plan) const;
  void PrintOutcome(Output& output, size_t forgotten) const;

  std::vector<std::string> named_;
  KeepOptions keep_;
  std::optional<std::string> group_by_;
  FilterOptions filter_;
  bool dry_run_ = false;
  bool prune_ = false;
};

CLI::App* ForgetCommand::Declare(CLI::App& app) {
  CLI::App* command =
      AddCommand(app, "forget", kKeepingGroup, "Forget snapshots, named ones or by rules",
                 "With rules, each group of snapshots (of one host and the same paths, unless "
                 "--group-by says\n"
                 "otherwise) keeps what any of them asks for, and the rest is forgotten. A held "
                 "snapshot never\n"
                 "is. The space is freed by prune, not here.",
                 "  cairn forget --keep-daily 7 --keep-weekly 5 --keep-monthly 12 --dry-run\n"
                 "  cairn forget --keep-within 30d --prune\n"
                 "  cairn forget 1f3a8b2c\n");
  AddArguments(*command, "SNAPSHOT", named_, "Forget these", /*required=*/false);
  keep_.Declare(*command);
  AddText(
      *command, "-g,--group-by", "LIST", group_by_,
      "What the snapshots of a group have in common: host,\npaths and tags, separated by commas; "
      "'' is all in one");
  AddFlag(*command, "-n,--dry-run", dry_run_, "Only say what would be forgotten, and why not");
  AddFlag(*command, "--prune", prune_, "Prune afterwards");
  filter_.Declare(*command);
  return command;
}

std::vector<SnapshotId> ForgetCommand::Plan::Doomed() const {
  std::vector<SnapshotId> doomed;
  for (const RetentionGroup& group : groups) {
    for (const RetentionDecision& decision : group.decisions) {
      if (!decision.keep()) doomed.push_back(decision.snapshot.id);
    }
  }
  return doomed;
}

StatusOr<ForgetCommand::Plan> ForgetCommand::MakePlan(Context& context,
                                                      const RetentionPolicy& policy) const {
  if (!named_.empty() && !policy.IsEmpty()) {
    return UsageError("name snapshots or give --keep rules, not both");
  }
  if (!named_.empty()) return PlanOfNamed(context);
  if (policy.IsEmpty()) {
    return UsageError(
        "this would forget everything: give a rule, such as --keep-daily 7, or name snapshots");
  }
  return PlanOfRules(context, policy);
}

StatusOr<ForgetCommand::Plan> ForgetCommand::PlanOfNamed(Context& context) const {
  if (group_by_) return UsageError("--group-by goes with --keep rules");
  ASSIGN_OR_RETURN(const SnapshotFilter filter, filter_.Filter());
  ASSIGN_OR_RETURN(const std::vector<SnapshotInfo> infos, context.SelectInfos(named_, filter));
  Plan plan;
  RetentionGroup group;
  for (const SnapshotInfo& info : infos) {
    RetentionDecision decision;
    decision.snapshot = info;
    if (info.held) decision.reasons.push_back("held");
    group.decisions.push_back(std::move(decision));
  }
  plan.groups.push_back(std::move(group));
  return plan;
}

StatusOr<ForgetCommand::Plan> ForgetCommand::PlanOfRules(Context& context,
                                                         const RetentionPolicy& policy) const {
  Plan plan;
  const StatusOr<GroupBy> group_by = ParseGroupBy(group_by_.value_or("host,paths"));
  if (!group_by.ok()) return AsUsage(group_by.status(), "--group-by");
  plan.group_by = *group_by;
  ASSIGN_OR_RETURN(const SnapshotFilter filter, filter_.Filter());
  ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
  ASSIGN_OR_RETURN(std::vector<SnapshotInfo> all, repository->SnapshotInfos());
  const bool any = !all.empty();
  std::vector<SnapshotInfo> matching = Matching(std::move(all), filter);
  if (matching.empty() && any) {
    return NotFound(
        "no snapshot matches the given --host, --tag and --path; `cairn snapshots` lists what "
        "there is");
  }
  ASSIGN_OR_RETURN(plan.groups,
                   ApplyRetention(policy, std::move(matching), plan.group_by, context.now()));
  return plan;
}

void ForgetCommand::PrintPlan(Output& output, const Plan& plan) const {
  for (const RetentionGroup& group : plan.groups) {
    if (named_.empty()) {
      output.PrintLine(output.Paint(Color::kBlue, EscapeMessage(FormatGroupKey(group.key))));
    }
    Table table({{.title = ""},
                 {.title = "ID"},
                 {.title = "Time"},
                 {.title = "Host"},
                 {.title = "Tags"},
                 {.title = "Paths"},
                 {.title = "Reasons"}});
    for (const RetentionDecision& decision : group.decisions) {
      const SnapshotInfo& snapshot = decision.snapshot;
      const auto escape = [](std::string* out, const std::string& text) {
        out->append(EscapeName(text));
      };
      table.Add({decision.keep() ? "keep" : "remove", snapshot.id.ShortHex(),
                 FormatForPeople(snapshot.time), EscapeName(snapshot.host),
                 absl::StrJoin(snapshot.tags, ",", escape),
                 absl::StrJoin(snapshot.paths, "\n", escape),
                 absl::StrJoin(decision.reasons, "\n", escape)});
    }
    table.Print(output);
    output.PrintLine("");
  }
}

Json ForgetCommand::JsonOfPlan(const Plan& plan, const std::vector<SnapshotView>& views) {
  std::map<SnapshotId, const SnapshotView*> by_id;
  for (const SnapshotView& view : views) by_id.emplace(view.info.id, &view);
  const auto json_of = [&](const SnapshotInfo& snapshot) {
    const auto found = by_id.find(snapshot.id);
    if (found != by_id.end()) return JsonOfSnapshot(*found->second);
    // Somebody else has forgotten it meanwhile.
    Json json = Json::object();
    json["id"] = snapshot.id.Hex();
    json["short_id"] = snapshot.id.ShortHex();
    return json;
  };
  Json list = Json::array();
  for (const RetentionGroup& group : plan.groups) {
    Json json = Json::object();
    json["tags"] = nullptr;
    json["host"] = "";
    json["paths"] = nullptr;
    if (plan.group_by.tags) PutTexts(json, "tags", group.key.tags);
    if (plan.group_by.host) PutText(json, "host", group.key.host);
    if (plan.group_by.paths) PutTexts(json, "paths", group.key.paths);
    json["keep"] = Json::array();
    json["remove"] = Json::array();
    json["reasons"] = Json::array();
    for (const RetentionDecision& decision : group.decisions) {
      Json snapshot = json_of(decision.snapshot);
      if (decision.keep()) {
        Json reason = Json::object();
        reason["snapshot"] = snapshot;
        PutTexts(reason, "matches", decision.reasons);
        json["reasons"].push_back(std::move(reason));
      }
      json[decision.keep() ? "keep" : "remove"].push_back(std::move(snapshot));
    }
    list.push_back(std::move(json));
  }
  return list;
}

Status ForgetCommand::Report(Context& context, Repository& repository, const Plan& plan) const {
  Output& output = context.output();
  if (output.json()) {
    ASSIGN_OR_RETURN(const std::vector<SnapshotView> views, repository.Snapshots());
    output.PrintJson(JsonOfPlan(plan, views));
  } else if (!output.quiet() || dry_run_) {
    PrintPlan(output, plan);
  }
  return OkStatus();
}

void ForgetCommand::PrintOutcome(Output& output, size_t forgotten) const {
  if (output.json() || output.quiet()) return;
  if (dry_run_) {
    output.PrintLine(
        absl::StrFormat("dry run: %s would be forgotten", Count(forgotten, "snapshot")));
    return;
  }
  output.PrintLine(
      absl::StrFormat("%s forgotten%s", Count(forgotten, "snapshot"),
                      forgotten == 0 || prune_ ? "" : "; `cairn prune` frees the space"));
}

StatusOr<ExitCode> ForgetCommand::Run(Context& context) {
  ASSIGN_OR_RETURN(const RetentionPolicy policy, keep_.Policy());
  ASSIGN_OR_RETURN(const Plan plan, MakePlan(context, policy));
  ASSIGN_OR_RETURN(Repository * repository, context.OpenRepository());
  Output& output = context.output();
  RETURN_IF_ERROR(Report(context, *repository, plan));

  std::vector<SnapshotId> forgotten = plan.Doomed();
  std::vector<SnapshotId> held;
  if (!dry_run_ && !forgotten.empty()) {
    ASSIGN_OR_RETURN(ForgetResult result, ForgetSnapshots(*repository, forgotten));
    forgotten = std::move(result.forgotten);
    held = std::move(result.held);
  }
  PrintOutcome(output, forgotten.size());
  if (!named_.empty()) {
    for (const RetentionDecision& decision : plan.groups.front().decisions) {
      if (decision.snapshot.held) held.push_back(decision.snapshot.id);
    }
  }
  ExitCode code = ExitCode::kDone;
  if (prune_) {
    PruneOptions options;
    options.dry_run = dry_run_;
    ASSIGN_OR_RETURN(code, PruneAndReport(context, options));
  }
  if (named_.empty() || held.empty()) return code;
  return FailedPrecondition(absl::StrFormat(
      "held, and so not forgotten: %s; `cairn release` lets go of them",
      absl::StrJoin(held, ", ",
                    [](std::string* out, const SnapshotId& id) { out->append(id.ShortHex()); })));
}

}  // namespace

std::unique_ptr<Command> NewForgetCommand() { return std::make_unique<ForgetCommand>(); }

}  // namespace cairn
