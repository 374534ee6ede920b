// SPDX-License-Identifier: Apache-2.0
#include "cli/text.h"

#include <locale.h>
#include <wchar.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace cairn {
namespace {

struct Character {
  char32_t code = 0;
  size_t bytes = 1;
  bool valid = false;
};

// The first character of `text`, which is not empty. What is not shortest, a surrogate or beyond
// U+10FFFF is not valid, and one byte long.
Character Decode(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {.code = first, .bytes = 1, .valid = true};
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC2 ? 2 : 0;
  if (length == 0 || first > 0xF4 || text.size() < length) return {};
  char32_t code = first & (0xFFu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    code = (code << 6) | (byte(i) & 0x3Fu);
  }
  const char32_t least = length == 4 ? 0x10000 : length == 3 ? 0x800 : 0x80;
  if (code < least || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return {};
  return {.code = code, .bytes = length, .valid = true};
}

// Characters that act on the terminal or on the text around them.
bool IsHarmful(char32_t code) {
  return code < 0x20 || (code >= 0x7F && code <= 0x9F) || code == 0x061C || code == 0x200E ||
         code == 0x200F || (code >= 0x2028 && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069) || code == 0xFEFF;
}

void AppendEscaped(std::string& out, std::string_view bytes) {
  constexpr std::string_view kNamed = "\a\b\f\n\r\t\v";
  constexpr std::string_view kLetters = "abfnrtv";
  if (const size_t at = kNamed.find(bytes[0]); bytes.size() == 1 && at != kNamed.npos) {
    out.push_back('\\');
    out.push_back(kLetters[at]);
    return;
  }
  for (const char c : bytes) absl::StrAppendFormat(&out, "\\%03o", static_cast<unsigned char>(c));
}

std::string Escape(std::string_view text, bool is_message) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character character = Decode(text);
    const std::string_view bytes = text.substr(0, character.bytes);
    if (is_message && character.code == '\n' && character.valid) {
      out.append("\n  ");
    } else if (!character.valid || IsHarmful(character.code)) {
      AppendEscaped(out, bytes);
    } else {
      out.append(!is_message && character.code == '\\' ? "\\\\" : bytes);
    }
    text.remove_prefix(character.bytes);
  }
  return out;
}

// For wcwidth, while it lives, in this thread alone: elsewhere names are bytes, and the C locale
// takes them so.
class Utf8Locale {
 public:
  Utf8Locale() {
    static const locale_t utf8 = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    if (utf8 != nullptr) former_ = ::uselocale(utf8);
  }
  ~Utf8Locale() {
    if (former_ != nullptr) ::uselocale(former_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t former_ = nullptr;
};

// REQUIRES: a Utf8Locale.
size_t WidthOf(char32_t code) {
  if (code < 0x80) return 1;
  const int width = ::wcwidth(static_cast<wchar_t>(code));
  return width < 0 ? 1 : static_cast<size_t>(width);
}

// 1024^n for "", k, m, g, t, p (n = 0 ...), with an optional "iB"; 1000^n for kB, mB, ...
std::optional<double> UnitOf(std::string_view unit) {
  if (unit.empty() || unit == "B" || unit == "b") return 1.0;
  const size_t power =
      std::string_view("kmgtp").find(static_cast<char>(std::tolower(unit.front())));
  if (power == std::string_view::npos) return std::nullopt;
  const std::string_view rest = unit.substr(1);
  const auto exponent = static_cast<double>(power + 1);
  if (rest.empty() || rest == "iB" || rest == "ib" || rest == "i")
    return std::pow(1024.0, exponent);
  if (rest == "B" || rest == "b") return std::pow(1000.0, exponent);
  return std::nullopt;
}

// The digits, with perhaps a point among them, at the beginning of `text`.
std::optional<double> TakeNumber(std::string_view& text) {
  const size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string digits(text.substr(0, end));
  if (end == 0 || end > 20 || std::count(digits.begin(), digits.end(), '.') > 1 || digits == ".") {
    return std::nullopt;
  }
  text.remove_prefix(end);
  return std::strtod(digits.c_str(), nullptr);
}

}  // namespace

bool IsUtf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const Character character = Decode(bytes);
    if (!character.valid) return false;
    bytes.remove_prefix(character.bytes);
  }
  return true;
}

std::string EscapeName(std::string_view name) { return Escape(name, /*is_message=*/false); }

std::string EscapeMessage(std::string_view message) { return Escape(message, /*is_message=*/true); }

std::string EscapeSingleQuotes(const std::string& text) {
  return absl::StrReplaceAll(text, {{"'", "'\\''"}});
}

std::string WithPath(std::string_view path, std::string_view problem) {
  if (problem.find(path) != std::string_view::npos) return std::string(problem);
  return absl::StrFormat("%s: %s", EscapeName(path), problem);
}

size_t DisplayWidth(std::string_view text) {
  const Utf8Locale locale;
  size_t width = 0;
  while (!text.empty()) {
    const Character character = Decode(text);
    width += WidthOf(character.code);
    text.remove_prefix(character.bytes);
  }
  return width;
}

std::string_view Truncate(std::string_view text, size_t columns) {
  const Utf8Locale locale;
  size_t end = 0;
  size_t width = 0;
  while (end < text.size()) {
    const Character character = Decode(text.substr(end));
    width += WidthOf(character.code);
    if (width > columns) break;
    end += character.bytes;
  }
  return text.substr(0, end);
}

std::string FormatBytes(uint64_t bytes) {
  constexpr std::array<const char*, 6> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return absl::StrFormat("%d B", bytes);
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  for (; value >= 1023.95 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return absl::StrFormat("%.1f %s", value, kUnits[unit]);
}

std::string FormatElapsed(double seconds) {
  if (seconds < 10) return absl::StrFormat("%.2f s", std::max(seconds, 0.0));
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole < 60) return absl::StrFormat("%d s", whole);
  if (whole < 3600) return absl::StrFormat("%d:%02d", whole / 60, whole % 60);
  return absl::StrFormat("%d:%02d:%02d", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string Count(uint64_t count, std::string_view singular, std::string_view plural) {
  if (count == 1) return absl::StrFormat("1 %s", singular);
  if (!plural.empty()) return absl::StrFormat("%d %s", count, plural);
  return absl::StrFormat("%d %ss", count, singular);
}

StatusOr<uint64_t> ParseSize(std::string_view text) {
  std::string_view rest = text;
  const std::optional<double> number = TakeNumber(rest);
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  const std::optional<double> unit = number ? UnitOf(rest) : std::nullopt;
  if (!unit || *number * *unit >= 9.2e18) {
    return InvalidArgument(absl::StrFormat(
        "\"%s\" is no size; write a number with a unit, such as 512, 100K, 1.5MiB or 2G", text));
  }
  return static_cast<uint64_t>(std::llround(*number * *unit));
}

StatusOr<double> ParsePercent(std::string_view text) {
  std::string_view rest = text;
  const std::optional<double> number = TakeNumber(rest);
  if (!number || rest != "%" || *number > 100) {
    return InvalidArgument(absl::StrFormat("\"%s\" is no share; write 0%% to 100%%", text));
  }
  return *number / 100;
}

StatusOr<uint64_t> ParseNumber(std::string_view text) {
  if (text.empty() || text.size() > 19 ||
      text.find_first_not_of("0123456789") != std::string_view::npos) {
    return InvalidArgument(absl::StrFormat("\"%s\" is no number", text));
  }
  return std::strtoull(std::string(text).c_str(), nullptr, 10);
}

}  // namespace cairn
