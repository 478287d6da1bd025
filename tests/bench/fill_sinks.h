// Ways into a database for very many rows: indexes, primary and foreign keys are taken away first
// where the engine lets them be, and made again at the end. Errors are std::runtime_errors.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/bench/template_rows.h"

namespace relais::bench {

class RowSink {
 public:
  virtual ~RowSink() = default;
  // Rows of a table, all with the columns of `model`; returns the number of the stream.
  virtual size_t Open(const TemplateRow& model) = 0;
  // The cells in the order of the columns; nullptr is NULL.
  virtual void Write(size_t stream, const std::vector<const std::string*>& cells) = 0;
  // Makes keys and indexes again, then runs `sql` and commits.
  virtual void Close(const std::string& sql) = 0;
};

std::unique_ptr<RowSink> PostgresSink(const std::string& dsn,
                                      const std::vector<std::string>& tables);
std::unique_ptr<RowSink> SqliteSink(const std::string& path,
                                    const std::vector<std::string>& tables);

// The first value of the first row of a query, as text.
std::string PostgresValue(const std::string& dsn, const std::string& sql);
std::string SqliteValue(const std::string& path, const std::string& sql);

}  // namespace relais::bench
