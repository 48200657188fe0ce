#include "checkpoint/tokenizer/bpe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tern {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

BpeDefinition Letters() {
  BpeDefinition definition;
  definition.vocabulary = {{"a", 0},   {"b", 1},  {"c", 2}, {"ab", 3}, {"bc", 4},
                           {"abc", 5}, {"aa", 6}, {"?", 7}, {"_", 8},  {"_a", 9}};
  definition.merges = {{"b", "c"}, {"a", "b"}, {"a", "bc"}, {"a", "a"}, {"_", "a"}};
  return definition;
}

std::vector<int32_t> Encode(const BpeDefinition& definition, absl::string_view word) {
  const auto bpe = Bpe::Create(definition);
  EXPECT_TRUE(bpe.ok()) << bpe.status();
  Bpe::Cache cache;
  std::vector<int32_t> ids;
  const absl::Status status = bpe->Encode(word, cache, ids);
  EXPECT_TRUE(status.ok()) << status;
  return ids;
}

TEST(BpeTest, TheLowestRankMergesFirst) {
  EXPECT_THAT(Encode(Letters(), "abc"), ElementsAre(5));
  BpeDefinition definition = Letters();
  std::swap(definition.merges[0], definition.merges[1]);
  EXPECT_THAT(Encode(definition, "abc"), ElementsAre(3, 2));
}

TEST(BpeTest, OfEqualRanksTheLeftmostMergesFirst) {
  EXPECT_THAT(Encode(Letters(), "aaaaa"), ElementsAre(6, 6, 0));
}

TEST(BpeTest, IgnoreMergesTakesAWordThatIsAToken) {
  BpeDefinition definition = Letters();
  definition.merges.clear();
  EXPECT_THAT(Encode(definition, "abc"), ElementsAre(0, 1, 2));
  definition.ignore_merges = true;
  EXPECT_THAT(Encode(definition, "abc"), ElementsAre(5));
  EXPECT_THAT(Encode(definition, "abca"), ElementsAre(0, 1, 2, 0));
}

TEST(BpeTest, UnknownCharactersAreDroppedReplacedOrFused) {
  BpeDefinition definition = Letters();
  EXPECT_THAT(Encode(definition, "aéüb"), ElementsAre(3));
  definition.unk_token = "?";
  EXPECT_THAT(Encode(definition, "aéüb"), ElementsAre(0, 7, 7, 1));
  definition.fuse_unk = true;
  EXPECT_THAT(Encode(definition, "aéüb"), ElementsAre(0, 7, 1));
}

TEST(BpeTest, ByteFallbackSpellsUnknownCharactersInBytes) {
  BpeDefinition definition = Letters();
  definition.unk_token = "?";
  definition.byte_fallback = true;
  definition.vocabulary["<0xC3>"] = 100;
  definition.vocabulary["<0xA9>"] = 101;
  EXPECT_THAT(Encode(definition, "aé"), ElementsAre(0, 100, 101));
  EXPECT_THAT(Encode(definition, "aü"), ElementsAre(0, 7));
}

TEST(BpeTest, AnUnkTokenOutsideTheVocabularyIsAnErrorWhenItIsNeeded) {
  BpeDefinition definition = Letters();
  definition.unk_token = "<unk>";
  const auto bpe = Bpe::Create(definition);
  Bpe::Cache cache;
  std::vector<int32_t> ids;
  EXPECT_TRUE(bpe->Encode("abc", cache, ids).ok());
  EXPECT_THAT(std::string(bpe->Encode("é", cache, ids).message()), HasSubstr("<unk>"));
}

TEST(BpeTest, AMergeOutsideTheVocabularyIsRefused) {
  BpeDefinition definition = Letters();
  definition.merges.emplace_back("c", "a");
  EXPECT_THAT(std::string(Bpe::Create(definition).status().message()), HasSubstr("merges[5]"));
}

// A long word is cut where no merge joins its neighbours; short ones are merged whole. Both must
// give the same, so a long word equals the same text in pieces that end at such places.
TEST(BpeTest, CuttingALongWordChangesNothing) {
  const std::string part = "_abcaab_aac_bca";
  const std::vector<int32_t> once = Encode(Letters(), part);
  std::string word;
  std::vector<int32_t> expected;
  for (int i = 0; i < 100; ++i) {
    word += part;
    expected.insert(expected.end(), once.begin(), once.end());
  }
  EXPECT_EQ(Encode(Letters(), word), expected);
}

TEST(BpeTest, AMegabyteWithoutAnyPlaceToCutIsMergedInReasonableTime) {
  // Merging by scanning for the best pair would take 10^12 steps.
  const std::vector<int32_t> ids = Encode(Letters(), std::string(1 << 20, 'a'));
  EXPECT_EQ(ids.size(), size_t{1} << 19);
}

TEST(BpeTest, AWordTooLongToMergeIsRefused) {
  const auto bpe = Bpe::Create(Letters());
  Bpe::Cache cache;
  std::vector<int32_t> ids;
  const absl::Status status = bpe->Encode(std::string((8 << 20) + 1, 'a'), cache, ids);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tern
