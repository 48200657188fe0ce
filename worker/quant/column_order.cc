#include "worker/quant/column_order.h"

#include <numeric>
#include <random>
#include <utility>

namespace tern {

std::vector<float> FallingScores(int64_t columns) {
  std::vector<float> scores(columns);
  for (int64_t j = 0; j < columns; ++j) scores[j] = -static_cast<float>(j);
  return scores;
}

std::vector<float> RandomScores(int64_t columns, uint64_t seed) {
  std::vector<float> scores(columns);
  std::iota(scores.begin(), scores.end(), 0.0f);
  std::mt19937_64 generator(seed);
  // Fisher and Yates. std::shuffle and the distributions differ between standard libraries; the
  // bias of the remainder is below columns / 2⁶⁴.
  for (int64_t i = columns - 1; i > 0; --i) {
    std::swap(scores[i], scores[static_cast<int64_t>(generator() % static_cast<uint64_t>(i + 1))]);
  }
  return scores;
}

}  // namespace tern
