#ifndef TERN_SERVER_JOBS_ACTIVATION_BITS_SVG_H_
#define TERN_SERVER_JOBS_ACTIVATION_BITS_SVG_H_

#include <string>

#include "tern/v1/quantization_job.pb.h"

namespace tern {

// A picture of the bits per block: a bar each, a line at their average. Pure.
std::string ActivationBitsSvg(const v1::ActivationBits& activations);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_ACTIVATION_BITS_SVG_H_
