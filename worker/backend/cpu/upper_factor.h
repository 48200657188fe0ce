#ifndef TERN_WORKER_BACKEND_CPU_UPPER_FACTOR_H_
#define TERN_WORKER_BACKEND_CPU_UPPER_FACTOR_H_

#include <cstdint>

#include "worker/backend/cpu/thread_pool.h"

namespace tern {

// Upper triangular factors of square row-major matrices without gaps, in tiles. Bits do not depend
// on the number of threads.

// Factors the symmetric a[n,n], of which the upper triangle is read: a = UᵀU. U replaces the upper
// triangle; what is below the diagonal is overwritten. False when a is not positive definite, or so
// nearly that a pivot has lost all its digits to rounding.
bool FactorUpper(ThreadPool& pool, float* a, int64_t n);

// inverse[n,n] = U⁻¹, zeros below the diagonal, for the upper triangle U of u[n,n].
void InvertUpper(ThreadPool& pool, const float* u, int64_t n, float* inverse);

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CPU_UPPER_FACTOR_H_
