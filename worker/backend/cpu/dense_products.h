#ifndef TERN_WORKER_BACKEND_CPU_DENSE_PRODUCTS_H_
#define TERN_WORKER_BACKEND_CPU_DENSE_PRODUCTS_H_

#include <cstdint>

#include "worker/backend/cpu/thread_pool.h"

namespace tern {

// Matrix products over all threads, float32, row-major and densely packed. Work is shared out by
// tiles of the result; packed operands take at most 32 MiB (or one panel) at a time.

// y[t,n] = x[t,k] · w[n,k]ᵀ + bias[n]; bias may be null; added to y when `accumulate`.
void MultiplyByTransposed(ThreadPool& pool, const float* x, const float* w, const float* bias,
                          bool accumulate, int64_t t, int64_t k, int64_t n, float* y);

// h[m,m] += xᵀ·x for x[t,m]. Right is the triangle below and on the diagonal; above it are
// leftovers.
void AddGramLower(ThreadPool& pool, const float* x, int64_t t, int64_t m, float* h);

// g[m,n] += aᵀ·b for a[t,m], b[t,n].
void AddTransposedProduct(ThreadPool& pool, const float* a, const float* b, int64_t t, int64_t m,
                          int64_t n, float* g);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CPU_DENSE_PRODUCTS_H_
