// SPDX-License-Identifier: Apache-2.0
// The objects of an encrypted repository: what is in them cannot be seen, and none can be changed
// or exchanged unseen.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/store/config.h"
#include "core/store/journal.h"
#include "core/store/pack.h"
#include "core/store/pack_mend.h"
#include "core/store/parity.h"
#include "tests/store/store_data.h"
#include "tests/support/memory_object_store.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using testing::Filled;
using ::testing::HasSubstr;
using testing::kRepository;
using testing::kSession;
using testing::SealOf;
using testing::StatusIs;
using testing::TestText;

RepositoryKeys Keys(uint8_t byte = 5, const RepositoryId& id = kRepository) {
  return RepositoryKeys(id, SecretBytes::CopyOf(Bytes(32, byte)));
}

bool Contains(ByteSpan bytes, ByteSpan part) {
  return std::ranges::search(bytes, part).begin() != bytes.end();
}

TEST(SealedTest, KeysOfAnEncryptedRepositoryAreItsOwn) {
  EXPECT_EQ(RepositoryKeys().id_key(), HashKey{});
  EXPECT_NE(Keys().id_key(), HashKey{});
  EXPECT_NE(Keys(5).id_key(), Keys(6).id_key());
  EXPECT_NE(HashSnapshotObject(Keys(), Bytes(40)), HashSnapshotObject(RepositoryKeys(), Bytes(40)));
}

TEST(SealedTest, WhatIsShorterThanASealIsRefused) {
  for (size_t size = 0; size < kAeadTagBytes; ++size) {
    EXPECT_THAT(Keys().Open(RepositoryKeys::Use::kPack, {}, {}, Bytes(size)),
                StatusIs(StatusCode::kDataLoss))
        << size;
  }
}

class SealedTwinTest : public ::testing::Test {
 protected:
  static Twin Make(uint64_t number = 3) {
    Twin twin;
    twin.magic = kRecordMagic;
    twin.repository = kRepository;
    twin.number = number;
    twin.predecessor = Filled<RecordHash>(4);
    twin.nonce.fill(8);
    twin.payload = TestText(200, 3);
    return twin;
  }
};

TEST_F(SealedTwinTest, ComesBackAndIsNotSeen) {
  Twin twin = Make();
  const Bytes file = EncodeTwin(Keys(), twin);
  EXPECT_FALSE(Contains(file, ByteSpan(twin.payload).first(16)));
  ASSERT_OK_AND_ASSIGN(const DecodedTwin decoded, DecodeTwin(Keys(), kRecordMagic, file, "it"));
  EXPECT_EQ(decoded.twin.payload, twin.payload);
  EXPECT_EQ(decoded.twin.hash, twin.hash);
  EXPECT_EQ(decoded.twin.features, 0U);
  EXPECT_EQ(decoded.damage, "");
  Twin again = decoded.twin;
  EXPECT_EQ(EncodeTwin(Keys(), again), file);
}

