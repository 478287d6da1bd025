# Writes a C++ file that holds the migrations of one engine.
#   cmake -DFOLDER=... -DFUNCTION=SqliteMigrations -DOUTPUT=... -P embed.cmake
file(GLOB files "${FOLDER}/*.sql")
list(SORT files)

set(entries "")
set(expected 0)
foreach(path IN LISTS files)
  get_filename_component(stem "${path}" NAME_WE)
  if(NOT stem MATCHES "^([0-9][0-9][0-9][0-9])_([a-z0-9_]+)$")
    message(FATAL_ERROR "${path}: the name of a migration is NNNN_name.sql")
  endif()
  set(digits "${CMAKE_MATCH_1}")
  set(name "${CMAKE_MATCH_2}")
  string(REGEX REPLACE "^0+" "" number "${digits}")
  math(EXPR expected "${expected} + 1")
  if(NOT number EQUAL expected)
    message(FATAL_ERROR "${path}: expected number ${expected}")
  endif()
  file(SHA256 "${path}" checksum)
  file(READ "${path}" text)
  string(APPEND entries "    {${number}, \"${name}\", \"${checksum}\",\n     R\"sql(${text})sql\"},\n")
endforeach()

file(WRITE "${OUTPUT}.new" "// Made by storage/migrations/embed.cmake.
#include \"storage/sql/migration.h\"

namespace relais::storage {
namespace {
constexpr Migration kMigrations[] = {
${entries}};
}  // namespace

absl::Span<const Migration> ${FUNCTION}() { return kMigrations; }

}  // namespace relais::storage
")
file(RENAME "${OUTPUT}.new" "${OUTPUT}")
