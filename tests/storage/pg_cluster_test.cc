#include "tests/storage/pg_cluster.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace relais::testing {
namespace {

TEST(PgClusterTest, EveryDatabaseIsItsOwn) {
  PgCluster& cluster = PgCluster::Shared();
  std::string one = cluster.CreateDatabase();
  std::string two = cluster.CreateDatabase();
  ASSERT_NE(one, two);
  cluster.Execute(one, "CREATE TABLE kept (v text)");
  EXPECT_EQ(cluster.Execute(two, "SELECT count(*) FROM pg_tables WHERE tablename = 'kept'"), "0\n");
  cluster.DropDatabase(two);
  EXPECT_THROW(cluster.Execute(two, "SELECT 1"), std::runtime_error);
}

TEST(PgClusterTest, DurableSettingsAreOnAndTextSortsByLanguage) {
  PgCluster& cluster = PgCluster::Shared();
  EXPECT_EQ(cluster.Execute("postgres", "SHOW fsync"), "on\n");
  EXPECT_EQ(cluster.Execute("postgres", "SHOW synchronous_commit"), "on\n");
  EXPECT_EQ(cluster.Execute("postgres", "SHOW full_page_writes"), "on\n");
  EXPECT_EQ(cluster.Execute("postgres", "SELECT 'a' < 'B', 'a' COLLATE \"C\" < 'B'"), "t|f\n");
}

TEST(PgClusterTest, CommittedRowsSurviveACrash) {
  PgCluster& cluster = PgCluster::Shared();
  std::string db = cluster.CreateDatabase();
  cluster.Execute(db, "CREATE TABLE kept (v int); INSERT INTO kept VALUES (7)");
  cluster.Crash();
  EXPECT_THROW(cluster.Execute(db, "SELECT 1"), std::runtime_error);
  cluster.Start();
  EXPECT_EQ(cluster.Execute(db, "SELECT v FROM kept"), "7\n");
}

TEST(PgClusterTest, ErrorsOfTheServerAreThrown) {
  EXPECT_THROW(PgCluster::Shared().Execute("postgres", "SELECT nothing_of_that_name"),
               std::runtime_error);
}

}  // namespace
}  // namespace relais::testing
