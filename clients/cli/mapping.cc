#include "clients/cli/mapping.h"

#include <google/protobuf/util/time_util.h>
#include <sys/stat.h>

#include <filesystem>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace relais::cli {
namespace {

namespace fs = std::filesystem;

absl::Status OnlyKeys(const YAML::Node& node, const std::string& path,
                      const std::set<std::string>& known) {
  if (!node.IsMap()) return MappingError(node, path, "expected keys and values");
  std::set<std::string> seen;
  for (const auto& entry : node) {
    const std::string& key = entry.first.Scalar();
    if (!known.contains(key)) {
      std::string list;
      for (const std::string& name : known) absl::StrAppend(&list, list.empty() ? "" : ", ", name);
      return MappingError(entry.first, path,
                          absl::StrCat("unknown key \"", key, "\"; there are: ", list));
    }
    if (!seen.insert(key).second) {
      return MappingError(entry.first, path, absl::StrCat("\"", key, "\" is given twice"));
    }
  }
  return absl::OkStatus();
}

absl::Status ReadCsvOptions(const YAML::Node& node, const std::string& path, CsvOptions& out) {
  if (!node) return absl::OkStatus();
  absl::Status status = OnlyKeys(node, path, {"separator", "quote", "encoding", "trim", "columns"});
  if (!status.ok()) return status;
  if (YAML::Node separator = node["separator"]) {
    std::string text =
        separator.Scalar() == "\\t" || separator.Scalar() == "tab" ? "\t" : separator.Scalar();
    if (text.size() != 1) return MappingError(separator, path, "a separator is one character");
    out.separator = text[0];
  }
  if (YAML::Node quote = node["quote"]) {
    if (quote.Scalar().size() != 1) return MappingError(quote, path, "a quote is one character");
    out.quote = quote.Scalar()[0];
  }
  if (YAML::Node trim = node["trim"]) {
    if (trim.Scalar() != "true" && trim.Scalar() != "false") {
      return MappingError(trim, path, "trim is true or false");
    }
    out.trim = trim.Scalar() == "true";
  }
  if (YAML::Node encoding = node["encoding"]) {
    const std::string& name = encoding.Scalar();
    if (name == "utf-8") {
      out.encoding = Encoding::kUtf8;
    } else if (name == "iso-8859-1" || name == "latin1") {
      out.encoding = Encoding::kLatin1;
    } else if (name == "windows-1252") {
      out.encoding = Encoding::kWindows1252;
    } else {
      return MappingError(encoding, path, "the encodings are utf-8, iso-8859-1, windows-1252");
    }
  }
  if (YAML::Node columns = node["columns"]) {
    if (!columns.IsSequence()) return MappingError(columns, path, "columns is a list of names");
    for (const YAML::Node& column : columns) out.columns.push_back(column.Scalar());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Condition>> ReadWhen(const YAML::Node& node, const Names& names,
                                                const std::string& path) {
  std::vector<Condition> out;
  if (!node) return out;
  auto add = [&](const YAML::Node& item) -> absl::Status {
    if (!item.IsScalar()) return MappingError(item, path, "a condition is a text");
    absl::StatusOr<Condition> condition = Condition::Compile(item.Scalar(), names);
    if (!condition.ok()) {
      return MappingError(item, path, std::string(condition.status().message()));
    }
    out.push_back(*std::move(condition));
    return absl::OkStatus();
  };
  if (!node.IsSequence()) {
    absl::Status status = add(node);
    if (!status.ok()) return status;
    return out;
  }
  for (const YAML::Node& item : node) {
    absl::Status status = add(item);
    if (!status.ok()) return status;
  }
  return out;
}

absl::StatusOr<Template> ReadTemplate(const YAML::Node& node, const Names& names,
                                      const std::string& path) {
  if (!node.IsScalar()) return MappingError(node, path, "expected a text");
  absl::StatusOr<Template> text = Template::Compile(node.Scalar(), names);
  if (!text.ok()) return MappingError(node, path, std::string(text.status().message()));
  return text;
}

absl::StatusOr<bool> AllHold(const std::vector<Condition>& conditions, const Scope& scope) {
  for (const Condition& condition : conditions) {
    absl::StatusOr<bool> holds = condition.Holds(scope);
    if (!holds.ok() || !*holds) return holds;
  }
  return true;
}

// Every ${name} of the file that can only be a column, and the bare left operands of conditions, so
// that all missing columns are named at once.
void CollectColumns(const YAML::Node& node, bool condition, std::set<std::string>& out) {
  if (node.IsScalar()) {
    const std::string& text = node.Scalar();
    if (condition && !text.starts_with("${")) {
      std::string name = text.substr(0, text.find_first_of(" =!<>"));
      if (!name.empty() && name.find('.') == std::string::npos) out.insert(name);
    }
    for (size_t at = text.find("${"); at != std::string::npos; at = text.find("${", at + 2)) {
      if (at > 0 && text[at - 1] == '$') continue;
      size_t end = text.find_first_of("|}", at);
      if (end == std::string::npos) return;
      std::string name = text.substr(at + 2, end - at - 2);
      if (!name.empty() && name.find('.') == std::string::npos) out.insert(name);
    }
    return;
  }
  for (const auto& child : node) {
    if (node.IsMap()) {
      CollectColumns(child.second, child.first.Scalar() == "when", out);
    } else {
      CollectColumns(child, condition, out);
    }
  }
}

}  // namespace

absl::StatusOr<MappingFile> ReadMappingFile(const std::string& path) {
  MappingFile file;
  file.path = path;
  try {
    file.root = YAML::LoadFile(path);
  } catch (const YAML::BadFile&) {
    return absl::NotFoundError(absl::StrCat(path, ": cannot be read"));
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": line ", error.mark.line + 1, ": ", error.msg));
  }
  absl::Status status = OnlyKeys(
      file.root, "", {"csv", "order", "constants", "maps", "tables", "unique", "warnings", "rows"});
  if (status.ok()) status = ReadCsvOptions(file.root["csv"], "csv", file.csv);
  if (status.ok() && file.root["order"]) {
    const std::string& order = file.root["order"].Scalar();
    if (order != "file" && order != "time") {
      status = MappingError(file.root["order"], "order", "order is file or time");
    }
    file.order_by_time = order == "time";
  }
  if (!status.ok())
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", std::string(status.message())));
  return file;
}

