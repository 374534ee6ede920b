// SPDX-License-Identifier: Apache-2.0
// Restores from repositories that are damaged, hostile, or change under them.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <string>

#include "core/repo/blob_writer.h"
#include "core/repo/restore.h"
#include "core/repo/restore_spared.h"
#include "core/repo/root_builder.h"
#include "core/store/sessions.h"
#include "core/tree/builder.h"
#include "core/tree/node.h"
#include "core/tree/reader.h"
#include "tests/repo/restore_fixture.h"
#include "tests/support/encryption.h"
#include "tests/support/memory_blobs.h"

namespace cairn::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::SizeIs;

class RestoreDamageTest : public RestoreTest {
 protected:
  // Without frames that were decoded before.
  void Reopen() {
    repository_.reset();
    ASSERT_OK_AND_ASSIGN(repository_, Repository::Open(repository_files_, TestRepositoryOptions()));
  }

  StatusOr<Entry> FindEntryOf(const SnapshotId& id, const std::string& name) {
    ASSIGN_OR_RETURN(const SnapshotView view, repository_->FindSnapshot(id));
    ASSIGN_OR_RETURN(const Root root, ReadRoot(*repository_, view.object.root));
    return FindPath(*repository_, root, name);
  }

  // Flips a bit in the stored frame that holds the blob.
  void DamageFrameOf(const BlobRef& ref) {
    ASSERT_OK_AND_ASSIGN(const auto places, repository_->Locate(ref));
    ASSERT_THAT(places, SizeIs(1));
    const FramedPlace& place = places.front();
    ASSERT_OK(repository_files_.Damage(PackObjectName(place.pack.info.name), [&](Bytes& bytes) {
      bytes[place.frame.offset + place.frame.stored_bytes / 2] ^= 1;
    }));
    Reopen();
  }
  void DamageFile(const SnapshotId& id, const std::string& name) {
    ASSERT_OK_AND_ASSIGN(const Entry entry, FindEntryOf(id, name));
    ASSERT_FALSE(entry.content.items.empty());
    DamageFrameOf({BlobKind::kChunk, entry.content.items.front().id});
  }

  // A snapshot of /made with what `build` puts into its top directory.
  SnapshotId Commit(const std::function<void(BlobSink&, TreeBuilder&)>& build) {
    SnapshotId id;
    const auto commit = [&]() -> Status {
      ASSIGN_OR_RETURN(const auto session, Session::Open(repository_files_, "test"));
      ASSIGN_OR_RETURN(const JournalHead head, repository_->Refresh());
      RETURN_IF_ERROR(session->SetStart(head.number));
      BlobWriter writer(*repository_, session->id(), head, {});
      TreeBuilder builder(writer);
      build(writer, builder);
      Entry top;
      top.type = EntryType::kDirectory;
      top.mode = 0755;
      ASSIGN_OR_RETURN(top.node, builder.Finish());
      SnapshotObject object;
      object.paths = {"/made"};
      object.nonce[0] = ++commits_;
      ASSIGN_OR_RETURN(object.root, BuildRoot(writer, "/made", {{"/made", top}}, std::nullopt));
      RETURN_IF_ERROR(writer.Flush());
      SnapshotEntry entry;
      entry.object = EncodeSnapshotObject(object);
      entry.id = HashSnapshotObject(repository_->keys(), entry.object);
      id = entry.id;
      return writer.Commit({entry}, std::nullopt, BlobRef{BlobKind::kRoot, object.root}).status();
    };
    EXPECT_OK(commit());
    EXPECT_OK(repository_->Refresh());
    return id;
  }
  uint8_t commits_ = 0;

