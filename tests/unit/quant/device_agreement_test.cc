// What a block comes to on another device, given the same states before it, beside the CPU. A trit
// that lies between two levels may fall either way, and what is compensated after it follows: from
// then on single values are not comparable, what they come to is.

#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "tests/test_backend.h"
#include "tests/unit/quant/demo_model.h"
#include "worker/quant/block_quantizer.h"

namespace tern {
namespace {

CalibrationState StateOn(Backend& backend, const CalibrationState& cpu_state, Backend& cpu) {
  CalibrationState state;
  state.window_length = cpu_state.window_length;
  state.next_block = cpu_state.next_block;
  for (const auto& [from, to] : {std::pair{&cpu_state.quantized, &state.quantized},
                                 {&cpu_state.full_precision, &state.full_precision}}) {
    *to = backend.Allocate(ElementType::kF32, from->rows(), from->cols()).value();
    EXPECT_TRUE(backend.Upload(Values(cpu, *from).data(), *to).ok());
  }
  return state;
}

TEST(DeviceAgreementTest, EveryBlockComesToWhatItDoesOnTheCpu) {
  const std::unique_ptr<Backend> device = TestBackend();
  if (device->name() == "cpu") GTEST_SKIP() << "needs TERN_TEST_DEVICE to name another device";
  const std::unique_ptr<Backend> cpu = CreateBackend("cpu", 2).value();
  DemoModel demo;
  const std::vector<int32_t> ids = demo.Tokens(70);
  QuantRecipe options;
  options.reorder = Reorder::kNone;  // whose choice is another such fall
  CalibrationState state = StartCalibration(*cpu, *demo.full, ids, DemoModel::kWindowLength, 0,
                                            {.full_precision = true}, nullptr)
                               .value();
  for (int64_t block = 0; block < demo.config().num_blocks; ++block) {
    CalibrationState on_device = StateOn(*device, state, *cpu);
    const QuantizedBlock quantized =
        QuantizeBlock(*device, demo.config(), demo.full->Block(*device, block).value(), options,
                      BlockRotations(), TaskControl(), on_device)
            .value();
    const QuantizedBlock expected =
        QuantizeBlock(*cpu, demo.config(), demo.full->Block(*cpu, block).value(), options,
                      BlockRotations(), TaskControl(), state)
            .value();
    // The first set reads the same inputs: but for what is between two levels it is the same.
    for (const LinearKind kind : {LinearKind::kQ, LinearKind::kK, LinearKind::kV}) {
      EXPECT_NEAR(quantized.metrics.layers.at(kind).relative_error /
                      expected.metrics.layers.at(kind).relative_error,
                  1, 0.005)
          << LinearName(block, kind);
    }
    EXPECT_NEAR(quantized.metrics.relative_error / expected.metrics.relative_error, 1, 0.01)
        << "block " << block;
  }
}

}  // namespace
}  // namespace tern
