#include "clients/cli/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "clients/cli/test_files.h"

namespace relais::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CsvTest : public FilesTest {
 protected:
  // Reads a whole file; the error is kept aside.
  std::vector<CsvRecord> Read(const std::string& content, const CsvOptions& options = {}) {
    error_.clear();
    std::vector<CsvRecord> out;
    auto reader = CsvReader::Open(Write("file.csv", content), options);
    if (!reader.ok()) {
      error_ = std::string(reader.status().message());
      return out;
    }
    header_ = (*reader)->header();
    while (true) {
      CsvRecord record;
      auto more = (*reader)->Next(record);
      if (!more.ok()) {
        error_ = std::string(more.status().message());
        return out;
      }
      if (!*more) return out;
      out.push_back(std::move(record));
    }
  }

  std::string error_;
  std::vector<std::string> header_;
};

TEST_F(CsvTest, FieldsQuotesAndLineBreaksInsideQuotesAreRead) {
  auto records = Read("id,text\n1,\"a, b\"\n2,\"line\nbreak \"\"quoted\"\"\"\n3,\n");
  ASSERT_EQ(error_, "");
  ASSERT_EQ(records.size(), 3u);
  EXPECT_THAT(header_, ElementsAre("id", "text"));
  EXPECT_THAT(records[0].fields, ElementsAre("1", "a, b"));
  EXPECT_THAT(records[1].fields, ElementsAre("2", "line\nbreak \"quoted\""));
  EXPECT_THAT(records[2].fields, ElementsAre("3", ""));
}

TEST_F(CsvTest, LineNumbersCountLineBreaksInsideQuotesAndBlankLines) {
  auto records = Read("id,text\n1,\"a\nb\nc\"\n\n\n2,x\n3,y");
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].line, 2);
  EXPECT_EQ(records[1].line, 7);
  EXPECT_EQ(records[2].line, 8);
}

TEST_F(CsvTest, ByteOrderMarkAndWindowsLineEndsAreNoPartOfTheData) {
  auto records = Read("\xEF\xBB\xBFid,text\r\n1,a\r\n2,b\r\n");
  ASSERT_EQ(records.size(), 2u);
  EXPECT_THAT(header_, ElementsAre("id", "text"));
  EXPECT_THAT(records[1].fields, ElementsAre("2", "b"));
  EXPECT_EQ(records[1].line, 3);
}

TEST_F(CsvTest, SpacesAroundUnquotedFieldsAreTrimmedUnlessAskedOtherwise) {
  auto trimmed = Read("id, text\n1,  a b \n2,\" c \"\n");
  ASSERT_EQ(trimmed.size(), 2u);
  EXPECT_THAT(trimmed[0].fields, ElementsAre("1", "a b"));
  EXPECT_THAT(trimmed[1].fields, ElementsAre("2", " c "));
  CsvOptions exact;
  exact.trim = false;
  auto kept = Read("id,text\n1,  a b \n", exact);
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_THAT(kept[0].fields, ElementsAre("1", "  a b "));
}

TEST_F(CsvTest, OtherSeparatorsQuotesAndFilesWithoutHeaderAreRead) {
  CsvOptions options;
  options.separator = ';';
  options.quote = '\'';
  options.columns = {"id", "text"};
  auto records = Read("1;'a;b'\n", options);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_THAT(records[0].fields, ElementsAre("1", "a;b"));
  EXPECT_EQ(records[0].line, 1);
}

TEST_F(CsvTest, ARecordWithAnotherNumberOfFieldsSaysSoAndTheNextOnesAreRead) {
  auto records = Read("id,text\n1\n2,b,c\n3,d\n");
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0].problem, "1 fields where the header has 2");
  EXPECT_EQ(records[1].problem, "3 fields where the header has 2");
  EXPECT_EQ(records[2].problem, "");
}

TEST_F(CsvTest, BytesThatAreNotUtf8AreNamedWithTheirColumn) {
  auto records =
      Read("id,text\n1,caf\xE9\n2,caf\xC3\xA9\n3,\xED\xA0\x80\n4,\xC0\xAF\n5,\xF0\x9F\n");
  ASSERT_EQ(records.size(), 5u);
  for (size_t i : {0u, 2u, 3u, 4u}) {
    EXPECT_EQ(records[i].problem_field, "text") << i;
    EXPECT_THAT(records[i].problem, HasSubstr("not valid UTF-8")) << i;
  }
  EXPECT_EQ(records[1].problem, "");
}