  static Entry FileEntry(const std::string& name) {
    Entry entry;
    entry.name = name;
    entry.mode = 0644;
    entry.uid = ::geteuid();
    entry.gid = ::getegid();
    entry.mtime = {1'000'000'000, 0};
    return entry;
  }
};

TEST_F(RestoreDamageTest, DamagedFileIsReportedAndTheOldOneStays) {
  // A frame has about 1 MiB, and files of this size are never split.
  for (const char* name : {"a_bad", "b", "c", "d_good"}) {
    Write(Source(name), Noise(480'000, static_cast<uint64_t>(name[0])));
  }
  Write(Source("e"), Noise(50'000, 9));
  const SnapshotId id = Take();
  Write(Source("a_small"), Noise(50'000, 8));
  const SnapshotId later = Take();
  DamageFile(later, "a_small");
  Write(Target("a_small"), "old");
  ASSERT_OK_AND_ASSIGN(const RestoreResult result, TryRestore(Place(later)));
  EXPECT_EQ(result.errors, 1U);
  EXPECT_EQ(result.files, 5U);
  EXPECT_THAT(problems_, ElementsAre(Pair(Source("a_small"),
                                          HasSubstr(TestsAreEncrypted() ? "sealed" : "checksum"))));
  EXPECT_EQ(Read(Target("a_small")), "old");
  EXPECT_TRUE(Read(Target("d_good")) == Read(Source("d_good")));
  EXPECT_THAT(std::distance(std::filesystem::directory_iterator(Target()), {}), 6);

  RestorePlace whole = Place(id);
  whole.target = Path("whole");
  RestoreAll(whole);
}

TEST_F(RestoreDamageTest, MissingNodeLosesItsDirectoryOnly) {
  const SnapshotId id = Commit([&](BlobSink& sink, TreeBuilder& builder) {
    Entry lost;
    lost.name = "lost";
    lost.type = EntryType::kDirectory;
    lost.mode = 0755;
    lost.node.bytes[0] = 1;  // in no pack
    Entry file = FileEntry("whole");
    file.size = 5;
    ASSERT_OK_AND_ASSIGN(const BlobId chunk, sink.WriteBlob(BlobKind::kChunk, AsBytes("whole")));
    file.content.items.push_back({.bytes = 5, .zero = false, .id = chunk});
    ASSERT_OK(builder.Add(lost));
    ASSERT_OK(builder.Add(file));
  });
  Write(Target("lost/extra"), "x");
  RestoreOptions options;
  options.delete_extra = true;
  ASSERT_OK_AND_ASSIGN(const RestoreResult result, TryRestore(Place(id, "/made"), options));
  EXPECT_GE(result.errors, 1U);
  EXPECT_EQ(Read(Target("whole")), "whole");
  EXPECT_EQ(Read(Target("lost/extra")), "x");
}

TEST_F(RestoreDamageTest, ContentThatIsNotAsLongAsTheFileIsRefused) {
  const SnapshotId id = Commit([&](BlobSink& sink, TreeBuilder& builder) {
    ListBuilder list(sink);
    for (int i = 0; i < 40; ++i) {
      const std::string text = "chunk " + std::to_string(i);
      ASSERT_OK_AND_ASSIGN(const BlobId chunk, sink.WriteBlob(BlobKind::kChunk, AsBytes(text)));
      ASSERT_OK(list.Add({.bytes = text.size(), .zero = false, .id = chunk}));
    }
    ASSERT_OK_AND_ASSIGN(const Content content, list.Finish());
    for (const auto& [name, more] : {std::pair("longer", 1), std::pair("shorter", -1)}) {
      Entry file = FileEntry(name);
      file.size = list.bytes() + static_cast<uint64_t>(more);
      file.content = content;
      ASSERT_OK(builder.Add(file));
    }
  });
  ASSERT_OK_AND_ASSIGN(const RestoreResult result, TryRestore(Place(id, "/made")));
  EXPECT_EQ(result.errors, 2U);
  EXPECT_THAT(problems_, ElementsAre(Pair("/made/longer", HasSubstr("is shorter than the file")),
                                     Pair("/made/shorter", HasSubstr("is longer than the file"))));
  EXPECT_FALSE(Exists(Target("longer")));
  EXPECT_FALSE(Exists(Target("shorter")));
}

TEST_F(RestoreDamageTest, NoNameLeadsOutOfTheTarget) {
  // A node as no builder makes it, with a valid hash.
  const SnapshotId id = Commit([&](BlobSink& sink, TreeBuilder& builder) {
    TreeNode node;
    node.entries.push_back(FileEntry("name"));
    Bytes bytes = EncodeTreeNode(node);
    const auto at =
        std::search(bytes.begin(), bytes.end(), AsBytes("name").begin(), AsBytes("name").end());
    ASSERT_NE(at, bytes.end());
    std::ranges::copy(AsBytes("../x"), at);
    Entry hostile;
    hostile.name = "hostile";
    hostile.type = EntryType::kDirectory;
    hostile.mode = 0755;
    ASSERT_OK_AND_ASSIGN(hostile.node, sink.WriteBlob(BlobKind::kTree, bytes));
    ASSERT_OK(builder.Add(hostile));
  });
  ASSERT_OK_AND_ASSIGN(const RestoreResult result, TryRestore(Place(id, "/made")));
  EXPECT_EQ(result.errors, 1U);
  EXPECT_FALSE(Exists(Target("x")));
  EXPECT_TRUE(std::filesystem::is_empty(Target("hostile")));
}

TEST_F(RestoreDamageTest, DirectoriesThatContainThemselvesEnd) {
  // Not itself (its id is its hash), but as deep as a walk goes.
  const SnapshotId id = Commit([&](BlobSink& sink, TreeBuilder& builder) {
    Entry inner;
    inner.name = "d";
    inner.type = EntryType::kDirectory;
    inner.mode = 0755;
    TreeBuilder bottom(sink);
    ASSERT_OK_AND_ASSIGN(inner.node, bottom.Finish());
    for (int i = 0; i < 5000; ++i) {
      TreeBuilder level(sink);
      ASSERT_OK(level.Add(inner));
      ASSERT_OK_AND_ASSIGN(inner.node, level.Finish());
    }
    ASSERT_OK(builder.Add(inner));
  });
  ASSERT_OK_AND_ASSIGN(const RestoreResult result, TryRestore(Place(id, "/made")));
  EXPECT_EQ(result.errors, 1U);
  EXPECT_GT(result.entries, 4000U);
}

TEST_F(RestoreDamageTest, SecondPlaceOfAChunkIsUsedWhereTheFirstIsDamaged) {
  const std::string content = Noise(3000, 5);
  const auto add = [&](BlobSink& sink, TreeBuilder& builder) {
    Entry file = FileEntry("a");
    file.size = content.size();
    ASSERT_OK_AND_ASSIGN(const BlobId chunk, sink.WriteBlob(BlobKind::kChunk, AsBytes(content)));
    file.content.items.push_back({.bytes = file.size, .zero = false, .id = chunk});
    ASSERT_OK(builder.Add(file));
  };
  // Two writers that do not see each other's blobs yet.
  const SnapshotId id = Commit([&](BlobSink& sink, TreeBuilder& builder) {
    add(sink, builder);
    Commit(add);
  });
  ASSERT_OK_AND_ASSIGN(const Entry entry, FindEntryOf(id, "a"));
  const BlobRef ref{BlobKind::kChunk, entry.content.items.front().id};
  ASSERT_OK_AND_ASSIGN(const auto places, repository_->Locate(ref));
  ASSERT_THAT(places, SizeIs(2));
  const FramedPlace& first = places.front();
  ASSERT_OK(repository_files_.Damage(PackObjectName(first.pack.info.name), [&](Bytes& bytes) {
    bytes[first.frame.offset + first.frame.stored_bytes / 2] ^= 1;
  }));
  Reopen();
  RestoreAll(Place(id, "/made"));
  EXPECT_TRUE(Read(Target("a")) == content);
}

TEST_F(RestoreDamageTest, SnapshotForgottenMeanwhileIsSaid) {
  for (int i = 0; i < 20; ++i)
    Write(Source("f" + std::to_string(i)), Noise(300'000, static_cast<uint64_t>(i)));
  Write(Source("f0"), Noise(50'000, 100));
  const SnapshotId id = Take();
  Reopen();
  // When the first pack of chunks is read, somebody forgets the snapshot, and its packs go.
  ASSERT_OK_AND_ASSIGN(const Entry entry, FindEntryOf(id, "f0"));
  ASSERT_FALSE(entry.content.items.empty());
  ASSERT_OK_AND_ASSIGN(const auto places,
                       repository_->Locate({BlobKind::kChunk, entry.content.items.front().id}));
  const std::string pack = PackObjectName(places.front().pack.info.name);
  ASSERT_OK_AND_ASSIGN(auto other, Repository::Open(repository_files_, TestRepositoryOptions()));
  std::atomic<bool> done = false;
  repository_files_.SetHook([&](const DiskOperation& operation) -> Status {
    const bool reads = operation.kind == DiskOperation::Kind::kOpenRead ||
                       operation.kind == DiskOperation::Kind::kRead;
    if (!reads || operation.path != pack) return OkStatus();
    if (!done.exchange(true)) {
      RecordEntries entries;
      entries.forget.push_back(id);
      ASSIGN_OR_RETURN(const JournalHead head, other->Refresh());
      RETURN_IF_ERROR(other->journal().Append(head, entries).status());
    }
    return NotFound("the pack is gone");
  });
  const StatusOr<RestoreResult> result = TryRestore(Place(id));
  repository_files_.SetHook(nullptr);
  EXPECT_TRUE(done);
  EXPECT_THAT(result, StatusIs(StatusCode::kNotFound, HasSubstr("forgotten")));
}

TEST_F(RestoreDamageTest, DeleteIsRefusedWhereTheSnapshotsRulesAreNotUnderstood) {
  SnapshotOptions rules;
  ASSERT_OK(rules.rules.excludes.Add("*.tmp"));
  Write(Source("a"), "snapshot");
  Take(rules);
  SnapshotObject object;
  object.excludes.inline_bytes = ToBytes("# a rule of the future\n");
  EXPECT_THAT(SparedPaths::Load(*repository_, object), StatusIs(StatusCode::kInvalidArgument));
  object.excludes.inline_bytes = ToBytes("[unclosed\n");
  EXPECT_THAT(SparedPaths::Load(*repository_, object), StatusIs(StatusCode::kInvalidArgument));
}

// What it left out beyond its list could be anything that is there.
TEST(SparedPathsTest, ASnapshotThatLeftOutMoreThanItListsDeletesNothing) {
  for (const size_t more : {0, 1}) {
    const Bytes notes = EncodePathNotes(
        std::vector<PathNote>(kMaxPathNotes - 1 + more, PathNote{"/a", "excluded"}));
    for (LongList SnapshotObject::*const list :
         {&SnapshotObject::errors, &SnapshotObject::skipped}) {
      MemoryBlobs blobs;
      SnapshotObject object;
      ASSERT_OK_AND_ASSIGN(object.*list, MakeLongList(notes, blobs));
      EXPECT_EQ(SparedPaths::Load(blobs, object).status().code(),
                more == 0 ? StatusCode::kOk : StatusCode::kFailedPrecondition);
    }
  }
}

}  // namespace
}  // namespace cairn::testing
