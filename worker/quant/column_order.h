#ifndef TERN_WORKER_QUANT_COLUMN_ORDER_H_
#define TERN_WORKER_QUANT_COLUMN_ORDER_H_

#include <cstdint>
#include <vector>

namespace tern {

// Scores of orders of columns that need no data: a column of higher score is quantized earlier.

// The columns as they stand.
std::vector<float> FallingScores(int64_t columns);

// The numbers 0 … columns-1, shuffled. Depends on the arguments alone, on every platform.
std::vector<float> RandomScores(int64_t columns, uint64_t seed);

}  // namespace tern

#endif  // TERN_WORKER_QUANT_COLUMN_ORDER_H_
