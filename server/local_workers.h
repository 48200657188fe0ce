#ifndef TERN_SERVER_LOCAL_WORKERS_H_
#define TERN_SERVER_LOCAL_WORKERS_H_

#include <memory>

#include "server/api/api_server.h"
#include "server/server_options.h"
#include "server/supervisor/supervisor.h"

namespace tern {

// Starts the workers that `options` asks for, connected to `api`, which outlives them and is told
// when one ends. Null when none is asked for.
std::unique_ptr<Supervisor> StartLocalWorkers(const ServerOptions& options, ApiServer& api);

}  // namespace tern

#endif  // TERN_SERVER_LOCAL_WORKERS_H_
