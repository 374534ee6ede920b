// SPDX-License-Identifier: Apache-2.0
// cairn prune
#include <optional>
#include <string>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/error.h"
#include "cli/prune_report.h"
#include "cli/text.h"

namespace cairn {
namespace {

class PruneCommand : public Command {
 public:
  CLI::App* Declare(CLI::App& app) override {
    CLI::App* command =
        AddCommand(app, "prune", kCaringGroup, "Free the space that no snapshot needs",
                   "Drops packs that hold nothing that any snapshot needs, and rewrites those that "
                   "hold little.\n"
                   "Snapshots and restores may go on meanwhile; what one of them may still read is "
                   "freed by the\n"
                   "next prune. Exit code 11 says that another prune runs.",
                   "  cairn prune --dry-run\n"
                   "  cairn prune --max-unused 0% --max-repack-size 10G\n");
    AddText(
        *command, "--max-unused", "LIMIT", max_unused_,
        "How much of what stays may be unused: a share (5%,\nthe default), a size, or unlimited");
    AddText(*command, "--max-repack-size", "SIZE", max_repack_, "Rewrite no more than this");
    AddFlag(*command, "--now", now_,
            "Do not leave anything to the next prune because of\n"
            "snapshots that are being taken: they may have to begin anew");
    AddFlag(*command, "--no-parity", no_parity_, "Make no parity for the packs that are written");
    AddFlag(*command, "-n,--dry-run", dry_run_, "Only say what would be freed");
    return command;
  }

  StatusOr<ExitCode> Run(Context& context) override {
    PruneOptions options;
    options.now = now_;
    options.parity = !no_parity_;
    options.dry_run = dry_run_;
    RETURN_IF_ERROR(SetLimits(options));
    return PruneAndReport(context, options);
  }

  bool WritesJsonLines() const override { return true; }

 private:
  Status SetLimits(PruneOptions& options) const {
    if (max_unused_ == "unlimited") {
      options.max_unused_share = 1;
    } else if (max_unused_ && !max_unused_->empty() && max_unused_->back() == '%') {
      const StatusOr<double> share = ParsePercent(*max_unused_);
      if (!share.ok()) return AsUsage(share.status(), "--max-unused");
      options.max_unused_share = *share;
    } else if (max_unused_) {
      const StatusOr<uint64_t> bytes = ParseSize(*max_unused_);
      if (!bytes.ok()) return AsUsage(bytes.status(), "--max-unused");
      options.max_unused_bytes = *bytes;
    }
    if (max_repack_) {
      const StatusOr<uint64_t> bytes = ParseSize(*max_repack_);
      if (!bytes.ok()) return AsUsage(bytes.status(), "--max-repack-size");
      options.max_repack_bytes = *bytes;
    }
    return OkStatus();
  }

  std::optional<std::string> max_unused_;
  std::optional<std::string> max_repack_;
  bool now_ = false;
  bool no_parity_ = false;
  bool dry_run_ = false;
};

}  // namespace

std::unique_ptr<Command> NewPruneCommand() { return std::make_unique<PruneCommand>(); }

}  // namespace cairn
