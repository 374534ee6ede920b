// SPDX-License-Identifier: Apache-2.0
#include "core/repo/snapshot_walk.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/base/profile.h"
#include "core/repo/base_leaves.h"
#include "core/tree/builder.h"
#include "core/tree/node.h"
#include "core/tree/walk.h"

namespace cairn {
namespace {

// Names of a span where no base says otherwise.
constexpr size_t kSpanNames = 1024;
// Files that one task reads: neighbours, so that they share frames, but few enough to share work.
constexpr size_t kBatchFiles = 256;
constexpr uint64_t kBatchBytes = 4 * kMiB;
// Notes of the snapshot: more are counted, not listed.
constexpr size_t kMaxNotes = 100'000;

constexpr std::string_view kCacheTag = "Signature: 8a477f597d28d172789f06886806bc55";

std::string Join(const std::string& directory, std::string_view name) {
  std::string path = directory;
  if (!path.empty() && path.back() != '/') path += '/';
  path += name;
  return path;
}

// Below a root's top, whose path is "".
std::string JoinLinkPath(const std::string& directory, std::string_view name) {
  return directory.empty() ? std::string(name) : Join(directory, name);
}

}  // namespace

struct SnapshotWalk::Slot {
  std::string name;
  FileStatus status;
  Witness witness = 0;
  bool dropped = false;  // vanished, or cannot be kept
  bool from_base = false;
  Entry entry;                  // as far as it is not the base's as it is
  const Entry* base = nullptr;  // in Directory::leaf

  bool IsBase() const { return from_base && status.type != EntryType::kDirectory; }
  const Entry& Result() const { return IsBase() ? *base : entry; }
};

struct SnapshotWalk::Directory {
  // Where the result goes; null for a source's top.
  DirectoryRef parent;
  size_t parent_slot = 0;

  std::string path;       // absolute
  std::string link_path;  // relative to the root
  std::string name;
  int depth = 0;
  std::shared_ptr<SourceDirectory> handle;
  FileSystemTraits traits;
  bool crosses_mount = false;

  std::optional<BlobId> base_node;
  // The entry as found by the parent (attributes), completed here (node, unread).
  Entry entry;
  bool unread = false;

  std::optional<NameList> names;
  std::optional<std::string> next_name;
  std::optional<BaseLeaves> leaves;

  // The span at work.
  std::optional<TreeNode> leaf;  // of the base, that covers it
  BlobId leaf_id;
  std::optional<CacheRow> row;
  bool same_names_and_witnesses = false;
  std::vector<Slot> slots;
  std::atomic<size_t> pending{0};
  Timestamp before_stat;

