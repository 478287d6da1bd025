#include "server/domain/filter_schema.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "server/domain/concat.h"
#include "server/domain/filter_text.h"

namespace relais::domain {
namespace {

bool IsWord(std::string_view word) {
  return !word.empty() && IsAsciiLower(word[0]) &&
         std::all_of(word.begin(), word.end(),
                     [](char c) { return c == '_' || IsAsciiLower(c) || IsAsciiDigit(c); });
}

// Levenshtein distance, one row at a time.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

// Longer paths are no typing mistake of any of ours; the limit also bounds the work.
constexpr size_t kLongestComparedPath = 64;  // bytes

}  // namespace

absl::Status FilterSchema::Add(FilterField field) {
  for (std::string_view word : SplitPath(field.path)) {
    if (!IsWord(word)) {
      return absl::InvalidArgumentError(Concat("not a path of lower_snake words: ", field.path));
    }
  }
  if (field.column.empty()) {
    field.column = field.path;
    std::replace(field.column.begin(), field.column.end(), '.', '_');
  }
  if (!IsWord(field.column)) {
    return absl::InvalidArgumentError(Concat("not a column name: ", field.column));
  }
  for (const std::string& member : field.members) {
    if (!IsWord(member)) {
      return absl::InvalidArgumentError(Concat("not a member name: ", member));
    }
  }
  if (field.type == FieldType::kBlob) {
    return absl::InvalidArgumentError(Concat("cannot be filtered: ", field.path));
  }
  if ((field.type == FieldType::kEnum) != (field.enumeration != nullptr)) {
    return absl::InvalidArgumentError(Concat("enum names missing or misplaced: ", field.path));
  }
  std::string path = field.path;
  auto [at, added] =
      fields_.emplace(std::move(path), std::make_shared<const FilterField>(std::move(field)));
  return added ? absl::OkStatus() : absl::AlreadyExistsError(at->first);
}

absl::Status FilterSchema::AddCollection(std::string name, FilterSchema schema,
                                         std::string_view time_path) {
  if (!IsWord(name) || !schema.collections_.empty()) {
    return absl::InvalidArgumentError(Concat("not a collection: ", name));
  }
  std::shared_ptr<const FilterField> time = schema.Find(time_path);
  if (time == nullptr || time->type != FieldType::kTime) {
    return absl::NotFoundError(Concat("no time field ", time_path, " in ", name));
  }
  auto collection = std::make_shared<const FilterCollection>(FilterCollection{
      name, std::make_shared<const FilterSchema>(std::move(schema)), std::move(time)});
  bool added = collections_.emplace(name, std::move(collection)).second;
  return added ? absl::OkStatus() : absl::AlreadyExistsError(name);
}

std::shared_ptr<const FilterField> FilterSchema::Find(std::string_view path) const {
  auto at = fields_.find(path);
  return at == fields_.end() ? nullptr : at->second;
}

std::shared_ptr<const FilterCollection> FilterSchema::FindCollection(std::string_view name) const {
  auto at = collections_.find(name);
  return at == collections_.end() ? nullptr : at->second;
}

std::vector<std::string> FilterSchema::collection_names() const {
  std::vector<std::string> names;
  for (const auto& [name, collection] : collections_) names.push_back(name);
  return names;
}

FilterSchema FilterSchema::WithoutPersonal() const {
  FilterSchema out;
  for (const auto& [path, field] : fields_) {
    if (!field->personal) out.fields_.emplace(path, field);
  }
  for (const auto& [name, collection] : collections_) {
    FilterCollection copy = *collection;
    copy.schema = std::make_shared<const FilterSchema>(collection->schema->WithoutPersonal());
    out.collections_.emplace(name, std::make_shared<const FilterCollection>(std::move(copy)));
  }
  return out;
}

std::vector<std::string> FilterSchema::CloseMatches(std::string_view path) const {
  if (path.empty() || path.size() > kLongestComparedPath) return {};
  std::string wanted = FilterFold(path);
  size_t typing = wanted.size() < 4 ? 1 : 2 + wanted.size() / 12;
  std::vector<std::pair<size_t, std::string>> near;
  auto consider = [&](const std::string& candidate) {
    size_t whole = Distance(wanted, candidate);
    if (whole <= typing) {
      near.emplace_back(whole, candidate);
      return;
    }
    // A word of the path by itself ("channel" for "acquisition.channel"), or its beginning.
    size_t best = typing + 1;
    for (std::string_view word : SplitPath(candidate)) {
      best = std::min(best, Distance(wanted, word));
    }
    bool begins = candidate.size() > wanted.size() && wanted.size() >= 3 &&
                  candidate.compare(0, wanted.size(), wanted) == 0;
    if (begins || best <= typing / 2) near.emplace_back(100 + best, candidate);
  };
  for (const auto& [name, field] : fields_) {
    consider(name);
    for (const std::string& member : field->members) consider(Concat(name, ".", member));
  }
  std::sort(near.begin(), near.end());
  if (near.size() > 3) near.resize(3);
  std::vector<std::string> out;
  for (auto& [distance, name] : near) out.push_back(std::move(name));
  return out;
}

}  // namespace relais::domain
