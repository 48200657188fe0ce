#ifndef TERN_PROTO_SERVICE_SERVER_ADDRESS_H_
#define TERN_PROTO_SERVICE_SERVER_ADDRESS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tern {

// Whether `address` says where a server is, as gRPC's clients take it: HOST:PORT, an IPv6 host in
// brackets, or the whole name of one of gRPC's schemes ("unix:/run/tern.sock", "dns:///host"),
// whose own rules hold. gRPC itself takes a missing port for 443. INVALID_ARGUMENT starts with
// `source`, the flag or variable it was given by. Pure.
absl::Status CheckServerAddress(absl::string_view source, absl::string_view address);

}  // namespace tern

#endif  // TERN_PROTO_SERVICE_SERVER_ADDRESS_H_
