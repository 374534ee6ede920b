# cairn_layer(NAME [PUBLIC targets...] [PRIVATE targets...])
#
# One layer = one folder = one static library, cairn_NAME. What its headers may include is what it
# links: the layers below it. Each must compile alone: NAME.cc shows it of NAME.h, which it includes
# first (tests/layering_test.py); headers without a source are compiled by
# all_verify_interface_header_sets.
function(cairn_layer name)
  cmake_parse_arguments(arg "" "" "PUBLIC;PRIVATE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cc)
  file(GLOB headers CONFIGURE_DEPENDS *.h)
  add_library(cairn_${name} STATIC ${sources})
  list(TRANSFORM sources REPLACE "\\.cc$" ".h" OUTPUT_VARIABLE shown)
  list(REMOVE_ITEM headers ${shown})
  target_sources(cairn_${name} PUBLIC FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}" FILES ${headers})
  target_link_libraries(cairn_${name}
    PUBLIC cairn_settings ${arg_PUBLIC}
    PRIVATE cairn_core_settings ${arg_PRIVATE})
endfunction()
