// SPDX-License-Identifier: Apache-2.0
// CLI11's classes by name: its header alone takes most of the time that compiling a command does.
#pragma once

namespace CLI {
class App;
class Formatter;
class Option;
}  // namespace CLI
