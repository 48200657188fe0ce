#ifndef TERN_CLIENT_PROTO_JSON_H_
#define TERN_CLIENT_PROTO_JSON_H_

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/statusor.h"

namespace google::protobuf {
class Message;
}

namespace tern {

// A message in Protobuf's JSON form, with the names of the .proto file. Numbers, flags and lists
// are there also when they are zero or empty, so that a script need not ask.
absl::StatusOr<nlohmann::ordered_json> ProtoToJson(const google::protobuf::Message& message);

// `json` over several lines, ending with a line feed. Bytes that are no UTF-8 are replaced.
std::string IndentedJson(const nlohmann::ordered_json& json);

// `json` on one line, ending with a line feed.
std::string JsonLine(const nlohmann::ordered_json& json);

}  // namespace tern

#endif  // TERN_CLIENT_PROTO_JSON_H_
