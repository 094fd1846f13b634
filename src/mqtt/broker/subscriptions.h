// SPDX-License-Identifier: Apache-2.0
// Subscriptions: who wants a topic. A trie by topic level whose edges live in one open-addressed table, so that
// matching allocates nothing, hashes each level once a branch and visits each node at most once. Owned by the Broker,
// on its loop. A Subscription belongs to its session and is linked here, so that removal is constant time also under a
// filter that thousands of clients share. Filters come in validated (codec/topics) and bounded in depth
// (kMaxFilterLevels), which bounds recursion. MQTT 5 section 4.7: '#' also matches its parent level; a filter that
// begins with a wildcard does not match a topic that begins with '$'.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace muster::mqtt {

struct Session;

inline constexpr std::size_t kMaxFilterLevels = 128;

// One filter of one session. Address stable while linked.
struct Subscription {
  Session* session = nullptr;
  std::uint32_t identifier = 0;  // MQTT 5 subscription identifier, 0 = none
  std::uint8_t qos = 0;          // granted
  bool no_local = false;
  bool retain_as_published = false;
  std::uint8_t retain_handling = 0;
  // Where it is linked; Subscriptions' own.
  std::uint32_t node = 0;
  std::uint32_t position = 0;
};

class Subscriptions {
 public:
  Subscriptions();
  Subscriptions(const Subscriptions&) = delete;
  Subscriptions& operator=(const Subscriptions&) = delete;

  void link(std::string_view filter, Subscription& subscription);
  void unlink(Subscription& subscription);
  std::size_t size() const { return size_; }
  std::size_t nodes() const { return nodes_.size() - free_.size() - 1; }  // without the root

  // Calls visit(const Subscription&) for each match; a session with overlapping filters is visited once a filter.
  // `visit` must not link or unlink.
  template <class Visit>
  void match(std::string_view topic, Visit&& visit) const {
    const bool reserved = !topic.empty() && topic.front() == '$';
    walk(kRoot, topic, false, reserved, visit);
  }

 private:
  static constexpr std::uint32_t kNone = 0;  // the root is nobody's child
  static constexpr std::uint32_t kRoot = 0;

  struct Node {
    std::string level;
    std::uint64_t hash = 0;
    std::uint32_t parent = 0;
    std::uint32_t children = 0;
    std::uint32_t plus = kNone;   // child '+'
    std::uint32_t multi = kNone;  // child '#'
    std::vector<Subscription*> subscribers;
  };

  template <class Visit>
  void visit_all(std::uint32_t node, Visit& visit) const {
    for (const Subscription* subscription : nodes_[node].subscribers) visit(*subscription);
  }

  // `ended`: the topic has no more levels. `reserved`: at the root of a '$' topic, where wildcards do not match.
  template <class Visit>
  void walk(std::uint32_t index, std::string_view rest, bool ended, bool reserved, Visit& visit) const {
    const Node& node = nodes_[index];
    if (node.multi != kNone && !reserved) visit_all(node.multi, visit);
    if (ended) {
      visit_all(index, visit);
      return;
    }
    if (node.children == 0) return;
    const std::size_t slash = rest.find('/');
    const bool last = slash == std::string_view::npos;
    const std::string_view level = rest.substr(0, slash);
    const std::string_view below = last ? std::string_view{} : rest.substr(slash + 1);
    if (const std::uint32_t child = find_child(index, level); child != kNone) walk(child, below, last, false, visit);
    if (node.plus != kNone && !reserved) walk(node.plus, below, last, false, visit);
  }

  std::uint64_t hash_edge(std::uint32_t parent, std::string_view level) const;
  std::uint32_t find_child(std::uint32_t parent, std::string_view level) const;
  std::uint32_t make_child(std::uint32_t parent, std::string_view level);
  std::uint32_t new_node(std::uint32_t parent, std::string_view level);
  void release(std::uint32_t index);  // and its ancestors, while they are empty
  void insert_edge(std::uint32_t index);
  void erase_edge(std::uint32_t index);
  void grow();

  std::vector<Node> nodes_;
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> edges_;  // linear probing; kNone = empty slot
  std::size_t edge_count_ = 0;
  std::size_t size_ = 0;
  std::uint64_t seed_;  // random: clients choose the levels, not the collisions
};

}  // namespace muster::mqtt
