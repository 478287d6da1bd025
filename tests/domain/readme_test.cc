// The README's picture of the lifecycle is the one that the server's table draws.

#include <fstream>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/domain/lifecycle.h"

namespace relais::domain {
namespace {

TEST(ReadmeTest, ShowsTheLifecycleAsTheTableDrawsIt) {
  std::ifstream file(RELAIS_README);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_THAT(text.str(), ::testing::HasSubstr(LifecycleDiagram()));
}

}  // namespace
}  // namespace relais::domain
