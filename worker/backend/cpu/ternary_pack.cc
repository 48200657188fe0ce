#include <algorithm>
#include <cassert>
#include <cstdint>
#include <span>
#include <vector>

#include "checkpoint/float_conversion.h"
#include "checkpoint/trits.h"
#include "worker/backend/cpu/cpu_ternary_ops.h"

namespace tern {

absl::Status CpuTernaryOps::Pack(const Tensor& trits, const Tensor& alpha, const Tensor& mu,
                                 int64_t group_size, const PackedTernary& packed) {
  const int64_t n = packed.trits.rows();
  const int64_t m = trits.elements() / n;
  const int64_t groups = alpha.rows();
  assert(packed.trits.cols() == PackedTritBytes(m) && packed.alpha.elements() == n * groups);
  pool_.ParallelFor(n, [&](int64_t r) {
    std::vector<int8_t> row(m);
    for (int64_t first = 0; first < m; first += group_size) {
      const int64_t g = std::min(group_size, m - first);
      std::copy_n(trits.data<int8_t>() + first * n + r * g, g, row.begin() + first);
    }
    const int64_t bytes = packed.trits.cols();
    PackTrits(row, std::span(packed.trits.data<uint8_t>() + r * bytes, bytes));
    for (int64_t b = 0; b < groups; ++b) {
      packed.alpha.data<uint16_t>()[r * groups + b] = FloatToHalf(alpha.data<float>()[b * n + r]);
      packed.mu.data<uint16_t>()[r * groups + b] = FloatToHalf(mu.data<float>()[b * n + r]);
    }
  });
  return absl::OkStatus();
}

absl::Status CpuTernaryOps::Unpack(const PackedTernary& packed, int64_t group_size,
                                   const Tensor& w) {
  const int64_t m = w.cols();
  const int64_t groups = packed.alpha.cols();
  assert(packed.trits.rows() == w.rows() && packed.trits.cols() == PackedTritBytes(m));
  assert(packed.perm.empty() || packed.perm.elements() == m);
  pool_.ParallelFor(w.rows(), [&](int64_t r) {
    std::vector<int8_t> row(m);
    const int64_t bytes = packed.trits.cols();
    UnpackTrits(std::span(packed.trits.data<const uint8_t>() + r * bytes, bytes), row);
    for (int64_t c = 0; c < m; ++c) {
      const int64_t group = r * groups + c / group_size;
      const float alpha = HalfToFloat(packed.alpha.data<uint16_t>()[group]);
      const float mu = HalfToFloat(packed.mu.data<uint16_t>()[group]);
      const int64_t column = packed.perm.empty() ? c : packed.perm.data<int32_t>()[c];
      w.data<float>()[r * m + column] = alpha * static_cast<float>(row[c]) + mu;
    }
  });
  return absl::OkStatus();
}

}  // namespace tern
