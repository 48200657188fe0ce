#ifndef TERN_WORKER_BACKEND_ACTIVATION_GRID_H_
#define TERN_WORKER_BACKEND_ACTIVATION_GRID_H_

#include <math.h>

#include <cfloat>

#ifdef __CUDACC__
#define TERN_ON_DEVICE __host__ __device__
#else
#define TERN_ON_DEVICE
#endif

namespace tern {

// The values that a row of activations is quantized to (ActivationOps), the same on every device:
// scale·k for the integers k from lowest to highest, which are -z and N - z.
struct ActivationGrid {
  float scale;  // 0: the row is left as it is
  float lowest, highest;
};

TERN_ON_DEVICE inline ActivationGrid GridOfRow(float min, float max, int bits, double clip) {
  const double low = min < 0 ? min : 0;
  const double high = max > 0 ? max : 0;
  const double levels = (1 << bits) - 1;
  const auto scale = static_cast<float>(clip * (high - low) / levels);
  if (min == max || scale < FLT_MIN) return {0, 0, 0};
  const auto lowest = static_cast<float>(rint(low * levels / (high - low)));
  return {scale, lowest, lowest + static_cast<float>(levels)};
}

// k of the value of x; not a number where x is none. `grid.scale` is not 0.
TERN_ON_DEVICE inline float LevelOf(float x, const ActivationGrid& grid) {
  const float k = rintf(x / grid.scale);
  return k < grid.lowest ? grid.lowest : (k > grid.highest ? grid.highest : k);
}

TERN_ON_DEVICE inline float Quantized(float x, const ActivationGrid& grid) {
  return grid.scale * LevelOf(x, grid);
}

TERN_ON_DEVICE inline float QuantizedLess(float x, const ActivationGrid& grid) {
  return fmaf(grid.scale, LevelOf(x, grid), -x);
}

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_ACTIVATION_GRID_H_
