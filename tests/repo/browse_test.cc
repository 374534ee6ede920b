// SPDX-License-Identifier: Apache-2.0
#include "core/repo/browse.h"

#include "tests/repo/restore_fixture.h"
#include "tests/repo/test_repository.h"

namespace cairn::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class BrowseTest : public RestoreTest {
 protected:
  SnapshotView View(const SnapshotId& id) {
    StatusOr<SnapshotView> view = repository_->FindSnapshot(id);
    EXPECT_OK(view);
    return view.ok() ? *std::move(view) : SnapshotView{};
  }
  SnapshotView TakeView() { return View(Take()); }

  std::vector<std::string> List(const SnapshotView& view, const std::string& path,
                                bool recursive = false) {
    std::vector<std::string> paths;
    EXPECT_OK(ListPath(*repository_, view, path, recursive, nullptr,
                       [&](const LocatedEntry& located) -> StatusOr<bool> {
                         paths.push_back(located.path);
                         return true;
                       }));
    return paths;
  }
  std::vector<std::string> Search(const std::vector<SnapshotView>& views,
                                  const std::string& pattern) {
    PatternList patterns;
    EXPECT_OK(patterns.Add(pattern));
    std::vector<std::string> found;
    EXPECT_OK(FindEntries(*repository_, views, patterns, nullptr,
                          [&](const SnapshotView& view, const LocatedEntry& located) {
                            found.push_back(view.info.message + ":" + located.path);
                            return StatusOr<bool>(true);
                          }));
    return found;
  }
  std::vector<std::string> Differences(const SnapshotView& before, const std::string& before_path,
                                       const SnapshotView& after, const std::string& after_path) {
    std::vector<std::string> lines;
    EXPECT_OK(DiffSnapshots(*repository_, before, before_path, after, after_path, nullptr,
                            [&](const std::string& path, const DiffItem& item) {
                              const char* const sign = item.change == Change::kAdded     ? "+"
                                                       : item.change == Change::kRemoved ? "-"
                                                       : item.content                    ? "M"
                                                                                         : "U";
                              lines.push_back(sign + path);
                              return StatusOr<bool>(true);
                            }));
    return lines;
  }
  SnapshotView TakeNamed(const std::string& message) {
    SnapshotOptions options;
    options.labels.message = message;
    return View(Take(options));
  }
};

TEST_F(BrowseTest, ListsADirectoryInOrder) {
  Write(Source("b"), "1");
  Write(Source("a/x"), "2");
  const SnapshotView view = TakeView();
  EXPECT_THAT(List(view, Source()), ElementsAre(Source("a"), Source("b")));
  EXPECT_THAT(List(view, Source(), true), ElementsAre(Source("a"), Source("a/x"), Source("b")));
  EXPECT_THAT(List(view, Source("b")), ElementsAre(Source("b")));
}

TEST_F(BrowseTest, PathsAboveTheSourceArePartialDirectories) {
  Write(Source("a"), "1");
  const SnapshotView view = TakeView();
  for (std::string path = Source(); path != "/";) {
    const size_t slash = path.rfind('/');
    const std::string parent = slash == 0 ? "/" : path.substr(0, slash);
    EXPECT_THAT(List(view, parent), ElementsAre(path));
    ASSERT_OK_AND_ASSIGN(const LocatedEntry found, FindInSnapshot(*repository_, view, parent));
    EXPECT_EQ(found.entry.type, EntryType::kPartialDirectory);
    EXPECT_EQ(found.path, parent);
    path = parent;
  }
  EXPECT_THAT(List(view, ""), ElementsAre(HasSubstr("/")));
}

TEST_F(BrowseTest, ListsWhatHoldsSeveralSources) {
  Write(Source("p/a"), "1");
  Write(Source("q/r/b"), "2");
  const SnapshotView view = View(TakeOf({Source("p"), Source("q/r")}));
  EXPECT_THAT(List(view, Source(), true),
              ElementsAre(Source("p"), Source("p/a"), Source("q"), Source("q/r"), Source("q/r/b")));
}

TEST_F(BrowseTest, SaysWhichPartOfAPathIsMissing) {
  Write(Source("a/file"), "1");
  const SnapshotView view = TakeView();
  EXPECT_THAT(FindInSnapshot(*repository_, view, Source("a/none/x")),
              StatusIs(StatusCode::kNotFound, HasSubstr(Source("a/none") + " is not in")));
  EXPECT_THAT(FindInSnapshot(*repository_, view, Source("a/file/x")),
              StatusIs(StatusCode::kNotFound, HasSubstr(Source("a/file") + " is a file")));
  for (const std::string path : {"relative", "/a/../b", "/./a"}) {
    EXPECT_THAT(FindInSnapshot(*repository_, view, path), StatusIs(StatusCode::kInvalidArgument))
        << path;
  }
}

TEST_F(BrowseTest, StopsWhenTheVisitorHasEnough) {
  Write(Source("a"), "1");
  Write(Source("b"), "2");
  const SnapshotView view = TakeView();
  for (const bool recursive : {false, true}) {
    int visited = 0;
    EXPECT_OK(ListPath(*repository_, view, Source(), recursive, nullptr,
                       [&](const LocatedEntry&) -> StatusOr<bool> { return ++visited < 1; }));
    EXPECT_EQ(visited, 1);
  }
}

