#ifndef TERN_WORKER_BACKEND_CPU_PANEL_PRODUCT_H_
#define TERN_WORKER_BACKEND_CPU_PANEL_PRODUCT_H_

#include <cstdint>

namespace tern {

// Single-threaded float32 matrix products, the inner part of every operation that multiplies.
//
// The right operand B[k,n] is packed into panels: kPanelWidth of its columns side by side, row
// after row, the last panel filled up with zeros. An element of a product is
//   c += Σ a·b, one fused multiply-add after the other in the order of k,
// wherever in the matrix it is and whatever is computed beside it. So the bits of a product depend
// neither on tiles, nor on batch sizes, nor on threads. (Eigen's depend on the position in a tile
// and on detected cache sizes.)

#ifdef __AVX512F__
inline constexpr int64_t kPanelWidth = 48;
#else
inline constexpr int64_t kPanelWidth = 24;
#endif

inline constexpr int64_t PanelCount(int64_t n) { return (n + kPanelWidth - 1) / kPanelWidth; }

// Packs one panel: columns [column, column + kPanelWidth) of B, k rows. `panel` has
// k · kPanelWidth elements.
//   PackPanel:           b is B[k,n], row-major, rows `stride` apart
//   PackTransposedPanel: b is Bᵀ[n,k], row-major, rows `stride` apart
void PackPanel(const float* b, int64_t stride, int64_t k, int64_t n, int64_t column, float* panel);
void PackTransposedPanel(const float* b, int64_t stride, int64_t k, int64_t n, int64_t column,
                         float* panel);

// c[m, columns] += a[m,k] · panel, rows of a and c their strides apart; columns ≤ kPanelWidth.
void MultiplyPanel(const float* a, int64_t a_stride, const float* panel, int64_t m, int64_t k,
                   int64_t columns, float* c, int64_t c_stride);

// c[rows, columns] += leftᵀ · right for two panels of k rows; rows, columns ≤ kPanelWidth.
void MultiplyTransposedPanel(const float* left, const float* right, int64_t k, int64_t rows,
                             int64_t columns, float* c, int64_t c_stride);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CPU_PANEL_PRODUCT_H_
