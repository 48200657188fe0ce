#ifndef TERN_CLIENT_METHOD_OPTIONS_H_
#define TERN_CLIENT_METHOD_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace tern {

namespace v1 {
class QuantizationSpec;
}

// The names `--method` takes: the fields of QuantizationSpec.method.
std::vector<std::string> MethodNames();

// Selects `method` in the spec and sets its options from "key=value" strings. Keys are the fields
// of the method's message; an enum's value is its name in lower case without the enum's prefix
// ("reorder=ssr"), a bool's true or false. So a method added to the API needs nothing here.
//
// INVALID_ARGUMENT lists the methods, keys or values there are.
absl::Status SetMethod(const std::string& method, const std::vector<std::string>& settings,
                       v1::QuantizationSpec* spec);

// For each method its options, a line each: "  reorder=ssr|none|random|hessian".
std::string MethodOptionsHelp();

}  // namespace tern

#endif  // TERN_CLIENT_METHOD_OPTIONS_H_
