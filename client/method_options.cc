#include "client/method_options.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
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

// The names of an enum's values, the unspecified one left out.
struct EnumChoice {
  std::string name;
  int number;
};
std::vector<EnumChoice> EnumChoices(const EnumDescriptor& descriptor) {
  std::vector<EnumChoice> choices;
  for (int i = 1; i < descriptor.value_count(); ++i) {
    choices.push_back({EnumValueName(*descriptor.value(i)), descriptor.value(i)->number()});
  }
  return choices;
}

absl::Status SetEnum(const FieldDescriptor& field, const std::string& key, const std::string& value,
                     Message* message) {
  std::vector<std::string> names;
  for (const EnumChoice& choice : EnumChoices(*field.enum_type())) {
    if (choice.name == value) {
      message->GetReflection()->SetEnumValue(message, &field, choice.number);
      return absl::OkStatus();
    }
    names.push_back(choice.name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--set ", key, ": \"", value, "\" is not one of ", absl::StrJoin(names, ", ")));
}

absl::Status SetField(const FieldDescriptor& field, const std::string& key,
                      const std::string& value, Message* message) {
  const auto& reflection = *message->GetReflection();
  const auto refuse = [&](absl::string_view wanted) {
    return absl::InvalidArgumentError(
        absl::StrCat("--set ", key, ": \"", value, "\" is not ", wanted));
  };
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM:
      return SetEnum(field, key, value, message);
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
          absl::StrCat("--set ", key, ": cannot be set from the command line"));
  }
}

// A key of --set.
struct Key {
  std::string name;
  const FieldDescriptor* field;
  const FieldDescriptor* within;  // the method's field whose message has `field`; null: its own
};

// Fields of messages within a method's, whose own names would not say what they are of.
std::string NestedName(const FieldDescriptor& field) {
  static const auto& names = *new std::map<std::string, std::string>{
      {"tern.v1.MixedActivations.average_bits", "average_activation_bits"},
      {"tern.v1.MixedActivations.candidates", "activation_candidates"},
  };
  const auto found = names.find(field.full_name());
  return found == names.end() ? field.name() : found->second;
}

std::vector<Key> KeysOf(const Descriptor& method) {
  std::vector<Key> keys;
  for (int i = 0; i < method.field_count(); ++i) {
    const FieldDescriptor* const field = method.field(i);
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      keys.push_back({field->name(), field, nullptr});
      continue;
    }
    for (int j = 0; j < field->message_type()->field_count(); ++j) {
      const FieldDescriptor* const nested = field->message_type()->field(j);
      keys.push_back({NestedName(*nested), nested, field});
    }
  }
  return keys;
}

std::vector<std::string> KeyNames(const Descriptor& method) {
  std::vector<std::string> names;
  for (const Key& key : KeysOf(method)) names.push_back(key.name);
  return names;
}

// A value of a key that sets a message of the method instead of the key's field.
struct MessageValue {
  const char* key;
  const char* value;
  const char* field;
};
constexpr MessageValue kMessageValues[] = {{"activation_bits", "auto", "mixed_activations"}};

const MessageValue* FindMessageValue(const Descriptor& method, const std::string& key,
                                     const std::string& value) {
  for (const MessageValue& candidate : kMessageValues) {
    if (candidate.key == key && candidate.value == value &&
        method.FindFieldByName(candidate.field) != nullptr) {
      return &candidate;
    }
  }
  return nullptr;
}

absl::Status SetList(const FieldDescriptor& field, const std::string& key, const std::string& value,
                     Message* message) {
  for (const absl::string_view part : absl::StrSplit(value, ',')) {
    int32_t number = 0;
    if (!absl::SimpleAtoi(part, &number)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--set ", key, ": \"", value, "\" is not a list of whole numbers, 2,4,8"));
    }
    message->GetReflection()->AddInt32(message, &field, number);
  }
  return absl::OkStatus();
}

absl::Status SetKey(const Key& key, const std::string& value, Message* method) {
  if (const MessageValue* whole = FindMessageValue(*method->GetDescriptor(), key.name, value)) {
    method->GetReflection()->MutableMessage(method,
                                            method->GetDescriptor()->FindFieldByName(whole->field));
    return absl::OkStatus();
  }
  Message* const message =
      key.within == nullptr ? method : method->GetReflection()->MutableMessage(method, key.within);
  if (key.field->is_repeated()) return SetList(*key.field, key.name, value, message);
  return SetField(*key.field, key.name, value, message);
}

