#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "checkpoint/mapped_file.h"
#include "tests/fuzz/targets.h"

namespace tern {
namespace {

namespace fs = std::filesystem;

using Input = std::vector<uint8_t>;

constexpr int kMutationsPerSeed = 1000;

// The committed seeds of a target, by name.
std::vector<Input> Corpus(const std::string& target) {
  std::vector<std::string> paths;
  for (const auto& entry :
       fs::directory_iterator(fs::path(TERN_SOURCE_DIR) / "tests/fuzz/corpus" / target)) {
    paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<Input> inputs;
  for (const std::string& path : paths) {
    const auto file = MappedFile::Open(path);
    EXPECT_TRUE(file.ok()) << file.status();
    inputs.emplace_back((*file)->bytes().begin(), (*file)->bytes().end());
  }
  return inputs;
}

// Flips, overwrites, removes, repeats and inserts a few bytes.
Input Mutated(Input input, std::mt19937& random) {
  const auto below = [&random](size_t count) { return random() % std::max<size_t>(count, 1); };
  for (size_t edits = 1 + below(4); edits > 0 && !input.empty(); --edits) {
    const size_t at = below(input.size());
    const size_t length = 1 + below(std::min<size_t>(input.size() - at, 16));
    const auto begin = input.begin() + static_cast<std::ptrdiff_t>(at);
    const auto end = begin + static_cast<std::ptrdiff_t>(length);
    switch (below(5)) {
      case 0:
        *begin = static_cast<uint8_t>(*begin ^ (1U << below(8)));
        break;
      case 1:
        *begin = static_cast<uint8_t>(random());
        break;
      case 2:
        input.erase(begin, end);
        break;
      case 3: {
        const Input copy(begin, end);
        input.insert(input.begin() + static_cast<std::ptrdiff_t>(below(input.size())), copy.begin(),
                     copy.end());
        break;
      }
      default:
        input.insert(begin, static_cast<uint8_t>("0123456789[]{},:\"-.e"[below(20)]));
        break;
    }
  }
  return input;
}

void Replay(const std::string& target, void (*run)(std::span<const uint8_t>)) {
  const std::vector<Input> corpus = Corpus(target);
  ASSERT_FALSE(corpus.empty());
  std::mt19937 random(20240601);
  for (const Input& seed : corpus) {
    run(seed);
    for (int i = 0; i < kMutationsPerSeed; ++i) run(Mutated(seed, random));
  }
}

// These fail by crashing, or by a sanitizer's report.
TEST(FuzzReplayTest, SafetensorsReaderSurvivesTheCorpusAndItsMutations) {
  Replay("safetensors", FuzzSafetensors);
}

TEST(FuzzReplayTest, ConfigParserSurvivesTheCorpusAndItsMutations) { Replay("config", FuzzConfig); }

TEST(FuzzReplayTest, PackedLayerReaderSurvivesTheCorpusAndItsMutations) {
  Replay("packed_layer", FuzzPackedLayer);
}

}  // namespace
}  // namespace tern
