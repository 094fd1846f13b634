// SPDX-License-Identifier: Apache-2.0
// Admin: what operators and supervisors read without credentials on the API port: /health/live, /health/ready,
// /metrics. Answers only unsigned GET and HEAD of exactly these paths, so that a bucket named "health" stays reachable
// by signed requests. Shows no names and no secrets.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "io/http_server.h"

namespace muster::server {

class Admin {
 public:
  struct Sources {
    std::function<std::optional<std::string>()> not_ready;  // why not, or nullopt: ready
    std::function<std::string()> metrics;                   // Prometheus text exposition
  };
  explicit Admin(Sources sources) : sources_(std::move(sources)) {}

  // nullopt: the request is none of ours.
  std::optional<io::HttpResponse> answer(const io::HttpRequest& request) const;

 private:
  Sources sources_;
};

}  // namespace muster::server
