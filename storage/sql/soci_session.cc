#include "storage/sql/soci_session.h"

#include <iterator>
#include <variant>

#include "server/domain/concat.h"
#include "server/domain/status_macros.h"

namespace relais::storage {
namespace {

constexpr size_t kExcerptBytes = 80;

ColumnType ShapeOf(const Cell& cell) {
  return std::holds_alternative<int64_t>(cell) ? ColumnType::kInteger : ColumnType::kText;
}

}  // namespace

absl::Status SociSession::QueryEach(std::string_view sql, absl::Span<const Cell> params,
                                    absl::Span<const ColumnType> types, const RowVisitor& visit) {
  return Run(sql, params, types, &visit).status();
}

absl::StatusOr<int64_t> SociSession::Execute(std::string_view sql, absl::Span<const Cell> params) {
  return Run(sql, params, {}, nullptr);
}

absl::StatusOr<int64_t> SociSession::Run(std::string_view sql, absl::Span<const Cell> params,
                                         absl::Span<const ColumnType> types,
                                         const RowVisitor* visit) {
  RETURN_IF_ERROR(transaction_.Usable());
  int64_t affected = 0;
  Row row;
  RETURN_IF_ERROR(Fenced(sql, [&] {
    std::vector<ColumnType> shapes;
    shapes.reserve(params.size());
    for (const Cell& cell : params) shapes.push_back(ShapeOf(cell));
    Prepared& prepared = Find(sql, shapes, types);
    for (size_t i = 0; i < params.size(); ++i) Set(prepared.params[i], params[i]);
    soci::statement& statement = *prepared.statement;
    try {
      bool more = statement.execute(true);
      affected = statement.get_affected_rows();
      // To the end, always: SQLite keeps a statement with rows left open, and COMMIT then fails.
      while (more && !prepared.results.empty()) {
        if (visit != nullptr) {
          row.clear();
          row.reserve(prepared.results.size());
          for (Slot& slot : prepared.results) row.push_back(Take(slot));
          (*visit)(row);
        }
        more = statement.fetch();
      }
    } catch (...) {
      spoiled_ = statements_.begin();
      Release(statement);
      throw;
    }
    Release(statement);
  }));
  return affected;
}

absl::Status SociSession::RunEach(std::string_view sql, absl::Span<const ColumnType> types,
                                  absl::Span<const std::vector<const Cell*>> sets,
                                  const absl::Status& short_count) {
  RETURN_IF_ERROR(transaction_.Usable());
  bool all = true;
  RETURN_IF_ERROR(Fenced(sql, [&] {
    Prepared& prepared = Find(sql, types, {});
    soci::statement& statement = *prepared.statement;
    try {
      for (const std::vector<const Cell*>& set : sets) {
        for (size_t i = 0; i < set.size(); ++i) Set(prepared.params[i], *set[i]);
        statement.execute(true);
        if (statement.get_affected_rows() != 1) {
          all = false;
          break;
        }
      }
    } catch (...) {
      spoiled_ = statements_.begin();
      Release(statement);
      throw;
    }
    Release(statement);
  }));
  return all ? absl::OkStatus() : transaction_.Fail(short_count);
}

template <class Body>
absl::Status SociSession::Fenced(std::string_view sql, Body body) {
  try {
    body();
    return absl::OkStatus();
  } catch (const std::exception& error) {
    return transaction_.Fail(Translate(&error, sql));
  } catch (...) {
    return transaction_.Fail(Translate(nullptr, sql));
  }
}

SociSession::Prepared& SociSession::Find(std::string_view sql, absl::Span<const ColumnType> params,
                                         absl::Span<const ColumnType> results) {
  // The shapes are part of the key, because a binding has one type for good.
  std::string key(sql);
  key.push_back('\0');
  for (ColumnType type : params) key.push_back(type == ColumnType::kInteger ? 'i' : 't');
  key.push_back('\0');
  for (ColumnType type : results) key.push_back(type == ColumnType::kInteger ? 'i' : 't');
  if (auto found = by_key_.find(key); found != by_key_.end()) {
    statements_.splice(statements_.begin(), statements_, found->second);
    return statements_.front();
  }

  std::list<Prepared> fresh(1);
  Prepared& prepared = fresh.front();
  prepared.key = std::move(key);
  prepared.params.resize(params.size());
  prepared.results.resize(results.size());
  prepared.statement = std::make_unique<soci::statement>(*soci_);
  for (size_t i = 0; i < params.size(); ++i) {
    Slot& slot = prepared.params[i];
    slot.type = params[i];
    std::string name = Concat("p", i + 1);
    if (slot.type == ColumnType::kInteger) {
      prepared.statement->exchange(soci::use(slot.number, slot.indicator, name));
    } else {
      prepared.statement->exchange(soci::use(slot.text, slot.indicator, name));
    }
  }
  for (size_t i = 0; i < results.size(); ++i) {
    Slot& slot = prepared.results[i];
    slot.type = results[i];
    if (slot.type == ColumnType::kInteger) {
      prepared.statement->exchange(soci::into(slot.number, slot.indicator));
    } else {
      prepared.statement->exchange(soci::into(slot.text, slot.indicator));
    }
  }
  prepared.statement->alloc();
  prepared.statement->prepare(std::string(sql));
  prepared.statement->define_and_bind();

  if (statements_.size() >= kStatementCacheSize) {
    Drop(std::prev(statements_.end()));
  }
  statements_.splice(statements_.begin(), fresh);
  by_key_.emplace(statements_.front().key, statements_.begin());
  return statements_.front();
}

void SociSession::Set(Slot& slot, const Cell& cell) {
  slot.indicator = soci::i_ok;
  if (const int64_t* number = std::get_if<int64_t>(&cell)) {
    if (slot.type == ColumnType::kInteger) {
      slot.number = *number;
    } else {
      slot.text = Concat(*number);
    }
  } else if (const std::string* text = std::get_if<std::string>(&cell)) {
    if (slot.type == ColumnType::kInteger) throw soci::soci_error("text for an integer column");
    // The edge refuses NUL; SOCI would cut the text here on one engine and keep it on the other.
    if (text->find('\0') != std::string::npos) throw soci::soci_error("text with a NUL");
    slot.text = *text;
  } else {
    slot.indicator = soci::i_null;
  }
}

Cell SociSession::Take(Slot& slot) {
  if (slot.indicator == soci::i_null) return {};
  if (slot.type == ColumnType::kInteger) return int64_t{slot.number};
  return std::move(slot.text);
}

void SociSession::Closed() {
  transaction_.Closed();
  // On a session that is lost, closing a statement could wait for a server that is not there.
  if (spoiled_.has_value() && healthy()) {
    Drop(*spoiled_);
    spoiled_.reset();
  }
}

void SociSession::Drop(std::list<Prepared>::iterator prepared) {
  by_key_.erase(prepared->key);
  statements_.erase(prepared);
}

void SociSession::DropStatements() {
  spoiled_.reset();
  by_key_.clear();
  statements_.clear();
}

std::string Excerpt(std::string_view sql) {
  sql = sql.substr(0, sql.find('\''));
  return std::string(sql.substr(0, kExcerptBytes));
}

std::string Placeholder(size_t number) { return Concat(":p", number); }

}  // namespace relais::storage
