#ifndef TERN_CLIENT_METHOD_TEXT_H_
#define TERN_CLIENT_METHOD_TEXT_H_

#include <string>

#include "tern/v1/quantization_job.pb.h"

namespace tern {

// "pt2llm"; "" without a method.
std::string MethodName(const v1::QuantizationSpec& spec);

// The same and its options as `--set` takes them: "pt2llm group_size=128 reorder=ssr".
std::string MethodText(const v1::QuantizationSpec& spec);

// "8 in all blocks"; "4.00 on average: 2 in 1 block, 4 in 22 blocks; expected loss rise 0.0123 nats
// per token".
std::string ActivationBitsText(const v1::ActivationBits& activations);

// What rotating layers did, over any number of blocks.
class RotationSummary {
 public:
  void Add(const v1::BlockMetrics& block);
  int layers() const { return layers_; }

  // "loss 1.95 to 1.43 (mean of 7 layers), at most 0.0004 from orthogonal".
  std::string Text() const;

 private:
  int layers_ = 0;
  double loss_before_ = 0;
  double loss_after_ = 0;
  double orthogonality_error_ = 0;
};

}  // namespace tern

#endif  // TERN_CLIENT_METHOD_TEXT_H_