TEST_F(CsvTest, SingleByteEncodingsAreTranslated) {
  CsvOptions options;
  options.encoding = Encoding::kLatin1;
  auto latin = Read("id,text\n1,caf\xE9\n", options);
  ASSERT_EQ(latin.size(), 1u);
  EXPECT_EQ(latin[0].fields[1], "caf\xC3\xA9");
  options.encoding = Encoding::kWindows1252;
  auto windows = Read("id,text\n1,5 \x80\n", options);
  ASSERT_EQ(windows.size(), 1u);
  EXPECT_EQ(windows[0].fields[1], "5 \xE2\x82\xAC");
}

TEST_F(CsvTest, Utf16IsRefusedWithAWayOut) {
  Read(std::string("\xFF\xFEi\0d\0", 6));
  EXPECT_THAT(error_, HasSubstr("UTF-16"));
  Read(std::string("i\0d\0", 4));
  EXPECT_THAT(error_, HasSubstr("UTF-16"));
}

TEST_F(CsvTest, NulBytesAreNamed) {
  auto records = Read(std::string("id,text\n1,a\0b\n2,c\n", 18));
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].problem, "contains a NUL byte");
  EXPECT_EQ(records[0].problem_field, "text");
}

TEST_F(CsvTest, AQuoteThatIsNeverClosedEndsTheFileWithTheLineItOpensOn) {
  auto records = Read("id,text\n1,a\n2,\"b\n3,c\n");
  EXPECT_EQ(records.size(), 1u);
  EXPECT_THAT(error_, HasSubstr(":3:"));
  EXPECT_THAT(error_, HasSubstr("never closed"));
}

TEST_F(CsvTest, AQuoteInsideAnUnquotedFieldEndsTheFileWithItsLine) {
  auto records = Read("id,text\n1,a\n2,5\" screen\n3,c\n");
  EXPECT_EQ(records.size(), 1u);
  EXPECT_THAT(error_, HasSubstr(":3:"));
}

TEST_F(CsvTest, ARecordOfMoreThanAMebibyteEndsTheFile) {
  Read("id,text\n1,\"" + std::string(3 << 20, 'x') + "\"\n");
  EXPECT_THAT(error_, HasSubstr("longer than 1 MiB"));
  std::string lines = "id,text\n1,\"";
  for (int i = 0; i < 300'000; ++i) lines += "yyyy\n";
  Read(lines + "\"\n");
  EXPECT_THAT(error_, HasSubstr("longer than 1 MiB"));
}

TEST_F(CsvTest, HeadersWithRepeatedOrEmptyNamesAndEmptyFilesAreRefused) {
  Read("id,text,id\n1,a,b\n");
  EXPECT_THAT(error_, HasSubstr("two columns are named \"id\""));
  Read("id,,text\n1,a,b\n");
  EXPECT_THAT(error_, HasSubstr("a column without a name"));
  Read("");
  EXPECT_THAT(error_, HasSubstr("empty"));
  Read("\xEF\xBB\xBF");
  EXPECT_THAT(error_, HasSubstr("empty"));
}

TEST_F(CsvTest, AFolderAndAMissingFileAreRefused) {
  EXPECT_EQ(CsvReader::Open("/", {}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CsvReader::Open("/nowhere/file.csv", {}).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(CsvTest, RecordsThatCrossTheReadBufferStayWhole) {
  std::string content = "id,text\n";
  for (int i = 0; i < 5000; ++i) {
    content += std::to_string(i) + ",\"" + std::string(static_cast<size_t>(i % 97), 'x') + "\n\"\n";
  }
  auto records = Read(content);
  ASSERT_EQ(error_, "");
  ASSERT_EQ(records.size(), 5000u);
  for (int i = 0; i < 5000; ++i) {
    const CsvRecord& record = records[static_cast<size_t>(i)];
    ASSERT_EQ(record.fields[0], std::to_string(i));
    ASSERT_EQ(record.fields[1].size(), static_cast<size_t>(i % 97) + 1);
    ASSERT_EQ(record.line, 2 + 2 * i);
  }
}

TEST(CsvLineTest, FormulasAreGuardedAndSpecialCharactersQuoted) {
  EXPECT_EQ(CsvLine({"=1+1", "+33612345678", "-5", "@x", "\tx", "a=b"}, true),
            "'=1+1,'+33612345678,'-5,'@x,'\tx,a=b\n");
  EXPECT_EQ(CsvLine({"\rx"}, true), "\"'\rx\"\n");
  EXPECT_EQ(CsvLine({"a,b", "c\"d", "e\nf", " g "}, true), "\"a,b\",\"c\"\"d\",\"e\nf\",\" g \"\n");
  EXPECT_EQ(CsvLine({"-5"}, false), "-5\n");
  EXPECT_EQ(CsvLine({""}, true), "\"\"\n");
  EXPECT_EQ(CsvLine({"", ""}, true), ",\n");
}

}  // namespace
}  // namespace relais::cli
