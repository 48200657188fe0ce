#ifndef TERN_WORKER_BACKEND_CPU_COMPILED_FEATURES_H_
#define TERN_WORKER_BACKEND_CPU_COMPILED_FEATURES_H_

namespace tern {

// Instruction sets the compute files were compiled to use. Plain data, so that reading it runs none
// of them.
struct CompiledFeatures {
  bool avx = false, avx2 = false, fma = false, bmi2 = false;
  bool avx512f = false, avx512bw = false, avx512dq = false, avx512vl = false;
};
extern const CompiledFeatures kCompiledFeatures;

}  // namespace tern

#endif  // TERN_WORKER_BACKEND_CPU_COMPILED_FEATURES_H_
