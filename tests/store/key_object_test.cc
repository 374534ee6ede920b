// SPDX-License-Identifier: Apache-2.0
#include "core/store/key_object.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "core/store/features.h"
#include "core/store/key_ring.h"
#include "core/store/twin.h"
#include "tests/store/store_data.h"
#include "tests/support/encryption.h"
#include "tests/support/memory_object_store.h"
#include "tests/support/status_matchers.h"

namespace cairn {
namespace {

using ::testing::HasSubstr;
using testing::kRepository;
using ::testing::SizeIs;
using testing::StatusIs;
using testing::TestKeyFile;
using testing::TestPassword;

Bytes Master(uint8_t byte = 9) { return Bytes(kMasterKeyBytes, byte); }

KeyObject Wrap(const Credential& credential, Timestamp created = {100, 5}) {
  StatusOr<KeyObject> key =
      WrapMasterKey(kRepository, credential, kLeastPasswordCost, created, Master());
  EXPECT_OK(key.status());
  return *key;
}

Bytes Unwrapped(const KeyObject& key, const Credential& credential) {
  const StatusOr<SecretBytes> master = UnwrapMasterKey(key, credential);
  EXPECT_OK(master.status());
  if (!master.ok()) return {};
  return Bytes(master->span().begin(), master->span().end());
}

TEST(KeyObjectTest, ComesBackFromItsBytesAndOpens) {
  for (const bool password : {true, false}) {
    const auto credential = [&] { return password ? TestPassword("open") : TestKeyFile(); };
    const KeyObject key = Wrap(credential());
    std::string damage;
    ASSERT_OK_AND_ASSIGN(const KeyObject decoded,
                         DecodeKeyObject(EncodeKeyObject(key), "key", &damage));
    EXPECT_EQ(decoded, key);
    EXPECT_EQ(damage, "");
    EXPECT_EQ(Unwrapped(decoded, credential()), Master());
  }
}

TEST(KeyObjectTest, OpensByNothingElse) {
  const KeyObject by_password = Wrap(TestPassword("open"));
  EXPECT_THAT(UnwrapMasterKey(by_password, TestPassword("opem")).status(),
              StatusIs(StatusCode::kUnauthenticated));
  EXPECT_THAT(UnwrapMasterKey(by_password, TestPassword("")).status(),
              StatusIs(StatusCode::kUnauthenticated));
  EXPECT_THAT(UnwrapMasterKey(by_password, TestKeyFile()).status(),
              StatusIs(StatusCode::kUnauthenticated));
  const KeyObject by_file = Wrap(TestKeyFile(1));
  EXPECT_THAT(UnwrapMasterKey(by_file, TestKeyFile(2)).status(),
              StatusIs(StatusCode::kUnauthenticated));
}

TEST(KeyObjectTest, SaltsMakeEqualPasswordsDifferent) {
  const KeyObject one = Wrap(TestPassword("open"));
  const KeyObject two = Wrap(TestPassword("open"));
  EXPECT_NE(one.id, two.id);
  EXPECT_NE(one.commitment, two.commitment);
  EXPECT_NE(one.wrapped, two.wrapped);
}

// Somebody who made a box that two keys open could tell which of two passwords is in use. The
// commitment is of one of them.
TEST(KeyObjectTest, TheCommitmentIsOfTheOneKey) {
  KeyObject key = Wrap(TestKeyFile(1));
  const KeyObject other = Wrap(TestKeyFile(2));
  key.wrapped = other.wrapped;
  key.salt = other.salt;
  key.id = other.id;
  EXPECT_THAT(UnwrapMasterKey(key, TestKeyFile(1)).status(),
              StatusIs(StatusCode::kUnauthenticated));
  EXPECT_THAT(UnwrapMasterKey(key, TestKeyFile(2)).status(),
              StatusIs(StatusCode::kUnauthenticated));
}

TEST(KeyObjectTest, WhateverIsChangedIsFound) {
  const KeyObject key = Wrap(TestKeyFile());
  const auto expect_refused = [](const KeyObject& changed) {
    EXPECT_FALSE(UnwrapMasterKey(changed, TestKeyFile()).ok());
  };
  KeyObject changed = key;
  changed.repository.bytes[0] ^= 1;
  expect_refused(changed);
  changed = key;
  changed.id.bytes[15] ^= 1;
  expect_refused(changed);
  changed = key;
  changed.created.seconds += 1;
  expect_refused(changed);
  changed = key;
  changed.salt[3] ^= 1;
  expect_refused(changed);
  changed = key;
  changed.commitment[0] ^= 1;
  expect_refused(changed);
  for (size_t i = 0; i < key.wrapped.size(); ++i) {
    changed = key;
    changed.wrapped[i] ^= 1;
    expect_refused(changed);
  }
}

TEST(KeyObjectTest, AnyDamagedByteIsFoundAndOneCopyIsEnough) {
  const KeyObject key = Wrap(TestPassword("open"));
  const Bytes file = EncodeKeyObject(key);
  for (size_t i = 0; i < file.size(); i += i < 300 || i > 4000 ? 1 : 97) {
    Bytes damaged = file;
    damaged[i] ^= 0x10;
    std::string damage;
    ASSERT_OK_AND_ASSIGN(const KeyObject decoded, DecodeKeyObject(damaged, "key", &damage));
    EXPECT_EQ(decoded, key) << i;
    EXPECT_NE(damage, "") << i;
  }
}

TEST(KeyObjectTest, RefusesCostsOutOfBoundsBeforeItPaysThem) {
  for (const PasswordCost cost :
       {PasswordCost{1, kLeastPasswordCost.memory_kib}, PasswordCost{17, 256 * 1024},
        PasswordCost{3, 18 * 1024}, PasswordCost{3, kMostPasswordCost.memory_kib + 1},
        PasswordCost{3, UINT32_MAX}}) {
    KeyObject key = Wrap(TestPassword("open"));
    key.cost = cost;
    EXPECT_THAT(DecodeKeyObject(EncodeKeyObject(key), "key", nullptr),
                StatusIs(StatusCode::kDataLoss, HasSubstr("key")));
  }
}

// Its hash needs no key, so anybody can write one.
TEST(KeyObjectTest, RefusesAHeaderOfOtherObjectsAndAnUnknownKind) {
  const Bytes file = EncodeKeyObject(Wrap(TestKeyFile()));
  ASSERT_OK_AND_ASSIGN(const DecodedTwin decoded,
                       DecodeTwin(RepositoryKeys(), kKeyMagic, file, "key"));
  const auto with = [&](auto edit) {
    Twin twin = decoded.twin;
    edit(twin);
    return DecodeKeyObject(EncodeTwin(RepositoryKeys(), twin), "key", nullptr);
  };
  ASSERT_OK(with([](Twin&) {}).status());
  const auto refused = StatusIs(StatusCode::kDataLoss, HasSubstr("header"));
  EXPECT_THAT(with([](Twin& twin) { twin.number = 1; }), refused);
  EXPECT_THAT(with([](Twin& twin) { twin.predecessor.bytes[31] = 1; }), refused);
  EXPECT_THAT(with([](Twin& twin) { twin.features = kFeatureDelta; }), refused);
  for (const uint8_t kind : {uint8_t{0}, uint8_t{3}}) {
    EXPECT_THAT(with([kind](Twin& twin) { twin.payload[0] = kind; }),
                StatusIs(StatusCode::kDataLoss, HasSubstr("kind")));
  }
}

TEST(KeyObjectTest, APasswordOfTheKeyFilesBytesIsNoKeyFile) {
  const KeyObject by_file = Wrap(TestKeyFile('a'));
  const std::string same(kKeyFileBytes, 'a');
  EXPECT_THAT(UnwrapMasterKey(by_file, TestPassword(same)).status(),
              StatusIs(StatusCode::kUnauthenticated));
  EXPECT_THAT(UnwrapMasterKey(Wrap(TestPassword(same)), TestKeyFile('a')).status(),
              StatusIs(StatusCode::kUnauthenticated));
}

class KeyRingTest : public ::testing::Test {
 protected:
  void Place(const Credential& credential, Timestamp created = {100, 5}) {
    ASSERT_OK(PlaceKey(store_, Wrap(credential, created), credential));
  }
  testing::MemoryObjectStore store_;
};

TEST_F(KeyRingTest, AnyKeyOpens) {
  Place(TestPassword("one"), {2, 0});
  Place(TestKeyFile(), {1, 0});
  Place(TestPassword("two"), {3, 0});
  ASSERT_OK_AND_ASSIGN(const std::vector<StoredKey> keys, ListKeys(store_));
  ASSERT_THAT(keys, SizeIs(3));
  EXPECT_EQ(keys[0].key->kind, KeyKind::kKeyFile);
  const auto opened_by = [&](const Credential& credential) {
    StatusOr<OpenedKeys> opened = OpenKeys(store_, credential);
    EXPECT_OK(opened.status());
    if (!opened.ok()) return KeyId{};
    EXPECT_TRUE(opened->keys.sealed());
    EXPECT_EQ(opened->keys.id(), kRepository);
    return opened->by;
  };
  EXPECT_EQ(opened_by(TestKeyFile()), keys[0].key->id);
  EXPECT_EQ(opened_by(TestPassword("one")), keys[1].key->id);
  EXPECT_EQ(opened_by(TestPassword("two")), keys[2].key->id);
  EXPECT_THAT(OpenKeys(store_, TestPassword("three")).status(),
              StatusIs(StatusCode::kUnauthenticated, HasSubstr("wrong password")));
  EXPECT_THAT(OpenKeys(store_, TestKeyFile(2)).status(),
              StatusIs(StatusCode::kUnauthenticated, HasSubstr("wrong key file")));
}

TEST_F(KeyRingTest, ADamagedKeyDoesNotKeepTheOthersFromOpening) {
  Place(TestPassword("one"));
  ASSERT_OK(store_.PutIfAbsent(std::string(kKeyFolder) + "/00", Bytes(100, 1), nullptr));
  EXPECT_OK(OpenKeys(store_, TestPassword("one")).status());
  EXPECT_THAT(OpenKeys(store_, TestPassword("two")).status(),
              StatusIs(StatusCode::kDataLoss, HasSubstr("wrong password")));
}

TEST_F(KeyRingTest, AKeyUnderAnothersNameOpensAndGoesByThatName) {
  const KeyObject key = Wrap(TestKeyFile());
  const KeyId other = testing::Filled<KeyId>(3);
  ASSERT_OK(store_.PutIfAbsent(KeyObjectName(other), EncodeKeyObject(key), nullptr));
  ASSERT_OK_AND_ASSIGN(const std::vector<StoredKey> keys, ListKeys(store_));
  ASSERT_EQ(keys.size(), 1U);
  EXPECT_TRUE(keys[0].misnamed());
  ASSERT_OK_AND_ASSIGN(const OpenedKeys opened, OpenKeys(store_, TestKeyFile()));
  EXPECT_EQ(opened.by, other);
  // The one that had the name may have been what would fit.
  EXPECT_THAT(OpenKeys(store_, TestKeyFile(2)).status(),
              StatusIs(StatusCode::kDataLoss, HasSubstr("another name")));
}

TEST_F(KeyRingTest, AKeyWhoseNameIsNoneIsRefused) {
  const KeyObject key = Wrap(TestKeyFile());
  for (const char* name : {"key", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}) {
    ASSERT_OK(
        store_.PutIfAbsent(std::string(kKeyFolder) + "/" + name, EncodeKeyObject(key), nullptr));
  }
  EXPECT_THAT(OpenKeys(store_, TestKeyFile()).status(),
              StatusIs(StatusCode::kDataLoss, HasSubstr("no name of a key")));
}

TEST_F(KeyRingTest, RefusesMoreKeysThanThereMayBe) {
  const auto place = [this](size_t i) {
    store_.Set(KeyObjectName(testing::Filled<KeyId>(static_cast<uint8_t>(i))), Bytes(10));
  };
  for (size_t i = 0; i < kMaxKeys; ++i) place(i);
  ASSERT_OK_AND_ASSIGN(const std::vector<StoredKey> keys, ListKeys(store_));
  EXPECT_THAT(keys, SizeIs(kMaxKeys));
  place(kMaxKeys);
  EXPECT_THAT(ListKeys(store_).status(), StatusIs(StatusCode::kResourceExhausted));
}

// It is not the password that is wrong then.
TEST(KeyRingOnABadDiskTest, AKeyThatReadsOtherwiseThanItWasWrittenIsDamage) {
  class BadStore : public testing::MemoryObjectStore {
   public:
    Status PutIfAbsent(const std::string& name, ByteSpan bytes, bool* placed) override {
      ASSIGN_OR_RETURN(KeyObject key, DecodeKeyObject(bytes, name, nullptr));
      key.commitment[0] ^= 1;
      return MemoryObjectStore::PutIfAbsent(name, EncodeKeyObject(key), placed);
    }
  };
  BadStore store;
  EXPECT_THAT(PlaceKey(store, Wrap(TestKeyFile()), TestKeyFile()),
              StatusIs(StatusCode::kDataLoss, HasSubstr("otherwise")));
}

TEST_F(KeyRingTest, WithoutKeysItSaysSo) {
  EXPECT_THAT(OpenKeys(store_, TestKeyFile()).status(),
              StatusIs(StatusCode::kDataLoss, HasSubstr("\"keys\"")));
}

}  // namespace
}  // namespace cairn
