#include "tests/benchmarks/fma_peak.h"

#include "worker/backend/cpu/vector_math.h"

namespace tern {

int64_t RunMultiplyAdds(int64_t rounds) {
  // Enough to cover the latency of two units; named, so that each stays in a register.
  Lanes a{}, b{}, c{}, d{}, e{}, f{}, g{}, h{}, i{}, j{};
  Lanes x = Fill(0.999f), y = Fill(1e-6f);
  for (int64_t round = 0; round < rounds; ++round) {
    // Tells the compiler that the factors may have changed, at no cost.
    asm volatile("" : "+x"(x), "+x"(y));
    a = a * x + y;
    b = b * x + y;
    c = c * x + y;
    d = d * x + y;
    e = e * x + y;
    f = f * x + y;
    g = g * x + y;
    h = h * x + y;
    i = i * x + y;
    j = j * x + y;
  }
  volatile float sink = SumOf(a + b + c + d + e + f + g + h + i + j);
  static_cast<void>(sink);
  return rounds * 10 * 2 * kLanes;
}

}  // namespace tern