  // Leaves of the base that are unchanged, and come before anything that is not.
  std::vector<NamedChild> same_leaves;
  bool all_same = true;
  std::optional<BlobWriter::Nodes> nodes;  // where the builder writes to
  std::unique_ptr<TreeBuilder> builder;
  bool taking_over = false;                                     // the builder is given a whole leaf
  std::vector<std::pair<std::string, Witness>> open_witnesses;  // of entries in no closed leaf yet
  std::vector<BlobId> replaced_leaves;
  std::vector<std::pair<BlobId, CacheRow>> new_rows;
};

SnapshotWalk::SnapshotWalk(const WalkContext& context) : context_(context) {
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

void SnapshotWalk::Fail(Status status) {
  MutexLock lock(failure_mutex_);
  if (failure_.ok()) failure_ = std::move(status);
  failed_ = true;
}

bool SnapshotWalk::Stopping() {
  if (failed_) return true;
  Status status = CheckStop(context_.options.stop);
  if (status.ok()) return false;
  Fail(std::move(status));
  return true;
}

void SnapshotWalk::AddProblem(const std::string& path, std::string text) {
  ++context_.progress.errors;
  if (context_.options.on_problem) context_.options.on_problem(path, text);
  MutexLock lock(notes_mutex_);
  if (++problem_count_ <= kMaxNotes) problems_.push_back({path, std::move(text)});
}

void SnapshotWalk::AddSkipped(const std::string& path, std::string reason) {
  MutexLock lock(notes_mutex_);
  if (skipped_.size() < kMaxNotes) skipped_.push_back({path, std::move(reason)});
}

uint64_t SnapshotWalk::problems() const {
  MutexLock lock(notes_mutex_);
  return problem_count_;
}

std::vector<PathNote> SnapshotWalk::TakeProblems() {
  MutexLock lock(notes_mutex_);
  std::sort(problems_.begin(), problems_.end(),
            [](const PathNote& a, const PathNote& b) { return a.path < b.path; });
  return std::move(problems_);
}

std::vector<PathNote> SnapshotWalk::TakeSkipped() {
  MutexLock lock(notes_mutex_);
  std::sort(skipped_.begin(), skipped_.end(),
            [](const PathNote& a, const PathNote& b) { return a.path < b.path; });
  return std::move(skipped_);
}

const FileSystemTraits& SnapshotWalk::TraitsFor(int descriptor, uint64_t device) {
  MutexLock lock(traits_mutex_);
  const auto [it, added] = traits_.try_emplace(device);
  if (added) {
    // Unknown traits are the careful ones.
    StatusOr<FileSystemTraits> traits = TraitsOf(descriptor);
    it->second = traits.ok() ? *traits : FileSystemTraits{.own_clock = false};
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
    AddProblem(path, std::string(Message(parent.status())));
    return std::optional<Entry>();
  }
  ASSIGN_OR_RETURN(SourceDirectory::Pin pin, (*parent)->Open());
  StatusOr<FileStatus> status = StatAt(pin.descriptor(), name.c_str());
  if (!status.ok()) {
    AddProblem(path, std::string(Message(status.status())));
    return std::optional<Entry>();
  }
  top_device_ = status->device;

  // The source is the only slot of a directory that stands for its parent.
  auto top = std::make_shared<Directory>();
  top->path = parent_path;
  top->handle = name.empty() ? nullptr : *parent;
  top->traits = TraitsFor(pin.descriptor(), status->device);
  Slot& slot = top->slots.emplace_back();
  slot.name = name;
  slot.status = *status;
  if (base) {
    top->leaf.emplace();
    top->leaf->entries.push_back(*base);
    slot.base = &top->leaf->entries.front();
  }
  top->pending = 1;

  if (status->type == EntryType::kDirectory) {
    auto directory = std::make_shared<Directory>();
    directory->parent = top;
    directory->path = path;
    directory->link_path = link_path;
    directory->handle = name.empty() ? *parent : nullptr;
    directory->name = name;
    if (base && base->type == EntryType::kDirectory) directory->base_node = base->node;
    context_.pool.Submit([this, directory](int worker) { RunDirectory(directory, worker); });
    context_.pool.Wait();
  } else {
    context_.pool.Submit([this, top](int worker) {
      StatusOr<SourceDirectory::Pin> opened = top->handle->Open();
      if (!opened.ok()) return Fail(std::move(opened).status());
      Status read = ReadSlot(top, 0, opened->descriptor(), worker);
      if (!read.ok()) Fail(std::move(read));
    });
    context_.pool.Wait();
  }
  RETURN_IF_ERROR(context_.writer.Failure());
  {
    MutexLock lock(failure_mutex_);
    RETURN_IF_ERROR(failure_);
  }
  Slot& done = top->slots.front();
  if (done.dropped) return std::optional<Entry>();
  if (status->links > 1 && status->type != EntryType::kDirectory && !link_path.empty()) {
    RETURN_IF_ERROR(links_.Add(status->device, status->inode, link_path, done.entry));
  }
  done.entry.name.clear();
  return std::optional<Entry>(std::move(done.entry));
}

void SnapshotWalk::RunDirectory(const DirectoryRef& directory, int worker) {
  if (Stopping()) return;
  if (Status status = OpenDirectory(*directory, worker); !status.ok()) {
    return Fail(std::move(status));
  }
  Advance(directory, worker);
}

// Opens it and reads its attributes. What is wrong with the source makes it unread, or drops it.
Status SnapshotWalk::OpenDirectory(Directory& directory, int worker) {
  const StageTimer timer(Stage::kWalk);
  Slot& slot = directory.parent->slots[directory.parent_slot];
  if (directory.handle == nullptr) {
    auto opened = directories_.OpenChild(directory.parent->handle, directory.name);
    if (!opened.ok()) {
      AddProblem(directory.path, std::string(Message(opened.status())));
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
    AddProblem(directory.path, std::string(Message(pin.status())));
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
    if (!own.problem.empty()) AddProblem(directory.path, own.problem);
    if (!own.settled) slot.witness = 0;
    directory.entry = std::move(own.entry);
  }
  ASSIGN_OR_RETURN(const bool left_out, IsLeftOut(directory, pin->descriptor()));
  if (left_out) return OkStatus();
  if (directory.depth >= kMaxDepth) {
    AddProblem(directory.path, "is nested too deeply");
    directory.unread = true;
    return OkStatus();
  }
  directory.before_stat = CoarseNow();
  StatusOr<NameList> names = NameList::Read(pin->descriptor(), "");
  if (!names.ok()) {
    AddProblem(directory.path, std::string(Message(names.status())));
    directory.unread = true;
    return OkStatus();
  }
  directory.names = *std::move(names);
  RETURN_IF_ERROR(NextName(directory).status());
  if (directory.base_node) {
    // A base that cannot be read is no base: the new snapshot must not fail by an old damage.
    StatusOr<BaseLeaves> leaves = BaseLeaves::Open(context_.repository, *directory.base_node);
    if (leaves.ok()) directory.leaves = *std::move(leaves);
  }
  directory.all_same = directory.leaves.has_value();
  return OkStatus();
}

// Rules that keep the directory and leave out what is in it.
StatusOr<bool> SnapshotWalk::IsLeftOut(const Directory& directory, int descriptor) {
  const SourceRules& rules = context_.options.rules;
  const auto leave_out = [&](const std::string& reason) {
    AddSkipped(directory.path, reason);
    return true;
  };
  if (rules.one_file_system && directory.crosses_mount) return leave_out("another file system");
  for (const std::string& name : rules.exclude_if_present) {
    if (StatAt(descriptor, name.c_str()).ok()) return leave_out("holds " + name);
  }
  if (rules.exclude_caches) {
    const StatusOr<FileStatus> tag = StatAt(descriptor, "CACHEDIR.TAG");
    if (tag.ok() && tag->type == EntryType::kFile) {
      Bytes start(kCacheTag.size());
      const StatusOr<Descriptor> file = OpenFileAt(descriptor, "CACHEDIR.TAG");
      if (file.ok() &&
          ::pread(file->get(), start.data(), start.size(), 0) ==
              static_cast<ssize_t>(start.size()) &&
          AsText(start) == kCacheTag) {
        return leave_out("a cache, by its CACHEDIR.TAG");
      }
    }
  }
  return false;
}

bool SnapshotWalk::IsExcluded(const std::string& path, const FileStatus& status) {
  const SourceRules& rules = context_.options.rules;
  if (!rules.excludes.empty() &&
      rules.excludes.Matches(path, status.type == EntryType::kDirectory)) {
    return true;
  }
  if (rules.exclude_larger_than && status.type == EntryType::kFile &&
      status.size > *rules.exclude_larger_than) {
    AddSkipped(path, "larger than the limit");
    return true;
  }
  return false;
}

// Goes on with a directory whose pending work is done, and then with those above it that wait for
// nothing else: a loop, as the depth of a tree must not end on the stack.
void SnapshotWalk::Advance(DirectoryRef directory, int worker) {
  for (;;) {
    if (Stopping()) return;
    StatusOr<bool> waiting = StartSpan(directory, worker);
    if (!waiting.ok()) return Fail(std::move(waiting).status());
    if (*waiting) return;
    if (Status status = FinishDirectory(*directory); !status.ok()) return Fail(std::move(status));
    DirectoryRef parent = directory->parent;
    if (parent->pending.fetch_sub(1) != 1) return;
    if (parent->parent == nullptr) return;  // it stands for the parent of a source
    if (Status status = FinishSpan(*parent); !status.ok()) return Fail(std::move(status));
    directory = std::move(parent);
  }
}

// Works through the directory's spans. True: others will go on with it; false: all spans are done.
StatusOr<bool> SnapshotWalk::StartSpan(const DirectoryRef& directory, int worker) {
  Directory& d = *directory;
  while (d.names && (d.next_name || (d.leaves && !d.leaves->AtEnd()))) {
    RETURN_IF_ERROR(GatherNames(d));
    {
      // Let go before the count is: whoever brings it to zero may close the directory.
      const StatusOr<SourceDirectory::Pin> pin = d.handle->Open();
      if (!pin.ok()) {
        AddProblem(d.path, std::string(Message(pin.status())));
        d.unread = true;
        d.names.reset();
        return false;
      }
      RETURN_IF_ERROR(StatNames(d, pin->descriptor()));
      RETURN_IF_ERROR(MatchBase(d));
      d.pending = 1;
      RETURN_IF_ERROR(Dispatch(directory, pin->descriptor(), worker));
    }
    if (d.pending.fetch_sub(1) != 1) return true;
    RETURN_IF_ERROR(FinishSpan(d));
  }
  return false;
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

Status SnapshotWalk::GatherNames(Directory& d) {
  const StageTimer timer(Stage::kWalk);
  d.slots.clear();
  d.leaf.reset();
  d.row.reset();
  d.same_names_and_witnesses = false;
  if (d.leaves && !d.leaves->AtEnd()) {
    StatusOr<TreeNode> leaf = d.leaves->Next(&d.leaf_id);
    if (leaf.ok()) {
      d.leaf = *std::move(leaf);
      ASSIGN_OR_RETURN(d.row, FindRow(d, d.leaf_id, d.leaf->entries.size()));
    } else {
      RETURN_IF_ERROR(FlushSameLeaves(d));
      d.leaves.reset();
      d.all_same = false;
    }
  }
  const bool with_leaf = d.leaf.has_value();
  if (with_leaf) d.slots.reserve(d.leaf->entries.size());
  const std::string last =
      with_leaf && !d.leaf->entries.empty() ? d.leaf->entries.back().name : std::string();
  while (d.next_name) {
    if (with_leaf ? *d.next_name > last : d.slots.size() >= kSpanNames) break;
    d.slots.emplace_back().name = *std::move(d.next_name);
    RETURN_IF_ERROR(NextName(d).status());
  }
  return OkStatus();
}

// What the cache remembers of a leaf, if it fits and may be believed.
StatusOr<std::optional<CacheRow>> SnapshotWalk::FindRow(const Directory& d, const BlobId& leaf,
                                                        size_t entries) {
  if (context_.cache == nullptr || context_.options.rescan) return std::optional<CacheRow>();
  ASSIGN_OR_RETURN(std::optional<CacheRow> row, context_.cache->Find(d.path, leaf));
  if (row && row->witnesses.size() != entries) row.reset();
  return row;
}

Status SnapshotWalk::StatNames(Directory& d, int descriptor) {
  const StageTimer timer(Stage::kWalk);
  size_t kept = 0;
  for (size_t i = 0; i < d.slots.size(); ++i) {
    Slot& slot = d.slots[i];
    StatusOr<FileStatus> status = StatAt(descriptor, slot.name.c_str());
    if (!status.ok()) {
      AddProblem(Join(d.path, slot.name), std::string(Message(status.status())));
      d.all_same = false;
      continue;
    }
    slot.status = *status;
    const bool ruled = !context_.options.rules.excludes.empty() ||
                       context_.options.rules.exclude_larger_than.has_value();
    if (ruled && IsExcluded(Join(d.path, slot.name), slot.status)) continue;
    if (kept != i) d.slots[kept] = std::move(slot);
    ++kept;
  }
  d.slots.resize(kept);
  return OkStatus();
}

// Finds each name's entry in the base's leaf, and which of them are unchanged by their witnesses.
Status SnapshotWalk::MatchBase(Directory& d) {
  for (Slot& slot : d.slots) slot.witness = MakeWitness(slot.status, d.traits);
  if (d.row && d.row->hash) {
    DirectoryHasher hasher;
    for (const Slot& slot : d.slots) hasher.Add(slot.name, slot.witness);
    d.same_names_and_witnesses = hasher.Finish() == d.row->hash;
  }
  if (d.leaf) {
    const std::vector<Entry>& entries = d.leaf->entries;
    size_t next = 0;
    for (Slot& slot : d.slots) {
      while (next < entries.size() && entries[next].name < slot.name) ++next;
      if (next == entries.size() || entries[next].name != slot.name) continue;
      slot.base = &entries[next];
      slot.from_base = d.row && d.row->witnesses[next] == slot.witness &&
                       slot.base->type == slot.status.type && !slot.base->unread;
      if (slot.from_base) took_over_ = true;
    }
  }
  for (Slot& slot : d.slots) {
    if (!slot.from_base && IsRacy(slot.status, d.before_stat, d.traits)) slot.witness = 0;
  }
  return OkStatus();
}

// Gives the span's work to tasks. The last submitted runs first, so it goes backwards.
Status SnapshotWalk::Dispatch(const DirectoryRef& directory, int descriptor, int worker) {
  Directory& d = *directory;
  std::vector<std::vector<size_t>> batches;
  uint64_t batch_bytes = 0;
  for (size_t i = 0; i < d.slots.size(); ++i) {
    Slot& slot = d.slots[i];
    if (slot.status.type == EntryType::kDirectory) continue;
    if (slot.from_base) {
      CountUnchanged(d, slot);
      continue;
    }
    if (slot.status.type != EntryType::kFile && slot.status.links == 1) {
      RETURN_IF_ERROR(ReadSlot(directory, i, descriptor, worker));
      continue;
    }
    if (batches.empty() || batches.back().size() >= kBatchFiles ||
        batch_bytes + slot.status.size > kBatchBytes) {
      batches.emplace_back();
      batch_bytes = 0;
    }
    batches.back().push_back(i);
    batch_bytes += slot.status.size;
  }
  for (size_t i = d.slots.size(); i-- > 0;) {
    Slot& slot = d.slots[i];
    if (slot.status.type != EntryType::kDirectory) continue;
    auto child = std::make_shared<Directory>();
    child->parent = directory;
    child->parent_slot = i;
    child->path = Join(d.path, slot.name);
    child->link_path = JoinLinkPath(d.link_path, slot.name);
    child->name = slot.name;
    child->depth = d.depth + 1;
    if (slot.base != nullptr && slot.base->type == EntryType::kDirectory) {
      child->base_node = slot.base->node;
    }
    if (slot.from_base) slot.entry = *slot.base;
    ++d.pending;
    context_.pool.Submit([this, child](int runner) { RunDirectory(child, runner); });
  }
  for (size_t i = batches.size(); i-- > 0;) {
    ++d.pending;
    context_.pool.Submit([this, directory, batch = std::move(batches[i])](int runner) {
      ReadFiles(directory, batch, runner);
    });
  }
  return OkStatus();
}

void SnapshotWalk::ReadFiles(const DirectoryRef& directory, const std::vector<size_t>& slots,
                             int worker) {
  {
    // Let go before the count is, as in StartSpan.
    const StatusOr<SourceDirectory::Pin> pin = directory->handle->Open();
    for (const size_t slot : slots) {
      if (Stopping()) return;
      if (!pin.ok()) {
        AddProblem(Join(directory->path, directory->slots[slot].name),
                   std::string(Message(pin.status())));
        directory->slots[slot].dropped = true;
        continue;
      }
      if (Status status = ReadSlot(directory, slot, pin->descriptor(), worker); !status.ok()) {
        return Fail(std::move(status));
      }
    }
  }
  if (directory->pending.fetch_sub(1) != 1) return;
  if (Status status = FinishSpan(*directory); !status.ok()) return Fail(std::move(status));
  Advance(directory, worker);
}

Status SnapshotWalk::ReadSlot(const DirectoryRef& directory, size_t index, int descriptor,
                              int worker) {
  Directory& d = *directory;
  Slot& slot = d.slots[index];
  const bool shared = slot.status.links > 1;
  if (shared) {
    ++d.pending;
    const bool first =
        inodes_.ClaimOrWait(slot.status, [this, directory, index](const ReadEntry& read) {
          FillSlot(*directory, index, read);
          if (directory->pending.fetch_sub(1) != 1) return;
          // Not here: this may be deep in another directory's work.
          context_.pool.Submit([this, directory](int runner) {
            if (Status status = FinishSpan(*directory); !status.ok())
              return Fail(std::move(status));
            Advance(directory, runner);
          });
        });
    if (!first) return OkStatus();
    --d.pending;
  }
  ASSIGN_OR_RETURN(const ReadEntry read, Reader(worker).Read(descriptor, slot.name.c_str(),
                                                             slot.status, d.traits, slot.base));
  FillSlot(d, index, read);
  if (shared) inodes_.Publish(slot.status, read);
  return OkStatus();
}

void SnapshotWalk::FillSlot(Directory& d, size_t index, const ReadEntry& read) {
  Slot& slot = d.slots[index];
  if (!read.problem.empty()) AddProblem(Join(d.path, slot.name), read.problem);
  slot.dropped = read.gone;
  slot.entry = read.entry;
  slot.entry.name = slot.name;
  // The witness is of the status that the content was read under.
  if (!read.settled || slot.witness == 0 || IsRacy(read.status, d.before_stat, d.traits)) {
    slot.witness = 0;
  } else {
    slot.witness = MakeWitness(read.status, d.traits);
  }
  if (!slot.dropped) CountRead(d, slot, slot.base);
}

void SnapshotWalk::CountUnchanged(const Directory& d, const Slot& slot) {
  SnapshotProgress& progress = context_.progress;
  if (slot.status.type != EntryType::kFile) {
    ++progress.others;
    return;
  }
  ++progress.files;
  ++progress.files_unchanged;
  progress.bytes += slot.base->size;
  if (context_.options.on_file) {
    context_.options.on_file(Join(d.path, slot.name), FileVerdict::kUnchanged);
  }
}

void SnapshotWalk::CountRead(const Directory& d, const Slot& slot, const Entry* base) {
  SnapshotProgress& progress = context_.progress;
  if (slot.status.type != EntryType::kFile) {
    ++progress.others;
    return;
  }
  ++progress.files;
  progress.bytes += slot.entry.size;
  FileVerdict verdict = FileVerdict::kNew;
  if (base != nullptr) {
    Entry named = *base;
    named.name = slot.entry.name;
    verdict = named == slot.entry ? FileVerdict::kUnchanged : FileVerdict::kChanged;
  }
  ++(verdict == FileVerdict::kNew       ? progress.files_new
     : verdict == FileVerdict::kChanged ? progress.files_changed
                                        : progress.files_unchanged);
  if (context_.options.on_file) context_.options.on_file(Join(d.path, slot.name), verdict);
}

// All of the span's entries are there.
Status SnapshotWalk::FinishSpan(Directory& d) {
  for (const Slot& slot : d.slots) {
    if (slot.status.links <= 1 || slot.status.type == EntryType::kDirectory || slot.dropped)
      continue;
    RETURN_IF_ERROR(links_.Add(slot.status.device, slot.status.inode,
                               JoinLinkPath(d.link_path, slot.name), slot.entry));
  }
  const bool same = d.leaf && d.same_names_and_witnesses &&
                    std::all_of(d.slots.begin(), d.slots.end(), [](const Slot& slot) {
                      return !slot.dropped && (slot.IsBase() || slot.entry == *slot.base);
                    });
  if (!same) return AddSlots(d);
  d.same_leaves.push_back({d.leaf->entries.empty() ? "" : d.leaf->entries.back().name,
                           d.leaf->entries.size(), d.leaf_id});
  // While nothing has changed before it, the whole directory may turn out to be the base's.
  return d.all_same ? OkStatus() : FlushSameLeaves(d);
}

Status SnapshotWalk::FlushSameLeaves(Directory& d) {
  if (d.builder == nullptr) {
    d.nodes.emplace(context_.writer);
    d.builder = std::make_unique<TreeBuilder>(*d.nodes);
    d.builder->OnLeaf([&d](const NamedChild& leaf) {
      if (d.taking_over) return;  // its row stands already
      CacheRow row;
      DirectoryHasher hasher;
      for (size_t i = 0; i < leaf.count && i < d.open_witnesses.size(); ++i) {
        hasher.Add(d.open_witnesses[i].first, d.open_witnesses[i].second);
        row.witnesses.push_back(d.open_witnesses[i].second);
      }
      row.hash = hasher.Finish();
      d.open_witnesses.erase(
          d.open_witnesses.begin(),
          d.open_witnesses.begin() + static_cast<ptrdiff_t>(row.witnesses.size()));
      d.new_rows.emplace_back(leaf.id, std::move(row));
    });
  }
  for (const NamedChild& same : std::exchange(d.same_leaves, {})) {
    d.taking_over = true;
    const bool taken = d.builder->TryAddNode(same);
    d.taking_over = false;
    if (taken) continue;
    d.nodes->Replace(BlobKind::kTree, same.id);
    ASSIGN_OR_RETURN(const Bytes bytes, context_.repository.ReadBlob({BlobKind::kTree, same.id}));
    ASSIGN_OR_RETURN(const TreeNode node, DecodeTreeNode(bytes));
    ASSIGN_OR_RETURN(const std::optional<CacheRow> row, FindRow(d, same.id, node.entries.size()));
    for (size_t i = 0; i < node.entries.size(); ++i) {
      d.open_witnesses.emplace_back(node.entries[i].name, row ? row->witnesses[i] : 0);
      RETURN_IF_ERROR(d.builder->Add(node.entries[i]));
    }
    d.replaced_leaves.push_back(same.id);
  }
  return OkStatus();
}

// Directories of the base that are gone: the cache need not remember what was below them.
Status SnapshotWalk::ForgetRemoved(const Directory& d) {
  if (context_.cache == nullptr) return OkStatus();
  auto slot = d.slots.begin();
  for (const Entry& entry : d.leaf->entries) {
    while (slot != d.slots.end() && slot->name < entry.name) ++slot;
    if (slot != d.slots.end() && slot->name == entry.name &&
        slot->status.type == EntryType::kDirectory) {
      continue;
    }
    if (entry.type != EntryType::kDirectory) continue;
    WalkCallbacks callbacks;
    callbacks.enter = [&](const std::string& below, const Entry& gone) -> StatusOr<WalkStep> {
      if (gone.type != EntryType::kDirectory) return WalkStep::kContinue;
      ASSIGN_OR_RETURN(const BaseLeaves leaves, BaseLeaves::Open(context_.repository, gone.node));
      const std::string top = Join(d.path, entry.name);
      for (const BlobId& leaf : leaves.ids()) {
        RETURN_IF_ERROR(context_.cache->Remove(below.empty() ? top : Join(top, below), leaf));
      }
      return WalkStep::kContinue;
    };
    // A base that cannot be read leaves rows behind that nobody will find.
    (void)WalkTree(context_.repository, entry, callbacks);
  }
  return OkStatus();
}

Status SnapshotWalk::AddSlots(Directory& d) {
  d.all_same = false;
  RETURN_IF_ERROR(FlushSameLeaves(d));
  if (d.leaf) {
    d.replaced_leaves.push_back(d.leaf_id);
    d.nodes->Replace(BlobKind::kTree, d.leaf_id);
    RETURN_IF_ERROR(ForgetRemoved(d));
  }
  for (Slot& slot : d.slots) {
    if (slot.dropped) continue;
    // One with an entry unread is looked at again.
    const Entry& entry = slot.Result();
    d.open_witnesses.emplace_back(slot.name, entry.unread ? 0 : slot.witness);
    RETURN_IF_ERROR(d.builder->Add(entry));
  }
  return OkStatus();
}

Status SnapshotWalk::FinishDirectory(Directory& d) {
  Slot& slot = d.parent->slots[d.parent_slot];
  if (slot.dropped) return OkStatus();
  ++context_.progress.directories;
  const bool same = d.names && !d.unread && d.all_same && d.base_node && d.builder == nullptr;
  if (same) {
    d.entry.node = *d.base_node;
  } else {
    RETURN_IF_ERROR(FlushSameLeaves(d));
    if (d.base_node) d.nodes->Replace(BlobKind::kTree, *d.base_node);
    ASSIGN_OR_RETURN(d.entry.node, d.builder->Finish());
    if (context_.cache != nullptr && !d.unread) {
      for (const BlobId& leaf : d.replaced_leaves) {
        RETURN_IF_ERROR(context_.cache->Remove(d.path, leaf));
      }
      for (const auto& [leaf, row] : d.new_rows) {
        RETURN_IF_ERROR(context_.cache->Put(d.path, leaf, row));
      }
    }
  }
  d.entry.unread = d.unread;
  d.entry.name = slot.name;
  if (d.unread) slot.witness = 0;
  slot.entry = std::move(d.entry);
  // What is no longer needed; the task itself may live on in its siblings' parent.
  d.builder.reset();
  d.handle.reset();
  return OkStatus();
}

}  // namespace cairn
