#ifndef TERN_WORKER_AGENT_SERVER_CHANNEL_H_
#define TERN_WORKER_AGENT_SERVER_CHANNEL_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace grpc {
class Channel;
class ClientContext;
}  // namespace grpc

namespace tern {

// A channel that finds out within half a minute that the server is gone without a word, and
// reconnects within seconds once it is back.
std::shared_ptr<grpc::Channel> OpenServerChannel(const std::string& address);

void SetDeadline(grpc::ClientContext& context, absl::Duration from_now);

// Whether the same call may succeed later: the server cannot be reached, is restarting or is
// overloaded. CANCELLED counts, as a server that shuts down cancels what is in flight; callers
// that cancel themselves look at that first.
bool IsTransient(const absl::Status& status);

}  // namespace tern

#endif  // TERN_WORKER_AGENT_SERVER_CHANNEL_H_
