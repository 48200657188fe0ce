#include "worker/quant/pack_layer.h"

#include <algorithm>
#include <span>
#include <vector>

#include "checkpoint/float_conversion.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/trits.h"

namespace tern {
namespace {

// fp16 bits [rows, groups] of grid[groups, rows].
absl::StatusOr<std::vector<uint16_t>> PackGrid(Backend& backend, const Tensor& grid) {
  const int64_t groups = grid.rows();
  const int64_t rows = grid.cols();
  std::vector<float> values(grid.elements());
  TERN_RETURN_IF_ERROR(backend.Download(grid, values.data()));
  std::vector<uint16_t> packed(values.size());
  for (int64_t b = 0; b < groups; ++b) {
    for (int64_t r = 0; r < rows; ++r) packed[r * groups + b] = FloatToHalf(values[b * rows + r]);
  }
  return packed;
}

}  // namespace

absl::StatusOr<TernaryLayer> PackLayer(Backend& backend, const LayerFit& fit, int64_t group_size,
                                       bool permuted) {
  TernaryLayer layer;
  layer.rows = fit.trits.rows();
  layer.cols = fit.trits.cols();
  layer.group_size = group_size;
  if (permuted) layer.perm = fit.order;
  TERN_ASSIGN_OR_RETURN(layer.alpha, PackGrid(backend, fit.alpha));
  TERN_ASSIGN_OR_RETURN(layer.mu, PackGrid(backend, fit.mu));

  std::vector<int8_t> trits(fit.trits.elements());
  TERN_RETURN_IF_ERROR(backend.Download(fit.trits, trits.data()));
  const int64_t row_bytes = PackedTritBytes(layer.cols);
  layer.trits.resize(layer.rows * row_bytes);
  std::vector<int8_t> row(layer.cols);
  for (int64_t r = 0; r < layer.rows; ++r) {
    for (int64_t first = 0; first < layer.cols; first += group_size) {
      const int64_t g = std::min(group_size, layer.cols - first);
      std::copy_n(trits.begin() + first * layer.rows + r * g, g, row.begin() + first);
    }
    PackTrits(row, std::span(layer.trits).subspan(r * row_bytes, row_bytes));
  }
  return layer;
}

}  // namespace tern
