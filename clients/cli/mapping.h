// A mapping file: how the lines of a CSV file become rows of an import. MAPPING.md is its
// reference.
//
// ReadMappingFile reads what is needed to open the CSV file; Mapping::Compile binds the rest to the
// columns that the file turned out to have. A compiled Mapping remembers which lines it has seen
// (`unique`, `once_per`), so one object serves one pass over one file; it is not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "clients/cli/csv.h"
#include "clients/cli/expression.h"
#include "clients/cli/message_tree.h"
#include "relais/v1/import.pb.h"

namespace relais::cli {

struct MappingFile {
  std::string path;
  YAML::Node root;
  CsvOptions csv;
  bool order_by_time = false;  // rows are sent in the order of their times, not of the file
};

// NOT_FOUND, or INVALID_ARGUMENT with the line.
absl::StatusOr<MappingFile> ReadMappingFile(const std::string& path);

// What one record of the CSV file gives.
struct MappedRecord {
  std::vector<v1::ImportRow> rows;    // row numbers unset
  std::vector<Reject> rejects;        // not empty: the record is left out whole
  std::vector<std::string> warnings;  // it is imported as it is
};

class Mapping {
 public:
  // `data_path` is the CSV file: tables are looked for beside it, then beside the mapping file.
  // INVALID_ARGUMENT names every column that is missing, or what else is wrong and where.
  static absl::StatusOr<Mapping> Compile(const MappingFile& file, const std::string& data_path,
                                         const std::vector<std::string>& header);
  Mapping(Mapping&&) = default;
  Mapping& operator=(Mapping&&) = default;

  MappedRecord Map(const CsvRecord& record);

  // The files that the result depends on beside the CSV file and the mapping.
  const std::vector<std::string>& table_files() const { return table_files_; }

 private:
  struct Table {
    std::string name;
    bool required = false;
    std::optional<Template> by;
    std::unordered_map<std::string, std::string> aliases;
    std::unordered_map<std::string, std::vector<std::string>> rows;
  };
  struct Row {
    const google::protobuf::FieldDescriptor* kind = nullptr;
    std::vector<Condition> when;
    std::vector<Template> once_per;  // the first that is not empty; none: every line
    std::unordered_set<std::string> seen;
    std::optional<MessageTree> fields;
  };
  struct Warning {
    std::vector<Condition> when;
    Template text;
  };
  Mapping() = default;
  absl::Status LoadTable(const YAML::Node& node, const MappingFile& file,
                         const std::string& data_path, const std::string& name, Names& names);

  std::vector<Table> tables_;
  std::vector<std::string> table_files_;
  std::optional<Template> unique_;
  std::unordered_map<std::string, int64_t> unique_lines_;
  std::vector<Warning> warnings_;
  std::vector<Row> rows_;
};

// When the row happened, in microseconds since 1970; nullopt when it does not say.
std::optional<int64_t> TimeOf(const v1::ImportRow& row);

}  // namespace relais::cli
