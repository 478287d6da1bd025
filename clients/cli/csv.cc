#include "clients/cli/csv.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace relais::cli {
namespace {

constexpr size_t kBufferBytes = 64 * 1024;

int NoSpace(unsigned char) { return 0; }

void AppendCodePoint(uint32_t c, std::string& out) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xE0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

// 0x80 to 0x9F of Windows-1252 (WHATWG encoding index); the others are as in ISO 8859-1.
constexpr uint16_t kWindows1252[32] = {
    0x20AC, 0x81,   0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x8D,   0x017D, 0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D,   0x017E, 0x0178};

std::string FromSingleByte(const std::string& text, bool windows) {
  std::string out;
  out.reserve(text.size());
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    AppendCodePoint(windows && byte >= 0x80 && byte < 0xA0 ? kWindows1252[byte - 0x80] : byte, out);
  }
  return out;
}

}  // namespace

bool IsUtf8(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    size_t extra = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    if (lead < 0xC2 || lead > 0xF4 || i + extra >= text.size()) return false;
    auto second = static_cast<unsigned char>(text[i + 1]);
    if (lead == 0xE0 && second < 0xA0) return false;
    if (lead == 0xED && second > 0x9F) return false;
    if (lead == 0xF0 && second < 0x90) return false;
    if (lead == 0xF4 && second > 0x8F) return false;
    for (size_t k = 1; k <= extra; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) return false;
    }
    i += extra + 1;
  }
  return true;
}

CsvReader::CsvReader(std::string path, CsvOptions options)
    : path_(std::move(path)), options_(std::move(options)), buffer_(kBufferBytes) {
  csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI);
  csv_set_delim(&parser_, static_cast<unsigned char>(options_.separator));
  csv_set_quote(&parser_, static_cast<unsigned char>(options_.quote));
  if (!options_.trim) csv_set_space_func(&parser_, &NoSpace);
}

CsvReader::~CsvReader() {
  csv_free(&parser_);
  if (file_ != nullptr) std::fclose(file_);
}

absl::StatusOr<std::unique_ptr<CsvReader>> CsvReader::Open(const std::string& path,
                                                           const CsvOptions& options) {
  std::unique_ptr<CsvReader> reader(new CsvReader(path, options));
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    return absl::NotFoundError(absl::StrCat(path, ": ", std::strerror(errno)));
  }
  // The file is read twice, first to check it whole.
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  }
  reader->file_ = std::fopen(path.c_str(), "rb");
  if (reader->file_ == nullptr) {
    return absl::NotFoundError(absl::StrCat(path, ": ", std::strerror(errno)));
  }
  absl::Status status = reader->ReadHeader();
  if (!status.ok()) return status;
  return reader;
}

absl::Status CsvReader::Broken(const std::string& what) const {
  return absl::InvalidArgumentError(absl::StrCat(path_, ":", record_line_, ": ", what));
}

