#include "storage/postgres/binary_array.h"

#include <charconv>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <variant>

namespace relais::storage {
namespace {

// Types by their number in pg_type, which never changes.
constexpr uint32_t kInt8 = 20, kTextType = 25, kUuidType = 2950;
constexpr size_t kUuidBytes = 16;
constexpr size_t kHeaderBytes = 20;  // dimensions, NULL flag, type, length, first index

uint32_t ElementOf(ColumnType type) {
  switch (type) {
    case ColumnType::kInteger:
      return kInt8;
    case ColumnType::kUuid:
      return kUuidType;
    case ColumnType::kText:
    case ColumnType::kJson:
      return kTextType;
  }
  return kTextType;
}

void Put32(uint32_t number, std::string& out) {
  const char bytes[] = {static_cast<char>(number >> 24), static_cast<char>(number >> 16),
                        static_cast<char>(number >> 8), static_cast<char>(number)};
  out.append(bytes, sizeof bytes);
}

void Put64(int64_t number, std::string& out) {
  Put32(static_cast<uint32_t>(static_cast<uint64_t>(number) >> 32), out);
  Put32(static_cast<uint32_t>(number), out);
}

int DigitOf(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// 8-4-4-4-12 digits.
bool PutUuid(std::string_view text, std::string& out) {
  if (text.size() != 36) return false;
  char bytes[kUuidBytes];
  size_t at = 0;
  for (char& byte : bytes) {
    if ((at == 8 || at == 13 || at == 18 || at == 23) && text[at++] != '-') return false;
    const int high = DigitOf(text[at]), low = DigitOf(text[at + 1]);
    if (high < 0 || low < 0) return false;
    byte = static_cast<char>(high << 4 | low);
    at += 2;
  }
  out.append(bytes, sizeof bytes);
  return true;
}

absl::Status Put(ColumnType type, const Cell& cell, std::string& out) {
  if (type == ColumnType::kInteger) {
    const int64_t* number = std::get_if<int64_t>(&cell);
    if (number == nullptr) return absl::InternalError("a text for a column of numbers");
    Put32(sizeof *number, out);
    Put64(*number, out);
    return absl::OkStatus();
  }
  if (const int64_t* number = std::get_if<int64_t>(&cell)) {
    if (type == ColumnType::kUuid) return absl::InternalError("a number for a column of UUIDs");
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, *number).ptr;
    Put32(static_cast<uint32_t>(end - digits), out);
    out.append(digits, end);
    return absl::OkStatus();
  }
  const std::string& text = std::get<std::string>(cell);
  if (type == ColumnType::kUuid) {
    Put32(kUuidBytes, out);
    return PutUuid(text, out) ? absl::OkStatus()
                              : absl::InternalError("a text that is no UUID for a column of them");
  }
  // The edge refuses NUL; PostgreSQL has no text with one.
  if (std::memchr(text.data(), '\0', text.size()) != nullptr) {
    return absl::InternalError("text with a NUL");
  }
  Put32(static_cast<uint32_t>(text.size()), out);
  out.append(text);
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteArray(ColumnType type, absl::Span<const Row> rows, size_t column,
                        std::string& out) {
  constexpr uint32_t kNull = 0xFFFFFFFF;
  out.clear();
  out.reserve(kHeaderBytes + rows.size() * 20);
  bool nulls = false;
  for (const Row& row : rows) nulls = nulls || IsNull(row[column]);
  Put32(rows.empty() ? 0 : 1, out);
  Put32(nulls ? 1 : 0, out);
  Put32(ElementOf(type), out);
  if (rows.empty()) return absl::OkStatus();
  Put32(static_cast<uint32_t>(rows.size()), out);
  Put32(1, out);
  for (const Row& row : rows) {
    if (IsNull(row[column])) {
      Put32(kNull, out);
      continue;
    }
    if (absl::Status status = Put(type, row[column], out); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace relais::storage