TEST_F(SealedTwinTest, IsReadByItsOwnKeysOnly) {
  Twin twin = Make();
  const Bytes file = EncodeTwin(Keys(), twin);
  EXPECT_THAT(DecodeTwin(Keys(6), kRecordMagic, file, "it"), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(DecodeTwin(RepositoryKeys(), kRecordMagic, file, "it"),
              StatusIs(StatusCode::kDataLoss));
  const Bytes plain = EncodeTwin(RepositoryKeys(), twin);
  EXPECT_THAT(DecodeTwin(Keys(), kRecordMagic, plain, "it"), StatusIs(StatusCode::kDataLoss));
}

// Both copies alike, as one does who means it.
TEST_F(SealedTwinTest, AChangedByteIsFound) {
  Twin twin = Make();
  const Bytes file = EncodeTwin(Keys(), twin);
  const size_t second = 4096;
  for (size_t i = 0; second + i < file.size(); ++i) {
    Bytes changed = file;
    changed[i] ^= 1;
    changed[second + i] ^= 1;
    EXPECT_FALSE(DecodeTwin(Keys(), kRecordMagic, changed, "it").ok()) << i;
  }
}

TEST_F(SealedTwinTest, AConfigurationOfAnotherIdIsRefused) {
  RepositoryConfig config;
  config.id = Filled<RepositoryId>(2);
  const Bytes file = EncodeConfig(Keys(5, config.id), config, {});
  EXPECT_OK(DecodeConfig(Keys(5, config.id), file, nullptr).status());
  EXPECT_THAT(DecodeConfig(Keys(), file, nullptr),
              StatusIs(StatusCode::kDataLoss, HasSubstr("another repository")));
}

TEST_F(SealedTwinTest, PeekingSaysWhatTheHeadersSay) {
  Twin twin = Make();
  const Bytes file = EncodeTwin(Keys(), twin);
  const std::vector<TwinClaim> claims = PeekTwin(kRecordMagic, file);
  ASSERT_EQ(claims.size(), 2U);
  EXPECT_EQ(claims[1].repository, kRepository);
  EXPECT_TRUE(claims[0].sealed && claims[1].sealed);
  EXPECT_TRUE(PeekTwin(kFoldMagic, file).empty());
  EXPECT_TRUE(PeekTwin(kRecordMagic, Bytes(7)).empty());
}

class SealedPackTest : public ::testing::Test {
 protected:
  PackInfo Write(const std::vector<SealedFrame>& frames, const RepositoryKeys& keys = Keys(),
                 uint8_t content = kPackHasChunks) {
    StatusOr<std::unique_ptr<PackWriter>> writer =
        PackWriter::Create(store_, keys, kSession, content);
    EXPECT_OK(writer.status());
    for (const SealedFrame& frame : frames) EXPECT_OK((*writer)->Add(frame).status());
    StatusOr<PackInfo> info = (*writer)->Finish();
    EXPECT_OK(info.status());
    if (const auto parity = (*writer)->TakeParity()) {
      EXPECT_OK(parity->Place());
    }
    return *info;
  }
  Bytes File(const PackInfo& info) { return *store_.ReadAll(PackObjectName(info.name), kGiB); }
  void Replace(const PackInfo& info, const Bytes& bytes) {
    ASSERT_OK(store_.Delete(PackObjectName(info.name)));
    ASSERT_OK(store_.PutIfAbsent(PackObjectName(info.name), bytes, nullptr));
  }
  // Footer and all frames; the first error.
  Status ReadAll(const PackInfo& info, const RepositoryKeys& keys = Keys()) {
    ASSIGN_OR_RETURN(const PackFooter footer, ReadPackFooter(store_, keys, info));
    FrameCodecContext codec(1);
    for (uint32_t i = 0; i < footer.frames.size(); ++i) {
      ASSIGN_OR_RETURN(const Bytes stored, ReadFrame(store_, keys, info.name, i, footer.frames[i]));
      Bytes raw;
      RETURN_IF_ERROR(codec.Decode(footer.frames[i], stored, raw));
    }
    return OkStatus();
  }

  testing::MemoryObjectStore store_;
};

TEST_F(SealedPackTest, ComesBackAndIsNotSeen) {
  const Bytes noise = testing::TestNoise(3000, 1);
  const SealedFrame frame = SealOf({noise});
  const PackInfo info = Write({frame, SealOf({TestText(5000, 3)})});
  EXPECT_EQ(File(info).size(), info.bytes);
  ASSERT_OK(ReadAll(info));
  ASSERT_OK_AND_ASSIGN(const PackFooter footer, ReadPackFooter(store_, Keys(), info));
  EXPECT_EQ(footer.frames[0].checksum, frame.info.checksum);
  EXPECT_EQ(footer.frames[1].offset, kPackHeaderBytes + frame.stored.size() + kAeadTagBytes);
  ASSERT_OK_AND_ASSIGN(const Bytes stored,
                       ReadFrame(store_, Keys(), info.name, 0, footer.frames[0]));
  EXPECT_EQ(stored, frame.stored);
  EXPECT_FALSE(Contains(File(info), ByteSpan(frame.stored).first(16)));
  EXPECT_FALSE(Contains(File(info), frame.info.checksum));
  EXPECT_FALSE(Contains(File(info), frame.blobs[0].ref.id.span()));
}

TEST_F(SealedPackTest, AChangedByteIsFound) {
  const PackInfo info = Write({SealOf({TestText(300, 3)}), SealOf({TestText(200, 5)})});
  const Bytes file = File(info);
  for (size_t i = 0; i < file.size(); ++i) {
    Bytes changed = file;
    changed[i] ^= 1;
    Replace(info, changed);
    EXPECT_THAT(ReadAll(info), StatusIs(StatusCode::kDataLoss)) << i;
  }
  Replace(info, Bytes(file.begin(), file.end() - 1));
  EXPECT_THAT(ReadAll(info), StatusIs(StatusCode::kDataLoss));
}

TEST_F(SealedPackTest, FramesThatChangePlacesAreFound) {
  // Of equal sizes, so that the footer fits either way.
  const PackInfo info =
      Write({SealOf({testing::TestNoise(500, 1)}), SealOf({testing::TestNoise(500, 2)})});
  const Bytes file = File(info);
  Bytes swapped = file;
  const auto first = swapped.begin() + kPackHeaderBytes;
  std::swap_ranges(first, first + 516, first + 516);
  Replace(info, swapped);
  EXPECT_THAT(ReadAll(info), StatusIs(StatusCode::kDataLoss));
  // A frame of another pack, with the same content, in its own place.
  const PackInfo other =
      Write({SealOf({testing::TestNoise(500, 1)}), SealOf({testing::TestNoise(500, 2)})});
  Bytes mixed = file;
  const Bytes foreign = File(other);
  std::copy_n(foreign.begin() + kPackHeaderBytes, 516, mixed.begin() + kPackHeaderBytes);
  Replace(info, mixed);
  EXPECT_THAT(ReadAll(info), StatusIs(StatusCode::kDataLoss, HasSubstr("belongs elsewhere")));
}

TEST_F(SealedPackTest, PacksThatChangeNamesAreFound) {
  const PackInfo one = Write({SealOf({TestText(300, 3)})});
  const PackInfo two = Write({SealOf({TestText(300, 3)})});
  const Bytes of_one = File(one);
  Replace(one, File(two));
  Replace(two, of_one);
  EXPECT_THAT(ReadAll(one), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(ReadAll(two), StatusIs(StatusCode::kDataLoss));
}

TEST_F(SealedPackTest, IsReadByItsOwnKeysOnly) {
  const PackInfo info = Write({SealOf({TestText(300, 3)})});
  EXPECT_THAT(ReadAll(info, Keys(6)), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(ReadAll(info, RepositoryKeys(kRepository)), StatusIs(StatusCode::kDataLoss));
  const PackInfo plain = Write({SealOf({TestText(300, 3)})}, RepositoryKeys(kRepository));
  EXPECT_THAT(ReadAll(plain), StatusIs(StatusCode::kDataLoss));
  EXPECT_OK(ReadAll(plain, RepositoryKeys(kRepository)));
}

TEST_F(SealedPackTest, EqualContentLooksDifferentInEveryPack) {
  const SealedFrame frame = SealOf({TestText(3000, 3)});
  const Bytes one = File(Write({frame, frame}));
  const ByteSpan first = ByteSpan(one).subspan(kPackHeaderBytes, 32);
  EXPECT_FALSE(Contains(ByteSpan(one).subspan(kPackHeaderBytes + 32), first));
  EXPECT_FALSE(Contains(File(Write({frame})), first));
}

TEST_F(SealedPackTest, ParityMendsWhatIsSealed) {
  const PackInfo info =
      Write({SealOf({testing::TestNoise(100'000, 1)})}, Keys(), kPackHasChunks | kPackHasParity);
  const Bytes file = File(info);
  PackMender mender(store_, Keys(), kSession, nullptr);
  ASSERT_OK(mender.VerifyParity(info));
  Bytes damaged = file;
  for (size_t i = 8192; i < 8192 + 4096; ++i) damaged[i] ^= 0xff;
  Replace(info, damaged);
  EXPECT_THAT(mender.Verify(info), StatusIs(StatusCode::kDataLoss));
  ASSERT_OK_AND_ASSIGN(const PackMender::Patches patches, mender.Solve(info));
  ASSERT_OK(mender.Mend(info, patches));
  EXPECT_EQ(File(info), file);
}

TEST(SealedJournalTest, RecordsThatChangePlacesAreFound) {
  testing::MemoryObjectStore store;
  Journal journal(store, Keys());
  JournalState state;
  for (uint8_t i = 1; i <= 3; ++i) {
    RecordEntries entries;
    entries.packs = {testing::TestPackInfo(i)};
    ASSERT_OK_AND_ASSIGN(const Record record, journal.Append(state.head(), entries));
    ASSERT_OK(state.Apply(record));
  }
  EXPECT_THAT(journal.ReadState(), testing::IsOkAndHolds(state));
  ASSERT_OK_AND_ASSIGN(std::vector<std::string> names, store.List("journal"));
  std::ranges::sort(names);
  ASSERT_EQ(names.size(), 3U);
  ASSERT_OK_AND_ASSIGN(const Bytes third, store.ReadAll("journal/" + names[2], kMiB));
  ASSERT_OK(store.Delete("journal/" + names[1]));
  ASSERT_OK(store.PutIfAbsent("journal/" + names[1], third, nullptr));
  EXPECT_THAT(journal.ReadState(), StatusIs(StatusCode::kDataLoss));
  EXPECT_FALSE(Contains(third, Filled<PackName>(3).span()));
}

TEST(SealedJournalTest, FoldsAreSealedToo) {
  testing::MemoryObjectStore store;
  Journal journal(store, Keys());
  JournalState state;
  for (int i = 0; i < 12; ++i) {
    ASSERT_OK_AND_ASSIGN(const Record record, journal.Append(state.head(), {}));
    ASSERT_OK(state.Apply(record));
  }
  ASSERT_OK(journal.FoldIfDue(state, {.min_records = 4, .ratio = 10, .keep_single = 2}));
  ASSERT_OK_AND_ASSIGN(const std::vector<std::string> names, store.List("journal/folds"));
  ASSERT_EQ(names.size(), 1U);
  EXPECT_THAT(journal.ReadState(), testing::IsOkAndHolds(state));
  EXPECT_FALSE(Journal(store, RepositoryKeys(kRepository)).ReadState().ok());
}

}  // namespace
}  // namespace cairn
