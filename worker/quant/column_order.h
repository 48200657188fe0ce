#ifndef TERN_WORKER_QUANT_COLUMN_ORDER_H_
#define TERN_WORKER_QUANT_COLUMN_ORDER_H_

#include <cstdint>
#include <span>
#include <vector>

namespace tern {

// Arranges columns for quantizing the next group: the `group` columns of largest score first, in
// falling order of score and, at equal score, rising order of index; then the others in rising
// order of index. NaN counts as the smallest score.
std::vector<int32_t> OrderByScore(std::span<const float> scores, int64_t group);

// The numbers 0 … columns-1, shuffled. Depends on the arguments alone, on every platform.
std::vector<float> RandomScores(int64_t columns, uint64_t seed);

}  // namespace tern

#endif  // TERN_WORKER_QUANT_COLUMN_ORDER_H_