absl::Status Mapping::LoadTable(const YAML::Node& node, const MappingFile& file,
                                const std::string& data_path, const std::string& name,
                                Names& names) {
  std::string where = absl::StrCat("tables.", name);
  absl::Status status = OnlyKeys(node, where, {"file", "key", "by", "required", "aliases", "csv"});
  if (!status.ok()) return status;
  for (const char* key : {"file", "key", "by"}) {
    if (!node[key]) return MappingError(node, where, absl::StrCat("\"", key, "\" is missing"));
  }
  CsvOptions options;
  status = ReadCsvOptions(node["csv"], where + ".csv", options);
  if (!status.ok()) return status;
  fs::path wanted = node["file"].Scalar();
  fs::path path = fs::path(data_path).parent_path() / wanted;
  if (!fs::exists(path)) path = fs::path(file.path).parent_path() / wanted;
  absl::StatusOr<std::unique_ptr<CsvReader>> reader = CsvReader::Open(path.string(), options);
  if (!reader.ok()) {
    return MappingError(node["file"], where, std::string(reader.status().message()));
  }
  table_files_.push_back(path.string());

  Names::Table columns;
  columns.name = name;
  const std::vector<std::string>& header = (*reader)->header();
  for (size_t i = 0; i < header.size(); ++i) columns.columns[header[i]] = i;
  auto key = columns.columns.find(node["key"].Scalar());
  if (key == columns.columns.end()) {
    return MappingError(node["key"], where,
                        absl::StrCat("the table has no column \"", node["key"].Scalar(), "\""));
  }
  Table table;
  table.name = name;
  table.required = node["required"] && node["required"].Scalar() == "true";
  for (const auto& alias : node["aliases"]) {
    table.aliases[alias.first.Scalar()] = alias.second.Scalar();
  }
  CsvRecord record;
  while (true) {
    absl::StatusOr<bool> more = (*reader)->Next(record);
    if (!more.ok()) return more.status();
    if (!*more) break;
    if (!record.problem.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(path.string(), ":", record.line, ": ",
                                                     record.problem_field, " ", record.problem));
    }
    std::string value = record.fields[key->second];
    if (!table.rows.emplace(value, std::move(record.fields)).second) {
      return absl::InvalidArgumentError(absl::StrCat(
          path.string(), ":", record.line, ": the key of column ", key->first, " is there twice"));
    }
  }
  absl::StatusOr<Template> by = ReadTemplate(node["by"], names, where + ".by");
  if (!by.ok()) return by.status();
  table.by = *std::move(by);
  tables_.push_back(std::move(table));
  names.tables.push_back(std::move(columns));
  return absl::OkStatus();
}

