#include "checkpoint/safetensors_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <string>

#include "checkpoint/atomic_file.h"
#include "checkpoint/safetensors_reader.h"
#include "tests/temp_dir.h"
#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<uint8_t> kBytes = {1, 2, 3, 4, 5, 6, 7, 8};

std::span<const uint8_t> First(size_t count) { return std::span(kBytes).first(count); }

std::string Written(const std::vector<TensorToWrite>& tensors,
                    const std::map<std::string, std::string>& metadata) {
  std::string file;
  const absl::Status status =
      WriteSafetensors(tensors, metadata, [&file](std::span<const uint8_t> piece) {
        file.append(reinterpret_cast<const char*>(piece.data()), piece.size());
        return absl::OkStatus();
      });
  EXPECT_THAT(status, IsOk());
  return file;
}

TEST(SafetensorsWriterTest, TheReaderReadsWhatIsWritten) {
  const TempDir folder;
  const std::string path = folder.File("x.safetensors");
  ASSERT_THAT(WriteSafetensorsFile(path,
                                   {{"b", DType::kU8, {3}, First(3)},
                                    {"a", DType::kF16, {2, 2}, First(8)},
                                    {"scalar", DType::kF32, {}, First(4)},
                                    {"empty", DType::kI64, {0, 5}, {}}},
                                   {{"format", "pt"}}),
              IsOk());
  const auto reader = SafetensorsReader::Open(path);
  ASSERT_THAT(reader, IsOk());
  EXPECT_EQ((*reader)->tensors().size(), 4U);
  EXPECT_THAT((*reader)->Get("a")->shape, ElementsAre(2, 2));
  EXPECT_THAT((*reader)->Get("a")->bytes, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_THAT((*reader)->Get("b")->bytes, ElementsAre(1, 2, 3));
}

TEST(SafetensorsWriterTest, NoTensorsAtAllAreAValidFile) {
  const std::string file = Written({}, {});
  EXPECT_THAT(
      SafetensorsReader::Parse({reinterpret_cast<const uint8_t*>(file.data()), file.size()}, "x"),
      IsOk());
}

TEST(SafetensorsWriterTest, TheOrderGivenDoesNotMatter) {
  const TensorToWrite a = {"a", DType::kU8, {3}, First(3)};
  const TensorToWrite b = {"b", DType::kU8, {4}, First(4)};
  const TensorToWrite c = {"c", DType::kF32, {1}, First(4)};
  EXPECT_EQ(Written({a, b, c}, {}), Written({c, b, a}, {}));
}

TEST(SafetensorsWriterTest, TensorsLieByFallingAlignmentThenByName) {
  const std::string file = Written({{"a", DType::kU8, {1}, First(1)},
                                    {"c", DType::kF16, {1}, First(2)},
                                    {"b", DType::kF16, {1}, First(2)},
                                    {"z", DType::kI32, {1}, First(4)}},
                                   {});
  EXPECT_LT(file.find("\"z\""), file.find("\"b\""));
  EXPECT_LT(file.find("\"b\""), file.find("\"c\""));
  EXPECT_LT(file.find("\"c\""), file.find("\"a\""));
}

TEST(SafetensorsWriterTest, TheDataBeginsAtAMultipleOfEightBytes) {
  for (const char* name : {"a", "ab", "abc", "abcd", "abcdefgh"}) {
    const std::string file = Written({{name, DType::kU8, {1}, First(1)}}, {});
    uint64_t length;
    std::memcpy(&length, file.data(), 8);
    EXPECT_EQ(length % 8, 0U);
  }
}

TEST(SafetensorsWriterTest, TheStreamedFormGivesTheSameBytes) {
  const std::vector<TensorToWrite> tensors = {{"a", DType::kU8, {3}, First(3)},
                                              {"b", DType::kF16, {2}, First(4)}};
  std::string file;
  ASSERT_THAT(WriteSafetensors(
                  {TensorSpec{"a", DType::kU8, {3}}, TensorSpec{"b", DType::kF16, {2}}}, {},
                  [&](size_t index, const ByteSink& sink) {
                    for (const uint8_t& byte : tensors[index].bytes) {
                      if (const absl::Status status = sink({&byte, 1}); !status.ok()) return status;
                    }
                    return absl::OkStatus();
                  },
                  [&file](std::span<const uint8_t> piece) {
                    file.append(reinterpret_cast<const char*>(piece.data()), piece.size());
                    return absl::OkStatus();
                  }),
              IsOk());
  EXPECT_EQ(file, Written(tensors, {}));
}

TEST(SafetensorsWriterTest, ANameTwiceIsRefused) {
  const TempDir folder;
  EXPECT_THAT(WriteSafetensorsFile(
                  folder.File("x"),
                  {{"a", DType::kU8, {1}, First(1)}, {"a", DType::kU8, {2}, First(2)}}, {}),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("a: to be written twice")));
}

TEST(SafetensorsWriterTest, BytesThatDoNotMatchTheShapeAreRefusedAndLeaveNothing) {
  const TempDir folder;
  EXPECT_THAT(WriteSafetensorsFile(folder.File("x"), {{"a", DType::kF16, {3}, First(5)}}, {}),
              IsError(absl::StatusCode::kInvalidArgument, HasSubstr("a: 5 bytes to write")));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(SafetensorsWriterTest, TheSinksErrorIsReturned) {
  EXPECT_THAT(WriteSafetensors(
                  {{"a", DType::kU8, {1}, First(1)}}, {},
                  [](std::span<const uint8_t>) { return absl::ResourceExhaustedError("full"); }),
              IsError(absl::StatusCode::kResourceExhausted, HasSubstr("full")));
}

}  // namespace
}  // namespace tern
