#include "client/method_text.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/format_values.h"
#include "client/method_options.h"

namespace tern {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// One value of a field, element `index` of a repeated one.
std::string ValueText(const Message& message, const FieldDescriptor& field, int index) {
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
    return EnumValueName(*message.GetReflection()->GetEnum(message, &field));
  }
  std::string text;
  google::protobuf::TextFormat::PrintFieldValueToString(message, &field, index, &text);
  return text;
}

// "key=value" of every option that is set, messages within the method's included.
void AddSettings(const Message& message, const std::string& path,
                 std::vector<std::string>& settings) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const std::string field_path = absl::StrCat(path, ".", field->name());
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      const std::string whole = SettingOfMessage(field->name());
      if (!whole.empty()) settings.push_back(whole);
      AddSettings(message.GetReflection()->GetMessage(message, field), field_path, settings);
      continue;
    }
    std::vector<std::string> values;
    if (field->is_repeated()) {
      for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
        values.push_back(ValueText(message, *field, i));
      }
    } else {
      values.push_back(ValueText(message, *field, -1));
    }
    settings.push_back(absl::StrCat(MethodKeyOf(field_path), "=", absl::StrJoin(values, ",")));
  }
}

}  // namespace

std::string MethodName(const v1::QuantizationSpec& spec) {
  const FieldDescriptor* field = v1::QuantizationSpec::GetReflection()->GetOneofFieldDescriptor(
      spec, v1::QuantizationSpec::descriptor()->FindOneofByName("method"));
  return field == nullptr ? "" : field->name();
}

std::string MethodText(const v1::QuantizationSpec& spec) {
  const std::string name = MethodName(spec);
  if (name.empty()) return "";
  std::vector<std::string> parts = {name};
  AddSettings(v1::QuantizationSpec::GetReflection()->GetMessage(
                  spec, v1::QuantizationSpec::descriptor()->FindFieldByName(name)),
              name, parts);
  return absl::StrJoin(parts, " ");
}

std::string ActivationBitsText(const v1::ActivationBits& activations) {
  std::map<int32_t, int> blocks;
  for (const auto& block : activations.blocks()) ++blocks[block.bits()];
  std::string text;
  if (blocks.size() == 1) {
    text = absl::StrCat(blocks.begin()->first, " in all blocks");
  } else {
    std::vector<std::string> parts;
    parts.reserve(blocks.size());
    for (const auto& [bits, count] : blocks) {
      parts.push_back(absl::StrFormat("%d in %d block%s", bits, count, count == 1 ? "" : "s"));
    }
    text = absl::StrFormat("%.2f on average: %s", activations.average_bits(),
                           absl::StrJoin(parts, ", "));
  }
  if (activations.has_expected_loss_rise()) {
    int interactions = 0;
    for (const auto& block : activations.blocks()) interactions += block.interactions_size();
    absl::StrAppend(&text, "; expected loss rise ",
                    SignificantText(activations.expected_loss_rise()), " nats per token (",
                    interactions, " interaction", interactions == 1 ? "" : "s", " measured)");
  }
  return text;
}

void RotationSummary::Add(const v1::BlockMetrics& block) {
  for (const v1::LayerMetrics& layer : block.layers()) {
    if (!layer.has_rotation()) continue;
    ++layers_;
    loss_before_ += layer.rotation().loss_before();
    loss_after_ += layer.rotation().loss_after();
    orthogonality_error_ = std::max(orthogonality_error_, layer.rotation().orthogonality_error());
  }
}

std::string RotationSummary::Text() const {
  return absl::StrFormat("loss %s to %s (mean of %d layers), at most %s from orthogonal",
                         SignificantText(loss_before_ / layers_),
                         SignificantText(loss_after_ / layers_), layers_,
                         SignificantText(orthogonality_error_));
}

}  // namespace tern