absl::StatusOr<Mapping> Mapping::Compile(const MappingFile& file, const std::string& data_path,
                                         const std::vector<std::string>& header) {
  auto in_file = [&](const absl::Status& status) {
    return absl::Status(status.code(),
                        absl::StrCat(file.path, ": ", std::string(status.message())));
  };
  Mapping mapping;
  Names names;
  for (size_t i = 0; i < header.size(); ++i) names.columns[header[i]] = i;

  std::set<std::string> wanted;
  CollectColumns(file.root, false, wanted);
  std::string missing;
  for (const std::string& name : wanted) {
    if (!names.columns.contains(name)) absl::StrAppend(&missing, missing.empty() ? "" : ", ", name);
  }
  if (!missing.empty()) {
    std::string present;
    for (const std::string& name : header)
      absl::StrAppend(&present, present.empty() ? "" : ", ", name);
    return absl::InvalidArgumentError(
        absl::StrCat(data_path, ": columns that the mapping needs are missing: ", missing,
                     " (the file has: ", present, ")"));
  }

  names.constants["file.name"] = fs::path(data_path).filename().string();
  for (const auto& constant : file.root["constants"]) {
    names.constants["const." + constant.first.Scalar()] = constant.second.Scalar();
  }
  for (const auto& entry : file.root["maps"]) {
    ValueMap map;
    map.name = entry.first.Scalar();
    std::string where = "maps." + map.name;
    absl::Status status = OnlyKeys(entry.second, where, {"values", "otherwise"});
    if (status.ok() && (!entry.second["values"] || !entry.second["values"].IsMap())) {
      status = MappingError(entry.second, where, "\"values\" is missing");
    }
    if (!status.ok()) return in_file(status);
    for (const auto& value : entry.second["values"]) {
      map.values[value.first.Scalar()] = value.second.Scalar();
    }
    if (entry.second["otherwise"]) map.otherwise = entry.second["otherwise"].Scalar();
    names.maps[map.name] = std::move(map);
  }
  for (const auto& entry : file.root["tables"]) {
    absl::Status status =
        mapping.LoadTable(entry.second, file, data_path, entry.first.Scalar(), names);
    if (!status.ok()) return in_file(status);
  }
  if (YAML::Node unique = file.root["unique"]) {
    absl::StatusOr<Template> key = ReadTemplate(unique, names, "unique");
    if (!key.ok()) return in_file(key.status());
    mapping.unique_ = *std::move(key);
  }
  for (const YAML::Node& node : file.root["warnings"]) {
    absl::Status status = OnlyKeys(node, "warnings", {"when", "text"});
    if (!status.ok()) return in_file(status);
    absl::StatusOr<std::vector<Condition>> when = ReadWhen(node["when"], names, "warnings.when");
    if (!when.ok()) return in_file(when.status());
    if (!node["text"]) return in_file(MappingError(node, "warnings", "\"text\" is missing"));
    absl::StatusOr<Template> text = ReadTemplate(node["text"], names, "warnings.text");
    if (!text.ok()) return in_file(text.status());
    mapping.warnings_.push_back({*std::move(when), *std::move(text)});
  }

  if (!file.root["rows"] || !file.root["rows"].IsSequence() || file.root["rows"].size() == 0) {
    return in_file(absl::InvalidArgumentError("\"rows\" must list at least one row"));
  }
  const google::protobuf::OneofDescriptor* kinds =
      v1::ImportRow::descriptor()->FindOneofByName("content");
  for (const YAML::Node& node : file.root["rows"]) {
    absl::Status status = OnlyKeys(node, "rows", {"row", "when", "once_per", "fields"});
    if (!status.ok()) return in_file(status);
    Row row;
    std::string kind = node["row"] ? node["row"].Scalar() : "";
    std::string known;
    for (int i = 0; i < kinds->field_count(); ++i) {
      absl::StrAppend(&known, i == 0 ? "" : ", ", kinds->field(i)->name());
      if (kinds->field(i)->name() == kind) row.kind = kinds->field(i);
    }
    if (row.kind == nullptr) {
      return in_file(MappingError(node, "rows", absl::StrCat("\"row\" is one of: ", known)));
    }
    absl::StatusOr<std::vector<Condition>> when = ReadWhen(node["when"], names, kind + ".when");
    if (!when.ok()) return in_file(when.status());
    row.when = *std::move(when);
    if (YAML::Node once = node["once_per"]) {
      std::vector<YAML::Node> choices;
      for (const YAML::Node& choice : once) choices.push_back(choice);
      if (!once.IsSequence()) choices = {once};
      for (const YAML::Node& choice : choices) {
        absl::StatusOr<Template> key = ReadTemplate(choice, names, kind + ".once_per");
        if (!key.ok()) return in_file(key.status());
        row.once_per.push_back(*std::move(key));
      }
    }
    if (!node["fields"]) {
      return in_file(MappingError(node, kind, "\"fields\" is missing"));
    }
    absl::StatusOr<MessageTree> fields =
        MessageTree::Compile(node["fields"], row.kind->message_type(), names, kind);
    if (!fields.ok()) return in_file(fields.status());
    row.fields = *std::move(fields);
    mapping.rows_.push_back(std::move(row));
  }
  return mapping;
}

