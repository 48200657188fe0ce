#ifndef TERN_WORKER_BACKEND_CPU_VECTOR_MATH_H_
#define TERN_WORKER_BACKEND_CPU_VECTOR_MATH_H_

#include <bit>
#include <cstdint>
#include <cstring>

namespace tern {

// Vectors of the compiler for the compute files, which alone may include this. Loops over a row
// take kLanes elements at a time from its first on and fill up the last vector, so that bits never
// depend on where in memory a row lies.

#ifdef __AVX512F__
inline constexpr int64_t kLanes = 16;
#else
inline constexpr int64_t kLanes = 8;
#endif

using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));
using IntLanes = int32_t __attribute__((vector_size(kLanes * sizeof(int32_t))));
using DoubleLanes = double __attribute__((vector_size(kLanes * sizeof(double))));

inline Lanes Load(const float* from) {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof(lanes));
  return lanes;
}

inline void Store(const Lanes& lanes, float* to) { std::memcpy(to, &lanes, sizeof(lanes)); }

inline Lanes Fill(float value) { return Lanes{} + value; }

// Calls step(i, count) for the vectors of n elements: first element and how many are real.
template <typename Step>
inline void ForVectors(int64_t n, Step step) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) step(i, kLanes);
  if (i < n) step(i, n - i);
}

// `count` elements and `rest` after them; storing writes `count`.
inline Lanes Load(const float* from, int64_t count, float rest) {
  if (count == kLanes) return Load(from);
  Lanes lanes = Fill(rest);
  std::memcpy(&lanes, from, count * sizeof(float));
  return lanes;
}

inline void Store(const Lanes& lanes, float* to, int64_t count) {
  if (count == kLanes) return Store(lanes, to);
  std::memcpy(to, &lanes, count * sizeof(float));
}

inline Lanes Max(const Lanes& a, const Lanes& b) { return a > b ? a : b; }

inline DoubleLanes ToDouble(const Lanes& lanes) {
  return __builtin_convertvector(lanes, DoubleLanes);
}

inline float MaxOf(const Lanes& lanes) {
  float max = lanes[0];
  for (int64_t i = 1; i < kLanes; ++i) max = lanes[i] > max ? lanes[i] : max;
  return max;
}

inline float SumOf(const Lanes& lanes) {
  float sum = 0;
  for (int64_t i = 0; i < kLanes; ++i) sum += lanes[i];
  return sum;
}

inline double SumOf(const DoubleLanes& lanes) {
  double sum = 0;
  for (int64_t i = 0; i < kLanes; ++i) sum += lanes[i];
  return sum;
}

// e^x to about 1e-7 relative; 0 below -87, the value at 88 above it.
inline Lanes Exp(const Lanes& x) {
  const Lanes bounded = x > Fill(88.0f) ? Fill(88.0f) : Max(x, Fill(-87.0f));
  // n = round(x / ln 2), by adding and taking away 1.5·2²³.
  constexpr float kRound = 12582912.0f;
  const Lanes n = (bounded * 1.44269504088896341f + kRound) - kRound;
  const Lanes r = (bounded - n * 0.693359375f) + n * 2.12194440e-4f;  // x - n·ln 2 in two parts
  // e^r on [-ln 2 / 2, ln 2 / 2] (Cephes' polynomial).
  Lanes p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const IntLanes power = (__builtin_convertvector(n, IntLanes) + 127) << 23;
  const Lanes result = p * std::bit_cast<Lanes>(power);
  return x < Fill(-87.0f) ? Lanes{} : result;
}

// log x to about 1e-7 absolute, for positive normal x.
inline Lanes Log(const Lanes& x) {
  // x = f·2^e, f in [√½, √2).
  const IntLanes offset = std::bit_cast<IntLanes>(x) - 0x3f3504f3;
  const Lanes e = __builtin_convertvector(offset >> 23, Lanes);
  const Lanes f = std::bit_cast<Lanes>((offset & 0x007fffff) + 0x3f3504f3) - 1.0f;
  // log(1 + f) (Cephes' polynomial), and e·ln 2 in two parts.
  Lanes p = f * 7.0376836292e-2f - 1.1514610310e-1f;
  p = p * f + 1.1676998740e-1f;
  p = p * f - 1.2420140846e-1f;
  p = p * f + 1.4249322787e-1f;
  p = p * f - 1.6668057665e-1f;
  p = p * f + 2.0000714765e-1f;
  p = p * f - 2.4999993993e-1f;
  p = p * f + 3.3333331174e-1f;
  const Lanes square = f * f;
  const Lanes tail = f * square * p - e * 2.12194440e-4f - 0.5f * square;
  return f + tail + e * 0.693359375f;
}

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CPU_VECTOR_MATH_H_
