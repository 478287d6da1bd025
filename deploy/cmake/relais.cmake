# How every target of this repository is built: warnings are errors for our code, ccache and mold
# when present, one function a kind of target.

find_program(RELAIS_CCACHE ccache)
if(RELAIS_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${RELAIS_CCACHE})
endif()
find_program(RELAIS_MOLD mold)
if(RELAIS_MOLD)
  add_link_options(-fuse-ld=mold)
endif()
# Paths in the binaries and in ccache's keys are relative to the checkout, so that a second checkout
# of the same sources costs no second compilation.
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}/= -fno-omit-frame-pointer)

if(RELAIS_ASAN)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
endif()
if(RELAIS_TSAN)
  add_compile_options(-fsanitize=thread)
  add_link_options(-fsanitize=thread)
endif()
if(RELAIS_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
  add_link_options(-fsanitize=address,undefined)
endif()

function(relais_common target)
  target_include_directories(${target} PRIVATE ${CMAKE_SOURCE_DIR})
  target_compile_options(${target} PRIVATE -Wall -Wextra -Werror -Wno-missing-field-initializers)
  # GCC 12 reports "text" + std::string() as overlapping copies in optimised builds (its PR 105651).
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
endfunction()

# relais_library(name SOURCES a.cc ... [PUBLIC libs...] [PRIVATE libs...])
function(relais_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
  target_include_directories(${name} INTERFACE ${CMAKE_SOURCE_DIR})
  relais_common(${name})
endfunction()

# relais_test(name LABEL tier SOURCES a_test.cc ... [LIBS libs...]): a GoogleTest binary, one CTest
# entry, labelled with its tier.
function(relais_test name)
  cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} GTest::gmock GTest::gtest GTest::gtest_main)
  relais_common(${name})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 600)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT})
endfunction()