absl::Status CsvReader::ReadHeader() {
  filled_ = std::fread(buffer_.data(), 1, buffer_.size(), file_);
  if (std::ferror(file_) != 0) return Broken("cannot be read");
  std::string_view start(buffer_.data(), filled_);
  if (start.empty()) return Broken("the file is empty");
  if (start.substr(0, 2) == "\xFF\xFE" || start.substr(0, 2) == "\xFE\xFF" ||
      start.substr(0, 2).find('\0') != std::string_view::npos) {
    return Broken("the file is UTF-16; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)");
  }
  if (start.substr(0, 3) == "\xEF\xBB\xBF") at_ = 3;

  if (!options_.columns.empty()) {
    header_ = options_.columns;
  } else {
    CsvRecord record;
    absl::StatusOr<bool> more = NextRaw(record);
    if (!more.ok()) return more.status();
    if (!*more) return Broken("the file is empty");
    Decode(record);
    if (!record.problem.empty()) return Broken(absl::StrCat("header: ", record.problem));
    header_ = std::move(record.fields);
  }
  if (header_.size() > kMaxColumns) {
    return Broken(absl::StrCat("header: more than ", kMaxColumns, " columns"));
  }
  std::unordered_set<std::string> seen;
  for (std::string& name : header_) {
    size_t from = name.find_first_not_of(" \t");
    name = from == std::string::npos ? std::string()
                                     : name.substr(from, name.find_last_not_of(" \t") - from + 1);
    if (name.empty()) return Broken("header: a column without a name");
    if (!seen.insert(name).second) {
      return Broken(absl::StrCat("header: two columns are named \"", name, "\""));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> CsvReader::Next(CsvRecord& record) {
  absl::StatusOr<bool> more = NextRaw(record);
  if (!more.ok() || !*more) return more;
  Decode(record);
  if (record.problem.empty() && record.fields.size() != header_.size()) {
    record.problem =
        absl::StrCat(record.fields.size(), " fields where the header has ", header_.size());
  }
  return true;
}

absl::StatusOr<bool> CsvReader::NextRaw(CsvRecord& record) {
  while (ready_.empty() && !ended_) {
    absl::Status status = Feed();
    if (!status.ok()) return status;
  }
  if (ready_.empty()) return false;
  record = std::move(ready_.front());
  ready_.pop_front();
  return true;
}

absl::Status CsvReader::Feed() {
  auto field = [](void* text, size_t size, void* self) {
    auto* reader = static_cast<CsvReader*>(self);
    reader->building_.fields.emplace_back(static_cast<const char*>(text), size);
  };
  auto row = [](int, void* self) {
    auto* reader = static_cast<CsvReader*>(self);
    reader->building_.line = reader->record_line_;
    reader->ready_.push_back(std::move(reader->building_));
    reader->building_ = CsvRecord();
    reader->record_bytes_ = 0;
  };

  if (at_ == filled_) {
    at_ = 0;
    filled_ = std::fread(buffer_.data(), 1, buffer_.size(), file_);
    if (std::ferror(file_) != 0) return Broken("cannot be read");
  }
  if (filled_ == 0) {
    ended_ = true;
    if (csv_fini(&parser_, field, row, this) != 0) {
      return Broken("the quote that opens in this record is never closed");
    }
    return absl::OkStatus();
  }
  // A line at a time, so that a record knows where it begins. 0 is libcsv's state between records.
  const char* from = buffer_.data() + at_;
  const void* newline = std::memchr(from, '\n', filled_ - at_);
  size_t size =
      newline == nullptr ? filled_ - at_ : static_cast<const char*>(newline) - from + size_t{1};
  if (parser_.pstate == 0) {
    record_line_ = line_;
    record_bytes_ = 0;
  }
  record_bytes_ += static_cast<int64_t>(size);
  if (csv_parse(&parser_, from, size, field, row, this) != size) {
    return Broken(csv_error(&parser_) == CSV_EPARSE
                      ? absl::StrCat("line ", line_,
                                     ": a quote stands inside an unquoted field, or "
                                     "text follows a closing quote")
                      : std::string(csv_strerror(csv_error(&parser_))));
  }
  at_ += size;
  if (newline != nullptr) ++line_;
  if (parser_.pstate != 0 && record_bytes_ > kMaxRecordBytes) {
    return Broken("the record is longer than 1 MiB; a quote is probably never closed");
  }
  return absl::OkStatus();
}

void CsvReader::Decode(CsvRecord& record) const {
  for (size_t i = 0; i < record.fields.size(); ++i) {
    std::string& text = record.fields[i];
    if (options_.encoding != Encoding::kUtf8) {
      text = FromSingleByte(text, options_.encoding == Encoding::kWindows1252);
    } else if (!IsUtf8(text)) {
      record.problem_field = i < header_.size() ? header_[i] : absl::StrCat("column ", i + 1);
      record.problem = "not valid UTF-8; say the file's encoding in the mapping (csv.encoding)";
    }
    if (text.find('\0') != std::string::npos) {
      record.problem_field = i < header_.size() ? header_[i] : absl::StrCat("column ", i + 1);
      record.problem = "contains a NUL byte";
    }
  }
}

std::string CsvLine(const std::vector<std::string>& fields, bool guard) {
  std::string out;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) out += ',';
    std::string text = fields[i];
    if (guard && !text.empty() &&
        std::string_view("=+-@\t\r").find(text[0]) != std::string_view::npos) {
      text.insert(text.begin(), '\'');
    }
    bool edge = !text.empty() && (text.front() == ' ' || text.front() == '\t' ||
                                  text.back() == ' ' || text.back() == '\t');
    if (!edge && text.find_first_of(",\"\r\n") == std::string::npos) {
      // A lone empty field would be a blank line, which readers skip.
      out += text.empty() && fields.size() == 1 ? "\"\"" : text;
      continue;
    }
    out += '"';
    for (char c : text) {
      if (c == '"') out += '"';
      out += c;
    }
    out += '"';
  }
  out += '\n';
  return out;
}

}  // namespace relais::cli
