#include "client/method_options.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "checkpoint/status_macros.h"
#include "client/command_line.h"
#include "tern/v1/quantization_job.pb.h"

namespace tern {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::OneofDescriptor;

const OneofDescriptor& MethodOneof() {
  return *v1::QuantizationSpec::descriptor()->FindOneofByName("method");
}

// The lower-case names of an enum's values without its prefix, the unspecified one left out.
// Every enum of the API starts with PREFIX_UNSPECIFIED = 0.
struct EnumChoice {
  std::string name;
  int number;
};
std::vector<EnumChoice> EnumChoices(const EnumDescriptor& descriptor) {
  const std::string& unspecified = descriptor.value(0)->name();
  const size_t prefix = unspecified.size() - std::string("UNSPECIFIED").size();
  std::vector<EnumChoice> choices;
  for (int i = 1; i < descriptor.value_count(); ++i) {
    choices.push_back({absl::AsciiStrToLower(descriptor.value(i)->name().substr(prefix)),
                       descriptor.value(i)->number()});
  }
  return choices;
}

absl::Status SetEnum(const FieldDescriptor& field, const std::string& value, Message* message) {
  std::vector<std::string> names;
  for (const EnumChoice& choice : EnumChoices(*field.enum_type())) {
    if (choice.name == value) {
      message->GetReflection()->SetEnumValue(message, &field, choice.number);
      return absl::OkStatus();
    }
    names.push_back(choice.name);
  }
  return absl::InvalidArgumentError(absl::StrCat("--set ", field.name(), ": \"", value,
                                                 "\" is not one of ", absl::StrJoin(names, ", ")));
}

absl::Status SetField(const FieldDescriptor& field, const std::string& value, Message* message) {
  const auto& reflection = *message->GetReflection();
  const auto refuse = [&](absl::string_view wanted) {
    return absl::InvalidArgumentError(
        absl::StrCat("--set ", field.name(), ": \"", value, "\" is not ", wanted));
  };
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM:
      return SetEnum(field, value, message);
    case FieldDescriptor::CPPTYPE_BOOL:
      if (value != "true" && value != "false") return refuse("true or false");
      reflection.SetBool(message, &field, value == "true");
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_INT32: {
      int32_t number = 0;
      if (!absl::SimpleAtoi(value, &number)) return refuse("a whole number of 32 bits");
      reflection.SetInt32(message, &field, number);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double number = 0;
      if (!absl::SimpleAtod(value, &number) || !std::isfinite(number)) return refuse("a number");
      reflection.SetDouble(message, &field, number);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_STRING:
      reflection.SetString(message, &field, value);
      return absl::OkStatus();
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("--set ", field.name(), ": cannot be set from the command line"));
  }
}

std::vector<std::string> FieldNames(const Descriptor& descriptor) {
  std::vector<std::string> names;
  names.reserve(descriptor.field_count());
  for (int i = 0; i < descriptor.field_count(); ++i) names.push_back(descriptor.field(i)->name());
  return names;
}

absl::Status UnknownKey(const std::string& method, const std::string& key,
                        const Descriptor& descriptor) {
  const std::vector<std::string> names = FieldNames(descriptor);
  const std::string nearest = NearestWord(key, names);
  return absl::InvalidArgumentError(absl::StrCat(
      "--set ", key, ": ", method, " has no such option; it takes ", absl::StrJoin(names, ", "),
      nearest.empty() ? "" : absl::StrCat(" (did you mean ", nearest, "?)")));
}

// What may stand behind the equals sign.
std::string ValueHelp(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM: {
      std::vector<std::string> names;
      for (const EnumChoice& choice : EnumChoices(*field.enum_type())) names.push_back(choice.name);
      return absl::StrJoin(names, "|");
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true|false";
    case FieldDescriptor::CPPTYPE_INT32:
      return "N";
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return "X";
    default:
      return "TEXT";
  }
}

}  // namespace

std::vector<std::string> MethodNames() {
  std::vector<std::string> names;
  names.reserve(MethodOneof().field_count());
  for (int i = 0; i < MethodOneof().field_count(); ++i) {
    names.push_back(MethodOneof().field(i)->name());
  }
  return names;
}

absl::Status SetMethod(const std::string& method, const std::vector<std::string>& settings,
                       v1::QuantizationSpec* spec) {
  const FieldDescriptor* field = v1::QuantizationSpec::descriptor()->FindFieldByName(method);
  if (field == nullptr || field->containing_oneof() != &MethodOneof()) {
    return absl::InvalidArgumentError(absl::StrCat("--method: \"", method, "\" is not one of ",
                                                   absl::StrJoin(MethodNames(), ", ")));
  }
  Message* message = spec->GetReflection()->MutableMessage(spec, field);
  const Descriptor& descriptor = *message->GetDescriptor();
  std::set<std::string> keys;
  for (const std::string& setting : settings) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("--set ", setting, ": expected KEY=VALUE; keys of ", method, " are ",
                       absl::StrJoin(FieldNames(descriptor), ", ")));
    }
    const std::string key = setting.substr(0, equals);
    const FieldDescriptor* option = descriptor.FindFieldByName(key);
    if (option == nullptr) return UnknownKey(method, key, descriptor);
    if (!keys.insert(key).second) {
      return absl::InvalidArgumentError(absl::StrCat("--set ", key, " is given twice"));
    }
    TERN_RETURN_IF_ERROR(SetField(*option, setting.substr(equals + 1), message));
  }
  return absl::OkStatus();
}

std::string MethodOptionsHelp() {
  std::string text;
  for (int i = 0; i < MethodOneof().field_count(); ++i) {
    const Descriptor& method = *MethodOneof().field(i)->message_type();
    absl::StrAppend(&text, "Options of ", MethodOneof().field(i)->name(), " (--set KEY=VALUE):\n");
    for (int j = 0; j < method.field_count(); ++j) {
      absl::StrAppend(&text, "  ", method.field(j)->name(), "=", ValueHelp(*method.field(j)), "\n");
    }
  }
  return text;
}

}  // namespace tern
