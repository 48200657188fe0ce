#ifndef TERN_TESTS_UNIT_QUANT_LAYER_ORACLE_H_
#define TERN_TESTS_UNIT_QUANT_LAYER_ORACLE_H_

#include <cstdint>
#include <vector>

#include "tests/unit/backend_ternary/matrix.h"
#include "worker/quant/quant_recipe.h"

namespace tern {

// PT²-LLM on one layer in plain float64, as the authors' code does it: the whole Hessian of the
// remaining columns is permuted, inverted and factored anew for every group, O(m⁴ / g). The grid is
// fp16, as stored.
struct OracleLayer {
  std::vector<int32_t> order;
  Matrix trits;           // [n, m], columns in order
  Matrix reconstruction;  // [n, m], columns of the weight
};

// `static_scores` decide the order of columns, unless options.reorder is kSsr.
OracleLayer QuantizeByOracle(const Matrix& weight, const Matrix& hessian, const Matrix& cross,
                             const QuantRecipe& options, const std::vector<double>& static_scores);

}  // namespace tern

#endif  // TERN_TESTS_UNIT_QUANT_LAYER_ORACLE_H_
