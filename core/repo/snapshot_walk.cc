// SPDX-License-Identifier: Apache-2.0
#include "core/repo/snapshot_walk.h"

#include <algorithm>
#include <utility>

#include "core/base/profile.h"
#include "core/repo/snapshot_walk_state.h"
#include "core/tree/walk.h"

namespace cairn {
namespace {

// Names of a span where no base says otherwise.
constexpr size_t kSpanNames = 1024;
// Files that one task reads: neighbours, so that they share frames, but few enough to share work.
constexpr size_t kBatchFiles = 256;
constexpr uint64_t kBatchBytes = 4 * kMiB;
// Spans of a large directory that are looked at together.
constexpr size_t kMaxSpans = 16;

}  // namespace

SnapshotWalk::SnapshotWalk(const WalkContext& context)
    : context_(context), report_(context.options, context.progress) {
  for (int worker = 0; worker < context.pool.workers(); ++worker) {
    readers_.push_back(
        std::make_unique<EntryReader>(context.writer, context.chunker, context.progress));
  }
}

SnapshotWalk::~SnapshotWalk() = default;

EntryReader& SnapshotWalk::Reader(int worker) { return *readers_[static_cast<size_t>(worker)]; }

Status SnapshotWalk::Flush() {
  for (const auto& reader : readers_) RETURN_IF_ERROR(reader->Flush());
  return OkStatus();
}

const FileSystemTraits& SnapshotWalk::TraitsFor(int descriptor, uint64_t device) {
  if (context_.options.traits) return *context_.options.traits;
  MutexLock lock(traits_mutex_);
  const auto [it, added] = traits_.try_emplace(device);
  if (added) {
    it->second = TraitsOf(descriptor).value_or(kUnknownTraits);
  }
  return it->second;
}

StatusOr<std::optional<Entry>> SnapshotWalk::Walk(const std::string& path,
                                                  const std::string& link_path,
                                                  const std::optional<Entry>& base) {
  const size_t slash = path.rfind('/');
  const std::string parent_path = slash == 0 ? "/" : path.substr(0, slash);
  const std::string name = path.substr(slash + 1);
  // With "/.", so that a parent that is a symlink is followed, as the shell would.
  StatusOr<std::shared_ptr<SourceDirectory>> parent = directories_.OpenTop(parent_path + "/.");
  if (!parent.ok()) {
    report_.AddProblem(path, std::string(Message(parent.status())));
    return std::optional<Entry>();
  }
  ASSIGN_OR_RETURN(SourceDirectory::Pin pin, (*parent)->Open());
  StatusOr<FileStatus> status = StatAt(pin.descriptor(), name.c_str());
  if (!status.ok()) {
    report_.AddProblem(path, std::string(Message(status.status())));
    return std::optional<Entry>();
  }
  top_device_ = status->device;

  // The source is the only slot of a directory that stands for its parent.
  auto top = std::make_shared<Directory>();
  top->path = parent_path;
  top->handle = name.empty() ? nullptr : *parent;
  top->traits = TraitsFor(pin.descriptor(), (*parent)->status().device);
  Slot& slot = top->spans.emplace_back().slots.emplace_back();
  slot.name = name;
  slot.status = *status;
  if (base) slot.base = &*base;
  top->pending = 1;

  if (status->type == EntryType::kDirectory) {
    auto directory = std::make_shared<Directory>();
    directory->parent = top;
    directory->own_slot = &slot;
    directory->path = path;
    directory->link_path = link_path;
    directory->handle = name.empty() ? *parent : nullptr;
    directory->name = name;
    if (base && base->type == EntryType::kDirectory) directory->base_node = base->node;
    context_.pool.Submit([this, directory](int worker) { RunDirectory(directory, worker); });
    context_.pool.Wait();
  } else {
    context_.pool.Submit([this, top, &slot](int worker) {
      StatusOr<SourceDirectory::Pin> opened = top->handle->Open();
      if (!opened.ok()) return report_.Fail(std::move(opened).status());
      Status read = ReadSlot(top, slot, opened->descriptor(), worker);
      if (read.ok()) read = Reader(worker).FinishFiles();
      if (!read.ok()) report_.Fail(std::move(read));
    });
    context_.pool.Wait();
  }
  RETURN_IF_ERROR(context_.writer.Failure());
  RETURN_IF_ERROR(report_.Failure());
  if (slot.dropped) return std::optional<Entry>();
  if (status->links > 1 && status->type != EntryType::kDirectory && !link_path.empty()) {
    RETURN_IF_ERROR(links_.Add(status->device, status->inode, link_path, slot.entry));
  }
  slot.entry.name.clear();
  return std::optional<Entry>(std::move(slot.entry));
}

void SnapshotWalk::RunDirectory(const DirectoryRef& directory, int worker) {
  if (report_.Stopping()) return;
  if (Status status = OpenDirectory(*directory, worker); !status.ok()) {
    return report_.Fail(std::move(status));
  }
  directory->node.emplace(context_.repository, context_.writer, context_.cache, directory->path,
                          directory->leaves ? directory->base_node : std::nullopt);
  Advance(directory, worker);
}

// Opens it and reads its attributes. What is wrong with the source makes it unread, or drops it.
Status SnapshotWalk::OpenDirectory(Directory& directory, int worker) {
  const StageTimer timer(Stage::kWalk);
  Slot& slot = *directory.own_slot;
  if (directory.handle == nullptr) {
    auto opened = directories_.OpenChild(directory.parent->handle, directory.name);
    if (!opened.ok()) {
      report_.AddProblem(directory.path, std::string(Message(opened.status())));
      if (opened.status().code() != StatusCode::kPermissionDenied) {
        slot.dropped = true;
      } else {
        ASSIGN_OR_RETURN(const SourceDirectory::Pin parent, directory.parent->handle->Open());
        ASSIGN_OR_RETURN(
            const ReadEntry own,
            Reader(worker).ReadDirectory(parent.descriptor(), directory.name.c_str(), slot.status));
        directory.entry = own.entry;
      }
      directory.unread = true;
      return OkStatus();
    }
    directory.handle = *std::move(opened);
  }
  StatusOr<SourceDirectory::Pin> pin = directory.handle->Open();
  if (!pin.ok()) {
    report_.AddProblem(directory.path, std::string(Message(pin.status())));
    directory.unread = true;
    slot.dropped = true;
    return OkStatus();
  }
  const FileStatus& status = directory.handle->status();
  directory.traits = TraitsFor(pin->descriptor(), status.device);
  directory.crosses_mount = top_device_ && status.device != *top_device_;
  if (slot.from_base) {
    directory.entry = slot.entry;
  } else {
    ASSIGN_OR_RETURN(ReadEntry own, Reader(worker).ReadDirectory(pin->descriptor(), "", status));
    if (!own.problem.empty()) report_.AddProblem(directory.path, own.problem);
    if (!own.settled) slot.witness = 0;
    directory.entry = std::move(own.entry);
  }
  std::optional<std::string> reason =
      ReasonToEmpty(context_.options.rules, pin->descriptor(), directory.crosses_mount);
  if (reason) {
    report_.AddSkipped(directory.path, *std::move(reason));
    return OkStatus();
  }
  if (directory.depth >= kMaxDepth) {
    report_.AddProblem(directory.path, "is nested too deeply");
    directory.unread = true;
    return OkStatus();
  }
  return ListNames(directory, pin->descriptor());
}

Status SnapshotWalk::ListNames(Directory& directory, int descriptor) {
  directory.before_stat = CoarseNow();
  StatusOr<NameList> names = NameList::Read(descriptor, "");
  if (!names.ok()) {
    report_.AddProblem(directory.path, std::string(Message(names.status())));
    directory.unread = true;
    return OkStatus();
  }
  directory.names = *std::move(names);
  RETURN_IF_ERROR(NextName(directory).status());
  return OpenBase(directory);
}

bool SnapshotWalk::IsExcluded(const std::string& path, const FileStatus& status) {
  const SourceRules& rules = context_.options.rules;
  if (!rules.excludes.empty() &&
      rules.excludes.Matches(path, status.type == EntryType::kDirectory)) {
    return true;
  }
  if (rules.exclude_larger_than && status.type == EntryType::kFile &&
      status.size > *rules.exclude_larger_than) {
    report_.AddSkipped(path, "larger than the limit");
    return true;
  }
  return false;
}

// Goes on with a directory whose pending work is done, and then with those above it that wait for
// nothing else: a loop, as the depth of a tree must not end on the stack.
void SnapshotWalk::Advance(DirectoryRef directory, int worker) {
  for (;;) {
    if (report_.Stopping()) return;
    StatusOr<bool> waiting = StartSpans(directory, worker);
    if (!waiting.ok()) return report_.Fail(std::move(waiting).status());
    if (*waiting) return;
    if (Status status = FinishDirectory(*directory); !status.ok())
      return report_.Fail(std::move(status));
    DirectoryRef parent = directory->parent;
    if (parent->pending.fetch_sub(1) != 1) return;
    if (parent->parent == nullptr) return;  // it stands for the parent of a source
    if (Status status = FinishSpans(*parent, worker); !status.ok()) {
      return report_.Fail(std::move(status));
    }
    directory = std::move(parent);
  }
}

// Works through the directory's spans, of a large one several at once. True: others will go on with
// it; false: all spans are done.
StatusOr<bool> SnapshotWalk::StartSpans(const DirectoryRef& directory, int worker) {
  Directory& d = *directory;
  while (d.HasMoreSpans()) {
    d.spans.clear();
    do {
      RETURN_IF_ERROR(GatherNames(d, d.spans.emplace_back()));
    } while (d.spans.size() < d.spans_at_once && d.HasMoreSpans());
    d.spans_at_once = std::min(2 * d.spans_at_once, kMaxSpans);
    d.pending = d.spans.size();
    for (size_t i = d.spans.size(); --i > 0;) {
      Span& span = d.spans[i];
      context_.pool.Submit([this, directory, &span](int runner) {
        if (report_.Stopping()) return;
        if (Status status = RunSpan(directory, span, runner); !status.ok()) {
          return report_.Fail(std::move(status));
        }
        Release(directory, runner);
      });
    }
    RETURN_IF_ERROR(RunSpan(directory, d.spans.front(), worker));
    if (d.pending.fetch_sub(1) != 1) return true;
    RETURN_IF_ERROR(FinishSpans(d, worker));
  }
  return false;
}

// A task for the directory's spans is done; who did the last goes on with the directory.
void SnapshotWalk::Release(const DirectoryRef& directory, int worker) {
  if (directory->pending.fetch_sub(1) != 1) return;
  if (Status status = FinishSpans(*directory, worker); !status.ok()) {
    return report_.Fail(std::move(status));
  }
  Advance(directory, worker);
}

Status SnapshotWalk::RunSpan(const DirectoryRef& directory, Span& span, int worker) {
  Directory& d = *directory;
  // Let go before the count is: whoever brings it to zero may close the directory.
  const StatusOr<SourceDirectory::Pin> pin = d.handle->Open();
  if (!pin.ok()) {
    report_.AddProblem(d.path, std::string(Message(pin.status())));
    d.unread = true;
    span.slots.clear();
    return OkStatus();
  }
  StatNames(d, span, pin->descriptor());
  RETURN_IF_ERROR(CompareWithRow(d, span));
  if (span.taken_over) return OkStatus();
  ReadLeaf(d, span);
  MatchBase(d, span);
  return Dispatch(directory, span, pin->descriptor(), worker);
}

StatusOr<bool> SnapshotWalk::NextName(Directory& d) {
  ASSIGN_OR_RETURN(const char* name, d.names->Next());
  if (name == nullptr) {
    d.next_name.reset();
    return false;
  }
  d.next_name = name;
  return true;
}

// The names that the base's next leaf covers, or some that no leaf does.
Status SnapshotWalk::GatherNames(Directory& d, Span& span) {
  const StageTimer timer(Stage::kWalk);
  const NamedChild* item = nullptr;
  if (d.leaves && d.next_leaf < d.leaves->items().size()) {
    span.base_leaf = d.next_leaf++;
    item = &d.leaves->items()[*span.base_leaf];
    span.row = std::exchange(d.only_row, std::nullopt);
    span.slots.reserve(item->count);
  }
  while (d.next_name) {
    if (item != nullptr ? *d.next_name > item->last : span.slots.size() >= kSpanNames) break;
    span.slots.emplace_back().name = *std::move(d.next_name);
    RETURN_IF_ERROR(NextName(d).status());
  }
  span.names_follow = d.next_name && d.leaves && d.next_leaf == d.leaves->items().size();
  return OkStatus();
}

void SnapshotWalk::StatNames(const Directory& d, Span& span, int descriptor) {
  const StageTimer timer(Stage::kWalk);
  const SourceRules& rules = context_.options.rules;
  const bool ruled = !rules.excludes.empty() || rules.exclude_larger_than.has_value();
  size_t kept = 0;
  for (size_t i = 0; i < span.slots.size(); ++i) {
    Slot& slot = span.slots[i];
    StatusOr<FileStatus> status = StatAt(descriptor, slot.name.c_str());
    if (!status.ok()) {
      report_.AddProblem(Join(d.path, slot.name), std::string(Message(status.status())));
      span.lost_names = true;
      continue;
    }
    slot.status = *status;
    if (ruled && IsExcluded(Join(d.path, slot.name), slot.status)) continue;
    if (kept != i) span.slots[kept] = std::move(slot);
    ++kept;
  }
  span.slots.resize(kept);
}

// Gives the span's work to tasks. The last submitted runs first, so it goes backwards.
Status SnapshotWalk::Dispatch(const DirectoryRef& directory, Span& span, int descriptor,
                              int worker) {
  Directory& d = *directory;
  std::vector<std::vector<Slot*>> batches;
  uint64_t batch_bytes = 0;
  for (Slot& slot : span.slots) {
    if (slot.status.type == EntryType::kDirectory) continue;
    if (slot.from_base) {
      CountUnchanged(d, slot);
      continue;
    }
    if (slot.status.type != EntryType::kFile && slot.status.links == 1) {
      RETURN_IF_ERROR(ReadSlot(directory, slot, descriptor, worker));
      continue;
    }
    if (batches.empty() || batches.back().size() >= kBatchFiles ||
        batch_bytes + slot.status.size > kBatchBytes) {
      batches.emplace_back();
      batch_bytes = 0;
    }
    batches.back().push_back(&slot);
    batch_bytes += slot.status.size;
  }
  for (auto slot = span.slots.rbegin(); slot != span.slots.rend(); ++slot) {
    if (slot->status.type == EntryType::kDirectory) SubmitChild(directory, *slot);
  }
  for (auto batch = batches.rbegin(); batch != batches.rend(); ++batch) {
    ++d.pending;
    context_.pool.Submit([this, directory, files = std::move(*batch)](int runner) {
      ReadFiles(directory, files, runner);
    });
  }
  return OkStatus();
}

void SnapshotWalk::SubmitChild(const DirectoryRef& directory, Slot& slot) {
  auto child = std::make_shared<Directory>();
  child->parent = directory;
  child->own_slot = &slot;
  child->path = Join(directory->path, slot.name);
  child->link_path = JoinLinkPath(directory->link_path, slot.name);
  child->name = slot.name;
  child->depth = directory->depth + 1;
  if (slot.base != nullptr && slot.base->type == EntryType::kDirectory) {
    child->base_node = slot.base->node;
  }
  if (slot.from_base) slot.entry = *slot.base;
  ++directory->pending;
  context_.pool.Submit([this, child](int runner) { RunDirectory(child, runner); });
}

// All entries of the spans at work are there.
Status SnapshotWalk::FinishSpans(Directory& d, int worker) {
  for (Span& span : d.spans) RETURN_IF_ERROR(FinishSpan(d, span, worker));
  // What cannot be opened any more is not asked again.
  if (d.unread) d.names.reset();
  return OkStatus();
}

Status SnapshotWalk::FinishSpan(Directory& d, Span& span, int worker) {
  for (const Slot& slot : span.slots) {
    if (slot.status.links <= 1 || slot.status.type == EntryType::kDirectory || slot.dropped) {
      continue;
    }
    RETURN_IF_ERROR(links_.Add(slot.status.device, slot.status.inode,
                               JoinLinkPath(d.link_path, slot.name), slot.Result()));
  }
  if (span.lost_names) d.node->Differs();
  const bool same =
      span.taken_over || (span.leaf && span.same_names_and_witnesses &&
                          std::all_of(span.slots.begin(), span.slots.end(), [](const Slot& slot) {
                            return !slot.dropped && (slot.IsBase() || slot.entry == *slot.base);
                          }));
  if (same) {
    const NamedChild leaf = {.last = span.slots.empty() ? "" : span.slots.back().name,
                             .count = span.slots.size(),
                             .id = d.leaves->items()[*span.base_leaf].id};
    ASSIGN_OR_RETURN(const bool added, d.node->AddLeaf(leaf));
    if (added) {
      if (span.taken_over) {
        for (const Slot& slot : span.slots) CountUnchanged(d, slot);
      }
      return OkStatus();
    }
    if (span.taken_over) RETURN_IF_ERROR(ReadAfterAll(d, span, worker));
  }
  d.node->Differs();
  if (span.leaf) {
    RETURN_IF_ERROR(d.node->Replace(d.leaves->items()[*span.base_leaf].id));
    RETURN_IF_ERROR(ForgetRemoved(d, span));
  }
  for (const Slot& slot : span.slots) {
    if (!slot.dropped) RETURN_IF_ERROR(d.node->Add(slot.Result(), slot.witness));
  }
  return OkStatus();
}

Status SnapshotWalk::FinishDirectory(Directory& d) {
  Slot& slot = *d.own_slot;
  if (slot.dropped) return OkStatus();
  ++context_.progress.directories;
  if (d.unread) d.node->Differs();
  ASSIGN_OR_RETURN(d.entry.node, d.node->Finish(/*remember=*/!d.unread));
  d.entry.unread = d.unread;
  d.entry.name = slot.name;
  if (d.unread) slot.witness = 0;
  slot.entry = std::move(d.entry);
  // What is no longer needed; the task itself may live on in its siblings' parent.
  d.node.reset();
  d.handle.reset();
  return OkStatus();
}

}  // namespace cairn