MappedRecord Mapping::Map(const CsvRecord& record) {
  MappedRecord out;
  auto reject = [&](std::string field, std::string reason) {
    out.rows.clear();
    out.rejects.push_back({std::move(field), std::move(reason)});
    return out;
  };
  if (!record.problem.empty()) return reject(record.problem_field, record.problem);

  std::vector<const std::vector<std::string>*> joined;
  Scope scope;
  scope.fields = &record.fields;
  scope.joined = &joined;
  scope.line = record.line;
  for (const Table& table : tables_) {
    absl::StatusOr<std::string> key = table.by->Evaluate(scope);
    if (!key.ok()) return reject(table.name, std::string(key.status().message()));
    auto alias = table.aliases.find(*key);
    if (alias != table.aliases.end()) *key = alias->second;
    auto found = table.rows.find(*key);
    joined.push_back(found == table.rows.end() ? nullptr : &found->second);
    if (joined.back() == nullptr && table.required && !key->empty()) {
      return reject(table.name, "the table has no row with this key");
    }
  }
  if (unique_.has_value()) {
    absl::StatusOr<std::string> key = unique_->Evaluate(scope);
    if (!key.ok()) return reject("", std::string(key.status().message()));
    auto [first, fresh] = unique_lines_.emplace(*key, record.line);
    if (!fresh) {
      return reject("", absl::StrCat("duplicate: the same key as line ", first->second));
    }
  }
  for (const Warning& warning : warnings_) {
    absl::StatusOr<bool> holds = AllHold(warning.when, scope);
    if (!holds.ok() || !*holds) continue;
    absl::StatusOr<std::string> text = warning.text.Evaluate(scope);
    if (text.ok()) out.warnings.push_back(*std::move(text));
  }
  // A key counts as seen only when its record was mapped whole.
  std::vector<std::pair<Row*, std::string>> seen;
  for (Row& row : rows_) {
    const std::string& kind = row.kind->name();
    absl::StatusOr<bool> holds = AllHold(row.when, scope);
    if (!holds.ok()) return reject(kind, std::string(holds.status().message()));
    if (!*holds) continue;
    std::string once;
    for (const Template& choice : row.once_per) {
      absl::StatusOr<std::string> key = choice.Evaluate(scope);
      if (!key.ok()) return reject(kind, std::string(key.status().message()));
      once = *std::move(key);
      if (!once.empty()) break;
    }
    if (!row.once_per.empty()) {
      if (row.seen.contains(once)) continue;
      seen.emplace_back(&row, std::move(once));
    }
    v1::ImportRow mapped;
    bool any = false;
    google::protobuf::Message* content = mapped.GetReflection()->MutableMessage(&mapped, row.kind);
    if (std::optional<Reject> wrong = row.fields->Fill(scope, *content, any)) {
      return reject(std::move(wrong->field), std::move(wrong->reason));
    }
    out.rows.push_back(std::move(mapped));
  }
  for (auto& [row, key] : seen) row->seen.insert(std::move(key));
  return out;
}

std::optional<int64_t> TimeOf(const v1::ImportRow& row) {
  auto micros = [](bool has, const google::protobuf::Timestamp& time) -> std::optional<int64_t> {
    if (!has) return std::nullopt;
    return google::protobuf::util::TimeUtil::TimestampToMicroseconds(time);
  };
  switch (row.content_case()) {
    case v1::ImportRow::kCapture:
      return micros(row.capture().touchpoint().has_occur_time(),
                    row.capture().touchpoint().occur_time());
    case v1::ImportRow::kTouchpoint:
      return micros(row.touchpoint().touchpoint().has_occur_time(),
                    row.touchpoint().touchpoint().occur_time());
    case v1::ImportRow::kQualification:
      if (row.qualification().has_occur_time()) {
        return micros(true, row.qualification().occur_time());
      }
      return micros(row.qualification().assessment().has_occur_time(),
                    row.qualification().assessment().occur_time());
    case v1::ImportRow::kOpportunity:
      return micros(row.opportunity().has_occur_time(), row.opportunity().occur_time());
    case v1::ImportRow::kClose:
      return micros(row.close().has_occur_time(), row.close().occur_time());
    default:
      return std::nullopt;
  }
}

}  // namespace relais::cli
