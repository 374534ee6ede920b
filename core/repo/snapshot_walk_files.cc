// SPDX-License-Identifier: Apache-2.0
// The part of SnapshotWalk that reads files, each inode once.
#include <utility>

#include "core/repo/snapshot_walk.h"
#include "core/repo/snapshot_walk_state.h"

namespace cairn {

void SnapshotWalk::ReadFiles(const DirectoryRef& directory, const std::vector<Slot*>& slots,
                             int worker) {
  {
    // Let go before the count is, as in RunSpan.
    const StatusOr<SourceDirectory::Pin> pin = directory->handle->Open();
    for (Slot* const slot : slots) {
      if (report_.Stopping()) return;
      if (!pin.ok()) {
        report_.AddProblem(Join(directory->path, slot->name), std::string(Message(pin.status())));
        slot->dropped = true;
        continue;
      }
      if (Status status = ReadSlot(directory, *slot, pin->descriptor(), worker); !status.ok()) {
        return report_.Fail(std::move(status));
      }
    }
    if (Status status = Reader(worker).FinishFiles(); !status.ok()) {
      return report_.Fail(std::move(status));
    }
  }
  Release(directory, worker);
}

Status SnapshotWalk::ReadSlot(const DirectoryRef& directory, Slot& slot, int descriptor,
                              int worker) {
  Directory& d = *directory;
  const bool shared = slot.status.links > 1;
  if (shared) {
    ++d.pending;
    const bool first = inodes_.ClaimOrWait(
        slot.status,
        [this, directory, &slot](const ReadEntry& read) { TakeSharedRead(directory, slot, read); });
    if (!first) return OkStatus();
    --d.pending;
  }
  return Reader(worker).Read(descriptor, slot.name.c_str(), slot.status, d.TraitsFor(slot),
                             slot.base, [this, directory, &slot, shared](ReadEntry& read) {
                               TakeRead(*directory, slot, read);
                               if (shared) inodes_.Publish(slot.status, read);
                             });
}

void SnapshotWalk::TakeRead(const Directory& d, Slot& slot, ReadEntry& read) {
  // Here and not by the directory that takes the entry for another name: it may have been listed
  // long after the file was read.
  if (IsRacy(read.status, d.before_stat, d.TraitsFor(slot))) read.settled = false;
  FillSlot(d, slot, read);
}

// The files of a leaf that was to be taken over, whose entries are needed after all, since
// borders have moved, and which cannot be read. None of them is a directory or has other names.
Status SnapshotWalk::ReadAfterAll(Directory& d, Span& span, int worker) {
  const StatusOr<SourceDirectory::Pin> pin = d.handle->Open();
  for (Slot& slot : span.slots) {
    if (!pin.ok()) {
      report_.AddProblem(Join(d.path, slot.name), std::string(Message(pin.status())));
      slot.dropped = true;
      continue;
    }
    slot.witness = WitnessToEarn(slot.witness, slot.status, d.before_stat, d.TraitsFor(slot), {});
    RETURN_IF_ERROR(Reader(worker).Read(pin->descriptor(), slot.name.c_str(), slot.status,
                                        d.TraitsFor(slot), /*base=*/nullptr,
                                        [&](ReadEntry& read) { TakeRead(d, slot, read); }));
  }
  return Reader(worker).FinishFiles();
}

// Another name of the slot's file was read.
void SnapshotWalk::TakeSharedRead(const DirectoryRef& directory, Slot& slot,
                                  const ReadEntry& read) {
  // In tasks, as this may be deep in another directory's work.
  if (read.gone) {
    // That name vanished; this one may be there still.
    context_.pool.Submit(
        [this, directory, &slot](int runner) { ReadFiles(directory, {&slot}, runner); });
    return;
  }
  FillSlot(*directory, slot, read);
  if (directory->pending.fetch_sub(1) != 1) return;
  directory->pending = 1;
  context_.pool.Submit([this, directory](int runner) { Release(directory, runner); });
}

void SnapshotWalk::FillSlot(const Directory& d, Slot& slot, const ReadEntry& read) {
  if (!read.problem.empty()) report_.AddProblem(Join(d.path, slot.name), read.problem);
  slot.dropped = read.gone;
  slot.entry = read.entry;
  slot.entry.name = slot.name;
  const FileSystemTraits& traits = d.TraitsFor(slot);
  // The witness is of the status that the content was read under.
  if (!read.settled || slot.witness == 0) {
    slot.witness = 0;
  } else {
    const Witness read_under = MakeWitness(read.status, traits);
    const bool settled = traits.own_clock || slot.witness == read_under;
    slot.witness = settled ? read_under : MakeTentative(read_under);
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
  progress.bytes += slot.base != nullptr ? slot.base->size : slot.status.size;
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

}  // namespace cairn
