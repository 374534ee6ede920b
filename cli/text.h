// SPDX-License-Identifier: Apache-2.0
// Text for people: names that cannot harm a terminal, sizes, times.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace cairn {

bool IsUtf8(std::string_view bytes);

// As `ls -b` does it: control characters become \n, \t and the like or three octal digits for each
// byte, and so do bytes that are no UTF-8 and the characters that change the direction of text; a
// backslash is doubled, blanks stay. So no name drives a terminal or looks like two, and each can
// be told from every other.
std::string EscapeName(std::string_view name);

// The same for a whole message, in which a backslash is one and line breaks are kept, indented.
std::string EscapeMessage(std::string_view message);

// As it stands between single quotes of a shell.
std::string EscapeSingleQuotes(const std::string& text);

// "PATH: PROBLEM", the path escaped; PROBLEM alone if it names the path itself.
std::string WithPath(std::string_view path, std::string_view problem);

// Columns that UTF-8 text takes on a terminal, nearly: one for each character, none for combining
// ones, two for wide ones.
size_t DisplayWidth(std::string_view text);
// No more than `columns` of it, whole characters.
std::string_view Truncate(std::string_view text, size_t columns);

// "0 B", "1023 B", "1.5 KiB", "12.3 GiB".
std::string FormatBytes(uint64_t bytes);
// "0.52 s", "12 s", "3:07", "1:02:03".
std::string FormatElapsed(double seconds);
// "1 file", "2 files".
std::string Count(uint64_t count, std::string_view singular, std::string_view plural = {});

// A number of bytes: "512", "10K", "1.5MiB", "2g". Units are powers of 1024 (K, KiB) or, written
// KB, MB and so on, of 1000. INVALID_ARGUMENT for anything else.
StatusOr<uint64_t> ParseSize(std::string_view text);
// "5%", "0.5%": a share of 0 to 1.
StatusOr<double> ParsePercent(std::string_view text);
// Digits only, at most 19 of them.
StatusOr<uint64_t> ParseNumber(std::string_view text);

}  // namespace cairn
