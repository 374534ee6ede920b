// SPDX-License-Identifier: Apache-2.0
// What each mutated check asks (mutate.py). Comes before every file of the mutated copy.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

// Whether mutant `number` is the one that CAIRN_MUTANT names: this check is taken out then. Also
// writes down, in the file CAIRN_MUTANTS_SEEN with a byte for each mutant, that it was asked.
inline bool CairnMutant(int number) {
  constexpr size_t kMaxMutants = 4096;
  static const int chosen = [] {
    const char* const name = std::getenv("CAIRN_MUTANT");
    return name != nullptr ? std::atoi(name) : -1;
  }();
  static unsigned char* const seen = []() -> unsigned char* {
    const char* const path = std::getenv("CAIRN_MUTANTS_SEEN");
    if (path == nullptr) return nullptr;
    const int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) std::abort();
    void* const map = mmap(nullptr, kMaxMutants, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (map == MAP_FAILED) std::abort();
    close(file);
    return static_cast<unsigned char*>(map);
  }();
  if (seen != nullptr) seen[number] = 1;
  return number == chosen;
}
