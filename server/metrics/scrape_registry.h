#ifndef TERN_SERVER_METRICS_SCRAPE_REGISTRY_H_
#define TERN_SERVER_METRICS_SCRAPE_REGISTRY_H_

#include <prometheus/metric_family.h>
#include <prometheus/registry.h>

#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace tern {

// A registry that also asks for values at the moment of a scrape, for gauges that something else
// knows already. Thread-safe.
class ScrapeRegistry : public prometheus::Registry {
 public:
  using Source = std::function<std::vector<prometheus::MetricFamily>()>;

  // `source` is called at each scrape, from any thread.
  void AtScrape(Source source) {
    const std::lock_guard lock(mutex_);
    sources_.push_back(std::move(source));
  }

  std::vector<prometheus::MetricFamily> Collect() const override {
    std::vector<prometheus::MetricFamily> families = Registry::Collect();
    const std::lock_guard lock(mutex_);
    for (const Source& source : sources_) {
      for (prometheus::MetricFamily& family : source()) families.push_back(std::move(family));
    }
    return families;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Source> sources_;  // guarded by mutex_
};

// A family of one gauge without labels.
prometheus::MetricFamily GaugeFamily(const char* name, const char* help, double value);

}  // namespace tern

#endif  // TERN_SERVER_METRICS_SCRAPE_REGISTRY_H_
