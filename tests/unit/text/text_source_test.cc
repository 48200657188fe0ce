#include "checkpoint/text/text_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/unit/text/text_files.h"

namespace tern {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> Texts(const std::vector<std::string>& files,
                               const std::string& field = "text") {
  const auto documents = ReadDocuments(files, field);
  EXPECT_TRUE(documents.ok()) << documents.status();
  std::vector<std::string> texts;
  for (const TextDocument& document : *documents) texts.push_back(document.text);
  return texts;
}

std::string Error(const std::vector<std::string>& files) {
  const absl::Status status = ReadDocuments(files, "text").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  return std::string(status.message());
}

TEST(ReadDocumentsTest, ATextFileIsOneDocument) {
  const TempDir dir;
  const std::string a = Put(dir, "a.txt", "one\ntwo\n");
  const std::string b = Put(dir, "b.md", "three");
  EXPECT_THAT(Texts({a, b}), ElementsAre("one\ntwo\n", "three"));
}

TEST(ReadDocumentsTest, ALeadingByteOrderMarkIsDropped) {
  const TempDir dir;
  EXPECT_THAT(Texts({Put(dir, "a.txt", "\xEF\xBB\xBFone")}), ElementsAre("one"));
  EXPECT_THAT(Error({Put(dir, "b.txt", "\xEF\xBB\xBF")}), HasSubstr("empty"));
}

TEST(ReadDocumentsTest, ALineOfJsonIsADocument) {
  const TempDir dir;
  const std::string file = Put(dir, "a.jsonl",
                               "{\"text\":\"one\\n\",\"url\":1}\r\n\n{\"text\":\"\"}\n"
                               "{\"body\":\"x\",\"text\":\"tw\\u00f6\"}");
  EXPECT_THAT(Texts({file}), ElementsAre("one\n", "twö"));
  const auto documents = ReadDocuments({{file}}, "text");
  EXPECT_EQ((*documents)[0].line, 1);
  EXPECT_EQ((*documents)[1].line, 4);
}

TEST(ReadDocumentsTest, TheTextFieldCanBeNamed) {
  const TempDir dir;
  EXPECT_THAT(Texts({Put(dir, "a.JSONL", "{\"body\":\"one\",\"text\":3}")}, "body"),
              ElementsAre("one"));
}

TEST(ReadDocumentsTest, ErrorsInLinesNameFileAndLine) {
  const TempDir dir;
  const std::string good = "{\"text\":\"a\"}\n";
  const auto message = [&](const std::string& line) {
    return Error({Put(dir, "a.jsonl", good + line)});
  };
  EXPECT_THAT(message("{\"body\":\"a\"}"), HasSubstr("a.jsonl: line 2: no field \"text\""));
  EXPECT_THAT(message("{\"text\":3}"), HasSubstr("line 2: field \"text\" is not a string"));
  EXPECT_THAT(message("[1]"), HasSubstr("a.jsonl: line 2: "));
  EXPECT_THAT(message("{\"text\":\"a"), HasSubstr("line 2: not valid JSON"));
  EXPECT_THAT(message("{\"text\":\"\xFF\"}"), HasSubstr("line 2: not valid JSON"));
  EXPECT_THAT(message(std::string(1000, '[')), HasSubstr("line 2: "));
}

TEST(ReadDocumentsTest, FilesWithoutTextAreRefused) {
  const TempDir dir;
  EXPECT_THAT(Error({}), HasSubstr("no text file"));
  EXPECT_THAT(Error({Put(dir, "a.txt", "")}), HasSubstr("a.txt: the file is empty"));
  EXPECT_THAT(Error({Put(dir, "b.jsonl", "\n{\"text\":\"\"}\n")}), HasSubstr("no line has text"));
}

TEST(ReadDocumentsTest, TextThatIsNotUtf8IsRefusedWithItsPlace) {
  const TempDir dir;
  EXPECT_THAT(Error({Put(dir, "a.txt", "abc\xC3(")}), HasSubstr("a.txt: not UTF-8 text at byte 3"));
}

TEST(ReadDocumentsTest, TooManyDocumentsAreRefused) {
  const TempDir dir;
  std::string lines;
  for (size_t i = 0; i <= kMaxDocuments; ++i) lines += "{\"\":\"a\"}\n";
  const absl::Status status = ReadDocuments({{Put(dir, "a.jsonl", lines)}}, "").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("more than 1048576 documents"));
}

