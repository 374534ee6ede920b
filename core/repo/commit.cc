// SPDX-License-Identifier: Apache-2.0
#include "core/repo/commit.h"

#include <algorithm>

#include "core/repo/mark.h"
#include "core/repo/place_finder.h"

namespace cairn {
namespace {

Status Conflict(const std::string& what) { return Aborted("conflict: " + what); }

}  // namespace

StatusOr<JournalHead> CommitWithState(
    Journal& journal, JournalState& state,
    const std::function<StatusOr<RecordEntries>(const JournalState&)>& prepare) {
  for (;;) {
    RETURN_IF_ERROR(journal.CatchUp(state));
    ASSIGN_OR_RETURN(const RecordEntries entries, prepare(state));
    if (entries.empty()) return state.head();
    const StatusOr<Record> record = journal.Append(state.head(), entries);
    if (record.ok()) {
      RETURN_IF_ERROR(state.Apply(*record));
      return state.head();
    }
    if (record.status().code() != StatusCode::kAborted) return record.status();
  }
}

Status WriterCommit::Follow() {
  for (;;) {
    ASSIGN_OR_RETURN(const std::optional<Record> next, repository_.journal().NextRecord(head_));
    if (next) {
      for (const SessionId& ended : next->entries.ended) {
        if (ended == session_) return Conflict("this session was taken for dead by a prune");
      }
      head_ = {next->number, next->hash};
      continue;
    }
    // Records that a fold has passed were not seen one by one, so they may have ended this session:
    // the newest records always stay single, and only a writer that slept long meets this.
    ASSIGN_OR_RETURN(const uint64_t fold, repository_.journal().NewestFold());
    if (fold > head_.number) return Conflict("the journal was folded past this session's start");
    return OkStatus();
  }
}

// The condemned `pack`, and the packs of its frames' bases where no live one has them: a pack that
// is live must not rely on one that is not.
Status WriterCommit::Rescue(IndexReader& reader, const IndexPack& pack,
                            std::set<PackName>& rescue) {
  if (!rescue.insert(pack.info.name).second) return OkStatus();
  PlaceFinder finder(reader);
  std::vector<IndexPack> todo = {pack};
  while (!todo.empty()) {
    const IndexPack next = std::move(todo.back());
    todo.pop_back();
    if ((next.info.content & kPackHasDeltas) == 0) continue;
    for (uint32_t number = 0; number < next.frames; ++number) {
      ASSIGN_OR_RETURN(const std::optional<FrameInfo> frame, reader.FindFrame(next.number, number));
      if (!frame) return DataLoss("index: a pack without its frame");
      for (const BaseId& base : frame->bases) {
        ASSIGN_OR_RETURN(const std::vector<FramedPlace> places, finder.FindBase(base));
        if (places.empty()) return Conflict("a base of pack " + next.info.name.Hex() + " is gone");
        const bool stays = std::ranges::any_of(places, [&](const FramedPlace& place) {
          return place.pack.state == PackState::kLive || rescue.contains(place.pack.info.name);
        });
        if (stays) continue;
        rescue.insert(places.front().pack.info.name);
        todo.push_back(places.front().pack);
      }
    }
  }
  return OkStatus();
}

StatusOr<std::optional<WriterCommit::Verdict>> WriterCommit::CheckClaims(
    const WriterClaims& claims) {
  // One view, of the very head that the record will follow: what it says of a pack is then what the
  // journal says, even if another copy of the repository shares the index.
  ASSIGN_OR_RETURN(const auto reader, repository_.index().Read());
  ASSIGN_OR_RETURN(const IndexHead head, reader->Head());
  if (head != IndexHead{head_.number, head_.hash}) return std::optional<Verdict>();
  Verdict verdict;
  for (const PackName& name : claims.used_packs) {
    ASSIGN_OR_RETURN(const std::optional<IndexPack> pack, reader->FindPackByName(name));
    if (!pack) return Conflict("pack " + name.Hex() + " is gone, in which blobs were found");
    if (pack->state == PackState::kCondemned) {
      RETURN_IF_ERROR(Rescue(*reader, *pack, verdict.rescue));
    }
  }
  if (claims.base) {
    ASSIGN_OR_RETURN(const std::optional<IndexSnapshot> base, reader->FindSnapshot(*claims.base));
    verdict.base_lost = !base.has_value();
  }
  return std::optional<Verdict>(std::move(verdict));
}

StatusOr<JournalHead> WriterCommit::Append(const RecordEntries& entries) {
  ASSIGN_OR_RETURN(const Record record, repository_.journal().Append(head_, entries));
  head_ = {record.number, record.hash};
  return head_;
}

StatusOr<JournalHead> WriterCommit::Place(RecordEntries entries, WriterClaims claims,
                                          const Repository::KnownFooters* footers) {
  for (;;) {
    RETURN_IF_ERROR(Follow());
    ASSIGN_OR_RETURN(const JournalHead indexed, repository_.Refresh(footers));
    if (indexed != head_) continue;
    ASSIGN_OR_RETURN(std::optional<Verdict> verdict, CheckClaims(claims));
    if (!verdict) continue;
    entries.rescue.assign(verdict->rescue.begin(), verdict->rescue.end());
    if (verdict->base_lost) {
      // A prune may have taken what lies below the subtrees that were taken over unread. The
      // writer's own packs are named first, so that every blob of the new tree can be looked up.
      if (!entries.packs.empty()) {
        RecordEntries packs_only;
        packs_only.packs = entries.packs;
        if (const auto placed = Append(packs_only); placed.ok()) {
          entries.packs.clear();
        } else if (placed.status().code() != StatusCode::kAborted) {
          return placed.status();
        }
        continue;
      }
      StatusOr<std::set<PackName>> below = PacksOfTree(repository_, *claims.root);
      if (!below.ok()) return Conflict(std::string(Message(below.status())));
      claims.used_packs.merge(*below);
      claims.base.reset();
      continue;
    }
    StatusOr<JournalHead> placed = Append(entries);
    if (placed.ok() || placed.status().code() != StatusCode::kAborted) return placed;
  }
}

}  // namespace cairn
