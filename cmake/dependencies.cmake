# All of them are Debian 12 packages; scripts/install-dependencies names them.
find_package(absl REQUIRED)
find_package(Threads REQUIRED)

# Abseil is linked in, where its archives are there: to find and bind its thirty shared libraries
# takes longer than a short command's own work. What decodes untrusted bytes (zstd, OpenSSL, ...)
# stays shared, so that the system's security updates reach it.
get_property(imported_targets DIRECTORY PROPERTY IMPORTED_TARGETS)
list(FILTER imported_targets INCLUDE REGEX "^absl::")
foreach(target IN LISTS imported_targets)
  get_target_property(configurations ${target} IMPORTED_CONFIGURATIONS)
  foreach(configuration IN LISTS configurations)
    get_target_property(library ${target} IMPORTED_LOCATION_${configuration})
    string(REGEX REPLACE "\\.so[.0-9]*$" ".a" archive "${library}")
    if(EXISTS "${archive}")
      set_target_properties(${target} PROPERTIES IMPORTED_LOCATION_${configuration} "${archive}")
    endif()
  endforeach()
endforeach()
find_package(PkgConfig REQUIRED)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(lmdb REQUIRED IMPORTED_TARGET lmdb)
pkg_check_modules(isal REQUIRED IMPORTED_TARGET libisal)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(crypto REQUIRED IMPORTED_TARGET libcrypto>=3)

# BLAKE3: an installed libblake3 where there is one; else its own C sources and assembly from
# where Debian's librust-blake3-dev puts them (Debian 12 has no libblake3 package).
pkg_check_modules(blake3 QUIET IMPORTED_TARGET libblake3)
if(blake3_FOUND)
  add_library(cairn_blake3 INTERFACE)
  target_link_libraries(cairn_blake3 INTERFACE PkgConfig::blake3)
else()
  file(GLOB blake3_headers /usr/share/cargo/registry/blake3-*/c/blake3.h)
  if(NOT blake3_headers)
    message(FATAL_ERROR "BLAKE3 not found: install librust-blake3-dev (scripts/install-dependencies does)")
  endif()
  list(GET blake3_headers -1 blake3_header)
  get_filename_component(blake3_dir "${blake3_header}" DIRECTORY)
  add_library(cairn_blake3 STATIC
    ${blake3_dir}/blake3.c ${blake3_dir}/blake3_dispatch.c ${blake3_dir}/blake3_portable.c)
  target_include_directories(cairn_blake3 SYSTEM PUBLIC ${blake3_dir})
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    target_sources(cairn_blake3 PRIVATE
      ${blake3_dir}/blake3_sse2_x86-64_unix.S ${blake3_dir}/blake3_sse41_x86-64_unix.S
      ${blake3_dir}/blake3_avx2_x86-64_unix.S ${blake3_dir}/blake3_avx512_x86-64_unix.S)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64")
    target_sources(cairn_blake3 PRIVATE ${blake3_dir}/blake3_neon.c)
    target_compile_definitions(cairn_blake3 PRIVATE BLAKE3_USE_NEON=1)
  endif()
  set_target_properties(cairn_blake3 PROPERTIES UNITY_BUILD OFF)
  target_compile_options(cairn_blake3 PRIVATE $<$<COMPILE_LANGUAGE:C>:-O3>)
endif()
