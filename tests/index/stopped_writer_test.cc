// SPDX-License-Identifier: Apache-2.0
// A process that was stopped while it held what all processes share.
#include "core/base/unique_fd.h"
#include "core/index/index_directory.h"
#include "core/index/lmdb_index.h"
#include "core/index/patience.h"
#include "tests/index/child_process.h"
#include "tests/index/index_data.h"
#include "tests/index/lmdb_fixture.h"

namespace cairn::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using std::chrono::milliseconds;

constexpr uint64_t kTheirHead = 9;

// A pipe, for a test to say when its child goes on.
class Signal {
 public:
  Signal() {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    reader_ = UniqueFd(ends[0]);
    writer_ = UniqueFd(ends[1]);
  }
  void Send() { EXPECT_EQ(write(writer_.get(), "s", 1), 1); }
  void Await() {
    char byte;
    EXPECT_EQ(RetryOnEintr([&] { return read(reader_.get(), &byte, 1); }), 1);
  }

 private:
  UniqueFd reader_;
  UniqueFd writer_;
};

class StoppedWriterTest : public LmdbIndexTest {
 protected:
  void SetUp() override {
    options_.patience = milliseconds(1);
    options_.warn = [this](const std::string& warning) { warnings_.push_back(warning); };
  }

  // Begins to write, is as good as stopped until `go_on_` is sent, and commits.
  ChildProcess::Body Writer() {
    return [this](const std::function<void()>& ready) -> Status {
      ASSIGN_OR_RETURN(auto theirs, OpenLmdbIndex(options_));
      ASSIGN_OR_RETURN(auto writer, theirs->Write());
      RETURN_IF_ERROR(writer->SetHead({kTheirHead, TestId<RecordHash>(kTheirHead)}));
      ready();
      go_on_.Await();
      return writer->Commit();
    };
  }

  Signal go_on_;
  std::vector<std::string> warnings_;
};

TEST_F(StoppedWriterTest, IsLeftBehindWithTheOldFile) {
  const TestPack pack = MakePack(1, 100);
  const auto index = Open();
  ASSERT_OK(AddPack(*index, pack));
  ASSERT_OK(SetHead(*index, 1));
  ChildProcess child(Writer());
  ASSERT_TRUE(child.WaitUntilReady());

  ASSERT_OK(SetHead(*index, 2));
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("is one stopped?")));
  EXPECT_THAT(HeadNumber(*index), IsOkAndHolds(2));
  EXPECT_THAT(CountPlaces(*index, pack.blobs[7].ref), IsOkAndHolds(1));
  ASSERT_OK(SetHead(*index, 3));
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("is one stopped?")));

  go_on_.Send();
  EXPECT_TRUE(child.Join());
  EXPECT_THAT(HeadNumber(*index), IsOkAndHolds(3));
  EXPECT_THAT(HeadNumber(*Open()), IsOkAndHolds(3));
}

TEST_F(StoppedWriterTest, ReadersOfTheOldFileGoOn) {
  const TestPack pack = MakePack(1, 100);
  const auto index = Open();
  ASSERT_OK(AddPack(*index, pack));
  ASSERT_OK_AND_ASSIGN(const auto reader, index->Read());
  ChildProcess child(Writer());
  ASSERT_TRUE(child.WaitUntilReady());
  ASSERT_OK(SetHead(*index, 2));
  EXPECT_THAT(reader->FindBlob(pack.blobs[7].ref), IsOkAndHolds(ElementsAre(PlaceIn(pack, 1, 7))));
}

TEST_F(StoppedWriterTest, AnotherIndexInItsPlaceHasToBeOpenedAnew) {
  const auto index = Open();
  ASSERT_OK(SetHead(*index, 1));
  ChildProcess child(Writer());
  ASSERT_TRUE(child.WaitUntilReady());
  ASSERT_OK(SetHead(*Open(), 2));
  ASSERT_OK(DeleteLmdbIndex(options_.directory));
  ASSERT_OK(SetHead(*Open(), 4));
  EXPECT_THAT(SetHead(*index, 5), StatusIs(StatusCode::kAborted));
  EXPECT_THAT(HeadNumber(*Open()), IsOkAndHolds(4));
}

TEST_F(StoppedWriterTest, OneThatGetsOnIsWaitedFor) {
  options_.patience = kPatience;
  const auto index = Open();
  ChildProcess child(Writer());
  ASSERT_TRUE(child.WaitUntilReady());
  go_on_.Send();
  ASSERT_OK(SetHead(*index, 2));
  EXPECT_TRUE(child.Join());
  EXPECT_THAT(HeadNumber(*index), IsOkAndHolds(2));
  EXPECT_THAT(warnings_, ElementsAre());
}

TEST_F(StoppedWriterTest, ADirectoryThatStaysLockedIsUnavailable) {
  ASSERT_OK_AND_ASSIGN(const IndexDirectory locked, IndexDirectory::Open(options_.directory));
  EXPECT_THAT(OpenLmdbIndex(options_),
              StatusIs(StatusCode::kUnavailable, HasSubstr("does not get on")));
}

TEST(PatienceTest, EndsWithoutASleepWhenTheLimitIsReached) {
  Patience patience(milliseconds(0));
  EXPECT_FALSE(patience.Sleep(1));
}

TEST(PatienceTest, EachStepMakesItStartAgain) {
  Patience patience(milliseconds(1));
  uint64_t step = 0;
  while (patience.Sleep(step)) {
  }
  EXPECT_TRUE(patience.Sleep(++step));
}

}  // namespace
}  // namespace cairn::testing
