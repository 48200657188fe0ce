#include "checkpoint/safetensors_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <string>

#include "checkpoint/atomic_file.h"
#include "checkpoint/readable_file.h"
#include "checkpoint/safetensors_header.h"
#include "checkpoint/safetensors_layout.h"
#include "tests/shared_data.h"
#include "tests/temp_dir.h"
#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string WithLength(uint64_t length, const std::string& rest) {
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + rest;
}

std::string File(const std::string& header, size_t data_bytes) {
  return WithLength(header.size(), header + std::string(data_bytes, '\x01'));
}

std::span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

auto ParseFile(const std::string& file) { return SafetensorsReader::Parse(Bytes(file), "x"); }

// Expects a file with this header and data to be refused with a message that holds `message`.
void ExpectRefused(const std::string& header, size_t data_bytes, const std::string& message) {
  EXPECT_THAT(
      ParseFile(File(header, data_bytes)),
      IsError(absl::StatusCode::kInvalidArgument, AllOf(HasSubstr("x: "), HasSubstr(message))))
      << header;
}

constexpr char kTwoTensors[] = R"({"__metadata__":{"format":"pt"},)"
                               R"("b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]},)"
                               R"("a":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]}})";

TEST(SafetensorsReaderTest, GivesTensorsByName) {
  const std::string file = File(kTwoTensors, 11);
  const auto reader = ParseFile(file);
  ASSERT_THAT(reader, IsOk());
  const auto a = (*reader)->Get("a");
  ASSERT_THAT(a, IsOk());
  EXPECT_EQ(a->dtype, DType::kF16);
  EXPECT_THAT(a->shape, ElementsAre(2, 2));
  EXPECT_EQ(a->elements(), 4);
  EXPECT_EQ(a->bytes.size(), 8U);
  EXPECT_TRUE((*reader)->Has("b"));
  EXPECT_EQ((*reader)->data_bytes(), 11);
}

TEST(SafetensorsReaderTest, AMissingTensorIsNotFoundWithTheFile) {
  const std::string file = File(kTwoTensors, 11);
  EXPECT_THAT((*ParseFile(file))->Get("c"),
              IsError(absl::StatusCode::kNotFound, HasSubstr("x: no tensor \"c\"")));
}

TEST(SafetensorsReaderTest, ScalarsEmptyTensorsAndTrailingSpacesAreValid) {
  const std::string file = File(R"({"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
                                R"("e":{"dtype":"F32","shape":[0,7],"data_offsets":[4,4]}}   )",
                                4);
  const auto reader = ParseFile(file);
  ASSERT_THAT(reader, IsOk());
  EXPECT_EQ((*reader)->Get("s")->elements(), 1);
  EXPECT_EQ((*reader)->Get("e")->elements(), 0);
}

TEST(SafetensorsReaderTest, AFileOfNoTensorsIsValid) {
  EXPECT_THAT(ParseFile(File("{}", 0)), IsOk());
}

TEST(SafetensorsReaderTest, ReadsTheDemoModel) {
  const auto reader = SafetensorsReader::Open(DataPath("demo-llama/model.safetensors"));
  ASSERT_THAT(reader, IsOk());
  const auto embedding = (*reader)->Get("model.embed_tokens.weight");
  ASSERT_THAT(embedding, IsOk());
  EXPECT_EQ(embedding->dtype, DType::kBF16);
  EXPECT_THAT(embedding->shape, ElementsAre(2048, 192));
}

TEST(SafetensorsReaderTest, AMissingFileIsNotFound) {
  EXPECT_THAT(SafetensorsReader::Open("/nonexistent/x.safetensors"),
              IsError(absl::StatusCode::kNotFound, HasSubstr("/nonexistent/x.safetensors")));
}

TEST(SafetensorsReaderTest, AnEmptyFileIsRefused) {
  const TempDir folder;
  ASSERT_THAT(WriteFileAtomically(folder.File("x"), ""), IsOk());
  EXPECT_THAT(SafetensorsReader::Open(folder.File("x")),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("0 bytes, too short")));
}

