// SPDX-License-Identifier: Apache-2.0
// The bytes of every structure of the store, written out as docs/format.md has them. What stands
// here is what repositories on people's disks consist of: it is added to, never changed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "core/base/hex.h"
#include "core/store/config.h"
#include "core/store/journal_state.h"
#include "core/store/pack.h"
#include "core/store/twin.h"
#include "tests/store/store_data.h"
#include "tests/support/memory_object_store.h"

namespace cairn {
namespace {

using ::cairn::testing::AddBlob;
using ::cairn::testing::Filled;
using ::cairn::testing::IsOkAndHolds;
using ::cairn::testing::MemoryObjectStore;

// `count` bytes of one value, as hex.
std::string Times(const std::string& byte, size_t count) {
  std::string hex;
  for (size_t i = 0; i < count; ++i) hex += byte;
  return hex;
}

Bytes FromHex(const std::string& hex) {
  const auto bytes = HexDecode(hex);
  EXPECT_TRUE(bytes.has_value()) << hex;
  return *bytes;
}

const RepositoryId kGoldenRepository = Filled<RepositoryId>(0x11);
const std::string kRepositoryHex = Times("11", 16);
const std::string kNonceHex = Times("22", 16);

Nonce TestNonce() {
  Nonce nonce;
  nonce.fill(0x22);
  return nonce;
}

SnapshotEntry GoldenSnapshot() {
  const Bytes object(32, 9);
  return {.id = HashSnapshotObject(RepositoryKeys(), object), .object = object};
}
const std::string kSnapshotIdHex =
    "715b247d3bc8fc220721fb28fb718b670ccf765619e2b995bd7a6371a312234e";

PackInfo GoldenPack() {
  return {.name = Filled<PackName>(2),
          .bytes = 70'000,
          .hash = Filled<PackHash>(3),
          .session = Filled<SessionId>(4),
          .content = kPackHasChunks | kPackHasNodes};
}
const std::string kPackHex = Times("02", 16) + "f0a204" + Times("03", 32) + Times("04", 16) + "03";

// One copy, zeros, the same copy.
Bytes TwinFile(const std::string& copy_hex) {
  const Bytes copy = FromHex(copy_hex);
  Bytes file = copy;
  file.resize(4096);
  Append(file, copy);
  return file;
}

TEST(GoldenTest, Config) {
  const RepositoryConfig config{.id = kGoldenRepository,
                                .created = {.seconds = 1'700'000'000, .nanoseconds = 5}};
  const Bytes file = TwinFile(
      "434149524e434647"  // CAIRNCFG
      "01000000"          // version
      "00000000" +        // flags
      kRepositoryHex +
      "0000000000000000" +  // number
      Times("00", 32) +     // predecessor
      kNonceHex +
      "1300000000000000"  // payload bytes
      "80c49fd50c"        // created
      "05"
      "8020"      // chunk_min 4096
      "808001"    // chunk_average 16384
      "808004"    // chunk_max 65536
      "06"        // level 3
      "80808010"  // pack_target 32 MiB
      "c41e4a367b77ffe52ada307874e50e5c3bdfe384d2fe81127d514ea63e9a28a9");
  EXPECT_EQ(EncodeConfig(RepositoryKeys(), config, TestNonce()), file);
  std::string damage;
  EXPECT_THAT(DecodeConfig(RepositoryKeys(), file, &damage), IsOkAndHolds(config));
  EXPECT_EQ(damage, "");
}

RecordEntries GoldenEntries() {
  return {.ended = {Filled<SessionId>(1)},
          .packs = {GoldenPack()},
          .rescue = {Filled<PackName>(5)},
          .condemn = {Filled<PackName>(6)},
          .purge = {Filled<PackName>(7)},
          .swept = {Filled<PackName>(8)},
          .snapshots = {GoldenSnapshot()},
          .forget = {Filled<SnapshotId>(10)},
          .hold = {Filled<SnapshotId>(11)},
          .release = {Filled<SnapshotId>(12)},
          .tags = {{Filled<SnapshotId>(13), {"a", "bc"}}}};
}
const std::string kEntriesHex = "011101" + Times("01", 16) +                            // ended
                                "024501" + kPackHex +                                   // packs
                                "031101" + Times("05", 16) +                            // rescue
                                "041101" + Times("06", 16) +                            // condemn
                                "051101" + Times("07", 16) +                            // purge
                                "061101" + Times("08", 16) +                            // swept
                                "072201" + "20" + Times("09", 32) +                     // snapshots
                                "082101" + Times("0a", 32) +                            // forget
                                "092101" + Times("0b", 32) +                            // hold
                                "0a2101" + Times("0c", 32) +                            // release
                                "0b2701" + Times("0d", 32) + "02" + "0161" + "026263";  // tags

TEST(GoldenTest, SnapshotIdsAreHashesOfTheirObjects) {
  EXPECT_EQ(GoldenSnapshot().id.Hex(), kSnapshotIdHex);
}

TEST(GoldenTest, RecordEntries) {
  EXPECT_EQ(EncodeEntries(GoldenEntries()), FromHex(kEntriesHex));
  EXPECT_THAT(DecodeEntries(RepositoryKeys(), FromHex(kEntriesHex)), IsOkAndHolds(GoldenEntries()));
}

TEST(GoldenTest, Record) {
  Record record;
  record.number = 2;
  record.predecessor = Filled<RecordHash>(0x33);
  record.nonce = TestNonce();
  record.entries = GoldenEntries();
  const std::string hash = "68b8489be64a3b6691e4ffadb738a10dde2fc2f7f2a32fea3adce012825092ae";
  const Bytes file = TwinFile(
      "434149524e4a4e4c"  // CAIRNJNL
      "01000000"
      "00000000" +
      kRepositoryHex + "0200000000000000" + Times("33", 32) + kNonceHex + "5c01000000000000" +
      kEntriesHex + hash);
  EXPECT_EQ(EncodeRecord(RepositoryKeys(kGoldenRepository), record), file);
  EXPECT_EQ(record.hash.Hex(), hash);
  ASSERT_OK_AND_ASSIGN(const Record decoded,
                       DecodeRecord(RepositoryKeys(kGoldenRepository), file, "record"));
  EXPECT_EQ(decoded.entries, GoldenEntries());
  EXPECT_EQ(decoded.number, 2u);
  EXPECT_EQ(decoded.hash, record.hash);
  EXPECT_EQ(decoded.damage, "");
}

TEST(GoldenTest, Fold) {
  JournalState state;
  Record first;
  first.number = 1;
  first.hash = Filled<RecordHash>(0x41);
  first.entries = {
      .ended = {Filled<SessionId>(4)}, .packs = {GoldenPack()}, .snapshots = {GoldenSnapshot()}};
  ASSERT_OK(state.Apply(first));
  Record second;
  second.number = 2;
  second.predecessor = first.hash;
  second.hash = Filled<RecordHash>(0x42);
  second.entries = {.condemn = {Filled<PackName>(2)},
                    .hold = {GoldenSnapshot().id},
                    .tags = {{GoldenSnapshot().id, {"a", "bc"}}}};
  ASSERT_OK(state.Apply(second));
  const Bytes payload = FromHex("02" + Times("41", 8) + Times("42", 8) +  // records
                                "01" + kPackHex + "01" + "01" + "02" +    // packs
                                "01" + kSnapshotIdHex + "01" + "03" +     // snapshots
                                "02" + "0161" + "026263" +                // its tags
                                "20" + Times("09", 32) +                  // its object
                                "01" + Times("04", 16));                  // ended
  EXPECT_EQ(EncodeFold(state), payload);
  EXPECT_THAT(DecodeFold(RepositoryKeys(), payload, state.head()), IsOkAndHolds(state));
}

const std::string kPackHeaderHex =
    "434149524e50414b"  // CAIRNPAK
    "01000000"
    "00000000" +
    kRepositoryHex + Times("02", 16) + Times("04", 16) + "03" + Times("00", 63);
// A chunk "abc" and a tree "de" in one frame that is stored raw.
const std::string kPackFooterHex =
    "01"  // frames
    "05"
    "05"
    "00"
    "00"
    "0648c03b5ad9bb6ddf8306eef6a33eba"  // sizes, codec, bases
    "05"
    "02"
    "0103"
    "0202"                                                              // section
    "6cd87e33bacfc2b5e0a9d6fa2e4d69881b255edccd8a367475fbcafd7318b5ad"  // ids
    "f4e96016797e64dd3d849ab030a0b394268a0ab3322c0bcc4befecb5397b8588";
const std::string kPackHashHex = "9200d0ccdb1b029c89b9ef62e31be56a3d5ff9eb1687024ec19e77bef28c5698";

TEST(GoldenTest, PackHeaderAndFooter) {
  EXPECT_EQ(EncodePackHeader({.repository = kGoldenRepository,
                              .name = Filled<PackName>(2),
                              .session = Filled<SessionId>(4),
                              .content = kPackHasChunks | kPackHasNodes}),
            FromHex(kPackHeaderHex));
  RawFrame frame;
  AddBlob(frame, BlobKind::kChunk, AsBytes("abc"));
  AddBlob(frame, BlobKind::kTree, AsBytes("de"));
  ASSERT_OK_AND_ASSIGN(const SealedFrame sealed, FrameCodecContext(3).Seal(frame));
  PackFooter footer{.frames = {sealed.info}, .blobs = sealed.blobs};
  footer.frames[0].offset = 128;
  EXPECT_EQ(EncodePackFooter(footer), FromHex(kPackFooterHex));
}

TEST(GoldenTest, Pack) {
  const Bytes file = FromHex(kPackHeaderHex + "6162636465" + kPackFooterHex +
                             "434149524e454e44"  // CAIRNEND
                             "5b00000000000000" +
                             Times("00", 16) + kPackHashHex);
  PackInfo info = GoldenPack();
  info.bytes = file.size();
  info.hash = *PackHash::FromHex(kPackHashHex);
  MemoryObjectStore store;
  store.Set(PackObjectName(info.name), file);
  ASSERT_OK_AND_ASSIGN(const PackFooter footer,
                       ReadPackFooter(store, RepositoryKeys(kGoldenRepository), info));
  ASSERT_EQ(footer.frames.size(), 1u);
  ASSERT_EQ(footer.blobs.size(), 2u);
  EXPECT_EQ(footer.blobs[1].ref.kind, BlobKind::kTree);
  EXPECT_EQ(footer.blobs[1].offset, 3u);
  ASSERT_OK_AND_ASSIGN(const Bytes stored, ReadFrame(store, RepositoryKeys(kGoldenRepository),
                                                     info.name, 0, footer.frames[0]));
  Bytes raw;
  ASSERT_OK(FrameCodecContext(3).Decode(footer.frames[0], stored, raw));
  EXPECT_EQ(AsText(raw), "abcde");
}

// Another version of zstd may compress otherwise, but what one has written is read for ever.
TEST(GoldenTest, CompressedFrame) {
  const Bytes stored = FromHex("28b52ffd60e8024d00001078780100e32b8005");
  FrameInfo info{.stored_bytes = 19, .raw_bytes = 1000, .codec = FrameCodec::kZstd, .bases = {}};
  const Bytes checksum = FromHex("00372ea26f6d62cc3b762144173a66ac");
  std::ranges::copy(checksum, info.checksum.begin());
  Bytes raw;
  ASSERT_OK(FrameCodecContext(3).Decode(info, stored, raw));
  EXPECT_EQ(raw, Bytes(1000, 'x'));
}

}  // namespace
}  // namespace cairn
