// SPDX-License-Identifier: Apache-2.0
#include "mqtt/broker/subscriptions.h"

#include <cstring>

#include "base/assert.h"
#include "base/crypto.h"
#include "mqtt/codec/topics.h"

namespace muster::mqtt {

namespace {

// Multiply-and-fold over eight bytes at a time; keyed, because clients choose the input.
std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

constexpr std::uint64_t kPrimeA = 0x9E3779B97F4A7C15ULL;
constexpr std::uint64_t kPrimeB = 0xD6E8FEB86659FD93ULL;

}  // namespace

Subscriptions::Subscriptions() : nodes_(1), edges_(64, kNone), seed_(0) {
  const std::string random = random_bytes(sizeof seed_);
  std::memcpy(&seed_, random.data(), sizeof seed_);
}

std::uint64_t keyed_hash(std::uint64_t seed, std::string_view text) {
  std::uint64_t hash = fold(seed, kPrimeA ^ text.size());
  const char* bytes = text.data();
  std::size_t left = text.size();
  while (left >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, 8);
    hash = fold(hash ^ word, kPrimeB ^ seed);
    bytes += 8;
    left -= 8;
  }
  std::uint64_t tail = 0;
  if (left > 0) std::memcpy(&tail, bytes, left);
  return fold(hash ^ tail ^ kPrimeA, kPrimeB ^ seed);
}

std::uint64_t Subscriptions::hash_edge(std::uint32_t parent, std::string_view level) const {
  return keyed_hash(seed_ ^ parent, level);
}

std::uint32_t Subscriptions::find_child(std::uint32_t parent, std::string_view level) const {
  const std::uint64_t hash = hash_edge(parent, level);
  const std::size_t mask = edges_.size() - 1;
  for (std::size_t slot = hash & mask; edges_[slot] != kNone; slot = (slot + 1) & mask) {
    const Node& node = nodes_[edges_[slot]];
    if (node.hash == hash && node.parent == parent && node.level == level) return edges_[slot];
  }
  return kNone;
}

void Subscriptions::insert_edge(std::uint32_t index) {
  const std::size_t mask = edges_.size() - 1;
  std::size_t slot = nodes_[index].hash & mask;
  while (edges_[slot] != kNone) slot = (slot + 1) & mask;
  edges_[slot] = index;
  ++edge_count_;
}

// Deletion by shifting back what had to probe past the hole: no tombstones to pile up under churn.
void Subscriptions::erase_edge(std::uint32_t index) {
  const std::size_t mask = edges_.size() - 1;
  std::size_t hole = nodes_[index].hash & mask;
  while (edges_[hole] != index) hole = (hole + 1) & mask;
  for (std::size_t next = (hole + 1) & mask; edges_[next] != kNone; next = (next + 1) & mask) {
    const std::size_t home = nodes_[edges_[next]].hash & mask;
    if (((next - home) & mask) >= ((next - hole) & mask)) {
      edges_[hole] = edges_[next];
      hole = next;
    }
  }
  edges_[hole] = kNone;
  --edge_count_;
}

void Subscriptions::grow() {
  std::vector<std::uint32_t> old(edges_.size() * 2, kNone);
  old.swap(edges_);
  edge_count_ = 0;
  for (const std::uint32_t index : old) {
    if (index != kNone) insert_edge(index);
  }
}

std::uint32_t Subscriptions::new_node(std::uint32_t parent, std::string_view level) {
  std::uint32_t index = 0;
  if (free_.empty()) {
    index = static_cast<std::uint32_t>(nodes_.size());
    nodes_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Node& node = nodes_[index];
  node.parent = parent;
  node.level = level;
  ++nodes_[parent].children;
  return index;
}

std::uint32_t Subscriptions::make_child(std::uint32_t parent, std::string_view level) {
  if (level == "+") {
    if (nodes_[parent].plus == kNone) {
      const std::uint32_t child = new_node(parent, level);
      nodes_[parent].plus = child;
    }
    return nodes_[parent].plus;
  }
  if (level == "#") {
    if (nodes_[parent].multi == kNone) {
      const std::uint32_t child = new_node(parent, level);
      nodes_[parent].multi = child;
    }
    return nodes_[parent].multi;
  }
  if (const std::uint32_t child = find_child(parent, level); child != kNone) return child;
  if ((edge_count_ + 1) * 4 > edges_.size() * 3) grow();
  const std::uint32_t child = new_node(parent, level);
  nodes_[child].hash = hash_edge(parent, level);
  insert_edge(child);
  return child;
}

std::uint32_t Subscriptions::make_path(std::string_view filter) {
  std::uint32_t node = kRoot;
  for (std::string_view rest = filter;;) {
    const std::size_t slash = rest.find('/');
    node = make_child(node, rest.substr(0, slash));
    if (slash == std::string_view::npos) return node;
    rest.remove_prefix(slash + 1);
  }
}

std::vector<Subscription*>& Subscriptions::list_of(Node& node, const Subscription& subscription) {
  return subscription.group != nullptr ? subscription.group->members : node.subscribers;
}

void Subscriptions::link(std::string_view filter, Subscription& subscription) {
  const auto shared = parse_shared(filter);
  subscription.node = make_path(shared ? shared->filter : filter);
  Node& node = nodes_[subscription.node];
  subscription.group = nullptr;
  if (shared) {
    for (const auto& group : node.groups) {
      if (group->name == shared->group) subscription.group = group.get();
    }
    if (subscription.group == nullptr) {
      node.groups.push_back(std::make_unique<ShareGroup>());
      subscription.group = node.groups.back().get();
      subscription.group->name = shared->group;
    }
  }
  std::vector<Subscription*>& list = list_of(node, subscription);
  subscription.position = static_cast<std::uint32_t>(list.size());
  list.push_back(&subscription);
  ++size_;
  ++version_;
}

void Subscriptions::unlink(Subscription& subscription) {
  Node& node = nodes_[subscription.node];
  std::vector<Subscription*>& list = list_of(node, subscription);
  CHECK(subscription.position < list.size() && list[subscription.position] == &subscription);
  Subscription* last = list.back();
  list[subscription.position] = last;
  last->position = subscription.position;
  list.pop_back();
  if (subscription.group != nullptr && list.empty()) {
    std::erase_if(node.groups, [&](const auto& group) { return group.get() == subscription.group; });
  }
  --size_;
  ++version_;
  release(subscription.node);
}

void Subscriptions::release(std::uint32_t index) {
  while (index != kRoot) {
    Node& node = nodes_[index];
    if (!node.subscribers.empty() || !node.groups.empty() || node.children > 0) return;
    const std::uint32_t parent = node.parent;
    if (nodes_[parent].plus == index) {
      nodes_[parent].plus = kNone;
    } else if (nodes_[parent].multi == index) {
      nodes_[parent].multi = kNone;
    } else {
      erase_edge(index);
    }
    --nodes_[parent].children;
    node = Node{};
    free_.push_back(index);
    index = parent;
  }
}

}  // namespace muster::mqtt
