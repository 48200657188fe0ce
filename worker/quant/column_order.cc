#include "worker/quant/column_order.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <utility>

namespace tern {

std::vector<int32_t> OrderByScore(std::span<const float> scores, int64_t group) {
  const auto score = [&](int32_t column) {
    const float value = scores[column];
    return std::isnan(value) ? -std::numeric_limits<float>::infinity() : value;
  };
  std::vector<int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  const auto middle = order.begin() + std::min<int64_t>(group, static_cast<int64_t>(order.size()));
  std::partial_sort(order.begin(), middle, order.end(), [&](int32_t a, int32_t b) {
    return score(a) != score(b) ? score(a) > score(b) : a < b;
  });
  std::sort(middle, order.end());
  return order;
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