TEST(ReadDocumentsTest, AVeryLongLineIsRefused) {
  const TempDir dir;
  const std::string around = R"({"text":""})";
  const std::string longest =
      R"({"text":")" + std::string(kMaxLineBytes - around.size(), 'a') + "\"}";
  EXPECT_EQ(Texts({Put(dir, "a.jsonl", longest)}).size(), 1u);
  EXPECT_THAT(Error({Put(dir, "b.jsonl", "\n" + longest + " \n{" + longest)}),
              HasSubstr("b.jsonl: line 3: 8388609 bytes; a line may have 8388608"));
}

// As one that is cut while it is read: a page by its size, and less when it is read.
TEST(ReadDocumentsTest, ATextThatIsShorterThanItsSizeIsAnError) {
  const std::string file = "/sys/kernel/mm/transparent_hugepage/enabled";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "needs " << file;
  const absl::Status status = ReadDocuments({{file}}, "text").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("enabled: ends at byte"));
}

TEST(ReadDocumentsTest, AMissingFileIsNotFound) {
  EXPECT_EQ(ReadDocuments({{"/no/such/file.txt"}}, "text").status().code(),
            absl::StatusCode::kNotFound);
}

TEST(ReadDocumentsTest, MoreThanTheLargestTextIsRefused) {
  const TempDir dir;
  const std::string half = Put(dir, "a.txt", std::string(kMaxTextBytes / 2, 'a'));
  const std::string more = Put(dir, "b.txt", std::string(kMaxTextBytes / 2 + 1, 'b'));
  EXPECT_THAT(Error({half, more}), HasSubstr("b.txt: with this file the text has 67108865 bytes"));
}

TEST(ReadTokenIdsTest, BothIntegerWidthsAreRead) {
  const TempDir dir;
  const std::vector<int32_t> ids = {1, 2, 3, 4, 5, 6};
  const auto narrow =
      ReadTokenIds(PutTensor(dir, "a.safetensors", "input_ids", "I32", "[2,3]", ids));
  ASSERT_TRUE(narrow.ok()) << narrow.status();
  EXPECT_EQ(narrow->ids, ids);
  EXPECT_EQ(narrow->windows, 2);
  EXPECT_EQ(narrow->length, 3);
  const std::vector<int64_t> wide_ids(ids.begin(), ids.end());
  const auto wide =
      ReadTokenIds(PutTensor(dir, "b.safetensors", "input_ids", "I64", "[2,3]", wide_ids));
  ASSERT_TRUE(wide.ok()) << wide.status();
  EXPECT_EQ(wide->ids, ids);
}

TEST(ReadTokenIdsTest, IdsOfManyPiecesAreReadInOrder) {
  const TempDir dir;
  std::vector<int32_t> ids(300'001);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i);
  const auto windows =
      ReadTokenIds(PutTensor(dir, "a.safetensors", "input_ids", "I32", "[1,300001]", ids));
  ASSERT_TRUE(windows.ok()) << windows.status();
  EXPECT_EQ(windows->ids, ids);
}

TEST(ReadTokenIdsTest, OtherTensorsAreRefused) {
  const TempDir dir;
  const auto error = [&](const std::string& name, const std::string& dtype,
                         const std::string& shape, const std::vector<int64_t>& values) {
    const auto status =
        ReadTokenIds(PutTensor(dir, "a.safetensors", name, dtype, shape, values)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(error("ids", "I64", "[1,2]", {1, 2}), HasSubstr("no tensor input_ids"));
  EXPECT_THAT(error("input_ids", "F64", "[1,2]", {1, 2}), HasSubstr("dtype is F64"));
  EXPECT_THAT(error("input_ids", "I64", "[2]", {1, 2}), HasSubstr("shape [2]"));
  EXPECT_THAT(error("input_ids", "I64", "[0,2]", {}), HasSubstr("shape [0,2]"));
  EXPECT_THAT(error("input_ids", "I64", "[1,2]", {1, int64_t{1} << 40}),
              HasSubstr("1099511627776 is not a token id"));
}

}  // namespace
}  // namespace tern
