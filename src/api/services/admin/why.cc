// SPDX-License-Identifier: Apache-2.0
#include "api/services/admin/why.h"

#include <algorithm>

#include "api/wire/await_callback.h"
#include "base/text.h"
#include "domain/jobs/execution.h"
#include "domain/jobs/outlook/why.h"
#include "domain/registry/things.h"
#include "domain/security/certificates.h"
#include "domain/security/principals.h"
#include "store/transact.h"

namespace muster::api::admin {
namespace {

using Clients = std::vector<MqttClient>;
using store::Tx;

constexpr std::size_t kCertificates = 20;

struct Asked {
  std::string thing, job, client_id, topic, action;
};

Result<Asked> read_question(const json::object& input) {
  Asked asked{std::string(get_string(input, "thing")), std::string(get_string(input, "job")),
              std::string(get_string(input, "clientId")), std::string(get_string(input, "topic")),
              std::string(get_string(input, "action"))};
  if (asked.thing.empty() && asked.job.empty() && asked.client_id.empty()) {
    return invalid("Give thing, job or clientId: there is nothing to explain.");
  }
  if (asked.client_id.empty() && (!asked.topic.empty() || !asked.action.empty())) {
    return invalid("topic and action are about a client: give clientId.");
  }
  if (!asked.client_id.empty() && (!asked.thing.empty() || !asked.job.empty())) {
    return invalid("thing and job are one question, clientId is another: ask one of them.");
  }
  if (asked.topic.empty() && !asked.action.empty() && asked.action != "connect") {
    return invalid("action " + asked.action + " needs topic.");
  }
  return asked;
}

// ---- things

struct ThingFacts {
  Findings findings;
  bool presence = false;  // whether the device is there matters
  std::vector<std::string> certificates;
};

std::vector<std::string> certificates_of(const Realm& realm, Tx& tx, std::string_view thing) {
  std::vector<std::string> ids;
  const auto page = security::list_thing_principals(tx, thing, {.token = {}, .limit = kCertificates});
  if (!page) return ids;
  for (const auto& arn : page->items) {
    if (auto id = security::certificate_in_arn(realm, arn)) ids.push_back(*std::move(id));
  }
  return ids;
}

// The execution asked about is over.
bool has_ended(const Findings& findings) {
  return std::ranges::any_of(findings, [](const Finding& finding) {
    const auto status = finding.facts.find("status");
    const auto known = finding.code.starts_with("execution.") && status != finding.facts.end()
                           ? jobs::execution_status_from(status->second)
                           : std::nullopt;
    return known && jobs::is_terminal(*known);
  });
}

Result<ThingFacts> read_thing(const WhyServices& services, Tx& tx, const Asked& asked) {
  ThingFacts facts;
  if (asked.thing.empty()) {
    TRY(facts.findings, jobs::explain_job(services.jobs, tx, asked.job));
    return facts;
  }
  if (asked.job.empty()) {
    TRY(facts.findings, jobs::explain_thing(services.jobs, tx, asked.thing));
  } else {
    TRY(facts.findings, jobs::explain_execution(services.jobs, tx, asked.thing, asked.job));
  }
  facts.presence = registry::thing_exists(tx, asked.thing) && !has_ended(facts.findings);
  if (facts.presence) facts.certificates = certificates_of(services.jobs.realm, tx, asked.thing);
  return facts;
}

std::string time_text(std::int64_t ms) {
  return to_iso8601(ms, false);
}

Finding client_finding(const MqttClient& client) {
  Finding finding{client.connected ? "client.connected" : "client.disconnected", "", {{"clientId", client.client_id}}};
  finding.facts["principal"] = client.principal;
  finding.sentence = "MQTT client " + client.client_id + (client.connected ? " is connected" : " is not connected");
  if (client.since_ms != 0) {
    finding.facts["since"] = time_text(client.since_ms);
    finding.sentence += " since " + time_text(client.since_ms);
  }
  if (client.connected) finding.sentence += " from " + client.address;
  if (!client.connected && !client.last_disconnect.empty()) {
    finding.facts["reason"] = client.last_disconnect;
    finding.sentence += ": " + client.last_disconnect;
  }
  if (!finding.sentence.ends_with(".")) finding.sentence += ".";
  return finding;
}

void explain_presence(const WhyServices& services, const Asked& asked, const ThingFacts& facts, const Clients& clients,
                      Findings& findings) {
  if (clients.empty()) {
    Finding finding{"device.not_connected", "", {{"certificates", std::to_string(facts.certificates.size())}}};
    finding.sentence = "The device is not connected by MQTT: there is no client or session named " + asked.thing;
    finding.sentence += facts.certificates.empty()
                            ? ", and no certificate is attached to the thing."
                            : ", nor one with any of the thing's " + std::to_string(facts.certificates.size()) +
                                  (facts.certificates.size() == 1 ? " certificate." : " certificates.");
    findings.push_back(std::move(finding));
  }
  for (const MqttClient& client : clients) findings.push_back(client_finding(client));
  const std::string topics = "$aws/things/" + asked.thing + "/jobs/";
  if (services.devices.wanted(topics + "notify-next") || services.devices.wanted(topics + "notify")) return;
  findings.push_back({"device.not_subscribed",
                      "Nobody subscribes to " + topics + "notify-next or " + topics +
                          "notify: the device hears of jobs only when it asks for them.",
                      {{"topic", topics + "notify-next"}}});
}

io::Task<Clients> find_clients(const ClientsPort& port, std::vector<std::string> ids,
                               std::vector<std::string> principals) {
  std::function<void(std::function<void(Result<Clients>)>)> start = [&](auto done) {
    port.find(std::move(ids), std::move(principals), std::move(done));
  };
  co_return co_await await_callback<Clients>(start);
}

io::Task<Findings> explain_thing(const WhyServices& services, const Asked& asked) {
  auto read = [&](Tx& tx) { return read_thing(services, tx, asked); };
  CO_TRY(ThingFacts facts, co_await store::transact(*services.store, read));
  if (!facts.presence) co_return std::move(facts.findings);
  std::vector<std::string> ids{asked.thing};
  CO_TRY(Clients clients, co_await find_clients(services.clients, ids, facts.certificates));
  std::ranges::sort(clients, {}, &MqttClient::client_id);
  Findings findings = std::move(facts.findings);
  explain_presence(services, asked, facts, clients, findings);
  co_return findings;
}

// ---- clients

void explain_denials(const std::vector<PastDenial>& denials, const std::string& client_id, Findings& findings) {
  if (denials.empty()) {
    findings.push_back({"client.no_denials",
                        "Nothing was refused to client " + client_id +
                            " since the server started, as far as it remembers (the last 1000 clients that were).",
                        {}});
  }
  for (const PastDenial& denial : denials) {
    Finding finding{"client.denied", "", {{"action", denial.action}, {"name", denial.name}}};
    finding.facts["at"] = time_text(denial.last_ms);
    finding.facts["times"] = std::to_string(denial.times);
    finding.facts["principal"] = denial.principal;
    finding.sentence = time_text(denial.last_ms) + ": " + denial.action + " on " + denial.name + " was refused";
    if (denial.times > 1) finding.sentence += ", " + std::to_string(denial.times) + " times so far";
    finding.sentence += ".";
    for (const Finding& reason : denial.reasons) {
      finding.sentence += " " + reason.sentence;
      finding.facts["reason"] += (finding.facts["reason"].empty() ? "" : " ") + reason.code;
    }
    findings.push_back(std::move(finding));
  }
}

// By which the client comes, or would: its session's principal, who was refused, the certificates of the thing of its
// name.
struct Named {
  std::string id, kind;
};
std::vector<Named> principals_of(const WhyServices& services, Tx& tx, const std::string& client_id,
                                 const Clients& clients, const std::vector<PastDenial>& denials) {
  if (!clients.empty() && !clients[0].principal.empty()) return {{clients[0].principal, clients[0].principal_kind}};
  for (const PastDenial& denial : denials) {
    if (!denial.principal.empty()) return {{denial.principal, denial.principal_kind}};
  }
  std::vector<Named> named;
  if (!is_thing_name(client_id)) return named;
  for (std::string& id : certificates_of(services.jobs.realm, tx, client_id))
    named.push_back({std::move(id), "certificate"});
  return named;
}

Result<Findings> explain_access(const WhyServices& services, Tx& tx, const Asked& asked, const Clients& clients,
                                const std::vector<PastDenial>& denials) {
  Findings findings;
  auto principals = principals_of(services, tx, asked.client_id, clients, denials);
  if (principals.empty()) principals.emplace_back();
  for (const auto& [principal, kind] : principals) {
    AccessAsked access{asked.client_id,
                       principal,
                       kind,
                       clients.empty() ? "" : clients[0].address,
                       asked.action == "subscribe" ? "iot:Subscribe"
                       : asked.action == "receive" ? "iot:Receive"
                       : asked.action == "connect" ? "iot:Connect"
                                                   : "iot:Publish",
                       asked.action == "connect" ? asked.client_id : asked.topic};
    TRY(auto found, services.devices.access(tx, access));
    for (auto& finding : found) {
      if (!principal.empty()) finding.facts["principal"] = principal;
      findings.push_back(std::move(finding));
    }
  }
  return findings;
}

io::Task<Findings> explain_client(const WhyServices& services, const Asked& asked) {
  std::vector<std::string> ids{asked.client_id}, none;
  CO_TRY(const Clients clients, co_await find_clients(services.clients, ids, none));
  const auto denials = services.devices.denials(asked.client_id);
  Findings findings;
  if (clients.empty()) {
    findings.push_back({"client.no_session",
                        "No MQTT client " + asked.client_id + " is connected or has a session.",
                        {{"clientId", asked.client_id}}});
  } else {
    findings.push_back(client_finding(clients[0]));
  }
  if (asked.topic.empty() && asked.action.empty()) {
    explain_denials(denials, asked.client_id, findings);
    co_return findings;
  }
  auto read = [&](Tx& tx) { return explain_access(services, tx, asked, clients, denials); };
  CO_TRY(Findings access, co_await store::transact(*services.store, read));
  std::ranges::move(access, std::back_inserter(findings));
  co_return findings;
}

}  // namespace

void register_why(Operations& operations, const WhyServices& given) {
  const auto services = std::make_shared<const WhyServices>(given);
  operations.add("muster", "Explain", [services](Call& call) -> io::Task<Reply> {
    CO_TRY(const Asked asked, read_question(call.input));
    Findings findings;
    if (asked.client_id.empty()) {
      CO_TRY(findings, co_await explain_thing(*services, asked));
    } else {
      CO_TRY(findings, co_await explain_client(*services, asked));
    }
    Reply reply;
    reply.output["findings"] = to_json(findings);
    co_return reply;
  });
}

}  // namespace muster::api::admin
