# Compiler settings for cairn's own targets; third-party code links none of this.
add_library(cairn_settings INTERFACE)
target_include_directories(cairn_settings INTERFACE "${PROJECT_SOURCE_DIR}")
target_compile_options(cairn_settings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wnon-virtual-dtor>)
if(CAIRN_WERROR)
  # Not for everybody: what a compiler warns of differs with its version and optimisation level.
  target_compile_options(cairn_settings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # False positives of g++ 12 on std::optional, which differ with the optimisation level.
  target_compile_options(cairn_settings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized>)
endif()
if(CMAKE_UNITY_BUILD)
  # A folder compiled as one file (the presets that only test): its sources are then included files,
  # and what is local to one of them is no mistake.
  target_compile_options(cairn_settings INTERFACE
    $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-subobject-linkage>)
endif()
# Large files and modern system calls (statx, openat2, renameat2) everywhere.
target_compile_definitions(cairn_settings INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  target_compile_options(cairn_settings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wthread-safety>)
endif()
if(CAIRN_SANITIZE)
  # Everything is instrumented, BLAKE3 included, so that no report is hidden by an uninstrumented caller.
  add_compile_options(-fsanitize=${CAIRN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${CAIRN_SANITIZE})
endif()
if(CAIRN_FUZZ)
  # What the fuzzer is guided by: without it, it sees no further than its own target's file.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# core/ reports errors as absl::Status only; the command line keeps exceptions for CLI11.
add_library(cairn_core_settings INTERFACE)
target_link_libraries(cairn_core_settings INTERFACE cairn_settings)
target_compile_options(cairn_core_settings INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions>)