// A nested key needs the setting that makes its message.
absl::Status CheckNested(const Key& key, const std::set<std::string>& settings) {
  const std::string setting = key.within == nullptr ? "" : SettingOfMessage(key.within->name());
  if (setting.empty() || settings.contains(setting)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--set ", key.name, ": needs --set ", setting));
}

absl::Status UnknownKey(const std::string& method, const std::string& key,
                        const Descriptor& descriptor) {
  const std::vector<std::string> names = KeyNames(descriptor);
  const std::string nearest = NearestWord(key, names);
  return absl::InvalidArgumentError(absl::StrCat(
      "--set ", key, ": ", method, " has no such option; it takes ", absl::StrJoin(names, ", "),
      nearest.empty() ? "" : absl::StrCat(" (did you mean ", nearest, "?)")));
}

// What may stand behind the equals sign.
std::string ValueHelp(const Key& key) {
  std::string help = "TEXT";
  switch (key.field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM: {
      std::vector<std::string> names;
      for (const EnumChoice& choice : EnumChoices(*key.field->enum_type())) {
        names.push_back(choice.name);
      }
      help = absl::StrJoin(names, "|");
      break;
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      help = "true|false";
      break;
    case FieldDescriptor::CPPTYPE_INT32:
      help = "N";
      break;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      help = "X";
      break;
    default:
      break;
  }
  if (key.field->is_repeated()) help = absl::StrCat(help, ",", help, ",...");
  for (const MessageValue& whole : kMessageValues) {
    if (key.name == whole.key) absl::StrAppend(&help, "|", whole.value);
  }
  return help;
}

// What `--set` calls names that the server's errors have from the API.
std::map<std::string, std::string> SetWords() {
  std::map<std::string, std::string> words;
  for (const MessageValue& whole : kMessageValues) {
    words[whole.field] = absl::StrCat(whole.key, "=", whole.value);
  }
  for (int i = 0; i < MethodOneof().field_count(); ++i) {
    for (const Key& key : KeysOf(*MethodOneof().field(i)->message_type())) {
      const EnumDescriptor* const type = key.field->enum_type();
      for (int j = 0; type != nullptr && j < type->value_count(); ++j) {
        words[type->value(j)->name()] = EnumValueName(*type->value(j));
      }
    }
  }
  return words;
}

// What an option does, its range and its default.
std::string OptionHelp(const FieldDescriptor& field) {
  static const auto& texts = *new std::map<std::string, std::string>{
      {"tern.v1.Pt2LlmMethod.group_size", "Columns that share a grid, 16 to 4096. Default: 128."},
      {"tern.v1.Pt2LlmMethod.reorder", "How columns are gathered into groups. Default: ssr."},
      {"tern.v1.Pt2LlmMethod.compensation", "Of a group's error. Default: exact."},
      {"tern.v1.Pt2LlmMethod.gptaq", "Asymmetric calibration, 0 (off) to 1. Default: 0.25."},
      {"tern.v1.Pt2LlmMethod.itf", "Iterative ternary fitting. Default: true."},
      {"tern.v1.Pt2LlmMethod.aga", "Alignment to the layer's output. Default: true."},
      {"tern.v1.Pt2LlmMethod.damping", "Of the Hessian, above 0, at most 1. Default: 0.01."},
      {"tern.v1.TwlaMethod.group_size", "Columns that share a grid, 16 to 4096. Default: 128."},
      {"tern.v1.TwlaMethod.rotation", "Learned, random or no rotation. Default: kotms."},
      {"tern.v1.TwlaMethod.objective", "What kotms minimises. Default: released."},
      {"tern.v1.TwlaMethod.factorization",
       "Factors of 0.25 bits per weight, or of about 0.01. Default: released."},
      {"tern.v1.TwlaMethod.rotation_steps", "Of kotms, 1 to 10000. Default: 100."},
      {"tern.v1.TwlaMethod.rotation_rate", "Of kotms, above 0, at most 1. Default: 0.01."},
      {"tern.v1.TwlaMethod.fit", "How the first grid is found. Default: e2m."},
      {"tern.v1.TwlaMethod.align", "Alignment to the layer's output. Default: true."},
      {"tern.v1.TwlaMethod.reorder",
       "How columns are gathered; only with rotation=none. Default: none."},
      {"tern.v1.TwlaMethod.compensation", "Of a group's error. Default: exact."},
      {"tern.v1.TwlaMethod.gptaq", "Asymmetric calibration, 0 (off) to 1. Default: 0."},
      {"tern.v1.TwlaMethod.damping", "Of the Hessian, above 0, at most 1. Default: 0.1."},
      {"tern.v1.TwlaMethod.activation_bits",
       "16, 8, 6 or 4 in all blocks; auto chooses block by block. Default: 16."},
      {"tern.v1.MixedActivations.average_bits",
       "What auto may use, from the least candidate to 8. Default: 4."},
      {"tern.v1.MixedActivations.candidates",
       "What auto chooses from, 8 among them. Default: 2,4,6,8."},
      {"tern.v1.MixedActivations.beta",
       "Weight of neighbours' interaction for auto, 0 to 10. Default: 0.5."},
      {"tern.v1.MixedActivations.interactions",
       "Which interactions auto measures. Default: needed."},
  };
  const auto found = texts.find(field.full_name());
  return found == texts.end() ? "" : found->second;
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

std::string EnumValueName(const google::protobuf::EnumValueDescriptor& value) {
  // Every enum of the API starts with PREFIX_UNSPECIFIED = 0.
  const std::string& unspecified = value.type()->value(0)->name();
  const size_t prefix = unspecified.size() - std::string("UNSPECIFIED").size();
  return absl::AsciiStrToLower(value.name().substr(prefix));
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
  const std::vector<Key> keys = KeysOf(descriptor);
  const std::set<std::string> all(settings.begin(), settings.end());
  std::set<std::string> given;
  for (const std::string& setting : settings) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("--set ", setting, ": expected KEY=VALUE; keys of ", method, " are ",
                       absl::StrJoin(KeyNames(descriptor), ", ")));
    }
    const std::string key = setting.substr(0, equals);
    const auto found = std::find_if(keys.begin(), keys.end(),
                                    [&key](const Key& each) { return each.name == key; });
    if (found == keys.end()) return UnknownKey(method, key, descriptor);
    if (!given.insert(key).second) {
      return absl::InvalidArgumentError(absl::StrCat("--set ", key, " is given twice"));
    }
    TERN_RETURN_IF_ERROR(CheckNested(*found, all));
    TERN_RETURN_IF_ERROR(SetKey(*found, setting.substr(equals + 1), message));
  }
  return absl::OkStatus();
}

