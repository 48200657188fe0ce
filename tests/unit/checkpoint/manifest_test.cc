#include "checkpoint/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/checkpoint/status_matchers.h"

namespace tern {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string kDigest(64, 'a');

std::string Entry(const std::string& name, const std::string& size, const std::string& sha256) {
  return R"({"manifest_version": 1, "files": {")" + name + R"(": {"size": )" + size +
         R"(, "sha256": ")" + sha256 + "\"}}}";
}

void ExpectRefused(const std::string& json, const std::string& message) {
  EXPECT_THAT(ParseManifest(json),
              IsError(absl::StatusCode::kInvalidArgument,
                      AllOf(HasSubstr("tern-manifest.json: "), HasSubstr(message))))
      << json;
}

TEST(ManifestTest, SurvivesTheRoundTrip) {
  const std::map<std::string, FileDigest> files = {{"config.json", {12, kDigest}},
                                                   {"x", {0, std::string(64, '0')}}};
  const auto parsed = ParseManifest(ManifestJson(files));
  ASSERT_THAT(parsed, IsOk());
  EXPECT_EQ(*parsed, files);
}

TEST(ManifestTest, NoFilesAreAnEmptyObject) {
  const auto parsed = ParseManifest(ManifestJson({}));
  ASSERT_THAT(parsed, IsOk());
  EXPECT_TRUE(parsed->empty());
}

TEST(ManifestTest, NamesMustBePlain) {
  ExpectRefused(Entry("../x", "1", kDigest), "\"../x\": not a plain file name");
  ExpectRefused(Entry("a/b", "1", kDigest), "not a plain file name");
}

TEST(ManifestTest, SizesMustBeWholeAndNotNegative) {
  ExpectRefused(Entry("x", "-1", kDigest), "\"x\": size");
  ExpectRefused(Entry("x", "1.5", kDigest), "\"x\": size");
  ExpectRefused(Entry("x", "9223372036854775808", kDigest), "\"x\": size");
}

TEST(ManifestTest, DigestsMustBe64LowerCaseHexDigits) {
  ExpectRefused(Entry("x", "1", std::string(63, 'a')), "sha256");
  ExpectRefused(Entry("x", "1", std::string(64, 'A')), "sha256");
  ExpectRefused(Entry("x", "1", std::string(64, 'g')), "sha256");
}

TEST(ManifestTest, ANewerVersionsIsToldFromADamagedOne) {
  EXPECT_THAT(ParseManifest(R"({"manifest_version": 2, "files": {}})"),
              IsError(absl::StatusCode::kFailedPrecondition, HasSubstr("newer version")));
}

TEST(ManifestTest, OtherFormsAreRefused) {
  ExpectRefused("{}", "manifest_version must be 1");
  ExpectRefused(R"({"manifest_version": "2", "files": {}})", "manifest_version must be 1");
  ExpectRefused(R"({"manifest_version": 1, "files": []})", "files: an object");
  ExpectRefused(R"({"manifest_version": 1, "files": {"x": 1}})", "{size, sha256}");
  ExpectRefused("[", "not valid JSON");
}

}  // namespace
}  // namespace tern