TEST(SafetensorsReaderTest, EveryTruncationIsRefused) {
  const std::string file = File(kTwoTensors, 11);
  for (size_t size = 0; size < file.size(); ++size) {
    ASSERT_THAT(ParseFile(file.substr(0, size)),
                IsError(absl::StatusCode::kInvalidArgument, HasSubstr("x: ")))
        << size;
  }
}

TEST(SafetensorsReaderTest, AHeaderLengthOf2To63IsRefused) {
  EXPECT_THAT(ParseFile(WithLength(uint64_t{1} << 63, "{}")),
              IsError(absl::StatusCode::kInvalidArgument,
                      HasSubstr("header length 9223372036854775808 is over the limit")));
  EXPECT_THAT(ParseFile(WithLength(~uint64_t{0}, "{}")),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("over the limit")));
}

TEST(SafetensorsReaderTest, AHeaderOver100MegabytesIsRefused) {
  const std::string file = WithLength(100'000'001, std::string(100'000'001, ' '));
  EXPECT_THAT(ParseFile(file), IsError(absl::StatusCode::kInvalidArgument,
                                       HasSubstr("100000001 is over the limit")));
}

TEST(SafetensorsReaderTest, AHeaderPastTheEndIsRefused) {
  EXPECT_THAT(ParseFile(WithLength(1000, "{}")),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("only 2 bytes follow")));
}

TEST(SafetensorsReaderTest, AHeaderThatIsNotJsonIsRefused) {
  ExpectRefused("", 0, "does not begin with {");
  ExpectRefused("hello", 0, "does not begin with {");
  ExpectRefused("[]", 0, "does not begin with {");
  ExpectRefused("\xef\xbb\xbf{}", 0, "does not begin with {");
  ExpectRefused("{", 0, "not valid JSON");
  ExpectRefused("{} {}", 0, "not valid JSON");
  ExpectRefused("{\"a\xff\":1}", 0, "not valid JSON");
  ExpectRefused(std::string("{}\0x", 4), 0, "contains a NUL byte");
}

TEST(SafetensorsReaderTest, DeepNestingIsRefusedAtItsFirstLevel) {
  ExpectRefused(R"({"a":)" + std::string(1'000'000, '['), 0, "an object is expected");
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += R"({"a":)";
  ExpectRefused(objects, 0, "unknown field \"a\"");
  ExpectRefused(R"({"a":{"shape":)" + std::string(1000, '['), 0,
                "an array of whole numbers is expected, not an array");
}

TEST(SafetensorsReaderTest, TooManyTensorsAreRefused) {
  std::string header = "{";
  for (size_t i = 0; i <= kMaxTensors; ++i) {
    header += (i == 0 ? "\"" : ",\"") + std::to_string(i) +
              R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  }
  ExpectRefused(header + "}", 0, "more than 262144 tensors");
}

TEST(SafetensorsReaderTest, TooMuchMetadataIsRefused) {
  const auto with_entries = [](size_t entries) {
    std::string header = R"({"__metadata__":{)";
    for (size_t i = 0; i < entries; ++i) {
      header += (i == 0 ? "\"" : ",\"") + std::to_string(i) + R"(":"")";
    }
    return header + "}}";
  };
  EXPECT_THAT(ParseFile(File(with_entries(kMaxMetadataEntries), 0)), IsOk());
  ExpectRefused(with_entries(kMaxMetadataEntries + 1), 0, "__metadata__: more than 4096 entries");
  ExpectRefused(R"({"__metadata__":{")" + std::string(2000, 'n') + R"(":""}})", 0,
                "name of more than 1024 bytes");
}

TEST(SafetensorsReaderTest, AFileThatIsCutBeforeItsHeaderIsReadIsAnError) {
  const TempDir folder;
  ASSERT_THAT(WriteFileAtomically(folder.File("x"), File(kTwoTensors, 11)), IsOk());
  const auto file = ReadableFile::Open(folder.File("x"));
  ASSERT_THAT(file, IsOk());
  std::filesystem::resize_file(folder.File("x"), 20);
  EXPECT_THAT(ReadSafetensorsLayout(**file),
              IsError(absl::StatusCode::kDataLoss, HasSubstr("x: ends at byte 20")));
}