std::string MethodKeyOf(absl::string_view path) {
  const std::vector<std::string> parts = absl::StrSplit(path, '.');
  for (int i = 0; i < MethodOneof().field_count(); ++i) {
    const FieldDescriptor& method = *MethodOneof().field(i);
    if (method.name() != parts[0]) continue;
    for (const Key& key : KeysOf(*method.message_type())) {
      std::vector<std::string> own = {method.name(), key.field->name()};
      if (key.within != nullptr) own.insert(own.begin() + 1, key.within->name());
      if (own == parts) return key.name;
    }
  }
  return "";
}

std::string SettingOfMessage(absl::string_view field) {
  for (const MessageValue& whole : kMessageValues) {
    if (field == whole.field) return absl::StrCat(whole.key, "=", whole.value);
  }
  return "";
}

std::string InSetWords(absl::string_view text) {
  static const auto& words = *new std::map<std::string, std::string>(SetWords());
  const auto in_word = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
  };
  std::string out;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && in_word(text[end])) ++end;
    const std::string word(text.substr(at, end - at));
    const auto found = words.find(word);
    absl::StrAppend(&out, found == words.end() ? word : found->second);
    if (end < text.size()) out.push_back(text[end++]);
    at = end;
  }
  return out;
}

std::string MethodOptionsHelp() {
  constexpr size_t kHelpColumn = 30;
  std::string text;
  for (int i = 0; i < MethodOneof().field_count(); ++i) {
    const Descriptor& method = *MethodOneof().field(i)->message_type();
    absl::StrAppend(&text, i > 0 ? "\n" : "", "Options of ", MethodOneof().field(i)->name(),
                    " (--set KEY=VALUE):\n");
    for (const Key& key : KeysOf(method)) {
      std::string line = absl::StrCat("  ", key.name, "=", ValueHelp(key));
      if (line.size() + 2 > kHelpColumn) {
        absl::StrAppend(&text, line, "\n");
        line.clear();
      }
      line.resize(kHelpColumn, ' ');
      absl::StrAppend(&text, line, OptionHelp(*key.field), "\n");
    }
  }
  return text;
}

}  // namespace tern
