#include "proto/service/metrics_page.h"

#include <CivetServer.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <exception>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace tern {
namespace {

void Reply(mg_connection* connection, int code, const char* reason, const char* content_type,
           const std::string& body) {
  mg_printf(connection,
            "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
            "Cache-Control: no-store\r\n\r\n",
            code, reason, content_type, body.size());
  mg_write(connection, body.data(), body.size());
}

class MetricsHandler : public CivetHandler {
 public:
  explicit MetricsHandler(std::shared_ptr<prometheus::Registry> registry)
      : registry_(std::move(registry)) {}

  bool handleGet(CivetServer*, mg_connection* connection) override {
    const std::string body = prometheus::TextSerializer().Serialize(registry_->Collect());
    Reply(connection, 200, "OK", "text/plain; version=0.0.4; charset=utf-8", body);
    return true;
  }

 private:
  const std::shared_ptr<prometheus::Registry> registry_;
};

class StatusHandler : public CivetHandler {
 public:
  explicit StatusHandler(std::function<absl::Status()> check) : check_(std::move(check)) {}

  bool handleGet(CivetServer*, mg_connection* connection) override {
    const absl::Status status = check_();
    if (status.ok()) {
      Reply(connection, 200, "OK", "text/plain", "ok\n");
    } else {
      Reply(connection, 503, "Service Unavailable", "text/plain",
            absl::StrCat(status.message(), "\n"));
    }
    return true;
  }

 private:
  const std::function<absl::Status()> check_;
};

}  // namespace

struct MetricsPage::Impl {
  Impl(const std::vector<std::string>& options, std::shared_ptr<prometheus::Registry> registry,
       std::function<absl::Status()> ready)
      : metrics(std::move(registry)),
        live([] { return absl::OkStatus(); }),
        ready(std::move(ready)),
        server(options) {
    server.addHandler("/metrics", metrics);
    server.addHandler("/livez", live);
    server.addHandler("/readyz", this->ready);
  }

  MetricsHandler metrics;
  StatusHandler live;
  StatusHandler ready;
  CivetServer server;  // last: stops before the handlers go
};

absl::StatusOr<std::unique_ptr<MetricsPage>> MetricsPage::Start(
    const std::string& address, std::shared_ptr<prometheus::Registry> registry,
    std::function<absl::Status()> ready) {
  const std::vector<std::string> options = {"listening_ports", address, "num_threads", "2"};
  try {
    return std::unique_ptr<MetricsPage>(
        new MetricsPage(std::make_unique<Impl>(options, std::move(registry), std::move(ready))));
  } catch (const std::exception& e) {
    return absl::UnavailableError(
        absl::StrCat("cannot serve metrics on ", address, ": is the port taken? (", e.what(), ")"));
  }
}

MetricsPage::MetricsPage(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MetricsPage::~MetricsPage() = default;

int MetricsPage::port() const { return impl_->server.getListeningPorts().at(0); }

}  // namespace tern
