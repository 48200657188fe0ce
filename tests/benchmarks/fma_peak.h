#ifndef TERN_TESTS_BENCHMARKS_FMA_PEAK_H_
#define TERN_TESTS_BENCHMARKS_FMA_PEAK_H_

#include <cstdint>

namespace tern {

// Floating-point operations of `rounds` rounds of independent fused multiply-adds in registers, the
// most that a core of TERN_CPU_ARCH can do. Returns how many were done.
int64_t RunMultiplyAdds(int64_t rounds);

}  // namespace tern

#endif  // TERN_TESTS_BENCHMARKS_FMA_PEAK_H_
