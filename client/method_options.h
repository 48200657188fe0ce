#ifndef TERN_CLIENT_METHOD_OPTIONS_H_
#define TERN_CLIENT_METHOD_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace google::protobuf {
class EnumValueDescriptor;
}

namespace tern {

namespace v1 {
class QuantizationSpec;
}

// The names `--method` takes: the fields of QuantizationSpec.method.
std::vector<std::string> MethodNames();

// Selects `method` in the spec and sets its options from "key=value" strings. Keys are the fields
// of the method's message; an enum's value is its name in lower case without the enum's prefix
// ("reorder=ssr"), a bool's true or false, a list's are separated by commas. So a method added to
// the API needs nothing here but its help. Fields of messages within the method's have keys of
// their own ("average_activation_bits"), and one value of another key sets the message, which they
// need: "activation_bits=auto".
//
// INVALID_ARGUMENT lists the methods, keys or values there are.
absl::Status SetMethod(const std::string& method, const std::vector<std::string>& settings,
                       v1::QuantizationSpec* spec);

// What `--set` calls an enum's value: "ssr" for REORDER_SSR.
std::string EnumValueName(const google::protobuf::EnumValueDescriptor& value);

// The key that sets a field given by its path in the spec: "beta" for
// "twla.mixed_activations.beta"; empty when it is no option of a method.
std::string MethodKeyOf(absl::string_view path);

// The setting that makes a message within a method: "activation_bits=auto" for
// "mixed_activations"; empty when it is none of them.
std::string SettingOfMessage(absl::string_view field);

// What the server says of a method's options, in the words of `--set`: values of enums
// ("REORDER_SSR" is "ssr") and messages that a value sets ("mixed_activations").
std::string InSetWords(absl::string_view text);

// For each method its options with their values, what they do, ranges and defaults.
std::string MethodOptionsHelp();

}  // namespace tern

#endif  // TERN_CLIENT_METHOD_OPTIONS_H_
