#include "proto/service/metrics_page.h"

#include <curl/curl.h>
#include <gtest/gtest.h>
#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <atomic>

#include "absl/strings/str_cat.h"

namespace tern {
namespace {

struct HttpReply {
  long code = 0;
  std::string body;
};

size_t AppendBody(char* data, size_t size, size_t count, void* body) {
  static_cast<std::string*>(body)->append(data, size * count);
  return size * count;
}

HttpReply Get(int port, const std::string& path) {
  HttpReply reply;
  CURL* curl = curl_easy_init();
  curl_easy_setopt(curl, CURLOPT_URL, absl::StrCat("http://127.0.0.1:", port, path).c_str());
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, AppendBody);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reply.body);
  curl_easy_perform(curl);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.code);
  curl_easy_cleanup(curl);
  return reply;
}

TEST(MetricsPageTest, ServesTheRegistryAndTheState) {
  auto registry = std::make_shared<prometheus::Registry>();
  auto& counter =
      prometheus::BuildCounter().Name("tern_test_total").Help("Test.").Register(*registry).Add({});
  counter.Increment(41);
  std::atomic<bool> ready = false;
  auto page = MetricsPage::Start("127.0.0.1:0", registry, [&] {
    return ready ? absl::OkStatus() : absl::UnavailableError("draining");
  });
  ASSERT_TRUE(page.ok()) << page.status();
  const int port = (*page)->port();

  counter.Increment();
  const HttpReply metrics = Get(port, "/metrics");
  EXPECT_EQ(metrics.code, 200);
  EXPECT_NE(metrics.body.find("tern_test_total 42"), std::string::npos) << metrics.body;

  EXPECT_EQ(Get(port, "/livez").code, 200);
  EXPECT_EQ(Get(port, "/readyz").code, 503);
  EXPECT_EQ(Get(port, "/readyz").body, "draining\n");
  ready = true;
  EXPECT_EQ(Get(port, "/readyz").code, 200);
  EXPECT_EQ(Get(port, "/nothing").code, 404);
}

TEST(MetricsPageTest, ATakenPortIsAnErrorThatNamesIt) {
  auto registry = std::make_shared<prometheus::Registry>();
  auto first = MetricsPage::Start("127.0.0.1:0", registry, [] { return absl::OkStatus(); });
  ASSERT_TRUE(first.ok());
  const std::string address = absl::StrCat("127.0.0.1:", (*first)->port());
  auto second = MetricsPage::Start(address, registry, [] { return absl::OkStatus(); });
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(second.status().message().find(address), std::string::npos);
}

}  // namespace
}  // namespace tern
