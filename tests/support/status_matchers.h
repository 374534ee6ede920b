// SPDX-License-Identifier: Apache-2.0
// gMock matchers for Status and StatusOr, with the names and meanings of the ones that newer
// Abseil versions have (absl/status/status_matchers.h), which Debian's does not.
//
//   EXPECT_OK(file->Sync());
//   ASSERT_OK_AND_ASSIGN(auto file, fs.OpenRead("config"));
//   EXPECT_THAT(fs.OpenRead("none"), StatusIs(StatusCode::kNotFound, HasSubstr("none")));
//   EXPECT_THAT(fs.FileSize("config"), IsOkAndHolds(Gt(0)));
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <type_traits>
#include <utility>

#include "core/base/status.h"

namespace cairn::testing {

namespace internal {

inline const Status& StatusOf(const Status& status) { return status; }

template <typename T>
const Status& StatusOf(const StatusOr<T>& status_or) {
  return status_or.status();
}

// Explains a mismatch by the status: StatusOr itself prints as bytes.
inline void Explain(const Status& status, ::testing::MatchResultListener* listener) {
  *listener << "whose status is " << status.ToString();
}

class IsOkMatcher {
 public:
  using is_gtest_matcher = void;

  template <typename T>
  bool MatchAndExplain(const T& value, ::testing::MatchResultListener* listener) const {
    Explain(StatusOf(value), listener);
    return value.ok();
  }
  void DescribeTo(std::ostream* os) const { *os << "is OK"; }
  void DescribeNegationTo(std::ostream* os) const { *os << "is not OK"; }
};

class StatusIsMatcher {
 public:
  using is_gtest_matcher = void;

  StatusIsMatcher(::testing::Matcher<StatusCode> code,
                  ::testing::Matcher<const std::string&> message)
      : code_(std::move(code)), message_(std::move(message)) {}

  template <typename T>
  bool MatchAndExplain(const T& value, ::testing::MatchResultListener* listener) const {
    const Status& status = StatusOf(value);
    Explain(status, listener);
    return code_.Matches(status.code()) && message_.Matches(std::string(Message(status)));
  }
  void DescribeTo(std::ostream* os) const {
    *os << "has a status code that ";
    code_.DescribeTo(os);
    *os << ", and a message that ";
    message_.DescribeTo(os);
  }
  void DescribeNegationTo(std::ostream* os) const {
    *os << "not (";
    DescribeTo(os);
    *os << ")";
  }

 private:
  const ::testing::Matcher<StatusCode> code_;
  const ::testing::Matcher<const std::string&> message_;
};

template <typename StatusOrType>
class IsOkAndHoldsMatcherImpl : public ::testing::MatcherInterface<StatusOrType> {
 public:
  using Value = typename std::remove_reference_t<StatusOrType>::value_type;

  template <typename Inner>
  explicit IsOkAndHoldsMatcherImpl(const Inner& inner)
      : inner_(::testing::SafeMatcherCast<const Value&>(inner)) {}

  bool MatchAndExplain(StatusOrType actual,
                       ::testing::MatchResultListener* listener) const override {
    if (!actual.ok()) {
      Explain(actual.status(), listener);
      return false;
    }
    *listener << "which holds " << ::testing::PrintToString(*actual) << " ";
    return inner_.MatchAndExplain(*actual, listener);
  }
  void DescribeTo(std::ostream* os) const override {
    *os << "is OK and holds a value that ";
    inner_.DescribeTo(os);
  }
  void DescribeNegationTo(std::ostream* os) const override {
    *os << "is an error or holds a value that ";
    inner_.DescribeNegationTo(os);
  }

 private:
  const ::testing::Matcher<const Value&> inner_;
};

template <typename Inner>
class IsOkAndHoldsMatcher {
 public:
  explicit IsOkAndHoldsMatcher(Inner inner) : inner_(std::move(inner)) {}

  // NOLINTNEXTLINE(google-explicit-constructor): gMock converts matchers implicitly.
  template <typename StatusOrType>
  operator ::testing::Matcher<StatusOrType>() const {
    return ::testing::Matcher<StatusOrType>(
        new IsOkAndHoldsMatcherImpl<const StatusOrType&>(inner_));
  }

 private:
  const Inner inner_;
};

}  // namespace internal

// A Status or StatusOr that is OK.
inline internal::IsOkMatcher IsOk() { return {}; }

// A Status or StatusOr whose code, and whose message, match.
template <typename Code>
internal::StatusIsMatcher StatusIs(Code&& code) {
  return {::testing::MatcherCast<StatusCode>(std::forward<Code>(code)), ::testing::_};
}
template <typename Code, typename MessageMatcher>
internal::StatusIsMatcher StatusIs(Code&& code, MessageMatcher&& message) {
  return {::testing::MatcherCast<StatusCode>(std::forward<Code>(code)),
          ::testing::MatcherCast<const std::string&>(std::forward<MessageMatcher>(message))};
}

// A StatusOr that is OK and whose value matches `inner` (a matcher or a value).
template <typename Inner>
internal::IsOkAndHoldsMatcher<std::decay_t<Inner>> IsOkAndHolds(Inner&& inner) {
  return internal::IsOkAndHoldsMatcher<std::decay_t<Inner>>(std::forward<Inner>(inner));
}

}  // namespace cairn::testing

#define EXPECT_OK(expr) EXPECT_THAT((expr), ::cairn::testing::IsOk())
#define ASSERT_OK(expr) ASSERT_THAT((expr), ::cairn::testing::IsOk())

// ASSERT_OK_AND_ASSIGN(auto x, F()): declares or assigns `x`, or ends the test function with F()'s
// error. Only for functions that return void.
#define ASSERT_OK_AND_ASSIGN(lhs, expr) \
  CAIRN_ASSERT_OK_AND_ASSIGN_INNER(CAIRN_CONCAT(assert_status_or_, __LINE__), lhs, expr)
#define CAIRN_ASSERT_OK_AND_ASSIGN_INNER(tmp, lhs, expr) \
  auto tmp = (expr);                                     \
  ASSERT_TRUE(tmp.ok()) << tmp.status();                 \
  lhs = *std::move(tmp)
