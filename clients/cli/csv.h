// Comma-separated files in and out.
//
// Reading is strict: a quote that is never closed, or text after a closing quote, ends the file
// with an error that names the line, because what follows can no longer be told apart. What is
// wrong with one record only (bytes that are not text in the file's encoding, a wrong number of
// fields) is said in the record, and the reader goes on.
//
// Not thread-safe: one thread an object.
#pragma once

#include <csv.h>

#include <cstdint>
#include <cstdio>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace relais::cli {

enum class Encoding { kUtf8, kLatin1, kWindows1252 };

struct CsvOptions {
  char separator = ',';
  char quote = '"';
  // Spaces and tabs around an unquoted field do not belong to it.
  bool trim = true;
  Encoding encoding = Encoding::kUtf8;
  // Names of the columns of a file without a header line; empty: the first record is the header.
  std::vector<std::string> columns;
};

// One record is at most this long, so that a forgotten quote does not swallow the file.
inline constexpr int64_t kMaxRecordBytes = 1 << 20;
inline constexpr size_t kMaxColumns = 1000;

struct CsvRecord {
  int64_t line = 0;                 // of its first character, from 1
  std::vector<std::string> fields;  // UTF-8, as many as the header unless `problem` says otherwise
  std::string problem_field;        // column the problem is in; empty: the whole record
  std::string problem;              // empty: none
};

class CsvReader {
 public:
  // Opens the file and reads its header. NOT_FOUND: no such file; INVALID_ARGUMENT: a folder, an
  // empty file, UTF-16, a header with an empty or repeated name.
  static absl::StatusOr<std::unique_ptr<CsvReader>> Open(const std::string& path,
                                                         const CsvOptions& options);
  CsvReader(const CsvReader&) = delete;
  CsvReader& operator=(const CsvReader&) = delete;
  ~CsvReader();

  const std::vector<std::string>& header() const { return header_; }
  // False at the end of the file. INVALID_ARGUMENT names the line where reading had to stop.
  absl::StatusOr<bool> Next(CsvRecord& record);

 private:
  CsvReader(std::string path, CsvOptions options);
  absl::Status ReadHeader();
  absl::StatusOr<bool> NextRaw(CsvRecord& record);
  absl::Status Feed();
  absl::Status Broken(const std::string& what) const;
  void Decode(CsvRecord& record) const;

  std::string path_;
  CsvOptions options_;
  FILE* file_ = nullptr;
  csv_parser parser_;
  std::vector<char> buffer_;
  size_t at_ = 0, filled_ = 0;
  bool ended_ = false;
  int64_t line_ = 1;          // of the next byte
  int64_t record_line_ = 1;   // where the record being read begins
  int64_t record_bytes_ = 0;  // of it so far
  CsvRecord building_;
  std::deque<CsvRecord> ready_;
  std::vector<std::string> header_;
};

// True for well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
bool IsUtf8(std::string_view text);

// One line of CSV, fields quoted where needed. `guard` puts a quote before a field that a
// spreadsheet would take for a formula: one that begins with = + - @, a tab or a carriage return.
std::string CsvLine(const std::vector<std::string>& fields, bool guard);

}  // namespace relais::cli
