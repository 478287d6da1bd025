#include "storage/sql/array_literal.h"

#include <cstdint>
#include <variant>

#include "server/domain/concat.h"

namespace relais::storage {
namespace {

void Add(const Cell& cell, std::string& out) {
  if (out.size() > 1) out.push_back(',');
  if (const int64_t* number = std::get_if<int64_t>(&cell)) {
    Append(out, *number);
  } else if (const std::string* text = std::get_if<std::string>(&cell)) {
    out.push_back('"');
    for (char c : *text) {
      if (c == '"' || c == '\\') out.push_back('\\');
      out.push_back(c);
    }
    out.push_back('"');
  } else {
    out.append("NULL");
  }
}

}  // namespace

std::string ArrayLiteral(absl::Span<const Row> rows, size_t column) {
  std::string out = "{";
  for (const Row& row : rows) Add(row[column], out);
  out.push_back('}');
  return out;
}

std::string ArrayLiteral(absl::Span<const Cell> cells) {
  std::string out = "{";
  for (const Cell& cell : cells) Add(cell, out);
  out.push_back('}');
  return out;
}

}  // namespace relais::storage
