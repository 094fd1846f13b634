// SPDX-License-Identifier: Apache-2.0
#include "base/metrics.h"

#include <cstdio>

#include "base/assert.h"
#include "base/text.h"

namespace muster::metrics {
namespace {

constexpr std::size_t kMaxSeries = 2000;

enum Type : int { kCounter, kGauge, kHistogram };

// Label values as the exposition format wants them; what is no UTF-8 would make a scraper refuse the whole page.
std::string escaped(std::string_view value) {
  std::string out;
  bool utf8 = is_utf8(value);
  for (char c : value) {
    if (c == '\\')
      out += "\\\\";
    else if (c == '"')
      out += "\\\"";
    else if (c == '\n')
      out += "\\n";
    else if (!utf8 && (static_cast<unsigned char>(c) & 0x80) != 0)
      out += '?';
    else
      out += c;
  }
  return out;
}

std::string label_text(const Labels& labels) {
  std::string out;
  for (const auto& [name, value] : labels) {
    if (!out.empty()) out += ',';
    out += name + "=\"" + escaped(value) + '"';
  }
  return out;
}

std::string seconds(std::uint64_t microseconds) {
  char buffer[48];
  int length =
      std::snprintf(buffer, sizeof buffer, "%llu.%06llu", static_cast<unsigned long long>(microseconds / 1'000'000),
                    static_cast<unsigned long long>(microseconds % 1'000'000));
  std::string text(buffer, static_cast<std::size_t>(length));
  while (text.ends_with('0')) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text;
}

void append_sample(std::string& out, std::string_view name, std::string_view suffix, std::string_view labels,
                   std::string_view extra, const std::string& value) {
  out += name;
  out += suffix;
  if (!labels.empty() || !extra.empty()) {
    out += '{';
    out += labels;
    if (!labels.empty() && !extra.empty()) out += ',';
    out += extra;
    out += '}';
  }
  out += ' ';
  out += value;
  out += '\n';
}

void append_histogram(std::string& out, std::string_view name, std::string_view labels, const Histogram& histogram) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
    total += histogram.in_bucket(i);
    std::string bound = "le=\"" + seconds(Histogram::bound_us(i)) + '"';
    append_sample(out, name, "_bucket", labels, bound, std::to_string(total));
  }
  total += histogram.in_bucket(Histogram::kBuckets);
  append_sample(out, name, "_bucket", labels, "le=\"+Inf\"", std::to_string(total));
  append_sample(out, name, "_sum", labels, {}, seconds(histogram.sum_us()));
  append_sample(out, name, "_count", labels, {}, std::to_string(total));
}

}  // namespace

void Histogram::observe_us(std::uint64_t microseconds) {
  std::size_t bucket = 0;
  while (bucket < kBuckets && microseconds > bound_us(bucket)) ++bucket;
  buckets_[bucket].fetch_add(1, std::memory_order_relaxed);
  sum_us_.fetch_add(microseconds, std::memory_order_relaxed);
}

std::uint64_t Histogram::count() const {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i <= kBuckets; ++i) total += in_bucket(i);
  return total;
}

struct Registry::Family {
  std::string help;
  int type = kCounter;
  // By label text. Of each series one of the three is used, as the type says.
  struct Series {
    Counter counter;
    Gauge gauge;
    std::unique_ptr<Histogram> histogram;
  };
  std::map<std::string, std::unique_ptr<Series>> series;
  std::map<std::string, std::function<std::string()>> observed;  // by label text

  Series& get(const Labels& labels) {
    std::string text = label_text(labels);
    auto found = series.find(text);
    if (found == series.end()) {
      if (series.size() >= kMaxSeries) text = "overflow=\"true\"";
      found = series.try_emplace(text).first;
      if (!found->second) {
        found->second = std::make_unique<Series>();
        if (type == kHistogram) found->second->histogram = std::make_unique<Histogram>();
      }
    }
    return *found->second;
  }
};

Registry::Registry() = default;
Registry::~Registry() = default;

Registry::Family& Registry::family(std::string_view name, std::string_view help, int type) {
  auto found = families_.find(name);
  if (found == families_.end()) {
    found = families_.emplace(std::string(name), std::make_unique<Family>()).first;
    found->second->help = help;
    found->second->type = type;
  }
  CHECK(found->second->type == type);
  return *found->second;
}

Counter& Registry::counter(std::string_view name, std::string_view help, const Labels& labels) {
  std::lock_guard lock(mutex_);
  return family(name, help, kCounter).get(labels).counter;
}

Gauge& Registry::gauge(std::string_view name, std::string_view help, const Labels& labels) {
  std::lock_guard lock(mutex_);
  return family(name, help, kGauge).get(labels).gauge;
}

Histogram& Registry::histogram(std::string_view name, std::string_view help, const Labels& labels) {
  std::lock_guard lock(mutex_);
  return *family(name, help, kHistogram).get(labels).histogram;
}

void Registry::observed_gauge(std::string_view name, std::string_view help, std::function<std::int64_t()> read,
                              const Labels& labels) {
  std::lock_guard lock(mutex_);
  family(name, help, kGauge).observed[label_text(labels)] = [read = std::move(read)] { return std::to_string(read()); };
}

void Registry::observed_counter(std::string_view name, std::string_view help, std::function<std::uint64_t()> read,
                                const Labels& labels) {
  std::lock_guard lock(mutex_);
  family(name, help, kCounter).observed[label_text(labels)] = [read = std::move(read)] {
    return std::to_string(read());
  };
}

std::string Registry::exposition() const {
  static constexpr std::string_view kTypes[] = {"counter", "gauge", "histogram"};
  std::lock_guard lock(mutex_);
  std::string out;
  for (const auto& [name, family] : families_) {
    out += "# HELP " + name + ' ' + family->help + "\n# TYPE " + name + ' ';
    out += kTypes[family->type];
    out += '\n';
    for (const auto& [labels, read] : family->observed) append_sample(out, name, {}, labels, {}, read());
    for (const auto& [labels, series] : family->series) {
      if (family->type == kCounter) append_sample(out, name, {}, labels, {}, std::to_string(series->counter.value()));
      if (family->type == kGauge) append_sample(out, name, {}, labels, {}, std::to_string(series->gauge.value()));
      if (family->type == kHistogram) append_histogram(out, name, labels, *series->histogram);
    }
  }
  return out;
}

}  // namespace muster::metrics