TEST_F(BrowseTest, ReadsContentWithZeros) {
  const std::string content = Noise(700'000, 4) + std::string(600'000, '\0') + Noise(5'000, 5);
  Write(Source("file"), content);
  ASSERT_OK_AND_ASSIGN(const LocatedEntry file,
                       FindInSnapshot(*repository_, TakeView(), Source("file")));
  std::string read;
  ASSERT_OK(ReadFileContent(*repository_, file.entry, nullptr, [&](ByteSpan bytes) {
    read += AsText(bytes);
    return OkStatus();
  }));
  EXPECT_TRUE(read == content);
}

TEST_F(BrowseTest, RefusesToReadWhatIsNoFile) {
  const SnapshotView view = TakeView();
  ASSERT_OK_AND_ASSIGN(const LocatedEntry top, FindInSnapshot(*repository_, view, Source()));
  const auto write = [](ByteSpan) { return OkStatus(); };
  EXPECT_THAT(ReadFileContent(*repository_, top.entry, nullptr, write),
              StatusIs(StatusCode::kFailedPrecondition));
  Entry unread;
  unread.unread = true;
  EXPECT_THAT(ReadFileContent(*repository_, unread, nullptr, write),
              StatusIs(StatusCode::kFailedPrecondition));
}

TEST_F(BrowseTest, FindsMatchesInEverySnapshot) {
  Write(Source("d/same.txt"), "1");
  Write(Source("e/other"), "2");
  const SnapshotView one = TakeNamed("one");
  Write(Source("e/new.txt"), "3");
  const SnapshotView two = TakeNamed("two");
  EXPECT_THAT(Search({one, two}, "*.txt"),
              ElementsAre("one:" + Source("d/same.txt"), "two:" + Source("d/same.txt"),
                          "two:" + Source("e/new.txt")));
  EXPECT_THAT(Search({one, two}, Source("e/*")),
              ElementsAre("one:" + Source("e/other"), "two:" + Source("e/new.txt"),
                          "two:" + Source("e/other")));
  EXPECT_THAT(Search({one, two}, "nothing"), IsEmpty());
}

TEST_F(BrowseTest, HistoryCollapsesEqualVersions) {
  Write(Source("file"), "1");
  const SnapshotView one = TakeNamed("one");
  Write(Source("beside"), "x");
  const SnapshotView two = TakeNamed("two");
  Write(Source("file"), "changed");
  const SnapshotView three = TakeNamed("three");
  std::filesystem::remove(Source("file"));
  const SnapshotView four = TakeNamed("four");
  // Of another source: it says nothing of the file.
  Write(Path("elsewhere/x"), "x");
  const SnapshotView five = View(TakeOf({Path("elsewhere")}));
  ASSERT_OK_AND_ASSIGN(const std::vector<PathVersion> versions,
                       PathHistory(*repository_, {five, four, two, three, one}, Source("file")));
  ASSERT_EQ(versions.size(), 3U);
  EXPECT_THAT(versions[0].snapshots, ElementsAre(one.info.id, two.info.id));
  EXPECT_EQ(versions[0].entry->size, 1U);
  EXPECT_THAT(versions[1].snapshots, ElementsAre(three.info.id));
  EXPECT_EQ(versions[1].entry->size, 7U);
  EXPECT_THAT(versions[2].snapshots, ElementsAre(four.info.id));
  EXPECT_FALSE(versions[2].entry.has_value());
}

TEST_F(BrowseTest, DiffNamesWhatChanged) {
  Write(Source("d/gone"), "1");
  Write(Source("d/kept"), "2");
  Write(Source("d/changed"), "3");
  SetMtime(Source("d"), 1000);
  const SnapshotView before = TakeView();
  std::filesystem::remove(Source("d/gone"));
  Write(Source("d/changed"), "other");
  Write(Source("d/new"), "4");
  SetMtime(Source("d"), 1000);
  const SnapshotView after = TakeView();
  EXPECT_THAT(
      Differences(before, "", after, ""),
      ElementsAre("M" + Source("d/changed"), "-" + Source("d/gone"), "+" + Source("d/new")));
  EXPECT_THAT(Differences(before, Source("d/kept"), after, Source("d/kept")), IsEmpty());
  EXPECT_THAT(Differences(after, "", after, ""), IsEmpty());
}

TEST_F(BrowseTest, DiffComparesTwoPaths) {
  Write(Source("a/x"), "1");
  Write(Source("b/y"), "1");
  SetMtime(Source("a"), 1000);
  SetMtime(Source("b"), 1000);
  const SnapshotView view = TakeView();
  EXPECT_THAT(Differences(view, Source("a"), view, Source("b")),
              ElementsAre("-" + Source("a/x"), "+" + Source("b/y")));
}

TEST(ReadFileContentTest, RefusesContentThatIsNotAsLongAsItIsSaidToBe) {
  TestRepository test;
  const TestBlob chunk = test.Chunk(1);
  test.AddPack({{chunk}});
  MustBeOk(test.repository().Refresh().status());
  const auto read = [&](uint64_t file_bytes, uint64_t item_bytes) {
    Entry entry;
    entry.size = file_bytes;
    entry.content.items = {{item_bytes, false, chunk.ref.id}};
    return ReadFileContent(test.repository(), entry, nullptr, [](ByteSpan) { return OkStatus(); });
  };
  const uint64_t bytes = chunk.bytes.size();
  EXPECT_OK(read(bytes, bytes));
  EXPECT_THAT(read(bytes + 1, bytes + 1), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(read(bytes - 1, bytes - 1), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(read(bytes + 1, bytes), StatusIs(StatusCode::kDataLoss));
  EXPECT_THAT(read(bytes - 1, bytes), StatusIs(StatusCode::kDataLoss));
}

}  // namespace
}  // namespace cairn::testing