TEST(SafetensorsReaderTest, TooManyDimensionsAreRefused) {
  std::string shape = "1";
  for (size_t i = 0; i < kMaxDimensions; ++i) shape += ",1";
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[)" + shape + R"(],"data_offsets":[0,1]}})", 1,
                "more than 64 dimensions");
}

TEST(SafetensorsReaderTest, AVeryLongNameIsRefused) {
  ExpectRefused("{\"" + std::string(2000, 'n') + R"(":{}})", 0, "name of more than 1024 bytes");
}

TEST(SafetensorsReaderTest, OverlappingTensorsAreRefused) {
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                R"("b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
                6, "tensor \"b\": its bytes overlap those of \"a\"");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                R"("b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
                4, "overlap");
}

TEST(SafetensorsReaderTest, AHoleIsRefused) {
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                R"("b":{"dtype":"U8","shape":[4],"data_offsets":[6,10]}})",
                10, "tensor \"b\": a hole of 2 bytes before its data");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[1,5]}})", 5, "a hole of 1");
}

TEST(SafetensorsReaderTest, TrailingBytesAreRefused) {
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 7,
                "3 bytes after the last tensor");
  ExpectRefused("{}", 1, "1 bytes after the last tensor");
}

TEST(SafetensorsReaderTest, AShapeWhoseProductOverflowsIsRefused) {
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0,
                "[4294967296,4294967296] is too large");
  // 2^61 elements fit int64, their bytes do not.
  ExpectRefused(R"({"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}})", 0,
                "too large");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,1]}})", 1,
                "too large");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[184467440737095516160],"data_offsets":[0,1]}})", 1,
                "whole numbers");
}

TEST(SafetensorsReaderTest, AShapeThatDoesNotFillItsRangeIsRefused) {
  ExpectRefused(R"({"a":{"dtype":"F16","shape":[2,2],"data_offsets":[0,7]}})", 7,
                "shape [2,2] of F16 is 8 bytes but data_offsets hold 7");
}

TEST(SafetensorsReaderTest, OffsetsPastTheEndOrBackwardsAreRefused) {
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}})", 8,
                "the file has 8 bytes of data: truncated?");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[8,4]}})", 8, "run backwards");
  ExpectRefused(
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[18446744073709551615,18446744073709551615]}})",
      8, "the file has 8 bytes");
}

TEST(SafetensorsReaderTest, AnUnknownDtypeIsRefusedWithThoseKnown) {
  ExpectRefused(R"({"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}})", 1,
                "unknown dtype \"F4\"; known are BOOL, U8, I8");
}

TEST(SafetensorsReaderTest, DuplicateNamesAreRefused) {
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                R"("a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})",
                8, "tensor \"a\": described twice");
  ExpectRefused(R"({"a":{"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 4,
                "dtype twice");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[4],"shape":[4],"data_offsets":[0,4]}})", 4,
                "shape twice");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"data_offsets":[0,4]}})", 4,
                "data_offsets twice");
  ExpectRefused(R"({"__metadata__":{},"__metadata__":{}})", 0, "__metadata__ twice");
  ExpectRefused(R"({"__metadata__":{"a":"1","a":"2"}})", 0, "__metadata__: \"a\" twice");
}

TEST(SafetensorsReaderTest, FieldsThatAreMissingUnknownOrOfTheWrongTypeAreRefused) {
  ExpectRefused(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1, "tensor \"a\": no dtype");
  ExpectRefused(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1, "tensor \"a\": no shape");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[1]}})", 1, "data_offsets must be two numbers");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", 1, "two numbers");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}})", 1, "more than two");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})", 1,
                "unknown field \"x\"");
  ExpectRefused(R"({"a":{"dtype":8,"shape":[1],"data_offsets":[0,1]}})", 1,
                "dtype: a string is expected");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}})", 1, "shape: an array");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", 1, "the number -1");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}})", 1, "the number 1.5");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}})", 1, "not a string");
  ExpectRefused(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,null]}})", 1, "not null");
  ExpectRefused(R"({"a":7})", 0, "tensor \"a\": an object is expected, not a number");
  ExpectRefused(R"({"__metadata__":{"a":1}})", 0, "a string is expected, not a number");
  ExpectRefused(R"({"__metadata__":[]})", 0, "an object is expected");
}

}  // namespace
}  // namespace tern
